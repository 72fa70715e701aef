//! The commands as a person or a script runs them: what they say, and the codes they end with.

use idp_token_service::sandbox::{ClientSeed, Fault, Sandbox, Seed};

use crate::support::{
    ANYWHERE, World, keys,
    people::{ADA, EDSGER},
    process::{Ended, environment, free_port, run},
};

/// Runs a command with the environment of `sandbox`, less what `changes` say.
async fn run_at(sandbox: &Sandbox, arguments: &[&str], changes: &[(&'static str, &str)]) -> Ended {
    let mut variables = environment(sandbox);
    variables.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run(arguments, &variables).await
}

async fn tenant(sow: impl FnOnce(&mut Seed)) -> Sandbox {
    let mut seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
    sow(&mut seed);
    Sandbox::start(seed, ANYWHERE).await.unwrap()
}

#[tokio::test]
async fn help_says_what_there_is_and_how_to_begin() {
    let help = run(&["--help"], &[]).await;
    assert_eq!(help.code, 0);
    for part in ["sandbox", "serve", "check", "call", "64 bad usage", "69 a needed service", "New here?"] {
        assert!(help.stdout.contains(part), "{part}\n{}", help.stdout);
    }
    let serve = run(&["serve", "--help"], &[]).await;
    assert!(serve.stdout.contains("AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET are enough"));
    assert!(serve.stdout.contains("--config"));
    let call = run(&["call", "--help"], &[]).await;
    assert!(call.stdout.contains("call ListIdentities '{\"userId\"") && call.stdout.contains("--address"));
    let sandbox = run(&["sandbox", "--help"], &[]).await;
    assert!(sandbox.stdout.contains("--once") && sandbox.stdout.contains("--seed"));
    assert!(run(&["--version"], &[]).await.stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn bad_usage_is_64() {
    for arguments in
        [&[][..], &["bogus"], &["serve", "--bogus"], &["call"], &["sandbox", "--listen", "nowhere"]]
    {
        let ended = run(arguments, &[]).await;
        assert_eq!(ended.code, 64, "{arguments:?}");
        assert!(
            ended.stderr.contains("Usage") || ended.stderr.contains("try '--help'"),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn serve_without_a_configuration_lists_what_is_missing_and_never_plays_the_sandbox() {
    for command in ["serve", "check"] {
        let ended = run(&[command], &[]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""));
        for part in ["auth0.domain", "auth0.client_id", "AUTH0_CLIENT_SECRET", "idp-token-service sandbox"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn every_mistake_in_a_file_is_told_with_its_line_and_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("service.toml");
    let text = "listne = \"x\"\ndrain = \"soon-canary\"\n[auth0]\ndomain = \"https://canary.example\"\nclient_id = \"id\"\n\
                client_secret = \"canary\"\nprofile_ttl = \"1h\"\n";
    std::fs::write(&file, text).unwrap();
    let ended = run(&["check", "--config", file.to_str().unwrap()], &[]).await;
    assert_eq!(ended.code, 64);
    assert!(ended.stderr.contains("4 problems to mend"), "{}", ended.stderr);
    for part in ["service.toml:1:", "`listen`", "service.toml:2:", "service.toml:4:", "service.toml:7:"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    let absent = run(&["serve", "--config", "/no/such/file"], &[]).await;
    assert_eq!(absent.code, 64);
    assert!(absent.stderr.contains("/no/such/file"), "{}", absent.stderr);
}

#[tokio::test]
async fn check_is_content_with_a_good_tenant() {
    let sandbox = tenant(|_| {}).await;
    let ended = run_at(&sandbox, &["check"], &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("the tenant answers as https://sandbox.eu.auth0.example/"));
    assert!(ended.stdout.contains("read:users and read:user_idp_tokens"));
    assert!(!ended.stdout.contains("ERROR") && !ended.stdout.contains("warning"), "{}", ended.stdout);
}

#[tokio::test]
async fn check_says_what_to_mend_at_the_tenant() {
    let sandbox = tenant(|seed| {
        seed.clients.push(ClientSeed {
            id: "sandbox-rich".to_owned(),
            scopes: Some(["read:users", "read:user_idp_tokens", "delete:users"].map(str::to_owned).to_vec()),
            ..seed.clients[0].clone()
        });
    })
    .await;
    let as_client = |id, secret| [("AUTH0_CLIENT_ID", id), ("AUTH0_CLIENT_SECRET", secret)];
    for (changes, code, part) in [
        (as_client("sandbox-service", "wrong"), 1, "ERROR   Auth0 refuses this service: 401"),
        (as_client("sandbox-blind", "sandbox-blind-secret"), 1, "lacks read:user_idp_tokens"),
        (as_client("sandbox-ungranted", "sandbox-ungranted-secret"), 1, "no client grant"),
        (
            as_client("sandbox-rich", "sandbox-service-secret"),
            0,
            "warning the client grant also has delete:users",
        ),
    ] {
        let ended = run_at(&sandbox, &["check"], &changes).await;
        assert_eq!(ended.code, code, "{}", ended.stdout);
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn check_notices_another_tenant_and_what_is_no_tenant() {
    let sandbox = tenant(|_| {}).await;
    let audience = sandbox.audience();
    let other = [("AUTH0_DOMAIN", "acme.eu.auth0.com"), ("AUTH0_AUDIENCE", audience.as_str())];
    let ended = run_at(&sandbox, &["check"], &other).await;
    assert_eq!(ended.code, 0, "a custom domain looks like this: {}", ended.stdout);
    assert!(ended.stdout.contains("warning the tenant calls itself"), "{}", ended.stdout);
    sandbox.faults().script(Fault::on(sandbox.domain()).path("/.well-known/").garbage());
    let ended = run_at(&sandbox, &["check"], &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("this is no Auth0 tenant"), "{}", ended.stdout);
}

#[tokio::test]
async fn check_of_a_tenant_that_is_not_there_is_69() {
    let sandbox = tenant(|_| {}).await;
    let nowhere = format!("http://{}", free_port());
    let ended = run_at(&sandbox, &["check"], &[("AUTH0_BASE_URL", &nowhere)]).await;
    assert_eq!(ended.code, 69, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("ERROR").count(), 2, "all findings at once: {}", ended.stdout);
    assert!(ended.stdout.contains("cannot connect to 127.0.0.1"), "{}", ended.stdout);
}

#[tokio::test]
async fn call_prints_an_answer_or_says_what_went_wrong() {
    let world = World::start().await;
    let url = format!("http://{}", world.service.address);
    let call = async |method: &str, json: &str| run(&["call", method, json, "--address", &url], &[]).await;

    let listed = call("ListIdentities", &format!(r#"{{"userId": "{ADA}"}}"#)).await;
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["identities"][0]["provider"], "google-oauth2");

    let identity = format!(r#"{{"identity": {{"userId": "{EDSGER}", "provider": "google-oauth2"}}}}"#);
    let refused = call("GetIdentityToken", &identity).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    for part in
        ["FAILED_PRECONDITION", "reason: REAUTHENTICATION_REQUIRED", "connection: google-oauth2", "help: "]
    {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }

    for (method, json, part) in [
        ("ListIdentities", "{", "JSON of a ListIdentitiesRequest"),
        ("ListIdentities", r#"{"user": "x"}"#, "JSON of a ListIdentitiesRequest"),
        ("ListIdentities", "{} {}", "JSON of a ListIdentitiesRequest"),
        ("Bogus", "{}", "choose one of ListIdentities, GetIdentityToken"),
        ("StreamProvider", "{}", "StreamProvider streams"),
    ] {
        let ended = call(method, json).await;
        assert_eq!(ended.code, 64, "{method} {json}");
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn call_without_a_service_is_69_and_with_a_bad_address_64() {
    let nowhere = format!("http://{}", free_port());
    let ended = run(&["call", "ListIdentities", "--address", &nowhere], &[]).await;
    assert_eq!(ended.code, 69);
    assert!(
        ended.stderr.contains("no service at") && ended.stderr.contains("is it running?"),
        "{}",
        ended.stderr
    );
    let ended = run(&["call", "ListIdentities", "--address", "not a url"], &[]).await;
    assert_eq!(ended.code, 64, "{}", ended.stderr);
}

#[tokio::test]
async fn the_sandbox_ends_after_its_tour_and_stays_on_loopback() {
    let anywhere = "127.0.0.1:0";
    let ports = ["--listen", anywhere, "--admin-listen", anywhere, "--tenant-listen", anywhere];
    let tour = run(&[&["sandbox", "--once"][..], &ports].concat(), &[]).await;
    assert_eq!((tour.code, tour.stderr.as_str()), (0, ""), "{}", tour.stdout);
    for part in ["1. ListIdentities", "2. GetIdentityToken", "3. CallProvider", "reason: IDENTITY_AMBIGUOUS"]
    {
        assert!(tour.stdout.contains(part), "{part}: {}", tour.stdout);
    }
    let open = run(&["sandbox", "--once", "--listen", "0.0.0.0:0"], &[]).await;
    assert_eq!(open.code, 64);
    assert!(open.stderr.contains("stays on loopback"), "{}", open.stderr);
}
