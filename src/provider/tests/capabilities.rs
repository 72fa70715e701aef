//! What all adapters have in common for renewal, inspection and revocation: what they send where, and what
//! hostile answers cannot cause.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode;

use super::*;
use crate::token::RefreshToken;

const ACCESS: &str = "canary-access.of+the/user=";
const REFRESH: &str = "canary-refresh.of+the/user=";
const SECRET: &str = "canary-secret/of+the/app=";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn endpoint(path: &str) -> Option<Uri> {
    Some(format!("https://login.acme.example/{path}").parse().expect("the test's URL is one"))
}

/// Settings with everything that an operator can configure.
pub(super) fn full(strategy: &str) -> Box<dyn Provider> {
    let generic = kind(strategy).is_some_and(Kind::is_shared);
    let settings = Settings {
        hosts: hosts_of(strategy),
        client_id: Some("app".to_owned()),
        client_secret: Some(Arc::new(Secret::fixed(SECRET.to_owned()))),
        token_url: endpoint("token").filter(|_| generic),
        inspect_url: endpoint("inspect").filter(|_| generic),
        revoke_url: endpoint("revoke").filter(|_| generic),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        ..Settings::default()
    };
    build(strategy, settings).expect("there is such an adapter")
}

/// The requests of an adapter by capability, as far as it has them.
fn requests(provider: &dyn Provider) -> Vec<(&'static str, Request<Bytes>)> {
    let (access, refresh) = (AccessToken::new(ACCESS.to_owned()), RefreshToken::new(REFRESH.to_owned()));
    let pair = TokenPair { access: &access, refresh: Some(&refresh) };
    let sent = [
        ("renew", provider.renewal().ok().map(|renewal| renewal.encode(pair, now()))),
        ("inspect", provider.inspection().ok().map(|inspection| inspection.encode(&access, now()))),
        ("revoke", provider.revocation().ok().map(|revocation| revocation.encode(pair, now()))),
    ];
    let request = |(name, sent): (_, Option<Result<_, _>>)| Some((name, sent?.expect("all is there")));
    sent.into_iter().filter_map(request).collect()
}

fn decoded(text: &[u8]) -> String {
    percent_decode(text).decode_utf8_lossy().into_owned()
}

