//! What users of an adapter rely on, checked for each of them: a new adapter is included by itself, unless
//! its provider documents an exception.

use std::collections::BTreeSet;

use super::{capabilities::full, *};
use crate::token::RefreshToken;

/// Requests of providers that accept a secret only in the query.
const SECRET_IN_QUERY: [(&str, &str); 4] = [
    ("google-oauth2", "inspect"), // tokeninfo
    ("google-apps", "inspect"),
    ("facebook", "renew"),   // fb_exchange_token
    ("facebook", "inspect"), // debug_token's input_token
];

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn tokens() -> (AccessToken, RefreshToken) {
    (AccessToken::new("canary-access"), RefreshToken::new("canary-refresh"))
}

/// The requests of an adapter, by capability.
fn requests(provider: &dyn Provider) -> Vec<(&'static str, Request<Bytes>)> {
    let (access, refresh) = tokens();
    let pair = TokenPair { access: &access, refresh: Some(&refresh) };
    let sent = [
        ("renew", provider.renewal().ok().map(|renewal| renewal.encode(pair, now()))),
        ("inspect", provider.inspection().ok().map(|inspection| inspection.encode(&access, now()))),
        ("revoke", provider.revocation().ok().map(|revocation| revocation.encode(pair, now()))),
    ];
    let sent = sent.into_iter().filter_map(|(name, request)| Some((name, request?)));
    sent.map(|(name, request)| (name, request.expect("all is there"))).collect()
}

fn each() -> impl Iterator<Item = (&'static str, Box<dyn Provider>)> {
    strategies().map(|strategy| (strategy, full(strategy)))
}

#[test]
fn what_is_sent_goes_over_https_with_no_secret_in_the_url_unless_documented() {
    let mut exceptions = BTreeSet::new();
    for (strategy, provider) in each() {
        for (capability, request) in requests(provider.as_ref()) {
            let what = format!("{strategy} {capability}");
            assert_eq!(request.uri().scheme_str(), Some("https"), "{what}");
            assert!(!request.uri().path().contains("canary"), "{what}");
            assert!(!format!("{:?}", request.headers()).contains("canary"), "{what}");
            if request.uri().query().is_some_and(|query| query.contains("canary")) {
                exceptions.insert((strategy, capability));
            }
        }
    }
    assert_eq!(exceptions, BTreeSet::from(SECRET_IN_QUERY));
}

#[test]
fn a_form_says_that_it_is_one_and_asks_for_json() {
    for (strategy, provider) in each() {
        for (capability, request) in requests(provider.as_ref()) {
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
            if request.body().is_empty() {
                continue;
            }
            let media_type = header("content-type");
            let is_known = ["application/x-www-form-urlencoded", "application/json"]
                .iter()
                .any(|known| media_type == Some(known));
            assert!(is_known, "{strategy} {capability}: {media_type:?}");
            assert!(
                header("accept").is_some_and(|accept| accept.contains("json")),
                "{strategy} {capability}"
            );
        }
    }
}

#[test]
fn what_fails_in_passing_is_never_permanent_and_its_wait_is_heeded_in_either_form() {
    let date = httpdate::fmt_http_date(now() + Duration::from_secs(60));
    for (strategy, provider) in each() {
        for (status, wait) in [(429, "60"), (429, &*date), (503, "60"), (503, &*date)] {
            let what = format!("{strategy} {status} {wait}");
            let answer = answer(status, &[("retry-after", wait), ("content-type", "text/html")], "<html>");
            let minute = Some(Duration::from_secs(60));
            let expected = match status {
                429 => Verdict::RateLimited { retry_after: minute },
                _ => Verdict::Unavailable { retry_after: minute },
            };
            assert_eq!(provider.judge(&answer, now()), expected, "{what}");
            let waits = [
                provider.renewal().ok().map(|renewal| match renewal.read(&answer, now()) {
                    RenewalVerdict::Transient(transient) => transient.retry_after,
                    other => panic!("{what}: {other:?}"),
                }),
                provider.inspection().ok().map(|inspection| match inspection.read(&answer, now()) {
                    InspectionVerdict::Transient(transient) => transient.retry_after,
                    other => panic!("{what}: {other:?}"),
                }),
                provider.revocation().ok().map(|revocation| match revocation.read(&answer, now()) {
                    RevocationVerdict::Transient(transient) => transient.retry_after,
                    other => panic!("{what}: {other:?}"),
                }),
            ];
            assert!(waits.into_iter().flatten().all(|wait| wait == minute), "{what}: {waits:?}");
        }
    }
}

