//! `Retry-After` and the headers of rate limits never make anybody wait for longer than the longest wait, nor
//! for less than no time, whatever the clock says.
//!
//! The lines: strategy, status, the clock in seconds since 1970, then headers, `name: value`.

#![no_main]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode, header::RETRY_AFTER};
use idp_token_service::{
    provider::{InspectionVerdict, RenewalVerdict, RevocationVerdict, Verdict},
    retry::{LONGEST_WAIT, retry_after},
};
use idp_token_service_fuzz::{Lines, adapters::adapter, headers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let adapter = adapter(&lines.field());
    let status = lines.field().parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let clock = Duration::from_secs(lines.field().parse().unwrap_or(784_111_777));
    let Some(now) = SystemTime::UNIX_EPOCH.checked_add(clock) else { return };
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    *answer.headers_mut() = headers(&lines.block());

    let wait = retry_after(answer.headers(), now);
    is_bearable(wait);
    is_as_written(&answer, wait);
    match adapter.judge(&answer, now) {
        Verdict::RateLimited { retry_after } | Verdict::Unavailable { retry_after } => {
            is_bearable(retry_after)
        }
        _ => {}
    }
    let _ = adapter.rate_limit(answer.headers(), now);
    if let Ok(RenewalVerdict::Transient(transient)) = adapter.renewal().map(|kind| kind.read(&answer, now)) {
        is_bearable(transient.retry_after);
    }
    if let Ok(InspectionVerdict::Transient(transient)) =
        adapter.inspection().map(|kind| kind.read(&answer, now))
    {
        is_bearable(transient.retry_after);
    }
    if let Ok(RevocationVerdict::Transient(transient)) =
        adapter.revocation().map(|kind| kind.read(&answer, now))
    {
        is_bearable(transient.retry_after);
    }
});

fn is_bearable(wait: Option<Duration>) {
    assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT), "{wait:?}");
}

/// Digits are seconds, and what has neither digits nor a month is no wait.
fn is_as_written(answer: &Response<Bytes>, wait: Option<Duration>) {
    let value = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let Some(value) = value.map(str::trim) else { return assert_eq!(wait, None) };
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().map_or(LONGEST_WAIT, Duration::from_secs);
        assert_eq!(wait, Some(seconds.min(LONGEST_WAIT)));
    } else if value.len() < 24 || !value.contains(':') {
        assert_eq!(wait, None, "{value}");
    }
}
