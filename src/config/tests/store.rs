//! The token store and its keys.

use super::*;

/// Returns a file with `store` that names its keys.
fn saying(store: &str) -> String {
    format!("{LEAST}[store]\n{store}\n")
}

fn keys(folder: &TempDir, text: &str) -> String {
    format!("encryption_keys_file = '{}'\n", file(folder, "keys", text, 0o600).display())
}

#[test]
fn without_a_word_tokens_are_kept_in_memory() {
    let store = config(LEAST, &[]).store;
    assert_eq!(format!("{:?}", store.url), "memory:");
    assert!(store.keys.is_none());
}

#[test]
fn a_database_is_named_with_its_keys() {
    let folder = folder();
    let store =
        config(&saying(&format!("url = 'sqlite:///tmp/a.db'\n{}", keys(&folder, &encryption_key(1)))), &[])
            .store;
    assert_eq!(format!("{:?}", store.url), "sqlite:///tmp/a.db");
    assert!(store.keys.is_some());
}

#[test]
fn a_url_with_a_password_may_stand_in_a_file_and_is_never_shown() {
    let folder = folder();
    let url = format!("postgres://ada:{CANARY}@db.example/tokens");
    let url_file = file(&folder, "url", &format!("{url}\n"), 0o600);
    let keys = keys(&folder, &encryption_key(1));
    let config = config(&saying(&format!("url_file = '{}'\n{keys}", url_file.display())), &[]);
    assert_eq!(format!("{:?}", config.store.url), "postgres://db.example:5432/tokens");
    assert!(!format!("{config:?}").contains(CANARY) && config.warnings.is_empty());
}

#[tokio::test]
async fn keys_that_were_added_to_the_file_are_found() {
    let folder = folder();
    let text = saying(&format!("url = 'sqlite:///tmp/a.db'\n{}", keys(&folder, &encryption_key(1))));
    let keyring = config(&text, &[]).store.keys.expect("they were named");
    keys(&folder, &format!("{}\n{}\n", encryption_key(1), encryption_key(2)));
    assert!(keyring.reload().await);
}

#[test]
fn a_wrong_store_gets_its_remedy_and_no_value_is_quoted() {
    let folder = folder();
    let right = keys(&folder, &encryption_key(1));
    let wrong_url = file(&folder, "url", CANARY, 0o600);
    let with = |text: &str| format!("url = 'sqlite:///a.db'\nencryption_keys_file = '{text}'");
    let empty = file(&folder, "none", "", 0o600).display().to_string();
    let bad =
        file(&folder, "bad", &format!("{}\n{CANARY}\n", encryption_key(1)), 0o600).display().to_string();
    let cases = [
        (
            "url = 'canary-2f9d'".to_owned(),
            "idp.toml:6: `store.url` must be `memory:`, `sqlite:///absolute/path",
        ),
        ("url = 'sqlite://tokens.db'".to_owned(), "`store.url` must be `memory:`"),
        ("url = 'postgres://a:canary-2f9d@b:x/y'".to_owned(), "`store.url` is no valid PostgreSQL URL"),
        ("url = 5".to_owned(), "`store.url` must be a text, written as a string in quotes"),
        (
            format!("url_file = '{}'\n{right}", wrong_url.display()),
            "`store.url_file` names a file whose content must be `memory:`",
        ),
        (
            format!("url = 'memory:'\nurl_file = '{}'", wrong_url.display()),
            "`store.url_file` contradicts `store.url`; keep one of them",
        ),
        (
            "url = 'sqlite:///a.db'".to_owned(),
            "`openssl rand -base64 32`, or set `IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE`",
        ),
        (
            with("/nowhere/canary-2f9d"),
            "idp.toml:7: `store.encryption_keys_file` names an unusable file: it cannot be read",
        ),
        (with(&empty), "names an unusable file: there is no key; `openssl rand -base64 32` makes one"),
        (with(&bad), "names an unusable file: line 2 is not base64 of 32 bytes"),
    ];
    for (wrong, expected) in cases {
        let problems = problems(&saying(&wrong), &[]);
        assert_eq!(problems.len(), 1, "{wrong}: {problems:#?}");
        assert!(problems[0].contains(expected), "{wrong}\nsays   {}\nwanted {expected}", problems[0]);
        assert!(!problems[0].contains(CANARY), "{}", problems[0]);
    }
}

#[test]
fn what_is_of_no_use_or_unsafe_in_a_store_is_warned_of() {
    let folder = folder();
    let warnings = |store: &str, mode: u32| -> Vec<_> {
        let text = format!("[auth0]\ndomain = 'a.auth0.com'\nclient_id = 'app'\n[store]\n{store}");
        let path = file(&folder, "idp.toml", &text, mode);
        let variables = [("AUTH0_CLIENT_SECRET", "x")].into_iter().collect();
        let config = Config::load(Some(&path), &variables).expect("the configuration is right");
        config.warnings.iter().map(Problem::to_string).collect()
    };
    let right = keys(&folder, &encryption_key(1));
    assert!(warnings(&right, 0o600)[0].contains("has no effect, since `store.url` is `memory:`"));
    let open = file(&folder, "open", &encryption_key(1), 0o640);
    let open = format!("url = 'sqlite:///a.db'\nencryption_keys_file = '{}'\n", open.display());
    assert!(warnings(&open, 0o600)[0].contains("may read (mode 0640)"));
    let password = format!("url = 'postgres://a:b@c/d'\n{right}");
    assert!(warnings(&password, 0o640)[0].contains("the configuration file holds a secret"));
    assert!(warnings(&password.replace(":b@", "@"), 0o640).is_empty());
    let unverified = format!("url = 'postgres://a@c/d?sslmode=require'\n{right}");
    let warned = warnings(&unverified, 0o600);
    assert!(warned[0].contains("`sslmode=require`") && warned[0].contains("write `sslmode=verify-full`"));
    assert_eq!(warned.len(), 1);
    assert!(warnings(&unverified.replace("@c/", "@localhost/"), 0o600).is_empty());
    assert!(warnings(&unverified.replace("require", "verify-full"), 0o600).is_empty());
}
