//! The meaning of valid configurations.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::ExposeSecret;

use super::*;
use crate::secret::Secret;

const THREE: [(&str, &str); 3] =
    [("AUTH0_DOMAIN", "acme.eu.auth0.com"), ("AUTH0_CLIENT_ID", "app"), ("AUTH0_CLIENT_SECRET", CANARY)];

fn text(secret: &Secret) -> String {
    secret.get().expose_secret().to_owned()
}

fn client_secret(config: &Config) -> String {
    match &config.auth0.credential {
        ClientCredential::Secret(secret) => text(secret),
        ClientCredential::PrivateKey(_) => panic!("a private key"),
    }
}

#[test]
fn three_variables_are_a_whole_configuration() {
    let config = Config::load(None, &THREE.into_iter().collect()).expect("the configuration is right");
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9464");
    assert!(!config.insecure);
    assert_eq!((config.default_deadline, config.drain), (Duration::from_secs(30), Duration::from_secs(15)));
    assert_eq!((config.log.level, config.log.format), (Level::INFO, LogFormat::Text));
    assert_eq!(config.auth0.base_url.as_str(), "https://acme.eu.auth0.com/");
    assert_eq!(config.auth0.audience, "https://acme.eu.auth0.com/api/v2/");
    assert_eq!((config.auth0.profile_ttl, config.auth0.requests_per_second), (Duration::from_secs(60), 10));
    assert_eq!(client_secret(&config), CANARY);
    for (strategy, is_there) in [("github", true), ("waad", true), ("sharepoint", false), ("oauth2", false)] {
        assert_eq!(config.providers.contains_key(strategy), is_there, "{strategy}");
    }
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn every_key_of_the_file_is_read() {
    let top = "listen = '[::1]:1'\nadmin_listen = '0.0.0.0:2'\ndefault_deadline = '1m30s'\ndrain = '0s'\n\
        log_level = 'debug'\nlog_format = 'json'\n";
    let more = "base_url = 'http://127.0.0.1:9000'\naudience = 'https://other.auth0.com/api/v2/'\n\
        profile_ttl = '10m'\nrequests_per_second = 1_000\n\
        [providers.facebook]\nclient_secret = 'app-secret'\napi_version = 'v25.0'\n";
    let config = config(&format!("{top}{LEAST}{more}"), &[]);
    assert_eq!(config.listen.to_string(), "[::1]:1");
    assert_eq!(config.admin_listen.to_string(), "0.0.0.0:2");
    assert_eq!((config.default_deadline, config.drain), (Duration::from_secs(90), Duration::ZERO));
    assert_eq!((config.log.level, config.log.format), (Level::DEBUG, LogFormat::Json));
    assert_eq!(config.auth0.base_url.as_str(), "http://127.0.0.1:9000/");
    assert_eq!(config.auth0.audience, "https://other.auth0.com/api/v2/");
    assert_eq!(
        (config.auth0.profile_ttl, config.auth0.requests_per_second),
        (Duration::from_secs(600), 1000)
    );
    let facebook = &config.providers["facebook"];
    assert_eq!(facebook.settings.client_secret.as_deref().map(text).as_deref(), Some("app-secret"));
    assert_eq!(facebook.settings.api_version.as_deref(), Some("v25.0"));
}

#[test]
fn the_environment_wins_unless_it_is_empty() {
    let file = format!("drain = '1s'\nlog_level = 'warn'\n{LEAST}");
    let variables = [
        ("IDP_TOKEN_DRAIN", "2s"),
        ("IDP_TOKEN_LOG_LEVEL", ""),
        ("AUTH0_REQUESTS_PER_SECOND", "7"),
        ("IDP_TOKEN_PROVIDERS_GITHUB_API_VERSION", "2022-11-28"),
    ];
    let config = config(&file, &variables);
    assert_eq!((config.drain, config.log.level), (Duration::from_secs(2), Level::WARN));
    assert_eq!(config.auth0.requests_per_second, 7);
    assert_eq!(config.providers["github"].settings.api_version.as_deref(), Some("2022-11-28"));
}

#[test]
fn a_value_in_the_file_that_the_environment_overrides_is_not_looked_at() {
    let file = "drain = 3\n[auth0]\ndomain = 'acme.eu.auth0.com'\nclient_id = 'app'\nclient_secret_file = '/nowhere'\n";
    let config = config(file, &[("IDP_TOKEN_DRAIN", "2s"), ("AUTH0_CLIENT_SECRET", "from-environment")]);
    assert_eq!(config.drain, Duration::from_secs(2));
    assert_eq!(client_secret(&config), "from-environment");
}

#[test]
fn a_secret_file_of_the_environment_beats_a_secret_of_the_file() {
    let folder = folder();
    let secret = file(&folder, "secret", "rotated\n", 0o600);
    let config = config(LEAST, &[("AUTH0_CLIENT_SECRET_FILE", &secret.to_string_lossy())]);
    assert_eq!(client_secret(&config), "rotated");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn white_space_at_the_end_of_a_secret_is_no_part_of_it() {
    let config = config(LEAST, &[("AUTH0_CLIENT_SECRET", "secret\n")]);
    assert_eq!(client_secret(&config), "secret");
}

#[test]
fn a_table_under_another_name_is_a_connection_of_its_strategy() {
    let more = "[providers.acme-hub]\nstrategy = 'github'\n[providers.google-apps]\nstrategy = 'google-apps'\n\
        hosts = { 'www.googleapis.com' = 'http://127.0.0.1:9001', '*.googleapis.com' = 'https://mirror.acme.example' }\n";
    let config =
        config(&format!("{LEAST}{more}"), &[("IDP_TOKEN_PROVIDERS_ACME_HUB_API_VERSION", "2026-03-10")]);
    let github = Strategy::named("github").expect("there is an adapter");
    let hub = &config.providers["acme-hub"];
    assert_eq!((hub.strategy, hub.settings.api_version.as_deref()), (github, Some("2026-03-10")));
    let hosts: Vec<_> = config.providers["google-apps"]
        .host_overrides
        .iter()
        .map(|(h, u)| (h.as_str(), u.as_str()))
        .collect();
    let expected = [
        ("*.googleapis.com", "https://mirror.acme.example/"),
        ("www.googleapis.com", "http://127.0.0.1:9001/"),
    ];
    assert_eq!(hosts, expected);
    assert!(config.providers["google-apps"].settings.hosts.is_empty(), "the adapter knows them");
}

#[test]
fn hosts_are_a_list_in_its_order_or_a_table_with_other_urls() {
    let more = "[providers.acme-crm]\nstrategy = 'oauth2'\nhosts = ['crm.acme.example', 'api.acme.example']\n\
        [providers.acme-files]\nstrategy = 'oidc'\n\
        hosts = { '*.files.example' = 'http://127.0.0.1:1', 'a.files.example' = 'http://127.0.0.1:2' }\n\
        [providers.acme-work]\nstrategy = 'waad'\nhosts = ['acme.sharepoint.com']\n";
    let config = config(&format!("{LEAST}{more}"), &[]);
    let hosts = |name: &str| config.providers[name].settings.hosts.clone();
    assert_eq!(hosts("acme-crm"), ["crm.acme.example", "api.acme.example"]);
    assert_eq!(hosts("acme-files"), ["a.files.example", "*.files.example"]);
    assert_eq!(config.providers["acme-files"].host_overrides.len(), 2);
    assert_eq!(hosts("acme-work"), ["acme.sharepoint.com"]);
    assert!(hosts("waad").is_empty(), "Graph's own");
}

/// A key of 1128 bits in PKCS #8, which protects nothing: its primes are 2^607 - 1 and 2^521 - 1.
const SHORT_KEY: &str = "\
    MIICtQIBADANBgkqhkiG9w0BAQEFAASCAp8wggKbAgEAAoGOAP//////////////////////////////////////////////////\
    ////////////////////////////////////f/////////////4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQIDAQABAoGNKn/VgCp/1YAqf9WAKn/VgCp/1YAqf9WAKn/VgCp/1YAqf9WAKn/V\
    gCp/1YAqf9WAKn/VgCp/1YAqf9WAKn/VgCpVVaqqVVWqqlVVqgBV/6oAVf+qAFX/qgBV/6oAVf+qAFX/qgBV/6oAVf+qAFX/qgBV\
    /6oAVf+qAFX/qgBV/6oAVf+qAFX/qgBV/6oBAkx/////////////////////////////////////////////////////////////\
    ////////////////////////////////////////AkIB////////////////////////////////////////////////////////\
    //////////////////////////////8CTFVVqqpVVaqqVVWqqlVVqqpVVaqqVVWqqlVVqqpVVaqqVVWqqlVVqqpVVaqqVVWqqlVV\
    qqpVVaqqVVWqqlVVqqpVVaqqVVWqqlVVqqkCQgGAgH9/gIB/f4CAf3+AgH9/gIB/f4CAf3+AgH9/gIB/f4CAf3+AgH9/gIB/f4CA\
    f3+AgH9/gIB/f4CAf3+AgH9/fwJMe973ve973ve973vve973ve973ve9773ve973ve973ve+973ve973ve973vve973ve973ve97\
    73ve973ve973ve+973ve973ve973vQ==";

fn short_rsa_key() -> Vec<u8> {
    BASE64_STANDARD.decode(SHORT_KEY).expect("the key is base64")
}

#[test]
fn only_an_rsa_private_key_is_taken_for_one_and_what_else_is_there_is_named() {
    let folder = folder();
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key for the test");
    let private: Pkcs8V1Der<'_> = key.as_der().expect("the key can be written");
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("the key can be written");
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key for the test");
    let ec = ec.to_pkcs8v1().expect("the key can be written");
    let cases = [
        (pem("PRIVATE KEY", private.as_ref()), None),
        (pem("PUBLIC KEY", public.as_ref()), Some("holds a public key")),
        (pem("RSA PUBLIC KEY", key.public_key().as_ref()), Some("holds a public key")),
        (pem("CERTIFICATE", public.as_ref()), Some("holds a certificate")),
        (pem("PRIVATE KEY", &private.as_ref()[..600]), Some("cut off, damaged")),
        (pem("PRIVATE KEY", ec.as_ref()), Some("holds an EC key")),
        (pem("EC PRIVATE KEY", ec.as_ref()), Some("holds an EC key")),
        (pem("ENCRYPTED PRIVATE KEY", b"any"), Some("encrypted with a passphrase")),
        (pem("PRIVATE KEY", &short_rsa_key()), Some("holds an RSA key of fewer than 2048 bits")),
        (CANARY.to_owned(), Some("names a file that is not PEM")),
    ];
    for (content, fault) in cases {
        let path = file(&folder, "key.pem", &content, 0o600);
        let loaded = load(LEAST, &[("AUTH0_PRIVATE_KEY_FILE", &path.to_string_lossy())]);
        match (loaded, fault) {
            (Ok(config), None) => assert!(matches!(config.auth0.credential, ClientCredential::PrivateKey(_))),
            (Err(problems), Some(fault)) => assert!(problems[0].contains(fault), "{fault}: {problems:?}"),
            (loaded, _) => panic!("{fault:?}: {loaded:?}"),
        }
    }
}

#[test]
fn what_is_risky_is_warned_of() {
    let folder = folder();
    let open = file(&folder, "open", "secret", 0o644);
    let open = [("AUTH0_CLIENT_SECRET_FILE", open.to_str().expect("a path in UTF-8"))];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let hosts = "[providers.github]\nhosts = { 'api.github.com' = 'http://127.0.0.1:1' }\n";
    let cases: [Case<'_>; 8] = [
        ("", &[], &[]),
        ("insecure = true\nlisten = '0.0.0.0:50051'\n", &[], &["whoever reaches `listen`"]),
        ("insecure = true\n", &[], &["has no effect"]),
        (
            "",
            &open,
            &[
                "names a file that its group or others may read (mode 0644): `chmod 600` it, or mount it with `defaultMode: 0400`",
            ],
        ),
        (
            "",
            &[("IDP_TOKEN_LISTN", "x")],
            &["`IDP_TOKEN_LISTN` is unknown; did you mean `IDP_TOKEN_LISTEN`?"],
        ),
        ("", &[("AUTH0_BASE_URL", "https://acme.eu.auth0.com")], &[]),
        (
            "",
            &[("AUTH0_BASE_URL", "http://127.0.0.1:1")],
            &["the client's credentials are sent to http://127.0.0.1:1/, not to https://acme.eu.auth0.com/"],
        ),
        ("", &[("IDP_TOKEN_SERVICE_PORT", "tcp://10.0.0.1:50051")], &[]),
    ];
    for (top, variables, expected) in cases {
        let warnings = config(&format!("{top}{LEAST}"), variables).warnings;
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        assert!(warnings.iter().zip(expected).all(|(w, part)| w.text().contains(part)), "{warnings:?}");
    }
    let warnings = config(&format!("{LEAST}{hosts}"), &[]).warnings;
    let expected = "`providers.github.hosts` is for tests: tokens are sent to http://127.0.0.1:1/";
    assert_eq!(warnings.iter().map(Problem::text).collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_configuration_file_with_a_secret_is_for_its_owner_alone() {
    let folder = folder();
    let path = file(&folder, "idp.toml", LEAST, 0o640);
    let warnings = |variables: &[(&str, &str)]| {
        let environment = variables.iter().copied().collect();
        Config::load(Some(&path), &environment).expect("the configuration is right").warnings
    };
    assert!(warnings(&[])[0].to_string().contains("idp.toml: the configuration file holds a secret"));
    assert!(warnings(&[("AUTH0_CLIENT_SECRET", "other")]).is_empty(), "the file's secret is not used");
}

#[test]
fn debug_shows_no_secret() {
    let more = format!("[providers.facebook]\nclient_secret = '{CANARY}'\n");
    let config = config(&format!("{LEAST}{more}"), &[]);
    assert!(!format!("{config:?} {config:#?}").contains(CANARY));
}
