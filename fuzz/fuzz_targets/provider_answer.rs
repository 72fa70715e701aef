//! What providers answer, and what stands in front of them: no failure of a server and no page for people
//! ends a grant, a next page is a request that a caller may send, and nothing that is logged repeats what was
//! answered.
//!
//! The lines: strategy, status, the path and query that were sent, then headers, `name: value`, up to an
//! empty line. The rest is the body.

#![no_main]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode, Uri};
use idp_token_service::{
    provider::{
        InspectionVerdict, Provider, RenewalVerdict, RevocationVerdict, Verdict,
        request::{ApiRequest, RawRequest, check_path},
    },
    retry::LONGEST_WAIT,
};
use idp_token_service_fuzz::{CANARY, Lines, adapters::adapter, assert_hidden, headers};
use libfuzzer_sys::fuzz_target;

/// 2026-11-22.
const NOW: Duration = Duration::from_secs(1_795_305_600);

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let adapter = adapter(&lines.field());
    let Ok(status) = lines.field().parse::<StatusCode>() else { return };
    let path = lines.field();
    let headers = headers(&lines.block());
    let mut answer = Response::new(Bytes::from(lines.rest().to_owned()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    a_call_is_judged(&answer, adapter);
    leads_to_a_page(&answer, &path, adapter);
    a_renewal_is_judged(&answer, adapter);
    an_inspection_is_judged(&answer, adapter);
    a_revocation_is_judged(&answer, adapter);
});

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

/// Whether an answer says nothing about a grant, whatever is in its body.
fn passes(answer: &Response<Bytes>) -> bool {
    let status = answer.status();
    let is_throttle = [408, 425, 429].contains(&status.as_u16());
    is_throttle || status.is_server_error() || status.is_redirection() || status.is_informational()
}

fn is_html(answer: &Response<Bytes>) -> bool {
    answer.body().trim_ascii_start().starts_with(b"<")
}

fn a_call_is_judged(answer: &Response<Bytes>, adapter: &dyn Provider) {
    let verdict = adapter.judge(answer, now());
    let is_json = answer.body().trim_ascii_start().starts_with(b"{");
    match &verdict {
        // Graph's codes count whatever the status; where there are none, servers' failures are not about the
        // token.
        Verdict::TokenRefused | Verdict::ScopeNotGranted { .. } | Verdict::NotConfigured => {
            assert!(!answer.status().is_success(), "{verdict:?}");
            assert!(!answer.status().is_server_error() || is_json || says_invalid(answer), "{verdict:?}");
        }
        Verdict::RateLimited { retry_after } | Verdict::Unavailable { retry_after } => {
            assert!(!answer.status().is_success(), "{verdict:?}");
            assert!(retry_after.is_none_or(|wait| wait <= LONGEST_WAIT), "{verdict:?}");
        }
        Verdict::Accepted => {}
    }
    let _ = adapter.rate_limit(answer.headers(), now());
}

/// Graph's own challenge, which it sends with failures of any status.
fn says_invalid(answer: &Response<Bytes>) -> bool {
    answer
        .headers()
        .get_all("www-authenticate")
        .iter()
        .any(|value| value.as_bytes().windows(13).any(|w| w == b"invalid_token"))
}

fn leads_to_a_page(answer: &Response<Bytes>, path: &str, adapter: &dyn Provider) {
    if check_path(path).is_err() {
        return;
    }
    let host = adapter.hosts().iter().find(|pattern| pattern.is_exact()).expect("a host").as_str();
    let Ok(sent) = format!("https://{host}{path}").parse::<Uri>() else { return };
    let Some(page) = adapter.next_page(&sent, answer) else { return };
    let raw = RawRequest { path: page.clone(), ..RawRequest::default() };
    let request = ApiRequest::check(raw, adapter).unwrap_or_else(|error| panic!("{page}: {error}"));
    assert_eq!(request.path_and_query.as_str(), page);
}

fn a_renewal_is_judged(answer: &Response<Bytes>, adapter: &dyn Provider) {
    let Ok(renewal) = adapter.renewal() else { return };
    let verdict = renewal.read(answer, now());
    match &verdict {
        RenewalVerdict::Renewed(tokens) => {
            assert!(answer.status().is_success() && !is_html(answer));
            assert!(!tokens.access.expose().is_empty());
            if !tokens.scopes.iter().any(|scope| scope.contains(CANARY)) {
                assert_hidden(&verdict, CANARY);
            }
        }
        RenewalVerdict::GrantDead { .. } | RenewalVerdict::ClientRefused { .. } => {
            assert!(!passes(answer) && !is_html(answer), "{verdict:?} by {}", answer.status());
            assert_hidden(&verdict, CANARY);
        }
        RenewalVerdict::Transient(transient) => {
            assert!(transient.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT), "{verdict:?}");
            assert_hidden(&verdict, CANARY);
        }
    }
}

fn an_inspection_is_judged(answer: &Response<Bytes>, adapter: &dyn Provider) {
    let Ok(inspection) = adapter.inspection() else { return };
    let verdict = inspection.read(answer, now());
    match &verdict {
        InspectionVerdict::Active(_) => assert!(!passes(answer) && !is_html(answer), "{verdict:?}"),
        InspectionVerdict::Dead
        | InspectionVerdict::DeadOrForeign
        | InspectionVerdict::ClientRefused { .. } => {
            assert!(!passes(answer) && !is_html(answer), "{verdict:?} by {}", answer.status());
        }
        InspectionVerdict::Transient(transient) => {
            assert!(transient.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT), "{verdict:?}");
            assert_hidden(&verdict, CANARY);
        }
    }
}

fn a_revocation_is_judged(answer: &Response<Bytes>, adapter: &dyn Provider) {
    let Ok(revocation) = adapter.revocation() else { return };
    let verdict = revocation.read(answer, now());
    if !matches!(verdict, RevocationVerdict::Transient(_)) {
        // The content of a success is ignored.
        let is_told = answer.status().is_success() || !is_html(answer);
        assert!(!passes(answer) && is_told, "{verdict:?} by {}", answer.status());
    }
    assert_hidden(&verdict, CANARY);
}
