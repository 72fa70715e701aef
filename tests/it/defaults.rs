//! What the real program refuses, or warns of at each start, so that nobody is insecure without knowing.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use idp_token_testkit::{
    ANYWHERE,
    process::{Running, command, run},
    tls::Pki,
};

/// A tenant that is not there: what is tested here comes before anybody asks it.
fn environment<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let common = [
        ("AUTH0_DOMAIN", "acme.eu.auth0.com"),
        ("AUTH0_BASE_URL", "http://127.0.0.1:1"),
        ("AUTH0_CLIENT_ID", "app"),
        ("AUTH0_CLIENT_SECRET", "secret"),
        ("IDP_TOKEN_LISTEN", "127.0.0.1:0"),
        ("IDP_TOKEN_ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let is_replaced = |name: &str| {
        more.iter().any(|(other, _)| *other == name || other.strip_suffix("_FILE") == Some(name))
    };
    let kept = common.into_iter().filter(|(name, _)| !is_replaced(name));
    kept.chain(more.iter().copied()).collect()
}

/// What a `serve` logs until it listens.
async fn log_of_start(more: &[(&str, &str)]) -> String {
    let mut serve = command(&["serve"]);
    serve.envs(environment(more));
    Running::start(serve).await.log()
}

#[tokio::test]
async fn off_loopback_it_does_not_start_where_anybody_could_call_or_read_along_and_says_what_to_do() {
    let pki = Pki::new();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| pki.path(name));
    let encrypted = [
        ("IDP_TOKEN_TLS_CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", key.to_str().unwrap()),
    ];
    // An address proves nothing to those who can take it.
    let trusting = [("IDP_TOKEN_TRUSTED_PEERS", "10.0.0.0/8")];
    for (address, more, lacks) in [
        ("0.0.0.0:0", &[][..], "calls arrive in plain text, and whoever reaches `listen`"),
        ("[::]:0", &[], "calls arrive in plain text, and whoever reaches `listen`"),
        ("0.0.0.0:0", &encrypted, "no caller proves who it is"),
        ("0.0.0.0:0", &trusting, "a trusted peer is known by its address alone"),
    ] {
        for name in ["serve", "check"] {
            let variables = [more, &[("IDP_TOKEN_LISTEN", address)]].concat();
            let ended = run(&[name], &environment(&variables)).await;
            assert_eq!((ended.code, &*ended.stdout), (64, ""), "{}", ended.stderr);
            for part in [lacks, "let callers prove who they are", "`insecure = true` to take the risk"] {
                assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
            }
        }
    }
}

#[tokio::test]
async fn who_takes_the_risk_is_warned_at_each_start_and_who_takes_none_is_not() {
    let warning =
        "WARN idp_token_service::cli::serve: `insecure` is set: calls arrive in plain text, and whoever";
    let risk = [("IDP_TOKEN_LISTEN", "0.0.0.0:0"), ("IDP_TOKEN_INSECURE", "true")];
    for _ in 0..2 {
        let log = log_of_start(&risk).await;
        assert_eq!(log.matches(warning).count(), 1, "{log}");
    }
    let log = log_of_start(&[]).await;
    assert!(!log.contains("insecure"), "{log}");
}

fn with_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_warned_of_without_a_word_of_it_and_one_of_ones_own_is_not() {
    let pki = Pki::new();
    let secret = pki.write("canary", "canary-secret");
    let keys = pki.write("keys", "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5MTI=\n");
    let store = format!("sqlite://{}", pki.path("tokens.db").display());
    let [certificate, key] = ["server.pem", "server.key"].map(|name| pki.path(name));
    let files = [
        ("AUTH0_CLIENT_SECRET_FILE", secret.to_str().unwrap()),
        ("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", keys.to_str().unwrap()),
        ("IDP_TOKEN_TLS_PRIVATE_KEY_FILE", key.to_str().unwrap()),
    ];
    let others =
        [("IDP_TOKEN_STORE_URL", &*store), ("IDP_TOKEN_TLS_CERTIFICATE_FILE", certificate.to_str().unwrap())];
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        [&secret, &keys, &key].into_iter().for_each(|file| with_mode(file, mode));
        let log = log_of_start(&[&files[..], &others].concat()).await;
        for (name, _) in files {
            let warning =
                format!("`{name}` names a file that its group or others may read (mode {mode:04o})");
            assert_eq!(log.contains(&warning), is_told, "{name}: {log}");
        }
        assert!(!log.contains("canary") && !log.contains("Y2FuYXJ5"), "{log}");
    }
}

#[tokio::test]
async fn rust_log_says_how_loud_the_start_is() {
    // A port that is taken ends it after its warnings.
    let holder = std::net::TcpListener::bind(ANYWHERE).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for (level, is_warned) in [("", true), ("warn", true), ("error", false), ("off", false)] {
        let variables = [("IDP_TOKEN_LISTEN", &*taken), ("RUST_LOG", level)];
        let ended = run(&["serve"], &environment(&variables)).await;
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("`auth0.base_url` is for tests"), is_warned, "{}", ended.stderr);
        assert!(ended.stderr.contains("cannot listen on"), "{}", ended.stderr);
    }
}
