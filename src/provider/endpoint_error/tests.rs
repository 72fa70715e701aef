use super::*;
use crate::provider::tests::{NOW, answer};

fn error(status: u16, headers: &[(&str, &str)], body: &str) -> EndpointError {
    of(&answer(status, headers, body), plain, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

#[test]
fn the_providers_word_counts_where_the_provider_itself_speaks() {
    let dead = r#"{"error":"invalid_grant","error_description":"x"}"#;
    for status in [200, 201, 204, 400, 401, 403, 404] {
        assert_eq!(error(status, &[], dead), EndpointError::Dead("invalid_grant"), "{status}");
    }
    for status in [302, 408, 425, 429, 500, 501, 502, 503, 504] {
        assert!(matches!(error(status, &[], dead), EndpointError::Transient(_)), "{status}");
    }
}

#[test]
fn a_refused_client_is_told_from_a_dead_grant() {
    for code in [
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
        "invalid_request",
        "invalid_target",
        "invalid_resource",
        "unsupported_grant_type",
        "use_dpop_nonce",
    ] {
        let body = format!(r#"{{"error":"{code}"}}"#);
        let EndpointError::Client(said) = error(401, &[], &body) else { panic!("{code}") };
        assert_eq!(said, code);
    }
}

#[test]
fn the_providers_word_is_known_in_every_dress() {
    let bodies: [&[u8]; 11] = [
        b"\xef\xbb\xbf {\"error\":\"invalid_grant\"}\r\n",
        b"{\"error\":\"invalid_grant\",\"error_description\":\"ung\xfcltig\"}",
        b"{\"error_description\":\"not\nany\tmore\",\"error\":\"invalid_grant\"}",
        br#"{"error":"x","error":"invalid_grant"}"#,
        br#"{"error":"invalid_grant","error":null}"#,
        br#"{"error":" Invalid_Grant ","error_description":"\ud800"}"#,
        br#"{"error":"invalid_grant"}<!-- b -->"#,
        br#"{"error":"invalid_grant","error_codes":1e999}"#,
        b"error=invalid_grant&error_description=gone+%26+%FC",
        b"\xef\xbb\xbferror=invalid_grant\n",
        b"error_description=ung\xfcltig&error=invalid%5Fgrant",
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(body);
        for headers in [&[][..], &[("content-type", "text/html")], &[("content-type", "application/json")]] {
            let mut answer = answer(400, headers, "");
            *answer.body_mut() = Bytes::copy_from_slice(body);
            assert_eq!(
                of(&answer, plain, SystemTime::UNIX_EPOCH),
                EndpointError::Dead("invalid_grant"),
                "{shown}"
            );
        }
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
        r#"{"error":"temporarily_unavailable"}"#,
        r#"{"error":"server_error"}"#,
        r#"{"error":"slow_down"}"#,
        r#"{"error":"invalid_grant""#,
        r#"{"error":"invalid_grant","error":"x"}"#,
        r#"{"error":"invalid grant"}"#,
        r#"{"errors":["invalid_grant"]}"#,
        "invalid_grant",
        "Sorry: error=invalid_grant",
    ];
    for body in bodies {
        for status in [200, 400, 401, 404] {
            assert!(matches!(error(status, &[], body), EndpointError::Transient(_)), "{status} {body}");
        }
    }
}

#[test]
fn a_failure_that_may_pass_says_when_and_quotes_nothing() {
    let said = |retry_after: Option<u64>, what: &str| {
        let retry_after = retry_after.map(Duration::from_secs);
        EndpointError::Transient(Transient {
            retry_after,
            throttled: what.contains("429"),
            what: what.to_owned(),
        })
    };
    assert_eq!(
        error(503, &[("retry-after", "7")], "canary"),
        said(Some(7), "it answered 503 Service Unavailable")
    );
    assert_eq!(error(400, &[], "canary"), said(None, "it answered 400 Bad Request"));
    assert_eq!(error(200, &[], "canary"), said(None, "it answered 200 OK without what was asked for"));
    let window = [("x-ratelimit-limit", "1"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")];
    assert_eq!(error(429, &window, ""), said(Some(9), "it answered 429 Too Many Requests"));
}
