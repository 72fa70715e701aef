//! The commands as a person or a script runs them: what they say, and the codes they end with.

use idp_token_sandbox::{ClientSeed, Fault, Sandbox, Seed};
use idp_token_testkit::{
    ANYWHERE, PATIENCE, World, eventually, keys,
    people::{ADA, EDSGER},
    process::{Ended, Running, command, environment, free_port, run},
};

use tokio::io::{AsyncBufReadExt, BufReader};

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

/// For a sandbox that gets in nobody's way.
const FREE_PORTS: [&str; 6] =
    ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tenant-listen", "127.0.0.1:0"];

#[tokio::test]
async fn help_says_what_there_is_and_how_to_begin() {
    let help = run(&["--help"], &[]).await;
    assert_eq!(help.code, 0);
    for part in [
        "sandbox",
        "serve",
        "check",
        "rekey",
        "policy",
        "call",
        "64 bad usage",
        "69 a needed service",
        "New here?",
    ] {
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
    assert!(ended.stderr.contains("4 problems to fix"), "{}", ended.stderr);
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
    assert!(ended.stdout.ends_with("\nready to serve\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("ERROR"), "{}", ended.stdout);
    // The sandbox is not where its domain says, and that is all there is to warn of.
    assert_eq!(ended.stdout.matches("warning `auth0.base_url` is for tests").count(), 1, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("warning").count(), 1, "{}", ended.stdout);
}

#[tokio::test]
async fn check_says_what_to_fix_at_the_tenant() {
    let sandbox = tenant(|seed| {
        seed.clients.push(ClientSeed {
            id: "sandbox-rich".to_owned(),
            scopes: Some(
                ["read:users", "read:user_idp_tokens", "update:users", "read:clients"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
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
            "warning the client grant also has update:users and read:clients, which this service never needs; take \
             them away",
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
    assert!(ended.stdout.contains("this is not an Auth0 tenant"), "{}", ended.stdout);
}

#[tokio::test]
async fn check_of_a_tenant_that_is_not_there_is_69() {
    let sandbox = tenant(|_| {}).await;
    let nowhere = format!("http://{}", free_port());
    let ended = run_at(&sandbox, &["check"], &[("AUTH0_BASE_URL", &nowhere)]).await;
    assert_eq!(ended.code, 69, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("ERROR").count(), 1, "one cause is told once: {}", ended.stdout);
    assert!(ended.stdout.contains("cannot connect to 127.0.0.1"), "{}", ended.stdout);
    assert!(ended.stdout.contains("check `auth0.base_url` and the network"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("ready to serve"), "{}", ended.stdout);
}

#[tokio::test]
async fn check_of_a_tenant_in_trouble_is_69_and_says_to_try_again() {
    let sandbox = tenant(|_| {}).await;
    for status in [500, 429] {
        sandbox.faults().script(Fault::on(sandbox.domain()).path("/.well-known/").answer(status));
        let ended = run_at(&sandbox, &["check"], &[]).await;
        assert_eq!(ended.code, 69, "{}", ended.stdout);
        assert!(ended.stdout.contains(&format!("the tenant answered {status}")), "{}", ended.stdout);
        assert!(ended.stdout.contains("; try again"), "{}", ended.stdout);
    }
    sandbox.faults().script(Fault::on(sandbox.domain()).path("/oauth/token").answer(429).always());
    let ended = run_at(&sandbox, &["check"], &[]).await;
    assert_eq!(ended.code, 69, "{}", ended.stdout);
}

#[tokio::test]
async fn a_misspelt_variable_is_told_of_with_what_is_missing() {
    for command in ["check", "serve"] {
        let ended = run(&[command], &[("AUTH0_CLIENTID", "app")]).await;
        assert_eq!(ended.code, 64);
        let (problems, warnings) = ended.stderr.split_once("\nwarnings:\n").unwrap();
        assert!(problems.contains("3 problems to fix"), "{problems}");
        assert!(warnings.contains("`AUTH0_CLIENTID` is unknown; did you mean `AUTH0_CLIENT_ID`?"));
        assert!(!ended.stderr.contains("without an account"), "something is configured: {}", ended.stderr);
    }
}

/// Runs a command whose reader is gone before the first line.
async fn run_unread(mut command: tokio::process::Command) -> Ended {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(command);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended { code: output.status.code().unwrap(), stdout: String::new(), stderr }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_a_command_quietly() {
    let world = World::start().await;
    let mut check = command(&["check"]);
    check.envs(environment(&world.sandbox));
    let url = format!("http://{}", world.service.address);
    let user = format!(r#"{{"userId": "{ADA}"}}"#);
    let call = command(&["call", "ListIdentities", &user, "--address", &url]);
    let tour = command(&[&["sandbox", "--once"][..], &FREE_PORTS].concat());
    for (name, command) in [("check", check), ("call", call), ("sandbox", tour)] {
        let ended = run_unread(command).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (141, ""), "{name}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_service_at_once() {
    let sandbox = tenant(|_| {}).await;
    let mut serve = command(&["serve"]);
    // A fifth of it goes by before anything else: far more than this test has.
    serve.envs(environment(&sandbox)).env("IDP_TOKEN_DRAIN", "5m");
    let service = Running::ready(serve).await;
    service.signal("TERM").await;
    eventually("the end of readiness", async || service.page("/readyz").await.0 == 503).await;
    service.signal("TERM").await;
    let (status, _) = tokio::time::timeout(PATIENCE, service.ended()).await.expect("it ends at once");
    assert_eq!(status.code(), Some(143));
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
    for part in [
        "FAILED_PRECONDITION",
        "reason: REAUTHENTICATION_REQUIRED",
        "connection: google-oauth2",
        "help: ",
        "x-request-id: ",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }

    for (method, json, part) in [
        ("ListIdentities", "{", "JSON of a ListIdentitiesRequest"),
        ("ListIdentities", r#"{"user": "x"}"#, "JSON of a ListIdentitiesRequest"),
        ("ListIdentities", "{} {}", "JSON of a ListIdentitiesRequest"),
        ("GetIdentityToken", r#"{"minValidity": "60"}"#, "write a duration in seconds, like \"60s\""),
        ("Bogus", "{}", "choose one of ListIdentities, GetIdentityToken"),
        ("StreamProvider", "{}", "StreamProvider is a streaming RPC"),
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
    for (address, part) in [
        ("not a url", "`not a url` is not a URL; write it like http://127.0.0.1:50051"),
        ("localhost:51050", "`localhost:51050` has no scheme; write http://localhost:51050"),
        ("https://127.0.0.1:1", "`https://127.0.0.1:1` is not supported: this client speaks plain text only"),
        ("ftp://127.0.0.1:1", "write http://HOST:PORT, or use grpcurl for TLS"),
    ] {
        let ended = run(&["call", "ListIdentities", "--address", address], &[]).await;
        assert_eq!(ended.code, 64, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn call_at_a_port_of_something_else_says_so() {
    let world = World::start().await;
    // HTTP/1 alone, and HTTP/2 without gRPC.
    for address in [format!("http://{}", world.service.admin), world.sandbox.url()] {
        let ended = run(&["call", "ListIdentities", "--address", &address], &[]).await;
        assert_eq!(ended.code, 69, "{}", ended.stderr);
        let part = format!("{address} answers, but is not this service");
        assert!(ended.stderr.contains(&part), "{part}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_sandbox_ends_after_its_tour_and_stays_on_loopback() {
    let tour = run(&[&["sandbox", "--once"][..], &FREE_PORTS].concat(), &[]).await;
    assert_eq!((tour.code, tour.stderr.as_str()), (0, ""), "{}", tour.stdout);
    for part in ["1. ListIdentities", "2. GetIdentityToken", "3. CallProvider", "reason: IDENTITY_AMBIGUOUS"]
    {
        assert!(tour.stdout.contains(part), "{part}: {}", tour.stdout);
    }
    let open = run(&["sandbox", "--once", "--listen", "0.0.0.0:0"], &[]).await;
    assert_eq!(open.code, 64);
    assert!(open.stderr.contains("stays on loopback"), "{}", open.stderr);
    assert!(open.stderr.contains("say so with --off-loopback"), "{}", open.stderr);
}

#[tokio::test]
async fn a_sandbox_that_is_told_twice_is_open_to_others_and_warns_of_it() {
    let open = ["--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0", "--tenant-listen", "0.0.0.0:0"];
    let tour = run(&[&["sandbox", "--once", "--off-loopback"][..], &open].concat(), &[]).await;
    assert_eq!(tour.code, 0, "{}", tour.stderr);
    let warning = "is reachable from other machines: whoever gets there has the tokens of every user";
    assert_eq!(tour.stderr.matches(warning).count(), 2, "{}", tour.stderr);
}

#[tokio::test]
async fn a_sandbox_that_cannot_work_says_which_flag_or_key_to_change() {
    let same = ["sandbox", "--listen", "127.0.0.1:5555", "--admin-listen", "127.0.0.1:5555"];
    let ended = run(&same, &[]).await;
    assert_eq!(ended.code, 64, "{}", ended.stderr);
    assert!(ended.stderr.contains("--listen and --admin-listen must differ"), "{}", ended.stderr);

    let holder = std::net::TcpListener::bind(ANYWHERE).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let ended = run(&["sandbox", "--once", "--tenant-listen", &taken], &[]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for part in ["cannot listen on", "in use", "try another --tenant-listen"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }

    let service = "[[clients]]\nid = 'sandbox-service'\nsecret = 'sandbox-service-secret'\n\
                   scopes = ['read:users', 'read:user_idp_tokens']\n";
    let keep = "seed.toml: keep the client `sandbox-service` with its secret and scopes";
    for (seed, part) in [
        ("", keep),
        (&service.replace("-secret", "-other"), keep),
        (&service.replace(", 'read:user_idp_tokens'", ""), keep),
        (&format!("domain = 'localhost'\n{service}"), "`domain` must be a host name"),
        (&format!("signing_key = 'x'\n{service}"), "signing key"),
    ] {
        let ended = run_seed(seed).await;
        assert_eq!(ended.code, 64, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

async fn run_seed(seed: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seed.toml");
    std::fs::write(&file, seed).unwrap();
    run(&[&["sandbox", "--seed", file.to_str().unwrap()][..], &FREE_PORTS].concat(), &[]).await
}

#[tokio::test]
async fn the_hints_of_a_sandbox_name_its_own_users_and_the_program_as_it_was_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seed.toml");
    let seed = "[[clients]]\nid = 'sandbox-service'\nsecret = 'sandbox-service-secret'\n\
                scopes = ['read:users', 'read:user_idp_tokens']\n\
                [[users]]\nid = \"github|it's me\"\nname = 'Me'\nemail = 'me@x.example'\n\
                [[users.identities]]\nconnection = 'github'\nuser_id = '7'\n";
    std::fs::write(&file, seed).unwrap();
    let program = env!("CARGO_BIN_EXE_idp-token-service");
    let mut sandbox = command(&[&["sandbox", "--seed", file.to_str().unwrap()][..], &FREE_PORTS].concat());
    let mut child = sandbox.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut hints = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        hints.extend([&line, "\n"]);
        if line.starts_with("More of this") {
            break;
        }
    }
    for part in [
        &format!(r#"{program} call ListIdentities '{{"userId":"github|it'\''s me"}}'"#),
        r#""provider":"github","userId":"github|it'\''s me""#,
        "/sandbox/faults -d",
    ] {
        assert!(hints.contains(part), "{part}: {hints}");
    }
    assert!(!hints.contains("google-oauth2|") && !hints.contains("2000001"), "{hints}");
}
