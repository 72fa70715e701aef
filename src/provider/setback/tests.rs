use super::*;
use crate::provider::tests::{NOW, answer};

fn setback(status: u16, headers: &[(&str, &str)], body: &str) -> Setback {
    of(&answer(status, headers, body), plain, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

#[test]
fn the_providers_word_counts_where_the_provider_itself_speaks() {
    let dead = r#"{"error":"invalid_grant","error_description":"x"}"#;
    for status in [200, 400, 401, 403] {
        assert_eq!(setback(status, &[], dead), Setback::Dead("invalid_grant"), "{status}");
    }
    for status in [201, 204, 302, 408, 425, 429, 500, 501, 502, 503, 504] {
        assert!(matches!(setback(status, &[], dead), Setback::Passing(_)), "{status}");
    }
}

#[test]
fn a_refused_client_is_told_from_a_dead_grant() {
    for code in
        ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "invalid_target"]
    {
        let body = format!(r#"{{"error":"{code}"}}"#);
        let Setback::Client(said) = setback(401, &[], &body) else { panic!("{code}") };
        assert_eq!(said, code);
    }
}

#[test]
fn whatever_else_is_said_may_pass() {
    let bodies = [
        "",
        "{}",
        "<html>invalid_grant</html>",
        r#""invalid_grant""#,
        r#"["invalid_grant"]"#,
        r#"{"error":{"code":"invalid_grant"}}"#,
        r#"{"error":["invalid_grant"]}"#,
        r#"{"error":"INVALID_GRANT"}"#,
        r#"{"error":"temporarily_unavailable"}"#,
        r#"{"error":"server_error"}"#,
        r#"{"error":"slow_down"}"#,
        r#"{"error":"invalid_grant""#,
        r#"{"error":"x","error":"invalid_grant"}"#,
    ];
    for body in bodies {
        for status in [200, 400, 401, 404] {
            assert!(matches!(setback(status, &[], body), Setback::Passing(_)), "{status} {body}");
        }
    }
}

#[test]
fn a_failure_that_may_pass_says_when_and_quotes_nothing() {
    let said = |retry_after: Option<u64>, what: &str| {
        let retry_after = retry_after.map(Duration::from_secs);
        Setback::Passing(Passing { retry_after, what: what.to_owned() })
    };
    assert_eq!(
        setback(503, &[("retry-after", "7")], "canary"),
        said(Some(7), "it answered 503 Service Unavailable")
    );
    assert_eq!(setback(400, &[], "canary"), said(None, "it answered 400 Bad Request"));
    assert_eq!(setback(200, &[], "canary"), said(None, "it answered 200 OK without what was asked for"));
    let window = [("x-ratelimit-limit", "1"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")];
    assert_eq!(setback(429, &window, ""), said(Some(9), "it answered 429 Too Many Requests"));
}