#[test]
fn a_call_is_judged_by_what_every_http_api_means() {
    for (strategy, provider) in each() {
        let judge = |status| judge(provider.as_ref(), status, &[], "");
        for status in [200, 201, 204, 206, 301, 304, 404, 409, 422, 501] {
            assert_eq!(judge(status), Verdict::Accepted, "{strategy} {status}");
        }
        assert_eq!(judge(401), Verdict::TokenRefused, "{strategy}");
        assert!(matches!(judge(429), Verdict::RateLimited { .. }), "{strategy}");
        for status in [500, 502, 503, 504] {
            assert_eq!(judge(status), Verdict::Unavailable { retry_after: None }, "{strategy} {status}");
        }
    }
}

#[test]
fn a_renewal_brings_a_token_or_ends_a_grant_by_the_standards_words_too() {
    for (strategy, provider) in each() {
        let Ok(renewal) = provider.renewal() else { continue };
        let read = |status, body| renewal.read(&dialects::answered(status, body), now());
        let body = r#"{"access_token":"canary-a","refresh_token":"canary-r","expires_in":60,"scope":"a b"}"#;
        let verdict = read(200, body);
        assert!(!format!("{verdict:?}").contains("canary"), "{strategy}");
        let RenewalVerdict::Renewed(tokens) = verdict else { panic!("{strategy}: {verdict:?}") };
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(60)), "{strategy}");
        assert_eq!((tokens.scopes.len(), tokens.refresh.is_some()), (2, true), "{strategy}");
        let lives_by_itself = renewal.source() == Source::LiveAccessToken;
        assert!(!(lives_by_itself && renewal.rotates()), "{strategy}: its old token would be lost");
        if !lives_by_itself {
            let dead = read(400, r#"{"error":"invalid_grant"}"#);
            assert!(matches!(dead, RenewalVerdict::GrantDead { .. }), "{strategy}: {dead:?}");
            let refused = read(401, r#"{"error":"invalid_client"}"#);
            assert!(matches!(refused, RenewalVerdict::ClientRefused { .. }), "{strategy}: {refused:?}");
        }
    }
}

#[test]
fn an_endpoint_that_is_configured_is_the_one_that_is_asked() {
    for strategy in strategies() {
        let kind = kind(strategy).expect("there is such a kind");
        for (capability, key) in
            [("renew", "token_url"), ("inspect", "inspect_url"), ("revoke", "revoke_url")]
        {
            let own: Uri = "https://other.acme.example/endpoint".parse().expect("the test's URL is one");
            let settings = Settings {
                hosts: hosts_of(strategy),
                client_id: Some("app".to_owned()),
                client_secret: Some(Arc::new(Secret::fixed("canary-secret"))),
                token_url: Some(own.clone()),
                inspect_url: Some(own.clone()),
                revoke_url: Some(own.clone()),
                ..Settings::default()
            };
            let provider = build(strategy, settings).expect("there is such an adapter");
            let asked = requests(provider.as_ref()).into_iter().find(|(name, _)| *name == capability);
            let host = asked.as_ref().map(|(_, request)| request.uri().host().unwrap_or_default());
            assert_eq!(host, kind.takes(key).then_some("other.acme.example"), "{strategy} {capability}");
        }
    }
}

#[test]
fn what_is_missing_is_a_key_that_the_configuration_takes() {
    for strategy in strategies() {
        let kind = kind(strategy).expect("there is such a kind");
        let settings = Settings { hosts: hosts_of(strategy), ..Settings::default() };
        let provider = build(strategy, settings).expect("there is such an adapter");
        let lacks = [provider.renewal().err(), provider.inspection().err(), provider.revocation().err()];
        for lack in lacks.into_iter().flatten() {
            if let MissingCapability::NotConfigured { missing } = lack {
                assert!(
                    !missing.is_empty() && missing.iter().all(|key| kind.takes(key)),
                    "{strategy} {missing:?}"
                );
            }
        }
    }
}

#[test]
fn no_adapter_shows_a_secret() {
    for (strategy, provider) in each() {
        let shown = format!("{provider:?}");
        assert!(!shown.contains("canary") && !shown.contains("Y2FuYXJ5"), "{strategy}: {shown}");
    }
}
