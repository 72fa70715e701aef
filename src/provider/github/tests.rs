use proptest::prelude::*;

use super::*;
use crate::provider::tests::{NOW, answer, call, judge, token};

fn github() -> GitHub {
    GitHub::new(&Settings::default())
}

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    judge(&github(), status, headers, body)
}

fn says(message: &str) -> String {
    format!(r#"{{"message":"{message}","documentation_url":"https://docs.github.com/rest","status":"403"}}"#)
}

fn limited(seconds: u64) -> Verdict {
    Verdict::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }
}

fn missing(scopes: &[&str]) -> Verdict {
    Verdict::ScopeNotGranted { missing: scopes.iter().map(ToString::to_string).collect() }
}

#[test]
fn the_service_sets_agent_and_version_and_leaves_the_callers_media_type() {
    let call = call(
        "github",
        "/user",
        &[("user-agent", "mine"), ("x-github-api-version", "1970-01-01"), ("accept", "a/b")],
    );
    let sent = github().encode(&call, &token());
    assert!(sent.headers()["user-agent"].to_str().is_ok_and(|agent| agent.starts_with("idp-token-service/")));
    assert_eq!(sent.headers()["x-github-api-version"], DEFAULT_VERSION);
    assert_eq!(sent.headers().get_all("accept").iter().collect::<Vec<_>>(), ["a/b"]);
}

#[test]
fn without_a_media_type_the_recommended_one_is_asked_for() {
    let settings = Settings { api_version: Some("2026-03-10".to_owned()), ..Settings::default() };
    let sent = GitHub::new(&settings).encode(&call("github", "/user", &[]), &token());
    assert_eq!(sent.headers()["accept"], "application/vnd.github+json");
    assert_eq!(sent.headers()["x-github-api-version"], "2026-03-10");
}

#[test]
fn a_401_is_a_refused_token_unless_no_users_token_would_do() {
    assert_eq!(verdict(401, &[], &says("Bad credentials")), Verdict::TokenRefused);
    assert_eq!(verdict(401, &[], ""), Verdict::TokenRefused);
    assert_eq!(verdict(401, &[], &says("A JSON web token could not be decoded")), Verdict::Accepted);
}

#[test]
fn an_exhausted_primary_limit_lasts_until_its_reset() {
    let reset = (NOW + 90).to_string();
    let exhausted = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
    for status in [403, 429] {
        assert_eq!(
            verdict(status, &exhausted, &says("API rate limit exceeded for user ID 1.")),
            limited(90),
            "{status}"
        );
    }
    assert_eq!(verdict(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "12")], ""), limited(0));
    assert_eq!(verdict(403, &[("x-ratelimit-remaining", "0")], ""), limited(60));
    assert_eq!(verdict(404, &exhausted, ""), Verdict::Accepted);
    assert_eq!(verdict(200, &exhausted, ""), Verdict::Accepted);
}

#[test]
fn a_secondary_limit_lasts_as_long_as_it_says_or_a_minute() {
    let message =
        says("You have exceeded a secondary rate limit. Please wait a few minutes before you try again.");
    for status in [403, 429] {
        assert_eq!(
            verdict(status, &[("retry-after", "17"), ("x-ratelimit-remaining", "0")], &message),
            limited(17)
        );
        assert_eq!(verdict(status, &[("x-ratelimit-remaining", "4000")], &message), limited(60), "{status}");
    }
    assert_eq!(verdict(403, &[], &says("You have triggered an abuse detection mechanism.")), limited(60));
    assert_eq!(verdict(429, &[], "<html>"), limited(60));
}

