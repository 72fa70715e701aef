//! The keys that a renewal needs: their meaning, and their contradictions.

use idp_token_sandbox::Seed;

use super::*;
use crate::provider::{AuthMethod, IdentityApi, Settings};

fn settings(table: &str, variables: &[(&str, &str)]) -> Settings {
    let config = config(&format!("{LEAST}[providers.acme]\n{table}"), variables);
    config.providers["acme"].settings.clone()
}

fn rsa_key(folder: &TempDir, more: &str) -> String {
    let pem = Seed::new_signing_key().expect("a key for the test");
    file(folder, "key.pem", &format!("{more}{pem}"), 0o600).display().to_string()
}

#[test]
fn every_key_of_a_provider_of_ones_own_is_read() {
    let table = "strategy = 'oauth2'\nhosts = ['api.acme.example']\nclient_id = 'app'\nclient_secret = 'x'\n\
        token_auth_method = 'client_secret_basic'\ntoken_url = 'https://login.acme.example/token?p=1'\n\
        inspect_url = 'http://127.0.0.1:9000/inspect'\nrevoke_url = 'https://login.acme.example/revoke'\n\
        scopes = ['a.read', 'offline_access']\nrotates = false\nlifetime = '1h'\n";
    let settings = settings(table, &[]);
    assert_eq!((settings.client_id.as_deref(), settings.client_secret.is_some()), (Some("app"), true));
    assert_eq!(settings.token_auth_method, Some(AuthMethod::Basic));
    let urls = [&settings.token_url, &settings.inspect_url, &settings.revoke_url];
    let urls = urls.map(|url| url.as_ref().map(ToString::to_string).unwrap_or_default());
    let expected = [
        "https://login.acme.example/token?p=1",
        "http://127.0.0.1:9000/inspect",
        "https://login.acme.example/revoke",
    ];
    assert_eq!(urls, expected);
    assert_eq!(settings.scopes, ["a.read", "offline_access"]);
    assert_eq!((settings.rotates, settings.lifetime), (Some(false), Some(Duration::from_secs(3600))));
}

#[test]
fn what_is_not_set_is_left_to_the_adapter() {
    let settings = settings("strategy = 'oidc'\nhosts = ['api.acme.example']\n", &[]);
    assert!(settings.client_id.is_none() && settings.token_url.is_none() && settings.scopes.is_empty());
    assert_eq!((settings.rotates, settings.lifetime), (None, None));
}

#[test]
fn microsofts_older_endpoint_has_a_resource() {
    let table =
        "strategy = 'waad'\nidentity_api = 'azure-active-directory-v1.0'\nresource = 'https://a.example'\n";
    let settings = settings(table, &[]);
    assert_eq!(settings.identity_api, IdentityApi::V1);
    assert_eq!(settings.resource.as_deref(), Some("https://a.example"));
}

#[test]
fn scopes_of_a_variable_are_separated_by_spaces_and_take_the_place_of_the_files() {
    let table = "strategy = 'windowslive'\nscopes = 5\n";
    let settings = settings(table, &[("IDP_TOKEN_PROVIDERS_ACME_SCOPES", "User.Read  Mail.Read")]);
    assert_eq!(settings.scopes, ["User.Read", "Mail.Read"]);
}

#[test]
fn a_secret_alone_is_enough_for_facebook() {
    let settings = settings("strategy = 'facebook'\nclient_secret = 'x'\n", &[]);
    assert!(settings.client_id.is_none() && settings.client_secret.is_some());
}

#[test]
fn a_method_says_which_of_two_proofs_counts() {
    let folder = folder();
    let table = format!(
        "strategy = 'bitbucket'\nclient_id = 'app'\nclient_secret = 'x'\nprivate_key_file = '{}'\n",
        rsa_key(&folder, "")
    );
    let both = settings(&format!("{table}token_auth_method = 'private_key_jwt'\n"), &[]);
    assert!(both.client_secret.is_some() && both.private_key.is_some());
    let problems = problems(&format!("{LEAST}[providers.acme]\n{table}"), &[]);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with("idp.toml:5: `providers.acme` has a client secret and a `private_key_file`")
    );
}

#[test]
fn microsoft_wants_the_certificate_in_the_file_of_the_key_wherever_it_stands() {
    let folder = folder();
    let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let load = |strategy: &str, more: &str| {
        let key = rsa_key(&folder, more);
        let table = format!("strategy = '{strategy}'\nclient_id = 'app'\nprivate_key_file = '{key}'\n");
        load(&format!("{LEAST}[providers.acme]\n{table}"), &[])
    };
    for (strategy, more) in [("waad", certificate), ("google-oauth2", certificate), ("google-oauth2", "")] {
        assert!(load(strategy, more).is_ok(), "{strategy}");
    }
    let problems = load("waad", "").expect_err("there is no certificate");
    assert!(problems[0].contains("private_key_file` names a file without a certificate"), "{problems:?}");
    assert!(problems[0].starts_with("idp.toml:8: "), "{problems:?}");
}

