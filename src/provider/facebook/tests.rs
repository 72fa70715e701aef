use super::*;
use crate::provider::tests::{answer, call, judge, token};

fn facebook() -> Facebook {
    Facebook::new(Settings::default())
}

fn failure(code: &str, message: &str) -> String {
    format!(
        r#"{{"error":{{"message":"{message}","type":"OAuthException","code":{code},"error_subcode":463,"fbtrace_id":"A"}}}}"#
    )
}

fn verdict(code: &str, message: &str) -> Verdict {
    judge(&facebook(), 400, &[], &failure(code, message))
}

#[test]
fn a_path_without_a_version_gets_the_configured_one() {
    let settings = Settings { api_version: Some("v24.0".to_owned()), ..Settings::default() };
    let sent =
        |facebook: &Facebook, path| facebook.encode(&call("facebook", path, &[]), &token()).uri().to_string();
    let rows = [
        (
            "/me?fields=id",
            "https://graph.facebook.com/v25.0/me?fields=id",
            "https://graph.facebook.com/v24.0/me?fields=id",
        ),
        ("/", "https://graph.facebook.com/v25.0/", "https://graph.facebook.com/v24.0/"),
        ("/v19.0/me", "https://graph.facebook.com/v19.0/me", "https://graph.facebook.com/v19.0/me"),
        ("/v19.0", "https://graph.facebook.com/v19.0", "https://graph.facebook.com/v19.0"),
        (
            "/vanity/v1.0",
            "https://graph.facebook.com/v25.0/vanity/v1.0",
            "https://graph.facebook.com/v24.0/vanity/v1.0",
        ),
    ];
    for (path, by_default, configured) in rows {
        assert_eq!(sent(&facebook(), path), by_default);
        assert_eq!(sent(&Facebook::new(settings.clone()), path), configured);
    }
}

#[test]
fn a_configured_secret_is_proven_and_never_sent() {
    let secret = Some(Arc::new(Secret::fixed("canary-app-secret".to_owned())));
    let facebook = Facebook::new(Settings { client_secret: secret, ..Settings::default() });
    for (path, start) in
        [("/me", "/v25.0/me?appsecret_proof="), ("/me?a=b", "/v25.0/me?a=b&appsecret_proof=")]
    {
        let sent = facebook.encode(&call("facebook", path, &[]), &token());
        let target = sent.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let proof = target.strip_prefix(start).expect(start);
        assert!(proof.len() == 64 && proof.bytes().all(|byte| byte.is_ascii_hexdigit()), "{proof}");
        assert!(!format!("{sent:?}").contains("canary"));
    }
    assert!(facebook.client_secret().is_some() && self::facebook().client_secret().is_none());
}

#[test]
fn the_code_decides_whatever_the_status() {
    for code in ["190", "\"190\"", "102", "190.0"] {
        for status in [400, 401, 403, 500] {
            let body = failure(code, "Error validating access token: Session has expired");
            assert_eq!(judge(&facebook(), status, &[], &body), Verdict::TokenRefused, "{status} {code}");
        }
    }
    for code in ["4", "17", "32", "341", "613", "80000", "80004", "80014"] {
        assert_eq!(verdict(code, "limit reached"), Verdict::RateLimited { retry_after: None }, "{code}");
    }
    for code in ["1", "2"] {
        assert_eq!(
            verdict(code, "Service temporarily unavailable"),
            Verdict::Unavailable { retry_after: None },
            "{code}"
        );
    }
    for code in ["33", "100", "210", "300", "368", "506", "2500", "79999", "80015"] {
        assert_eq!(verdict(code, "(#1) Invalid parameter or permission a_b"), Verdict::Accepted, "{code}");
    }
}

#[test]
fn a_missing_permission_is_named_where_the_message_names_it() {
    for code in ["3", "10", "200", "283", "299"] {
        let named = Verdict::ScopeNotGranted { missing: vec!["pages_read_engagement".to_owned()] };
        assert_eq!(verdict(code, "requires the 'pages_read_engagement' permission"), named, "{code}");
        assert_eq!(
            verdict(code, "Permissions error"),
            Verdict::ScopeNotGranted { missing: vec![] },
            "{code}"
        );
    }
}