#[test]
fn a_scope_is_missing_only_if_none_that_is_accepted_is_held() {
    let forbidden = says("Must have admin rights to Repository.");
    let rows = [
        ("user, gist", "repo", missing(&["repo"])),
        ("", "admin:org, read:org, repo, user, write:org", missing(&["read:org", "repo", "user"])),
        ("public_repo", "repo", missing(&["repo"])),
        ("repo, user", "repo", Verdict::Accepted),
        ("repo", "public_repo, repo:status", Verdict::Accepted),
        ("gist, admin:org", "read:org", Verdict::Accepted),
        ("user", "", Verdict::Accepted),
    ];
    for (held, accepted, expected) in rows {
        let headers = [("x-oauth-scopes", held), ("x-accepted-oauth-scopes", accepted)];
        for status in [403, 404] {
            assert_eq!(verdict(status, &headers, &forbidden), expected, "{status} {held} / {accepted}");
        }
    }
    assert_eq!(
        verdict(404, &[("x-accepted-oauth-scopes", "repo")], ""),
        Verdict::Accepted,
        "a GitHub App's token"
    );
    assert_eq!(verdict(404, &[], &says("Not Found")), Verdict::Accepted);
    assert_eq!(verdict(403, &[], ""), Verdict::Accepted);
}

#[test]
fn a_permission_that_the_app_lacks_is_named() {
    let body = says("Resource not accessible by integration");
    assert_eq!(verdict(403, &[], &body), missing(&[]));
    let named = [("x-accepted-github-permissions", "contents=read,issues=write; administration=read")];
    assert_eq!(
        verdict(403, &named, &body),
        missing(&["contents=read", "issues=write", "administration=read"])
    );
}

#[test]
fn single_sign_on_is_no_missing_scope() {
    let headers = [
        ("x-github-sso", "required; url=https://github.com/orgs/o/sso"),
        ("x-oauth-scopes", "user"),
        ("x-accepted-oauth-scopes", "repo"),
    ];
    assert_eq!(
        verdict(403, &headers, &says("Resource protected by organization SAML enforcement.")),
        Verdict::Accepted
    );
}

#[test]
fn server_failures_may_pass_and_all_else_is_accepted() {
    for status in [500, 502, 503, 504] {
        assert_eq!(verdict(status, &[], ""), Verdict::Unavailable { retry_after: None }, "{status}");
    }
    for status in [200, 301, 304, 400, 409, 410, 422, 451] {
        assert_eq!(verdict(status, &[], &says("Bad credentials")), Verdict::Accepted, "{status}");
    }
}

#[test]
fn the_next_page_is_linked_on_the_same_host_or_not_at_all() {
    let sent = Uri::from_static("https://api.github.com/user/repos?per_page=2");
    let next = |link: &str| github().next_page(&sent, &answer(200, &[("link", link)], "[]"));
    let rows = [
        (
            r#"<https://api.github.com/user/repos?per_page=2&page=2>; rel="next", <https://api.github.com/x>; rel="last""#,
            Some("/user/repos?per_page=2&page=2"),
        ),
        (
            r#"<https://api.github.com/repositories/1/issues?after=Y3V%3D>; rel="next""#,
            Some("/repositories/1/issues?after=Y3V%3D"),
        ),
        (r#"<https://api.github.com/a>; rel="last""#, None),
        (r#"<https://evil.example/user/repos?page=2>; rel="next""#, None),
        (r#"<https://api.github.com@evil.example/>; rel="next""#, None),
        (r#"<https://api.github.com//evil.example/>; rel="next""#, None),
        (r#"<not a url>; rel="next""#, None),
    ];
    for (link, expected) in rows {
        assert_eq!(next(link).as_deref(), expected, "{link}");
    }
}

#[test]
fn the_rate_limit_is_read_from_its_headers() {
    let headers = [
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("x-ratelimit-reset", "1372700873"),
    ];
    let read =
        |headers: &[(&str, &str)]| github().rate_limit(answer(200, headers, "").headers(), SystemTime::now());
    let reset = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_372_700_873));
    assert_eq!(read(&headers), Some(RateLimit { limit: 5000, remaining: 4999, reset }));
    assert_eq!(read(&headers[..2]), Some(RateLimit { limit: 5000, remaining: 4999, reset: None }));
    assert_eq!(read(&headers[1..]), None);
    assert_eq!(read(&[("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "1")]), None);
}

proptest! {
    #[test]
    fn a_version_is_a_date_and_fits_a_header(version in "\\PC{0,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}") {
        if is_version(&version) {
            prop_assert!(HeaderValue::from_str(&version).is_ok());
            prop_assert!(version.bytes().filter(u8::is_ascii_digit).count() == 8);
        }
    }
}
