use std::time::Duration;

use super::*;
use crate::{
    provider::tests::{answer, judge},
    retry::LONGEST_WAIT,
};

const NO_HEADERS: &[(&str, &str)] = &[];

fn google() -> Google {
    Google::new(&Settings::default())
}

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    judge(&google(), status, headers, body)
}

fn legacy(reason: &str, message: &str) -> String {
    format!(
        r#"{{"error":{{"errors":[{{"domain":"global","reason":"{reason}","message":"{message}"}}],"code":403,"message":"{message}"}}}}"#
    )
}

fn error_info(reason: &str) -> String {
    format!(
        r#"{{"error":{{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"googleapis.com","metadata":{{"service":"s"}}}}]}}}}"#
    )
}

#[test]
fn a_401_is_a_refused_token_unless_the_user_has_no_channel() {
    let dead = r#"{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}],"status":"UNAUTHENTICATED"}}"#;
    assert_eq!(verdict(401, NO_HEADERS, dead), Verdict::TokenRefused);
    assert_eq!(verdict(401, NO_HEADERS, &error_info("ACCESS_TOKEN_EXPIRED")), Verdict::TokenRefused);
    assert_eq!(verdict(401, NO_HEADERS, ""), Verdict::TokenRefused);
    assert_eq!(verdict(401, NO_HEADERS, &legacy("youtubeSignupRequired", "Unauthorized")), Verdict::Accepted);
}

#[test]
fn a_missing_scope_is_known_from_either_format_and_named_by_the_challenge() {
    let unnamed = Verdict::ScopeNotGranted { missing: vec![] };
    assert_eq!(verdict(403, NO_HEADERS, &error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT")), unnamed);
    assert_eq!(
        verdict(403, NO_HEADERS, &legacy("insufficientPermissions", "Insufficient Permission")),
        unnamed
    );
    let bare = r#"{"error":{"code":403,"message":"Request had insufficient authentication scopes.","status":"PERMISSION_DENIED"}}"#;
    assert_eq!(verdict(403, NO_HEADERS, bare), unnamed);

    let scopes = ["https://www.googleapis.com/auth/drive", "https://www.googleapis.com/auth/drive.readonly"];
    let challenge = format!(
        r#"Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{}""#,
        scopes.join(" ")
    );
    let named = Verdict::ScopeNotGranted { missing: scopes.map(str::to_owned).to_vec() };
    for body in ["", &error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT")] {
        assert_eq!(verdict(403, &[("www-authenticate", &challenge)], body), named, "{body}");
    }
}

#[test]
fn a_403_that_no_new_scope_would_mend_is_the_callers_business() {
    let rows = [
        legacy("insufficientFilePermissions", "The user does not have sufficient permissions for this file."),
        legacy("insufficientPermissions", "User does not have sufficient permissions for this profile."),
        legacy("storageQuotaExceeded", "The user's Drive storage quota has been exceeded."),
        legacy("forbidden", "Forbidden"),
        error_info("USER_PROJECT_DENIED"),
        String::new(),
        "<html>Forbidden</html>".to_owned(),
    ];
    for body in rows {
        assert_eq!(verdict(403, NO_HEADERS, &body), Verdict::Accepted, "{body}");
    }
}

#[test]
fn a_limit_is_told_from_a_refusal_by_its_reason() {
    let limited =
        |seconds: Option<u64>| Verdict::RateLimited { retry_after: seconds.map(Duration::from_secs) };
    for reason in [
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "sharingRateLimitExceeded",
        "dailyLimitExceeded",
        "quotaExceeded",
    ] {
        assert_eq!(verdict(403, NO_HEADERS, &legacy(reason, "m")), limited(None), "{reason}");
    }
    assert_eq!(verdict(403, NO_HEADERS, &error_info("RATE_LIMIT_EXCEEDED")), limited(None));
    assert_eq!(verdict(429, NO_HEADERS, ""), limited(None));
    assert_eq!(verdict(429, &[("retry-after", "7")], ""), limited(Some(7)));
}

#[test]
fn the_delay_of_a_retry_info_is_read() {
    let body = |delay| format!(r#"{{"error":{{"details":[{{"reason":"x"}},{{"retryDelay":"{delay}"}}]}}}}"#);
    let rows = [
        ("3.5s", Some(Duration::from_millis(3500))),
        ("-1s", None),
        ("NaNs", None),
        ("3", None),
        ("1e30s", None),
    ];
    for (delay, expected) in rows {
        assert_eq!(
            verdict(429, NO_HEADERS, &body(delay)),
            Verdict::RateLimited { retry_after: expected },
            "{delay}"
        );
    }
    assert_eq!(
        verdict(429, NO_HEADERS, &body("1000000s")),
        Verdict::RateLimited { retry_after: Some(LONGEST_WAIT) }
    );
}

#[test]
fn an_api_that_is_switched_off_is_for_the_operator() {
    for reason in NOT_CONFIGURED {
        assert_eq!(verdict(403, NO_HEADERS, &error_info(reason)), Verdict::NotConfigured, "{reason}");
        assert_eq!(verdict(403, NO_HEADERS, &legacy(reason, "m")), Verdict::NotConfigured, "{reason}");
    }
    let streamed = format!("[{}]", error_info("SERVICE_DISABLED"));
    assert_eq!(verdict(403, NO_HEADERS, &streamed), Verdict::NotConfigured);
}

#[test]
fn server_failures_may_pass_and_all_else_is_accepted() {
    for status in [500, 502, 503, 504] {
        let expected = Verdict::Unavailable { retry_after: Some(Duration::from_secs(2)) };
        assert_eq!(verdict(status, &[("retry-after", "2")], ""), expected, "{status}");
    }
    for status in [200, 204, 302, 304, 400, 404, 409, 412, 501] {
        assert_eq!(
            verdict(status, NO_HEADERS, &error_info("RATE_LIMIT_EXCEEDED")),
            Verdict::Accepted,
            "{status}"
        );
    }
}

#[test]
fn the_next_page_is_the_same_request_with_another_page_token() {
    let json = &[("content-type", "application/json; charset=UTF-8")][..];
    let next = |sent: &str, body: &str| {
        let sent: Uri = format!("https://www.googleapis.com{sent}").parse().expect("the test's path is one");
        google().next_page(&sent, &answer(200, json, body))
    };
    let rows = [
        ("/a", r#"{"nextPageToken":"t/1=","items":[{"id":1}]}"#, Some("/a?pageToken=t%2F1%3D")),
        (
            "/a?q=%27x%27&pageToken=old&z=1",
            r#"{"nextPageToken":"new"}"#,
            Some("/a?q=%27x%27&pageToken=new&z=1"),
        ),
        ("/a", r#"{"items":[]}"#, None),
        ("/a", r#"{"nextPageToken":""}"#, None),
        ("/a", r#"{"nextPageToken":["x"]}"#, None),
        ("/a", r#"{"nextPageToken":"x""#, None),
        ("/a", r#"{"data":{"nextPageToken":"inner"}}"#, None),
    ];
    for (sent, body, expected) in rows {
        assert_eq!(next(sent, body).as_deref(), expected, "{sent} {body}");
    }
}
