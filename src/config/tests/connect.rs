//! `[connect]`: what is accepted and what is rejected.

use super::*;

#[test]
fn the_login_application_is_read_as_it_is_written() {
    let more = "[connect]\nclient_id = 'login'\nredirect_uris = ['https://app.acme.example', 'http://[::1]:3000/a?b=%20']\n";
    let connect = config(&format!("{LEAST}{more}"), &[]).connect.expect("it is configured");
    assert_eq!(connect.client_id, "login");
    assert_eq!(connect.redirect_uris, ["https://app.acme.example", "http://[::1]:3000/a?b=%20"]);
    let variables = [
        ("IDP_TOKEN_CONNECT_CLIENT_ID", "other"),
        ("IDP_TOKEN_CONNECT_REDIRECT_URIS", "https://a.example/b, http://localhost:3000/"),
    ];
    for file in [LEAST.to_owned(), format!("{LEAST}[connect]\nredirect_uris = 5\n")] {
        let connect = config(&file, &variables).connect.expect("the environment alone will do");
        assert_eq!(connect.client_id, "other");
        assert_eq!(connect.redirect_uris, ["https://a.example/b", "http://localhost:3000/"]);
    }
    assert!(config(&format!("{LEAST}[connect]\n"), &[]).connect.is_none(), "an empty table is none");
}

#[test]
fn a_wrong_login_application_gets_its_remedy() {
    let uris = |uris: &str| format!("client_id = 'a'\nredirect_uris = {uris}");
    let many = format!("[{}]", "'https://a.example/',".repeat(21));
    let long = format!("['https://a.example/{}']", "a".repeat(1024));
    let cases = [
        ("client_id = 'a'".to_owned(), "`connect.redirect_uris` is missing: a connect link takes both"),
        ("redirect_uris = ['https://a.example']".to_owned(), "`connect.client_id` is missing"),
        ("client_id = 'a b'".to_owned(), "`connect.client_id` must be a client id"),
        ("client_secret = 'canary-2f9d'".to_owned(), "unknown key `connect.client_secret`"),
        (uris("'https://a.example'"), "idp.toml:7: `connect.redirect_uris` must be an array"),
        (uris("[5]"), "must hold strings in quotes, not an integer"),
        (uris("[]"), "must hold 1 to 20 URLs"),
        (uris(&many), "must hold 1 to 20 URLs"),
        (uris(&long), "at most 1024 bytes"),
        (uris("['http://a.example/']"), "`http://` is for loopback only"),
        (uris("['com.acme.app://back']"), "`connect.redirect_uris` must be `https://` URLs"),
        (uris("['/connected']"), "must be `https://` URLs"),
        (uris("['https://a.example/#x']"), "without a fragment"),
        (uris("['https://user:canary-2f9d@a.example/']"), "without credentials"),
        (uris("['https://a.example/a b']"), "without white space"),
        (uris("['https://a.example/ä']"), "percent-encoded where needed"),
    ];
    for (wrong, expected) in &cases {
        let problems = problems(&format!("{LEAST}[connect]\n{wrong}\n"), &[]);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
    }
    let empty = problems(LEAST, &[("IDP_TOKEN_CONNECT_REDIRECT_URIS", "https://a.example/,")]);
    assert!(empty[0].starts_with("`IDP_TOKEN_CONNECT_REDIRECT_URIS` must be `https://` URLs"), "{empty:?}");
}
