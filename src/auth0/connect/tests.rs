use proptest::prelude::*;

use super::*;

const BACK: &str = "https://app.acme.example/connected?from=idp&x=%20";

fn application() -> LoginApplication {
    LoginApplication {
        authorize: Url::parse("https://login.acme.example/authorize").expect("a URL"),
        client_id: "app".to_owned(),
        redirect_uris: vec![BACK.to_owned(), "http://127.0.0.1:3000/".to_owned()],
    }
}

fn scopes(list: &[&str]) -> Scopes {
    Scopes::parse(list.iter().map(|&scope| scope.to_owned()).collect()).expect("scopes")
}

fn ask<'a>(strategy: Option<&'a str>, scopes: &'a Scopes, state: &'a State) -> LinkRequest<'a> {
    LinkRequest { connection: "con", strategy, scopes, offline: true, state }
}

/// Returns the parameters of a link as a server reads them.
fn read(link: &str) -> Vec<(String, String)> {
    Url::parse(link).expect("a link is a URL").query_pairs().into_owned().collect()
}

/// Returns what a link says beyond what every link says.
fn extra(ask: &LinkRequest<'_>) -> String {
    let always = ["response_type", "client_id", "redirect_uri", "connection", "scope"];
    let pairs = read(&application().link(ask, BACK));
    let more = pairs.iter().filter(|(name, _)| !always.contains(&name.as_str()));
    more.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_link_is_an_authorization_request_of_the_login_application() {
    let (scopes, state) = (Scopes::default(), State::default());
    let link =
        application().link(&LinkRequest { offline: false, ..ask(Some("github"), &scopes, &state) }, BACK);
    assert_eq!(
        link,
        "https://login.acme.example/authorize?response_type=code&client_id=app\
         &redirect_uri=https%3A%2F%2Fapp.acme.example%2Fconnected%3Ffrom%3Didp%26x%3D%2520&connection=con&scope=openid"
    );
}

#[test]
fn each_strategy_asks_for_a_refresh_token_in_its_own_way() {
    for (strategy, expected) in [
        (Some("google-oauth2"), "connection_scope=a access_type=offline prompt=consent"),
        (Some("google-apps"), "connection_scope=a access_type=offline prompt=consent"),
        (Some("github"), "connection_scope=a,offline_access"),
        (Some("waad"), "connection_scope=a,offline_access"),
        (Some("windowslive"), "connection_scope=a,offline_access"),
        (Some("oidc"), "connection_scope=a,offline_access"),
        (Some("oauth2"), "connection_scope=a"),
        (Some("bitbucket"), "connection_scope=a"),
        (Some("facebook"), "connection_scope=a"),
        (Some("sharepoint"), "connection_scope=a"),
        (None, "connection_scope=a"),
    ] {
        let (scopes, state) = (scopes(&["a"]), State::default());
        assert_eq!(extra(&ask(strategy, &scopes, &state)), expected, "{strategy:?}");
        let online = LinkRequest { offline: false, ..ask(strategy, &scopes, &state) };
        assert_eq!(extra(&online), "connection_scope=a", "{strategy:?}");
    }
    let both = scopes(&["offline_access", "a"]);
    assert_eq!(
        extra(&ask(Some("waad"), &both, &State::default())),
        "connection_scope=offline_access,a",
        "once is enough"
    );
}

#[test]
fn only_a_configured_redirect_uri_is_taken_and_only_exactly() {
    let application = application();
    assert_eq!(application.redirect_uri(BACK), Ok(BACK));
    assert_eq!(application.default_redirect_uri(), BACK);
    for uri in [
        "",
        "https://app.acme.example/connected",
        "https://APP.acme.example/connected?from=idp&x=%20",
        "http://127.0.0.1:3000",
        "https://evil.example/",
    ] {
        assert_eq!(application.redirect_uri(uri).expect_err("refused").field, "redirect_uri", "{uri}");
    }
}

#[test]
fn what_is_no_scope_is_refused_by_its_place_or_left_out_of_a_hint() {
    for wrong in ["", "a b", "a,b", "a\"b", "a\\b", "a\n", "ä", "\u{7f}"] {
        let scopes = vec!["fine".to_owned(), wrong.to_owned()];
        assert_eq!(Scopes::parse(scopes.clone()).expect_err("refused").field, "scopes[1]", "{wrong:?}");
        assert_eq!(Scopes::of_provider(&scopes), Scopes(vec!["fine".to_owned()]), "{wrong:?}");
    }
    assert!(
        Scopes::parse(vec!["https://www.googleapis.com/auth/calendar".to_owned(), "!~".to_owned()]).is_ok()
    );
}

#[test]
fn scopes_and_state_have_limits_and_a_hint_keeps_within_them() {
    let many = |count, scope: &str| vec![scope.to_owned(); count];
    for (scopes, fits) in [
        (many(Scopes::MOST, "a"), true),
        (many(Scopes::MOST + 1, "a"), false),
        (many(1, &"a".repeat(Scopes::LONGEST)), true),
        (many(1, &"a".repeat(Scopes::LONGEST + 1)), false),
        (many(2, &"a".repeat(Scopes::LONGEST / 2)), false),
    ] {
        assert_eq!(Scopes::parse(scopes.clone()).is_ok(), fits);
        assert!(Scopes::parse(Scopes::of_provider(&scopes).0).is_ok());
    }
    assert!(State::parse("s".repeat(State::LONGEST)).is_ok());
    assert_eq!(State::parse("s".repeat(State::LONGEST + 1)).expect_err("refused").field, "state");
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_decoded_once(
        connection in ".{1,30}",
        names in prop::collection::vec("[!-~&&[^\",\\\\]]{1,20}", 0..5),
        state in ".{0,40}",
    ) {
        let (scopes, state) = (Scopes::parse(names.clone()).expect("scopes"), State(state));
        let ask = LinkRequest { connection: &connection, ..ask(Some("google-oauth2"), &scopes, &state) };
        let mut expected = vec![
            ("response_type", "code".to_owned()),
            ("client_id", "app".to_owned()),
            ("redirect_uri", BACK.to_owned()),
            ("connection", connection.clone()),
            ("scope", "openid".to_owned()),
        ];
        expected.extend((!names.is_empty()).then(|| ("connection_scope", names.join(","))));
        expected.extend((!state.0.is_empty()).then(|| ("state", state.0.clone())));
        expected.extend([("access_type", "offline".to_owned()), ("prompt", "consent".to_owned())]);
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let link = application().link(&ask, BACK);
        prop_assert!(link.is_ascii() && !link.contains(['+', '#', ' ']));
        prop_assert_eq!(read(&link), expected);
    }
}
