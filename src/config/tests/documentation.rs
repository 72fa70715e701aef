//! The documentation and the example agree with the code.

use std::collections::BTreeSet;

use idp_token_testkit::authority::Authority;

use super::*;

const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../../idp-token-service.example.toml");

/// Returns the keys that the reader asks for, whatever is configured.
fn known() -> Vec<known::KnownKey> {
    let environment = Environment::default();
    let mut reader = Reader::new(Document::default(), &environment);
    Config::read(&mut Section::root(&mut reader, Default::default()));
    reader.known
}

/// Returns the beginning of the row that documents `key`.
fn row(key: &known::KnownKey) -> String {
    let pattern = &key.path.pattern;
    let variable =
        key.variable.as_ref().map_or("none".to_owned(), |_| format!("`{}`", path::variable(pattern)));
    format!("| `{pattern}` | {} | {} | {variable} |", key.default, key.values)
}

#[test]
fn the_table_and_the_known_keys_agree() {
    let known: BTreeSet<_> = known().iter().map(row).collect();
    let documented = DOCUMENTATION.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<_> =
        documented.map(|line| line.splitn(6, " | ").take(4).collect::<Vec<_>>().join(" | ") + " |").collect();
    let missing: Vec<_> = known.difference(&documented).collect();
    let wrong: Vec<_> = documented.difference(&known).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing: {missing:#?}\nwrong: {wrong:#?}");
}

#[test]
fn every_key_has_a_meaning_in_the_documentation() {
    for line in DOCUMENTATION.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        assert!(cells.len() == 5 && cells[4].trim().len() > 10, "{line}");
    }
}

#[test]
fn every_strategy_is_in_the_documentation_with_what_it_needs() {
    for strategy in Strategy::all() {
        let line = DOCUMENTATION.lines().find(|line| line.starts_with(&format!("- `{}`", strategy.as_str())));
        let line = line.unwrap_or_else(|| panic!("{} is missing", strategy.as_str()));
        assert_eq!(line.contains("`hosts` required"), !strategy.kind().needs_nothing(), "{line}");
        assert_eq!(line.contains("one table per connection"), strategy.kind().is_shared(), "{line}");
    }
}

/// Uncomments the keys of the example: lines that begin with `#` and a key; prose begins with `# `.
fn uncommented() -> String {
    let line = |line: &'static str| if line.starts_with("# ") { "" } else { line.trim_start_matches('#') };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Values in place of the files that the example names.
const SECRETS: [(&str, &str); 4] = [
    ("AUTH0_CLIENT_SECRET", "a"),
    ("IDP_TOKEN_PROVIDERS_FACEBOOK_CLIENT_SECRET", "b"),
    ("IDP_TOKEN_PROVIDERS_GITHUB_CLIENT_SECRET", "c"),
    ("IDP_TOKEN_PROVIDERS_WAAD_CLIENT_SECRET", "d"),
];

#[test]
fn the_example_is_a_right_configuration_as_it_stands_and_with_all_its_keys() {
    let folder = folder();
    let (_key_folder, key) = rsa_key_file();
    let store_key = file(&folder, "store-keys", &encryption_key(1), 0o600);
    let authority = Authority::new("acme");
    let server = authority.server(&["idp-token.acme.example"]);
    let written = |name, text: &str| file(&folder, name, text, 0o600).display().to_string();
    let (ca, certificate) = (written("ca.pem", &authority.pem), written("server.pem", &server.certificate));
    let server_key = written("server.key", &server.key);
    let files = [
        // In place of both forms.
        ("IDP_TOKEN_AUDIT_USER_ID_KEY", &*encryption_key(1)),
        ("IDP_TOKEN_TLS_CERTIFICATE_FILE", &*certificate),
        ("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", &*server_key),
        ("IDP_TOKEN_TLS_CLIENT_CA_FILE", &*ca),
        ("IDP_TOKEN_UPSTREAM_CA_FILE", &*ca),
        ("IDP_TOKEN_PROVIDERS_ACME_CRM_PRIVATE_KEY_FILE", &*key),
        ("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", store_key.to_str().expect("a path in UTF-8")),
        ("IDP_TOKEN_STORE_URL", "memory:"),
    ];
    // The file that the example names does not exist.
    let vault =
        [("AUTH0_TOKEN_VAULT_CONNECTIONS", "google-oauth2"), ("AUTH0_TOKEN_VAULT_PRIVATE_KEY_FILE", &*key)];
    let short = config(EXAMPLE, &[&SECRETS[..2], &vault].concat());
    let long = config(&uncommented(), &[&SECRETS[..], &files, &vault].concat());
    assert_eq!(Some(short.providers["acme-workspace"].strategy), Strategy::named("google-apps"));
    assert_eq!(long.providers["facebook"].settings.api_version.as_deref(), Some("v25.0"));
    let settings = |config: &Config| {
        let Config { listen, admin_listen, insecure, default_deadline, drain, log, auth0, audit, .. } =
            config;
        let audit = (&audit.destination, audit.format, audit.level);
        format!(
            "{listen} {admin_listen} {insecure} {default_deadline:?} {drain:?} {log:?} {auth0:?} {audit:?}"
        )
    };
    assert_eq!(settings(&short), settings(&long), "the example shows the defaults");
}

#[test]
fn the_example_shows_every_key() {
    let text = uncommented();
    for key in known() {
        let name = key.path.pattern.rsplit('.').next().unwrap_or_default().to_owned();
        assert!(text.lines().any(|line| line.starts_with(&format!("{name} = "))), "{}", key.path.pattern);
    }
}