/// The secrets and their places: `query:access header:secret`.
fn places(request: &Request<Bytes>) -> String {
    let header = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let basic = text.strip_prefix("Basic ").and_then(|pair| BASE64_STANDARD.decode(pair).ok());
        basic.map_or(text, |pair| decoded(&pair))
    };
    let headers: String = request.headers().values().map(header).collect();
    let uri = request.uri();
    let texts = [
        ("path", decoded(uri.path().as_bytes())),
        ("query", decoded(uri.query().unwrap_or_default().as_bytes())),
        ("header", headers),
        ("body", decoded(request.body())),
    ];
    let secrets = [("access", ACCESS), ("refresh", REFRESH), ("secret", SECRET)];
    let found = texts.iter().flat_map(|(place, text)| {
        secrets
            .iter()
            .filter(|(_, secret)| text.contains(secret))
            .map(move |(name, _)| format!("{place}:{name}"))
    });
    found.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_secret_stands_where_it_belongs_and_nowhere_else() {
    let google = [
        ("renew", "POST https://oauth2.googleapis.com/token", "body:refresh body:secret"),
        ("inspect", "GET https://oauth2.googleapis.com/tokeninfo", "query:access"),
        ("revoke", "POST https://oauth2.googleapis.com/revoke", "body:refresh"),
    ];
    let github = [
        ("renew", "POST https://github.com/login/oauth/access_token", "body:refresh body:secret"),
        ("inspect", "POST https://api.github.com/applications/app/token", "header:secret body:access"),
        ("revoke", "DELETE https://api.github.com/applications/app/token", "header:secret body:access"),
    ];
    let facebook = [
        ("renew", "GET https://graph.facebook.com/v25.0/oauth/access_token", "query:access query:secret"),
        ("inspect", "GET https://graph.facebook.com/v25.0/debug_token", "query:access header:secret"),
        ("revoke", "DELETE https://graph.facebook.com/v25.0/me/permissions", "header:access"),
    ];
    let bitbucket = [
        ("renew", "POST https://bitbucket.org/site/oauth2/access_token", "header:secret body:refresh"),
        ("inspect", "GET https://api.bitbucket.org/2.0/user", "header:access"),
    ];
    let microsoft = |tenant: &str| {
        [
            (
                "renew",
                format!("POST https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"),
                "body:refresh body:secret",
            ),
            ("inspect", "GET https://graph.microsoft.com/v1.0/me".to_owned(), "header:access"),
        ]
    };
    let (work, personal) = (microsoft("organizations"), microsoft("consumers"));
    let [work, personal] =
        [&work, &personal].map(|rows| rows.each_ref().map(|(a, b, c)| (*a, b.as_str(), *c)));
    let generic = [
        ("renew", "POST https://login.acme.example/token", "body:refresh body:secret"),
        ("inspect", "POST https://login.acme.example/inspect", "body:access body:secret"),
        ("revoke", "POST https://login.acme.example/revoke", "body:refresh body:secret"),
    ];
    type Rows<'a> = &'a [(&'a str, &'a str, &'a str)];
    let table: [(&str, Rows<'_>); 10] = [
        ("google-oauth2", &google),
        ("google-apps", &google),
        ("github", &github),
        ("facebook", &facebook),
        ("bitbucket", &bitbucket),
        ("waad", &work),
        ("windowslive", &personal),
        ("sharepoint", &[]),
        ("oauth2", &generic),
        ("oidc", &generic),
    ];
    for (strategy, rows) in table {
        let provider = full(strategy);
        let requests = requests(provider.as_ref());
        let shown: Vec<_> = requests
            .iter()
            .map(|(capability, request)| (*capability, shown(request), places(request)))
            .collect();
        let shown: Vec<_> = shown.iter().map(|(a, b, c)| (*a, b.as_str(), c.as_str())).collect();
        assert_eq!(shown, rows, "{strategy}");
        for (capability, request) in requests {
            assert!(!format!("{:?}", request.headers()).contains("canary"), "{strategy} {capability}");
            assert!(!request.uri().path().contains("canary"), "{strategy} {capability}");
        }
    }
}

/// The method and the URL without its query.
fn shown(request: &Request<Bytes>) -> String {
    let uri = request.uri().to_string();
    format!("{} {}", request.method(), uri.split('?').next().unwrap_or_default())
}

#[test]
fn without_a_refresh_token_there_is_no_request_unless_none_is_needed() {
    let access = AccessToken::new(ACCESS.to_owned());
    let pair = TokenPair { access: &access, refresh: None };
    for strategy in strategies() {
        let provider = full(strategy);
        let Ok(renewal) = provider.renewal() else { continue };
        let refused = matches!(renewal.encode(pair, now()), Err(Unsendable::NoRefreshToken));
        assert_eq!(refused, renewal.source() == Source::RefreshToken, "{strategy}");
    }
}

#[test]
fn what_keeps_an_adapter_from_an_ability_is_named() {
    let missing =
        |keys: &[&'static str]| format!("{:?}", MissingCapability::NotConfigured { missing: keys.to_vec() });
    let app = missing(&["client_id", "client_secret"]);
    let at = |url| missing(&["client_id", "client_secret", url]);
    let (none, ok) = ("Unsupported".to_owned(), "ok".to_owned());
    let table = [
        ("google-oauth2", [app.clone(), ok.clone(), ok.clone()]),
        ("google-apps", [app.clone(), ok.clone(), ok.clone()]),
        ("github", [app.clone(), app.clone(), app.clone()]),
        ("facebook", [app.clone(), app.clone(), ok.clone()]),
        ("bitbucket", [app.clone(), ok.clone(), none.clone()]),
        ("waad", [app.clone(), ok.clone(), none.clone()]),
        ("windowslive", [app, ok, none.clone()]),
        ("sharepoint", [none.clone(), none.clone(), none]),
        ("oauth2", [at("token_url"), at("inspect_url"), at("revoke_url")]),
        ("oidc", [at("token_url"), at("inspect_url"), at("revoke_url")]),
    ];
    for (strategy, expected) in table {
        let settings = Settings { hosts: hosts_of(strategy), ..Settings::default() };
        let provider = build(strategy, settings).expect("there is such an adapter");
        let lack =
            |lack: Option<&MissingCapability>| lack.map_or("ok".to_owned(), |lack| format!("{lack:?}"));
        let found = [
            lack(provider.renewal().err()),
            lack(provider.inspection().err()),
            lack(provider.revocation().err()),
        ];
        assert_eq!(found, expected, "{strategy}");
    }
}

#[test]
fn a_token_that_fits_no_url_or_no_header_is_no_panic() {
    for token in ["x".repeat(100_000), "a\r\nb".to_owned(), "\0".to_owned(), "ü".to_owned(), String::new()] {
        let (access, refresh) = (AccessToken::new(token.clone()), RefreshToken::new(token.clone()));
        let pair = TokenPair { access: &access, refresh: Some(&refresh) };
        for strategy in strategies() {
            let provider = full(strategy);
            let _ = provider.renewal().map(|renewal| renewal.encode(pair, now()).is_ok());
            let _ = provider.inspection().map(|inspection| inspection.encode(&access, now()).is_ok());
            let _ = provider.revocation().map(|revocation| revocation.encode(pair, now()).is_ok());
        }
    }
}

#[test]
fn no_hostile_answer_kills_a_grant_or_makes_a_token() {
    let statuses = [200, 201, 204, 302, 400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 504];
    for (strategy, status) in strategies().flat_map(|strategy| statuses.map(|status| (strategy, status))) {
        let provider = full(strategy);
        for (headers, body) in hostile() {
            let answer = answer(status, headers, &body);
            if let Ok(renewal) = provider.renewal() {
                let verdict = renewal.read(&answer, now());
                assert!(
                    matches!(verdict, RenewalVerdict::Transient(_)),
                    "{strategy} {status} {body} {verdict:?}"
                );
            }
            if let Ok(inspection) = provider.inspection() {
                let verdict = inspection.read(&answer, now());
                // For a probe, a 401 is the verdict itself, and a 403 shows that the token was accepted.
                let is_probe = ["bitbucket", "waad", "windowslive"].contains(&strategy)
                    && [401, 403].contains(&status)
                    && !body.starts_with('<');
                assert!(
                    matches!(verdict, InspectionVerdict::Transient(_)) || is_probe,
                    "{strategy} {status} {body} {verdict:?}"
                );
            }
            if let Ok(revocation) = provider.revocation() {
                let verdict = revocation.read(&answer, now());
                // A success has no content that could be wrong.
                let is_success = strategy != "facebook" && answer.status().is_success();
                assert!(
                    matches!(verdict, RevocationVerdict::Transient(_)) || is_success,
                    "{strategy} {status} {body} {verdict:?}"
                );
            }
        }
    }
}

#[test]
fn the_gravest_word_in_a_failing_servers_mouth_is_nothing() {
    let words = [
        r#"{"error":"invalid_grant"}"#,
        r#"{"error":"bad_refresh_token"}"#,
        r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#,
        r#"{"error":"interaction_required","suberror":"bad_token"}"#,
        r#"{"error":"invalid_request","error_description":"Invalid refresh_token"}"#,
        r#"{"error":"invalid_client"}"#,
        r#"{"error":{"code":190,"message":"m"}}"#,
        r#"{"error":"invalid_token"}"#,
        r#"{"message":"Not Found"}"#,
        r#"{"access_token":"a","refresh_token":"r"}"#,
        r#"{"active":false}"#,
        r#"{"data":{"is_valid":false}}"#,
        r#"{"success":true}"#,
    ];
    let json = &[("content-type", "application/json")][..];
    for (strategy, body) in strategies().flat_map(|strategy| words.map(|body| (strategy, body))) {
        let provider = full(strategy);
        for status in [302, 408, 425, 429, 500, 502, 503, 504, 509] {
            let answer = answer(status, json, body);
            if let Ok(renewal) = provider.renewal() {
                assert!(
                    matches!(renewal.read(&answer, now()), RenewalVerdict::Transient(_)),
                    "{strategy} {status} {body}"
                );
            }
            if let Ok(inspection) = provider.inspection() {
                let verdict = inspection.read(&answer, now());
                assert!(matches!(verdict, InspectionVerdict::Transient(_)), "{strategy} {status} {body}");
            }
            if let Ok(revocation) = provider.revocation() {
                let verdict = revocation.read(&answer, now());
                assert!(matches!(verdict, RevocationVerdict::Transient(_)), "{strategy} {status} {body}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_token_comes_out_of_the_form_as_it_went_in(token in "[!-~]{1,80}") {
        let (access, refresh) = (AccessToken::new(ACCESS.to_owned()), RefreshToken::new(token.clone()));
        let pair = TokenPair { access: &access, refresh: Some(&refresh) };
        for strategy in strategies() {
            let provider = full(strategy);
            let Ok(renewal) = provider.renewal() else { continue };
            let Ok(request) = renewal.encode(pair, now()) else { continue };
            let sent = url::form_urlencoded::parse(request.body()).find(|(name, _)| name == "refresh_token");
            let sent = sent.map(|(_, value)| value.into_owned());
            prop_assert_eq!(sent, (renewal.source() == Source::RefreshToken).then(|| token.clone()), "{}", strategy);
        }
    }
}
