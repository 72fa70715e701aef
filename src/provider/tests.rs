//! The requirements for every adapter, and helpers for the adapters' own tests.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{request::RawRequest, *};

mod assertions;
mod capabilities;
mod contract;
mod dialects;
mod forms;
mod readme;

/// The current time in the tests, in seconds since 1970.
pub(super) const NOW: u64 = 1_800_000_000;

const TOKEN: &str = "canary-token.of+the/user=";

pub(super) fn token() -> AccessToken {
    AccessToken::new(TOKEN.to_owned())
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let builder = headers
        .iter()
        .fold(Response::builder().status(status), |builder, (name, value)| builder.header(*name, *value));
    builder.body(Bytes::copy_from_slice(body.as_bytes())).expect("the test's answer is one")
}

pub(super) fn judge(provider: &dyn Provider, status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    provider.judge(&answer(status, headers, body), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

pub(super) fn call(strategy: &str, path: &str, headers: &[(&str, &str)]) -> ApiRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let raw = RawRequest { path: path.to_owned(), headers, ..RawRequest::default() };
    checked(raw, adapter(strategy, true).as_ref())
}

fn checked(raw: RawRequest, provider: &dyn Provider) -> ApiRequest {
    ApiRequest::check(raw, provider).expect("the test's request is harmless")
}

fn adapter(strategy: &str, with_secret: bool) -> Box<dyn Provider> {
    let client_secret = with_secret.then(|| Arc::new(Secret::fixed("canary-secret".to_owned())));
    let settings = Settings { client_secret, hosts: hosts_of(strategy), ..Settings::default() };
    build(strategy, settings).expect("there is such an adapter")
}

/// Hosts for the strategies that need configured ones.
fn hosts_of(strategy: &str) -> Vec<String> {
    match kind(strategy).map(Kind::hosts) {
        Some(HostRule::Required) => vec!["api.acme.example".to_owned(), "*.acme.example".to_owned()],
        _ => Vec::new(),
    }
}

fn adapters() -> impl Iterator<Item = (&'static str, Box<dyn Provider>)> {
    strategies().flat_map(|strategy| [true, false].map(|secret| (strategy, adapter(strategy, secret))))
}

#[test]
fn the_token_is_sent_in_one_sensitive_header_and_nowhere_else() {
    for (strategy, provider) in adapters() {
        let raw = RawRequest {
            path: "/a/b?c=d".to_owned(),
            body: Bytes::from_static(b"body"),
            ..RawRequest::default()
        };
        let mut sent = provider.encode(&checked(raw, provider.as_ref()), &token());
        assert!(!format!("{sent:?}").contains("canary"), "{strategy}: {sent:?}");
        let values: Vec<_> = sent.headers().get_all("authorization").iter().cloned().collect();
        assert_eq!(values, [format!("Bearer {TOKEN}")], "{strategy}");
        assert!(values[0].is_sensitive(), "{strategy}");
        sent.headers_mut().remove("authorization");
        let rest = format!("{} {:?} {:?}", sent.uri(), sent.headers(), sent.body());
        assert!(!rest.contains("canary"), "{strategy}: {rest}");
    }
}

#[test]
fn a_call_reaches_its_host_over_https_with_method_headers_and_body_as_they_are() {
    for (strategy, provider) in adapters() {
        let raw = RawRequest {
            method: "PATCH".to_owned(),
            path: "/v25.0/a%2Fb;c=d,e:f@g~h+i/%25?x=%27+y".to_owned(),
            headers: vec![("X-A".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())],
            body: Bytes::from_static(&[0, 159, 146, 150, 13, 10]),
            ..RawRequest::default()
        };
        let sent = provider.encode(&checked(raw.clone(), provider.as_ref()), &token());
        assert_eq!((sent.method().as_str(), sent.uri().scheme_str()), ("PATCH", Some("https")), "{strategy}");
        assert_eq!(
            sent.uri().authority().map(http::uri::Authority::as_str),
            Some(provider.hosts()[0].as_str())
        );
        assert!(sent.uri().to_string().contains(&raw.path), "{strategy}: {}", sent.uri());
        assert_eq!(sent.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"], "{strategy}");
        assert_eq!(sent.body(), &raw.body, "{strategy}");
    }
}

#[test]
fn the_path_that_is_judged_is_the_path_that_is_sent() {
    for (strategy, provider) in adapters() {
        for path in ["/", "/a", "/a/", "/a?b=c", "/v25.0/a", "/V25.0/a", "/v25/a//b", "/a%2Fb?x=/v1.0/"] {
            let raw = RawRequest { path: path.to_owned(), ..RawRequest::default() };
            let call = checked(raw, provider.as_ref());
            let sent = provider.encode(&call, &token());
            assert_eq!(
                sent.uri().path(),
                provider.sent_path(call.path_and_query.path()),
                "{strategy} {path}"
            );
            assert_eq!(
                (sent.uri().host(), sent.method()),
                (Some(&*call.host), &call.method),
                "{strategy} {path}"
            );
        }
    }
}

#[test]
fn no_caller_sets_what_the_service_sets() {
    for (strategy, provider) in adapters() {
        let headers = [("x-github-api-version", "mine"), ("user-agent", "mine")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let raw = RawRequest { path: "/a".to_owned(), headers, ..RawRequest::default() };
        let sent = provider.encode(&checked(raw, provider.as_ref()), &token());
        let mine = sent.headers().values().filter(|value| *value == "mine").count();
        assert_eq!(mine, if strategy == "github" { 0 } else { 2 }, "{strategy}");
    }
}

/// Headers and bodies that no provider sends.
fn hostile() -> Vec<(&'static [(&'static str, &'static str)], String)> {
    let deep = "[".repeat(10_000);
    let deep_object = r#"{"error":"#.repeat(5_000);
    let bodies = [
        "",
        "<html><body>Bad gateway</body></html>",
        &deep,
        &deep_object,
        "null",
        "[]",
        "[null]",
        r#"{"error":null}"#,
        r#"{"error":[]}"#,
        r#"{"error":{"code":1e999}}"#,
        r#"{"error":{"code":99999999999999999999999999,"errors":"x","details":5}}"#,
        r#"{"error":{"errors":[null,5],"details":[[]],"message":{}}}"#,
        r#"{"error":{"code":{"a":1}},"message":[1],"paging":[],"nextPageToken":{"a":[]}}"#,
        r#"{"error":{"code":190"#,
        r#"{"access_token":"","active":"yes","data":{"is_valid":"yes"},"success":1,"aud":""}"#,
        r#"{"access_token":{"a":"b"},"active":null,"data":[],"user":{},"id":"","uuid":null}"#,
        "\u{feff}{}",
        "error=&access_token=&active=yes",
        "<a href='/?a=b&access_token=a&error=invalid_grant&active=true'>",
        "\0\0\0",
    ];
    let headers: [&'static [(&'static str, &'static str)]; 3] = [
        &[("content-type", "application/json")],
        &[
            ("content-type", "application/json"),
            ("retry-after", "-99999999999999999999"),
            ("x-ratelimit-limit", "9e9"),
            ("x-ratelimit-remaining", "-0x"),
            ("x-ratelimit-reset", "-1"),
            ("x-business-use-case-usage", "{{{{"),
            ("x-app-usage", "5"),
            ("link", "<<<>>>;;;rel==next,<"),
            ("www-authenticate", "Bearer ,,,=\"\",error=\"insufficient_scope"),
            ("x-oauth-scopes", ",,,"),
            ("x-accepted-oauth-scopes", ",,:,"),
        ],
        &[],
    ];
    let bodies = bodies.map(str::to_owned);
    headers.iter().flat_map(|headers| bodies.iter().map(|body| (*headers, body.clone()))).collect()
}

#[test]
fn hostile_answers_panic_nowhere_and_lead_nowhere() {
    let sent = Uri::from_static("https://graph.facebook.com/v25.0/a");
    for (strategy, provider) in adapters() {
        for status in [200, 204, 400, 401, 403, 404, 429, 500, 503] {
            for (headers, body) in hostile() {
                judge(provider.as_ref(), status, headers, &body);
                let answer = answer(status, headers, &body);
                let (next, limit) = (
                    provider.next_page(&sent, &answer),
                    provider.rate_limit(answer.headers(), SystemTime::now()),
                );
                assert_eq!((next, limit), (None, None), "{strategy} {status} {body}");
            }
        }
    }
}

#[test]
fn every_strategy_has_one_kind_and_an_adapter_with_a_default_host() {
    let mut names: Vec<_> = strategies().collect();
    for (strategy, provider) in adapters() {
        assert!(provider.hosts().first().is_some_and(HostPattern::is_exact), "{strategy}");
    }
    assert!(names.len() >= 10, "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), strategies().count(), "each is there once");
}

#[test]
fn a_strategy_without_an_adapter_is_none() {
    for strategy in ["", "auth0", "GitHub", "github "] {
        assert!(build(strategy, Settings::default()).is_none(), "{strategy}");
    }
}

#[test]
fn a_version_is_checked_by_shape_before_it_is_used() {
    assert_eq!(check_api_version("github", "2026-03-10"), Ok(()));
    assert_eq!(check_api_version("facebook", "v24.0"), Ok(()));
    for (strategy, version) in
        [("github", "v24.0"), ("facebook", "2026-03-10"), ("facebook", "v1.0/../"), ("google-oauth2", "v3")]
    {
        let problem = check_api_version(strategy, version).expect_err(version);
        assert!(!problem.contains(version), "{problem}");
        let settings = Settings { api_version: Some(version.to_owned()), ..Settings::default() };
        let provider = build(strategy, settings).expect("there is such an adapter");
        let sent = provider.encode(&call(strategy, "/a", &[]), &token());
        assert!(!format!("{sent:?}").contains(version), "{strategy} {version}");
    }
}

#[test]
fn a_pattern_means_one_label_and_not_its_exceptions() {
    let pattern = HostPattern::new("*.example.com").except(&["login.example.com"]);
    for (host, matches) in [
        ("a.example.com", true),
        ("login.example.com", false),
        ("a.b.example.com", false),
        ("example.com", false),
    ] {
        assert_eq!(pattern.matches(host), matches, "{host}");
    }
}

proptest! {
    #[test]
    fn bodies_are_sent_byte_for_byte(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        // Facebook checks bodies that it may read as parameters.
        let headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
        for (_, provider) in adapters() {
            let (path, headers) = ("/a".to_owned(), headers.clone());
            let raw = RawRequest { path, headers, body: Bytes::from(body.clone()), ..RawRequest::default() };
            let sent = provider.encode(&checked(raw, provider.as_ref()), &token());
            prop_assert_eq!(sent.body(), &body);
        }
    }

    #[test]
    fn a_next_page_can_be_sent_again_and_holds_no_token(
        path in "[a-z/.%\\\\|]{0,12}", name in "access_token|after|a|method", value in "[A-Za-z0-9|%&=' ]{0,12}",
    ) {
        let next = format!("https://graph.facebook.com/{path}?access_token=canary&{name}={value}");
        let body = serde_json::json!({ "paging": { "next": next }, "nextPageToken": value }).to_string();
        let link = format!("<{next}>; rel=\"next\"");
        let answer = answer(200, &[("content-type", "application/json"), ("link", &link)], &body);
        let sent = Uri::from_static("https://graph.facebook.com/v25.0/a");
        for (strategy, provider) in adapters() {
            let Some(path) = provider.next_page(&sent, &answer) else { continue };
            prop_assert!(!path.contains("canary"), "{}: {}", strategy, path);
            let again = ApiRequest::check(RawRequest { path, ..RawRequest::default() }, provider.as_ref());
            prop_assert!(again.is_ok(), "{}: {:?}", strategy, again);
        }
    }
}