#[test]
fn a_missing_or_wrong_proof_is_for_the_operator() {
    for message in [
        "API calls from the server require an appsecret_proof argument",
        "Invalid appsecret_proof provided in the API argument",
    ] {
        assert_eq!(verdict("100", message), Verdict::NotConfigured, "{message}");
    }
}

#[test]
fn a_throttled_caller_learns_when_access_comes_back() {
    let usage = [
        ("x-business-use-case-usage", r#"{"1":[{"estimated_time_to_regain_access":19}]}"#),
        ("retry-after", "5"),
    ];
    let verdict =
        |headers| judge(&facebook(), 400, headers, &failure("80000", "There have been too many calls"));
    assert_eq!(verdict(&usage[..]), Verdict::RateLimited { retry_after: Some(Duration::from_secs(19 * 60)) });
    assert_eq!(verdict(&usage[1..]), Verdict::RateLimited { retry_after: Some(Duration::from_secs(5)) });
}

#[test]
fn without_a_code_header_and_status_must_do() {
    let invalid = [(
        "www-authenticate",
        r#"OAuth "Facebook Platform" "invalid_token" "Error validating access token""#,
    )];
    let verdict = |status, headers: &[(&str, &str)]| judge(&facebook(), status, headers, "<html>");
    assert_eq!(verdict(400, &invalid), Verdict::TokenRefused);
    assert_eq!(verdict(401, &[]), Verdict::TokenRefused);
    assert_eq!(
        verdict(429, &[("retry-after", "3")]),
        Verdict::RateLimited { retry_after: Some(Duration::from_secs(3)) }
    );
    for status in [500, 502, 503, 504] {
        assert_eq!(verdict(status, &[]), Verdict::Unavailable { retry_after: None }, "{status}");
    }
    for status in [302, 304, 400, 403, 404] {
        assert_eq!(verdict(status, &[]), Verdict::Accepted, "{status}");
    }
    assert_eq!(judge(&facebook(), 200, &[], &failure("190", "in a success")), Verdict::Accepted);
}

#[test]
fn the_next_page_loses_its_token_and_keeps_its_version() {
    let json = &[("content-type", "application/json; charset=UTF-8")][..];
    let sent = Uri::from_static("https://graph.facebook.com/v25.0/me/photos?appsecret_proof=p");
    let next = |url: &str| {
        let body = format!(r#"{{"data":[],"paging":{{"cursors":{{"after":"A"}},"next":"{url}"}}}}"#);
        facebook().next_page(&sent, &answer(200, json, &body))
    };
    let rows = [
        (
            r"https:\/\/graph.facebook.com\/v25.0\/1\/photos?access_token=EAAcanary&pretty=0&limit=25&after=QVFI%3D&appsecret_proof=p",
            Some("/v25.0/1/photos?pretty=0&limit=25&after=QVFI%3D"),
        ),
        (
            "https://graph.facebook.com/v25.0/1/photos?limit=25&access%5Ftoken=EAAcanary",
            Some("/v25.0/1/photos?limit=25"),
        ),
        (
            "https://graph.facebook.com/v25.0/1/photos?after=1|2&fields=a{b}",
            Some("/v25.0/1/photos?after=1%7C2&fields=a%7Bb%7D"),
        ),
        ("https://evil.example/v25.0/1/photos", None),
        ("https://graph.facebook.com//evil.example/", None),
        ("/v25.0/1/photos", None),
        ("", None),
    ];
    for (url, expected) in rows {
        assert_eq!(next(url).as_deref(), expected, "{url}");
    }
    for body in [
        r#"{"data":[]}"#,
        r#"{"paging":null}"#,
        r#"{"paging":{}}"#,
        r#"{"paging":{"next":5}}"#,
        r#"{"paging":"x"}"#,
        "5",
    ] {
        assert_eq!(facebook().next_page(&sent, &answer(200, json, body)), None, "{body}");
    }
}

#[test]
fn a_version_has_two_numbers() {
    for version in ["v25.0", "v3.12"] {
        assert!(is_version(version), "{version}");
    }
    for wrong in ["", "v", "25.0", "v25", "v25.", "v.0", "v25.0.1", "V25.0", "v25.0/", "va.b", "v1234.0"] {
        assert!(!is_version(wrong), "{wrong}");
    }
}
