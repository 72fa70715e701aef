//! The forms that renewals send.

use super::{dialects::answered, *};
use crate::token::RefreshToken;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// The form of a renewal with `settings`, as pairs.
fn form(strategy: &str, settings: Settings) -> (String, Vec<(String, String)>) {
    let client_secret = settings.client_secret.clone().or(Some(Arc::new(Secret::fixed("s".to_owned()))));
    let client_secret = client_secret.filter(|_| settings.private_key.is_none());
    let settings = Settings { client_id: Some("app".to_owned()), client_secret, ..settings };
    let provider = build(strategy, settings).expect("there is such an adapter");
    let (access, refresh) = (token(), RefreshToken::new("r".to_owned()));
    let pair = TokenPair { access: &access, refresh: Some(&refresh) };
    let request = provider.renewal().expect("all is configured").encode(pair, now()).expect("all is there");
    let pairs = url::form_urlencoded::parse(request.body()).into_owned().collect();
    (request.uri().to_string(), pairs)
}

fn field<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn microsoft_is_always_told_the_scopes_and_its_older_endpoint_the_resource() {
    let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rows = [
        ("waad", &[][..], &[][..], "https://graph.microsoft.com/.default offline_access"),
        ("windowslive", &[], &[], "https://graph.microsoft.com/.default offline_access"),
        ("waad", &["acme.sharepoint.com"], &[], "https://acme.sharepoint.com/.default offline_access"),
        ("waad", &[], &["User.Read", "Mail.Read"], "User.Read Mail.Read offline_access"),
        ("waad", &[], &["offline_access", "User.Read"], "offline_access User.Read"),
    ];
    for (strategy, hosts, scopes, expected) in rows {
        let settings = Settings { hosts: strings(hosts), scopes: strings(scopes), ..Settings::default() };
        let (_, pairs) = form(strategy, settings);
        assert_eq!((field(&pairs, "scope"), field(&pairs, "resource")), (Some(expected), None), "{strategy}");
    }
    let resource = Some("https://graph.microsoft.com".to_owned());
    let old = Settings { identity_api: IdentityApi::V1, resource, ..Settings::default() };
    let (url, pairs) = form("waad", old.clone());
    assert_eq!(url, "https://login.microsoftonline.com/common/oauth2/token");
    assert_eq!(
        (field(&pairs, "scope"), field(&pairs, "resource")),
        (None, Some("https://graph.microsoft.com"))
    );
    assert_eq!(
        field(&form("windowslive", old).1, "resource"),
        None,
        "personal accounts know the newer one only"
    );
}

#[test]
fn a_single_tenant_has_its_own_url() {
    let own = "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token";
    let settings = Settings { token_url: own.parse().ok(), ..Settings::default() };
    assert_eq!(form("waad", settings).0, own);
}

#[test]
fn other_providers_get_scopes_only_if_they_are_the_operators_own_kind() {
    for (strategy, expected) in
        [("google-oauth2", None), ("github", None), ("bitbucket", None), ("oauth2", Some("a b"))]
    {
        let scopes = vec!["a".to_owned(), "b".to_owned()];
        let token_url = "https://login.acme.example/token".parse().ok().filter(|_| strategy == "oauth2");
        let (_, pairs) = form(strategy, Settings { scopes, token_url, ..Settings::default() });
        assert_eq!(field(&pairs, "scope"), expected, "{strategy}");
        assert_eq!(field(&pairs, "grant_type"), Some("refresh_token"));
    }
}

#[test]
fn a_generic_provider_rotates_unless_it_is_known_not_to_and_may_have_a_lifetime() {
    let url = || "https://login.acme.example/token".parse::<Uri>().ok();
    let adapter = |rotates, lifetime| {
        let client_secret = Some(Arc::new(Secret::fixed("s".to_owned())));
        let client_id = Some("app".to_owned());
        let settings =
            Settings { client_id, client_secret, token_url: url(), rotates, lifetime, ..Settings::default() };
        build("oauth2", settings).expect("there is such an adapter")
    };
    let hour = Some(Duration::from_secs(3600));
    for (rotates, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
        assert_eq!(adapter(rotates, None).renewal().map(Renewal::rotates), Ok(expected));
    }
    for (body, expected) in
        [(r#"{"access_token":"a"}"#, 3600), (r#"{"access_token":"a","expires_in":60}"#, 60)]
    {
        let provider = adapter(None, hour);
        let verdict = provider.renewal().expect("all is configured").read(&answered(200, body), now());
        let RenewalVerdict::Renewed(tokens) = verdict else { panic!("{body}") };
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(expected)), "{body}");
    }
}
