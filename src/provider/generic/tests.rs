use super::*;
use crate::provider::tests::{answer, judge};

fn generic() -> Generic {
    let hosts = vec!["api.acme.example".to_owned(), "*.files.acme.example".to_owned()];
    Generic::new(&Settings { hosts, ..Settings::default() })
}

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    judge(&generic(), status, headers, body)
}

fn missing(scopes: &[&str]) -> Verdict {
    Verdict::ScopeNotGranted { missing: scopes.iter().map(ToString::to_string).collect() }
}

fn challenge(parameters: &str) -> [(&'static str, String); 1] {
    [("www-authenticate", format!("Bearer realm=\"acme\"{parameters}"))]
}

#[test]
fn the_challenge_decides_and_then_the_status() {
    let rows = [
        (401, r#", error="invalid_token", error_description="expired""#, Verdict::TokenRefused),
        (401, "", Verdict::TokenRefused),
        (400, r#", error="invalid_token""#, Verdict::TokenRefused),
        (403, r#", error="invalid_token""#, Verdict::TokenRefused),
        (403, r#", error="insufficient_scope", scope="read write""#, missing(&["read", "write"])),
        (401, r#", error="insufficient_scope""#, missing(&[])),
        (400, r#", error="invalid_request""#, Verdict::Accepted),
        (403, "", Verdict::Accepted),
        (404, "", Verdict::Accepted),
        (200, r#", error="invalid_token""#, Verdict::Accepted),
    ];
    for (status, parameters, expected) in rows {
        let [(name, value)] = challenge(parameters);
        assert_eq!(verdict(status, &[(name, &value)], ""), expected, "{status} {parameters}");
    }
}

#[test]
fn a_body_may_name_the_scope_of_a_403() {
    let body = r#"{"error":"insufficient_scope","error_description":"...","scope":"api read_user"}"#;
    assert_eq!(verdict(403, &[], body), missing(&["api", "read_user"]));
    assert_eq!(verdict(400, &[], body), Verdict::Accepted);
    assert_eq!(verdict(401, &[], body), Verdict::TokenRefused);
    for body in
        [r#"{"error":{"code":"insufficient_scope"}}"#, r#"{"error":"forbidden"}"#, "insufficient_scope"]
    {
        assert_eq!(verdict(403, &[], body), Verdict::Accepted, "{body}");
    }
}

#[test]
fn a_limit_lasts_as_long_as_any_header_says() {
    let seconds = |seconds| Verdict::RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    let window = [("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "40")];
    assert_eq!(verdict(429, &[("retry-after", "7")], ""), seconds(7));
    assert_eq!(verdict(429, &window, ""), seconds(40));
    assert_eq!(verdict(429, &[], ""), Verdict::RateLimited { retry_after: None });
    assert_eq!(verdict(403, &window, ""), Verdict::Accepted);
    for status in [500, 502, 503, 504] {
        let wait = Verdict::Unavailable { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(verdict(status, &[("retry-after", "7")], ""), wait, "{status}");
    }
    assert_eq!(verdict(501, &[], ""), Verdict::Accepted);
}

#[test]
fn the_next_page_is_linked_in_a_header_or_in_the_body() {
    let sent = Uri::from_static("https://api.acme.example/v1/things?page=1");
    let next = |link: Option<&str>, body: &str| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(link.map(|link| ("link", link)));
        generic().next_page(&sent, &answer(200, &headers, body))
    };
    let links = [
        (r#"<https://api.acme.example/v1/things?page=2>; rel="next""#, Some("/v1/things?page=2")),
        (r#"</v1/things?page=2>; rel=next"#, Some("/v1/things?page=2")),
        (r#"<?page=2>; rel=next"#, Some("/v1/things?page=2")),
        (r#"<//evil.example/v1>; rel=next"#, None),
        (r#"<https://evil.example/v1>; rel=next"#, None),
        (r#"<javascript:alert(1)>; rel=next"#, None),
    ];
    for (link, expected) in links {
        assert_eq!(next(Some(link), "{}").as_deref(), expected, "{link}");
    }
    let bodies = [
        (r#"{"next":"https://api.acme.example/v1/things?page=2"}"#, Some("/v1/things?page=2")),
        (r#"{"next":"/v1/things?page=2"}"#, Some("/v1/things?page=2")),
        (r#"{"next":null,"links":{"next":"/v1/things?page=2"}}"#, Some("/v1/things?page=2")),
        (r#"{"links":{"next":{"href":"/v1/things?page=2"}}}"#, Some("/v1/things?page=2")),
        (r#"{"_links":{"next":{"href":"/v1/things?access_token=x&page=2"}}}"#, Some("/v1/things?page=2")),
        (r#"{"next":"Y3Vyc29y"}"#, None),
        (r#"{"next":"//evil.example/v1"}"#, None),
        (r#"{"next":"https://evil.example/v1"}"#, None),
        (r#"{"next":"http://api.acme.example:1/v1"}"#, None),
        (r#"{"next":5,"links":[],"_links":"x"}"#, None),
        ("[]", None),
    ];
    for (body, expected) in bodies {
        assert_eq!(next(None, body).as_deref(), expected, "{body}");
    }
}
