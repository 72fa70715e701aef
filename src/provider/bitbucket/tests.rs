use std::time::Duration;

use super::*;
use crate::provider::tests::{answer, judge};

fn bitbucket() -> Bitbucket {
    Bitbucket::new(&Settings::default())
}

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    judge(&bitbucket(), status, headers, body)
}

fn missing(scopes: &[&str]) -> Verdict {
    Verdict::ScopeNotGranted { missing: scopes.iter().map(ToString::to_string).collect() }
}

const LACKING: &str = r#"{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":DETAIL}}"#;

#[test]
fn a_401_is_a_refused_token() {
    for message in
        ["Access token expired. Use your refresh token to obtain a new access token.", "Token is invalid"]
    {
        let body = format!(r#"{{"type":"error","error":{{"message":"{message}"}}}}"#);
        assert_eq!(verdict(401, &[], &body), Verdict::TokenRefused);
    }
    assert_eq!(verdict(401, &[], ""), Verdict::TokenRefused);
}

#[test]
fn the_scopes_that_are_required_and_not_granted_are_missing() {
    let rows = [
        (r#"{"granted":["account"],"required":["repository","account"]}"#, missing(&["repository"])),
        (r#"{"required":["repository"]}"#, missing(&["repository"])),
        (r#"{"granted":["repository"],"required":["repository"]}"#, missing(&["repository"])),
        (r#"{"granted":"a b","required":"b c"}"#, missing(&["c"])),
        (r#""see the documentation""#, missing(&["pullrequest"])),
        ("null", missing(&["pullrequest"])),
    ];
    let accepted = [("x-accepted-oauth-scopes", "pullrequest")];
    for (detail, expected) in rows {
        assert_eq!(verdict(403, &accepted, &LACKING.replace("DETAIL", detail)), expected, "{detail}");
    }
    assert_eq!(verdict(403, &[], &LACKING.replace("DETAIL", "{}")), missing(&[]));
}

#[test]
fn a_403_without_a_word_of_scopes_is_the_callers_business() {
    let body = r#"{"type":"error","error":{"message":"Access denied. You must have write access."}}"#;
    for body in [body, "", "<html>", "[]", r#"{"error":"x"}"#] {
        assert_eq!(
            verdict(403, &[("x-accepted-oauth-scopes", "repository")], body),
            Verdict::Accepted,
            "{body}"
        );
    }
}

#[test]
fn limits_and_failures_say_how_long_to_wait() {
    let wait = [("retry-after", "9")];
    let seconds = Some(Duration::from_secs(9));
    assert_eq!(verdict(429, &wait, ""), Verdict::RateLimited { retry_after: seconds });
    assert_eq!(
        verdict(429, &[], "Rate limit for this resource has been exceeded"),
        Verdict::RateLimited { retry_after: None }
    );
    for status in [500, 502, 503, 504] {
        assert_eq!(verdict(status, &wait, ""), Verdict::Unavailable { retry_after: seconds }, "{status}");
    }
    for status in [200, 302, 304, 400, 404, 409, 410, 501] {
        assert_eq!(verdict(status, &wait, &LACKING.replace("DETAIL", "{}")), Verdict::Accepted, "{status}");
    }
}

#[test]
fn the_next_page_is_a_url_on_the_same_host() {
    let json = &[("content-type", "application/json; charset=utf-8")][..];
    let sent = Uri::from_static("https://api.bitbucket.org/2.0/repositories/acme");
    let next = |body: &str| bitbucket().next_page(&sent, &answer(200, json, body));
    let rows = [
        (
            r#"{"pagelen":10,"values":[],"next":"https://api.bitbucket.org/2.0/repositories/acme?page=2"}"#,
            Some("/2.0/repositories/acme?page=2"),
        ),
        (
            r#"{"next":"https://api.bitbucket.org/2.0/x?ctx=a%3D&access_token=canary&page=2"}"#,
            Some("/2.0/x?ctx=a%3D&page=2"),
        ),
        (r#"{"next":"https://evil.example/2.0/x"}"#, None),
        (r#"{"next":"/2.0/x"}"#, None),
        (r#"{"values":[]}"#, None),
    ];
    for (body, expected) in rows {
        assert_eq!(next(body).as_deref(), expected, "{body}");
    }
}