#[test]
fn what_does_not_fit_together_is_told_with_the_remedy() {
    let cases = [
        (
            "github",
            "client_secret = 'x'",
            "idp.toml:5: `providers.acme` has a client secret or a private key and no",
        ),
        ("github", "client_id = 'x'", "nothing to prove it with: name the file that holds the client secret"),
        ("facebook", "client_id = 'x'", "nothing to prove it with"),
        (
            "google-oauth2",
            "token_auth_method = 'private_key_jwt'",
            "name the RSA private key of the application",
        ),
        ("google-oauth2", "token_auth_method = 'client_secret_post'", "takes a client secret, and none"),
        (
            "bitbucket",
            "client_id = 'x'\nclient_secret = 'y'\ntoken_auth_method = 'private_key_jwt'",
            "`token_auth_method = \"private_key_jwt\"` and no key",
        ),
        ("waad", "resource = 'https://a.example'", "add `identity_api = \"azure-active-directory-v1.0\"`"),
        ("waad", "identity_api = 'azure-active-directory-v1.0'\nscopes = ['a']", "write `resource` instead"),
        (
            "google-oauth2",
            "rotates = false",
            "idp.toml:7: `providers.acme.rotates` has no effect for the strategy",
        ),
        (
            "github",
            "lifetime = '1h'",
            "`providers.acme.lifetime` has no effect for the strategy `github`; remove it",
        ),
        ("facebook", "private_key_file = 'canary-2f9d'", "private_key_file` has no effect for the strategy"),
        ("github", "token_auth_method = 'client_secret_basic'", "has no effect for the strategy `github`"),
        ("github", "scopes = ['repo']", "`providers.acme.scopes` has no effect"),
        ("windowslive", "identity_api = 'azure-active-directory-v1.0'", "has no effect for the strategy"),
        ("bitbucket", "revoke_url = 'https://a.example'", "has no effect for the strategy"),
    ];
    for (strategy, wrong, expected) in cases {
        let problems = problems(&format!("{LEAST}[providers.acme]\nstrategy = '{strategy}'\n{wrong}\n"), &[]);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
        assert!(!problems[0].contains(CANARY), "{}", problems[0]);
    }
    let variable = problems(LEAST, &[("IDP_TOKEN_PROVIDERS_GITHUB_LIFETIME", "1h")]);
    let expected = "`IDP_TOKEN_PROVIDERS_GITHUB_LIFETIME` has no effect for the strategy `github`; unset it";
    assert_eq!(variable, [expected]);
}

#[test]
fn a_wrong_value_gets_its_remedy() {
    let cases = [
        ("client_id = 'a b'", "must be a client id as the provider shows it, without white space"),
        ("token_url = 'http://login.acme.example/token'", "`http://` is for loopback only"),
        ("token_url = 'https://a:canary-2f9d@login.acme.example'", "without credentials and fragment"),
        ("inspect_url = 'https://login.acme.example#a'", "without credentials and fragment"),
        ("revoke_url = 'login.acme.example/revoke'", "must be a URL such as"),
        ("revoke_url = 'ftp://login.acme.example/revoke'", "must be a URL such as"),
        (
            "token_auth_method = 'none'",
            "must be `client_secret_post`, `client_secret_basic` or `private_key_jwt`",
        ),
        (
            "scopes = 'a b'",
            "`providers.acme.scopes` must be an array of scopes such as `User.Read`, not a string",
        ),
        ("scopes = ['a b']", "each without spaces and quotes"),
        ("scopes = [5]", "must hold scopes such as `User.Read`, each written as a string in quotes"),
        ("rotates = 'no'", "must be `true` or `false`"),
        ("lifetime = '59s'", "must be a duration from 1m to 365d"),
        ("lifetime = '366d'", "must be a duration from 1m to 365d"),
        ("lifetime = 3600", "must be a duration from 1m to 365d"),
    ];
    for (wrong, expected) in cases {
        let table = format!("[providers.acme]\nstrategy = 'oauth2'\nhosts = ['api.acme.example']\n{wrong}\n");
        let problems = problems(&format!("{LEAST}{table}"), &[]);
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
        assert!(!problems[0].contains(CANARY), "{}", problems[0]);
    }
}

#[test]
fn the_table_of_hosts_says_where_endpoints_are_reached_without_making_them_api_hosts() {
    let hosts = |more: &str| {
        let table = "strategy = 'oauth2'\nhosts = { 'a-login.example' = 'http://127.0.0.1:1'";
        let config = config(
            &format!(
                "{LEAST}[providers.acme]\n{table}{more} }}\ntoken_url = 'https://a-login.example/token'\n"
            ),
            &[],
        );
        let provider = &config.providers["acme"];
        assert!(provider.host_overrides.contains_key("a-login.example"));
        provider.settings.hosts.clone()
    };
    assert_eq!(hosts(", 'api.example' = 'http://127.0.0.1:1'"), ["api.example"]);
    assert_eq!(hosts(""), ["a-login.example"], "an API may have its token endpoint on its only host");
}
