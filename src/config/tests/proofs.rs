//! Authentication of callers (`trusted_peers`, `[[jwt_issuers]]`, `[end_users]`) and `reflection`: what is
//! accepted and what is rejected.

use super::*;

const ISSUER: &str =
    "[[jwt_issuers]]\nissuer = 'https://a.example/'\njwks_url = 'https://a.example/jwks'\naudience = 'us'\n";

const END_USERS: &str = "[end_users]\naudience = 'us'\nallow = ['ListIdentities']\nproviders = ['github']\n";

/// Returns `count` issuers.
fn numbered(count: usize) -> String {
    (0..count).map(|number| ISSUER.replace("a.example", &format!("i{number}.example"))).collect()
}

#[test]
fn callers_are_read_as_they_are_written() {
    let second = ISSUER.replace("a.example", "b.example");
    let text = format!(
        "trusted_peers = ['spiffe://acme/envoy', 'envoy.acme.example', '10.0.0.0/8', '::1']\n{LEAST}\
        {END_USERS}{ISSUER}{second}"
    );
    let config = config(&text, &[]);
    assert_eq!(config.trusted_peers.len(), 4);
    assert_eq!(
        config.trusted_peers[0],
        TrustedPeer::San(crate::caller::San::Uri("spiffe://acme/envoy".to_owned()))
    );
    let issuers: Vec<_> =
        config.jwt_issuers.iter().map(|one| (&*one.issuer, one.jwks_url.to_string())).collect();
    assert_eq!(issuers[0], ("https://a.example/", "https://a.example/jwks".to_owned()));
    assert_eq!((issuers[1].0, &*config.jwt_issuers[1].audience), ("https://b.example/", "us"));
    assert_eq!(config.end_users.map(|users| users.audience).as_deref(), Some("us"));
    let config = super::config(LEAST, &[("IDP_TOKEN_TRUSTED_PEERS", "10.0.0.1  fd00::/8")]);
    assert_eq!(config.trusted_peers.len(), 2);
}

#[test]
fn a_wrong_way_to_prove_oneself_gets_its_remedy() {
    let top = [
        (
            "trusted_peers = ['envoy']",
            "`trusted_peers` must be URIs or DNS names of certificates, or address ranges",
        ),
        ("trusted_peers = 'spiffe://acme/envoy'", "must be an array of URIs"),
        ("trusted_peers = ['spiffe://acme/*']", "must be URIs"),
        ("trusted_peers = ['0.0.0.0/0']", "must be an address range of 1 to 32 bits"),
        ("trusted_peers = ['::/129']", "of 1 to 128 bits"),
        ("trusted_peers = ['10.0.0.1/8']", "must be the first address of its range"),
        ("trusted_peers = ['10.0.0.0/+8']", "must be URIs"),
        ("trusted_peers = ['::ffff:10.0.0.0/104']", "without `::ffff:`"),
        ("trusted_peers = [5]", "each written as a string in quotes, not as an integer"),
        ("reflection = 'on'", "`reflection` must be `true` or `false`"),
        ("jwt_issuers = 'x'", "`jwt_issuers` must be tables: write `[[jwt_issuers]]`"),
        ("jwt_issuers = ['x']", "`jwt_issuers` must be tables"),
    ];
    let tables = [
        (
            "[jwt_issuers]\nissuer = 'a'".to_owned(),
            "idp.toml:5: `jwt_issuers` must be tables: write `[[jwt_issuers]]`",
        ),
        (
            ISSUER.replace("audience = 'us'\n", ""),
            "`jwt_issuers` has no `audience`: write `audience = \"idp-token-service\"`",
        ),
        (ISSUER.replace("'us'", "'u s'"), "`jwt_issuers.audience` must be what tokens have there, exactly"),
        (ISSUER.replace("'us'", "''"), "must be what tokens have there"),
        (ISSUER.replace("'us'", "['us']"), "not as an array"),
        (ISSUER.replace("https://a.example/jwks", "http://a.example/jwks"), "`http://` is for loopback only"),
        (ISSUER.replace("https://a.example/jwks", "https://u:canary-2f9d@a.example/"), "without credentials"),
        (
            format!("{ISSUER}audienc = 'x'\n"),
            "unknown key `jwt_issuers.audienc`; did you mean `jwt_issuers.audience`?",
        ),
        (format!("{ISSUER}{ISSUER}"), "have the same `issuer` and `audience`"),
        (numbered(17), "idp.toml:69: `jwt_issuers` must be at most 16 tables"),
        (
            format!("{END_USERS}{}", ISSUER.replace("'https://a.example/'", "'https://acme.eu.auth0.com/'")),
            "users and programs need an API of their own each",
        ),
    ];
    let top = top.map(|(wrong, expected)| (format!("{wrong}\n{LEAST}"), expected));
    let tables = tables.map(|(wrong, expected)| (format!("{LEAST}{wrong}"), expected));
    for (text, expected) in top.iter().chain(&tables) {
        let problems = problems(text, &[]);
        assert_eq!(problems.len(), 1, "{text}: {problems:#?}");
        assert!(problems[0].contains(expected), "{text}\nsays   {}\nwanted {expected}", problems[0]);
        assert!(!problems[0].contains(CANARY));
    }
}

#[test]
fn reflection_is_for_loopback_and_for_those_who_need_no_proof() {
    let off = "insecure = true\nlisten = '0.0.0.0:50051'\n";
    for (top, more, expected) in [
        ("", "", true),
        ("", ISSUER, true),
        (off, "", true),
        (off, ISSUER, false),
        (off, END_USERS, false),
        ("trusted_peers = ['10.0.0.1']\ninsecure = true\nlisten = '0.0.0.0:50051'\n", "", false),
        ("reflection = false\n", "", false),
        ("reflection = true\ninsecure = true\nlisten = '0.0.0.0:50051'\n", ISSUER, true),
    ] {
        assert_eq!(config(&format!("{top}{LEAST}{more}"), &[]).reflection, expected, "{top}{more}");
    }
}

#[test]
fn nobody_is_anonymous_as_soon_as_anything_is_said_of_callers() {
    let caller = "[[callers]]\nid = 'x'\nallow = ['ListIdentities']\nproviders = ['**']\n";
    for (top, more, expected) in [
        ("", "", false),
        ("trusted_peers = []\n", "", false),
        ("trusted_peers = ['10.0.0.1']\n", caller, true),
        ("", ISSUER, true),
        ("", END_USERS, true),
        ("trusted_peers = ['10.0.0.1']\n", "", true),
    ] {
        assert_eq!(config(&format!("{top}{LEAST}{more}"), &[]).identifies_callers(), expected, "{top}{more}");
    }
}
