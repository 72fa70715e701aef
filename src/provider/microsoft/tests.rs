use std::time::Duration;

use super::*;
use crate::provider::tests::{NOW, answer, judge, token};

fn microsoft(hosts: &[&str]) -> Microsoft {
    let hosts = hosts.iter().map(ToString::to_string).collect();
    Microsoft::new(Settings { hosts, ..Settings::default() }, Accounts::Work)
}

fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
    judge(&microsoft(&[]), status, headers, body)
}

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{message}","innerError":{{"date":"2026-01-01"}}}}}}"#)
}

fn missing(scopes: &[&str]) -> Verdict {
    Verdict::ScopeNotGranted { missing: scopes.iter().map(ToString::to_string).collect() }
}

const CLAIMS: (&str, &str) = (
    "www-authenticate",
    r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="eyJhIjoxfQ==""#,
);

#[test]
fn hosts_are_graphs_or_the_operators_and_never_where_tokens_come_from() {
    let names = |microsoft: &Microsoft| -> Vec<_> {
        microsoft.hosts().iter().map(|host| host.as_str().to_owned()).collect()
    };
    assert_eq!(names(&microsoft(&[])), [GRAPH]);
    assert_eq!(names(&microsoft(&["acme.sharepoint.com", GRAPH])), ["acme.sharepoint.com", GRAPH]);
    assert_eq!(
        names(&microsoft(&["login.live.com", GRAPH])),
        [GRAPH],
        "the first is where calls go by default"
    );
    let open = microsoft(&["*.microsoftonline.com", "login.live.com"]);
    for host in TOKEN_HOSTS {
        assert!(!open.hosts().iter().any(|pattern| pattern.matches(host)), "{host}");
    }
}

#[test]
fn sharepoint_is_asked_for_json_unless_the_caller_chose() {
    let sharepoint = microsoft(&["acme.sharepoint.com", GRAPH]);
    let accept = |host: &str, own: &[(&str, &str)]| {
        let headers = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let raw = crate::provider::request::RawRequest {
            host: host.to_owned(),
            path: "/_api/web".to_owned(),
            headers,
            ..Default::default()
        };
        let call = ApiRequest::check(raw, &sharepoint).expect("the test's request is harmless");
        let value = sharepoint.encode(&call, &token()).headers().get("accept").cloned();
        value.map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    assert_eq!(accept("", &[]).as_deref(), Some("application/json;odata=nometadata"));
    assert_eq!(accept("", &[("accept", "application/atom+xml")]).as_deref(), Some("application/atom+xml"));
    assert_eq!(accept(GRAPH, &[]), None);
}

#[test]
fn a_401_is_a_refused_token_and_so_is_a_challenge_for_claims() {
    let expired = error("InvalidAuthenticationToken", "Access token has expired or is not yet valid.");
    for (headers, body) in
        [(&[][..], expired.as_str()), (&[], ""), (&[CLAIMS], expired.as_str()), (&[], "{}")]
    {
        assert_eq!(verdict(401, headers, body), Verdict::TokenRefused, "{body}");
    }
}

#[test]
fn a_403_is_a_missing_scope_only_where_a_scope_could_mend_it() {
    let teams = "Missing scope permissions on the request. API requires one of 'ChannelMessage.Send, \
        Group.ReadWrite.All'. Scopes on the request 'User.Read, openid'";
    let rows = [
        (
            error("Forbidden", teams),
            missing(&["ChannelMessage.Send", "Group.ReadWrite.All"]),
        ),
        (error("Forbidden", "Missing scope permissions on the request."), missing(&[])),
        (error("Authorization_RequestDenied", "Insufficient privileges to complete the operation."), missing(&[])),
        (error("ErrorAccessDenied", "Access is denied. Check credentials and try again."), missing(&[])),
        (error("accessDenied", "The caller does not have permission to perform the action."), Verdict::Accepted),
        (error("Forbidden", "Forbidden"), Verdict::Accepted),
        (error("UnknownError", "Invalid S2S auth token."), Verdict::Unavailable { retry_after: None }),
        (
            r#"{"error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Access denied."}}}"#.to_owned(),
            Verdict::Accepted,
        ),
        (r#"{"odata.error":{"code":"x"}}"#.to_owned(), Verdict::Accepted),
        (String::new(), Verdict::Accepted),
    ];
    for (body, expected) in rows {
        assert_eq!(verdict(403, &[], &body), expected, "{body}");
    }
    assert_eq!(verdict(403, &[CLAIMS], ""), missing(&[]), "for other resources the token is good");
}

#[test]
fn limits_and_failures_say_how_long_to_wait() {
    let wait = [("retry-after", "31")];
    let seconds = Some(Duration::from_secs(31));
    for status in [429, 509] {
        assert_eq!(verdict(status, &wait, ""), Verdict::RateLimited { retry_after: seconds }, "{status}");
        assert_eq!(verdict(status, &[], ""), Verdict::RateLimited { retry_after: None }, "{status}");
    }
    for status in [500, 502, 503, 504] {
        assert_eq!(verdict(status, &wait, ""), Verdict::Unavailable { retry_after: seconds }, "{status}");
    }
    for status in [200, 302, 304, 400, 404, 409, 410, 412, 423, 501] {
        let body = error("Authorization_RequestDenied", "");
        assert_eq!(verdict(status, &wait, &body), Verdict::Accepted, "{status}");
    }
}

#[test]
fn the_next_page_is_linked_in_every_dialect_of_odata() {
    let json = &[("content-type", "application/json;odata.metadata=minimal")][..];
    let sent = Uri::from_static("https://graph.microsoft.com/v1.0/me/messages");
    let next = |body: &str| microsoft(&[]).next_page(&sent, &answer(200, json, body));
    let rows = [
        (
            r#"{"@odata.nextLink":"https://graph.microsoft.com/v1.0/me/messages?$top=2&$skiptoken=X%27a","value":[]}"#,
            Some("/v1.0/me/messages?$top=2&$skiptoken=X%27a"),
        ),
        (
            r#"{"odata.nextLink":"https://graph.microsoft.com/_api/web/lists?$skiptoken=Paged=TRUE&p='1'"}"#,
            Some("/_api/web/lists?$skiptoken=Paged=TRUE&p=%271%27"),
        ),
        (r#"{"d":{"results":[],"__next":"https://graph.microsoft.com/_api/x?a=1"}}"#, Some("/_api/x?a=1")),
        (r#"{"@odata.deltaLink":"https://graph.microsoft.com/v1.0/me/delta?t=1"}"#, None),
        (r#"{"@odata.nextLink":"https://evil.example/v1.0/me"}"#, None),
        (r#"{"@odata.nextLink":5,"d":[]}"#, None),
        (r#"{"d":"x"}"#, None),
    ];
    for (body, expected) in rows {
        assert_eq!(next(body).as_deref(), expected, "{body}");
    }
}

#[test]
fn sharepoints_rate_limit_is_read() {
    let headers = [("ratelimit-limit", "1200"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "31")];
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let limit = microsoft(&[]).rate_limit(answer(429, &headers, "").headers(), now);
    let reset = Some(now + Duration::from_secs(31));
    assert_eq!(limit, Some(RateLimit { limit: 1200, remaining: 0, reset }));
}
