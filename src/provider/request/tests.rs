//! Tests of the request check, field by field.

use proptest::prelude::*;

use super::*;
use crate::provider::{Settings, build};

fn google(raw: RawRequest) -> Result<ApiRequest, InvalidField> {
    check("google-oauth2", raw)
}

fn check(strategy: &str, raw: RawRequest) -> Result<ApiRequest, InvalidField> {
    let provider = build(strategy, Settings::default()).expect("there is such an adapter");
    ApiRequest::check(raw, provider.as_ref())
}

fn path(path: &str) -> RawRequest {
    RawRequest { path: path.to_owned(), ..RawRequest::default() }
}

fn query(name: &str, value: &str) -> RawRequest {
    RawRequest { query: vec![(name.to_owned(), value.to_owned())], ..path("/a") }
}

#[test]
fn what_is_left_out_has_a_default() {
    let request = google(path("/a")).expect("a path is enough");
    assert_eq!((request.method, request.host.as_str()), (Method::GET, "www.googleapis.com"));
    assert!(request.headers.is_empty() && request.body.is_empty());
}

#[test]
fn methods_are_upper_case_and_open_no_tunnel() {
    for method in ["GET", "PATCH", "MERGE", "VERSION-CONTROL"] {
        let request = google(RawRequest { method: method.to_owned(), ..path("/a") });
        assert_eq!(request.map(|request| request.method.to_string()), Ok(method.to_owned()));
    }
    for method in [
        "get",
        "Get",
        "CONNECT",
        "TRACE",
        "TRACK",
        "PRI",
        "GET ",
        "GET\r\n",
        "G T",
        "É",
        "AAAAAAAAAAAAAAAAAAAAA",
    ] {
        let error = google(RawRequest { method: method.to_owned(), ..path("/a") }).expect_err(method);
        assert_eq!(error.field, "request.method", "{method}");
    }
}

#[test]
fn no_google_host_that_hands_out_tokens_is_reached() {
    let hosts = ["oauth2", "sts", "iamcredentials", "securetoken", "oauthaccountmanager"];
    for host in hosts.map(|label| format!("{label}.googleapis.com")) {
        let error = google(RawRequest { host: host.clone(), ..path("/token") }).expect_err(&host);
        assert_eq!(error.field, "request.host", "{host}");
    }
}

#[test]
fn queries_are_appended_in_order_and_encoded() {
    let pairs = [("q", "a b&c=d"), ("q", "'é'\n"), ("fields", "items(id)")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let request = google(RawRequest { query: pairs, ..path("/a?x=%27+1") }).expect("all of it is harmless");
    let expected = "/a?x=%27+1&q=a%20b%26c%3Dd&q=%27%C3%A9%27%0A&fields=items%28id%29";
    assert_eq!(request.path_and_query.as_str(), expected);
}

#[test]
fn parameters_that_carry_a_token_or_change_the_method_are_refused_wherever_they_stand() {
    let everywhere =
        ["access_token", "Access_Token", "oauth_token", "bearer_token", "refresh_token", "client_secret"];
    let rows = [
        ("google-oauth2", &["$httpMethod", "$HTTPMETHOD"][..]),
        ("github", &[]),
        (
            "facebook",
            &[
                "method",
                "Method",
                "batch",
                "appsecret_proof",
                "appsecret_time",
                "input_token",
                "fb_exchange_token",
            ],
        ),
    ];
    for (strategy, own) in rows {
        for name in everywhere.iter().chain(own) {
            let error = check(strategy, query(name, "x")).expect_err(name);
            assert_eq!(error.field, "request.query[0].name", "{strategy} {name}");
            for separator in ["?", "?a=b&", "?a=b;"] {
                let error = check(strategy, path(&format!("/a{separator}{name}=x"))).expect_err(name);
                assert_eq!(error.field, "request.path", "{strategy} {name}");
            }
        }
    }
    for disguised in
        ["/a?%61ccess_token=x", "/a?%2561ccess_token=x", "/a?access_token[]=x", "/a?access%2Etoken"]
    {
        assert_eq!(google(path(disguised)).expect_err(disguised).field, "request.path");
    }
    assert!(check("github", query("method", "squash")).is_ok(), "only Facebook takes it for the method");
    assert!(
        google(path("/access_token?q=access_token&fields=access_token")).is_ok(),
        "values and paths are data"
    );
}

#[test]
fn a_parameter_without_a_name_or_beyond_the_limit_is_refused() {
    assert_eq!(google(query("", "x")).expect_err("no name").field, "request.query[0].name");
    assert_eq!(google(query("a\n", "x")).expect_err("a control").field, "request.query[0].name");
    let fits = "v".repeat(TARGET_LIMIT - "/a?q=".len());
    assert!(google(query("q", &fits)).is_ok());
    assert_eq!(
        google(query("q", &format!("{fits}v"))).expect_err("too long").field,
        "request.query[0].value"
    );
}

#[test]
fn a_body_over_the_limit_is_for_stream_provider() {
    let with_body = |length| google(RawRequest { body: Bytes::from(vec![0; length]), ..path("/a") });
    assert!(with_body(BODY_LIMIT).is_ok());
    let error = with_body(BODY_LIMIT + 1).expect_err("a byte too many");
    assert!(error.field == "request.body" && error.problem.contains("4 MiB"), "{error}");
}

#[test]
fn no_error_quotes_what_the_caller_sent() {
    let canary = "CANARY-secret".to_owned();
    let raws = [
        RawRequest { method: canary.clone(), ..path("/a") },
        RawRequest { host: canary.clone(), ..path("/a") },
        path(&canary),
        path(&format!("/a?access_token={canary}")),
        query("access_token", &canary),
        query(&format!("{canary}\n"), "x"),
        RawRequest { headers: vec![("authorization".to_owned(), canary.clone())], ..path("/a") },
        RawRequest { headers: vec![("accept".to_owned(), format!("{canary}\n"))], ..path("/a") },
    ];
    for raw in raws {
        let error = google(raw.clone()).expect_err("each is wrong");
        assert!(!format!("{error:?}").contains(&canary), "{raw:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_parameter_comes_out_as_it_went_in(name in "[^\\pC]{1,8}", value in any::<String>()) {
        prop_assume!(value.len() < 500);
        let Ok(request) = google(query(&name, &value)) else { return Ok(()) };
        let sent = request.path_and_query.query().unwrap_or_default().as_bytes();
        let pairs: Vec<_> = url::form_urlencoded::parse(sent).into_owned().collect();
        prop_assert_eq!(pairs, vec![(name, value)]);
    }

    #[test]
    fn no_request_makes_the_guard_panic(
        method in any::<String>(), host in any::<String>(), target in any::<String>(), text in any::<String>(),
    ) {
        for raw in [
            RawRequest { method, ..path("/a") },
            RawRequest { host, ..path("/a") },
            path(&target),
            path(&format!("/{target}")),
            RawRequest { headers: vec![(text.clone(), text.clone())], ..query(&text, &text) },
        ] {
            let _ = check("facebook", raw);
        }
    }
}
