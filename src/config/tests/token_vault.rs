//! `[auth0.token_vault]`.

use super::*;

const BOTH: &str = "[auth0.token_vault]\nconnections = ['google-oauth2', 'acme-hub', 'google-oauth2']\n";

fn connections(config: &Config) -> Vec<&str> {
    let vault = config.auth0.token_vault.as_ref().expect("there is a vault");
    vault.connections.iter().map(String::as_str).collect()
}

#[test]
fn the_vault_is_read_from_the_file_and_from_the_environment() {
    let (_folder, key) = rsa_key_file();
    let written = config(&format!("{LEAST}{BOTH}private_key_file = '{key}'\n"), &[]);
    assert_eq!(connections(&written), ["acme-hub", "google-oauth2"]);
    assert!(written.warnings.is_empty(), "{:?}", written.warnings);
    let variables = [
        ("AUTH0_TOKEN_VAULT_CONNECTIONS", "github, sharepoint"),
        ("AUTH0_TOKEN_VAULT_PRIVATE_KEY_FILE", &key),
    ];
    assert_eq!(connections(&config(LEAST, &variables)), ["github", "sharepoint"]);
    assert_eq!(connections(&config(&format!("{LEAST}{BOTH}"), &variables)), ["github", "sharepoint"]);
    assert!(config(LEAST, &[]).auth0.token_vault.is_none());
}

#[test]
fn a_wrong_vault_gets_its_remedy() {
    let (_folder, key) = rsa_key_file();
    let file = format!("private_key_file = '{key}'\n");
    let cases = [
        ("connections = []\n", "idp.toml:6: `auth0.token_vault.connections` is empty: list a connection"),
        (
            "connections = 'github'\n",
            "`auth0.token_vault.connections` must be an array, such as `[\"google-oauth2\"]`, not a string",
        ),
        ("connections = ['a b']\n", "`auth0.token_vault.connections` must be the name of a connection"),
        ("connections = ['github', 5]\n", "each written as a string in quotes, not as an integer"),
        (
            "",
            "`auth0.token_vault.connections` is missing: name the connections whose tokens are in the vault",
        ),
        ("connection = ['github']\n", "did you mean `auth0.token_vault.connections`?"),
    ];
    for (wrong, expected) in cases {
        let problems = problems(&format!("{LEAST}[auth0.token_vault]\n{wrong}{file}"), &[]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{wrong}: {problems:#?}");
        assert!(problems.len() == 1 || wrong.starts_with("connection ="), "{problems:#?}");
    }
    let variables =
        [("AUTH0_TOKEN_VAULT_CONNECTIONS", "github,,"), ("AUTH0_TOKEN_VAULT_PRIVATE_KEY_FILE", &key)];
    let expected =
        "`AUTH0_TOKEN_VAULT_CONNECTIONS` must be the name of a connection, such as `google-oauth2`";
    assert_eq!(problems(LEAST, &variables), [expected]);
}

#[test]
fn a_vault_without_a_good_key_is_refused() {
    let folder = folder();
    let secret = file(&folder, "secret", CANARY, 0o600).display().to_string();
    for (key, expected) in [
        ("", "`auth0.token_vault.private_key_file` is missing: name the RSA private key"),
        (
            "private_key_file = '/nowhere'\n",
            "`auth0.token_vault.private_key_file` names a file that cannot be read",
        ),
        (&format!("private_key_file = '{secret}'\n"), "names a file that is not PEM"),
    ] {
        let problems = problems(&format!("{LEAST}{BOTH}{key}"), &[]);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{key}: {problems:#?}");
    }
}
