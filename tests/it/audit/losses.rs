//! What happens to the log from outside: rotated, without room, stopped. No record is lost in silence.

use std::{collections::BTreeSet, os::unix::fs::symlink, path::Path, process::Stdio, time::Duration};

use idp_token_sandbox::{Fault, Sandbox, Seed};
use idp_token_service::{
    server::{Server, StartError},
    service::pb::{
        CallProviderRequest, ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
    },
};
use idp_token_testkit::{
    ANYWHERE, World, assert_error,
    audit::{Log, records},
    channel, eventually, get,
    http::Build,
    issuer::Issuer,
    keys, page,
    people::{ADA, google},
    process::{Running, command, environment, run},
};
use tokio::task::JoinSet;
use tonic::{
    Code::{Unauthenticated, Unavailable},
    Status,
    transport::Channel,
};

use super::{listing, recorded, with};

type Client = IdpTokenServiceClient<Channel>;

async fn list(client: &Client, id: &str) -> Result<(), Status> {
    client.clone().list_identities(with(listing(ADA), "x-request-id", id)).await.map(drop)
}

/// All request ids of the records in these files, of which none is there twice.
fn ids(files: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for text in files {
        assert!(text.is_empty() || text.ends_with('\n'), "a torn record");
        for record in records(&text) {
            let id = record["request_id"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "{record}");
        }
    }
    ids
}

#[tokio::test]
async fn under_load_a_log_can_be_renamed_and_removed_at_any_time() {
    const CALLERS: usize = 8;
    const CALLS: usize = 150;
    let log = Log::new();
    let mut world = recorded(&log).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = world.service.client();
        callers.spawn(async move {
            for call in 0..CALLS {
                list(&client, &format!("{caller}-{call}")).await.unwrap();
            }
        });
    }
    // As logrotate does it; the new file is the writer's to make.
    let mut old = Vec::new();
    while !callers.is_empty() {
        if log.path().exists() {
            let name = log.beside(&format!("audit.log.{}", old.len()));
            std::fs::rename(log.path(), &name).unwrap();
            old.push(name);
        }
        tokio::select! {
            Some(done) = callers.join_next() => done.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    world.service.begin_to_stop();
    world.service.stopped().await;
    assert!(old.len() > 3, "it was rotated while calls were made");
    let texts = old.iter().map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(ids(texts.chain([log.text()])).len(), CALLERS * CALLS);
}

/// A service whose log has no room, and calls that need nobody.
async fn without_room(log: &Log, issuer: &Issuer) -> World {
    symlink("/dev/full", log.path()).unwrap();
    World::configured(|config| {
        log.record(config);
        issuer.trust(config);
    })
    .await
}

async fn value(world: &World, metric: &str) -> u64 {
    let (_, text) = page(world.service.admin, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(metric)).unwrap();
    line.trim().parse().unwrap()
}

/// Makes calls until the service refuses them for want of a record: how many it answered.
async fn fill(client: &Client) -> usize {
    let mut answered = 0;
    loop {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let client = client.clone();
            calls.spawn(async move { list(&client, "filling").await.unwrap_err() });
        }
        let outcomes = calls.join_all().await;
        let refused = outcomes.iter().filter(|status| status.code() != Unauthenticated).count();
        answered += outcomes.len() - refused;
        assert!(answered < 20_000, "the queue has no end");
        if refused > 0 {
            let status = outcomes.into_iter().find(|status| status.code() == Unavailable).unwrap();
            assert!(status.message().contains("audit log"), "{}", status.message());
            assert_error(Err::<(), _>(status), Unavailable, "OVERLOADED");
            return answered;
        }
    }
}

#[tokio::test]
async fn without_room_for_records_calls_are_refused_and_later_no_record_is_missing() {
    let (log, issuer) = (Log::new(), Issuer::start().await);
    let world = without_room(&log, &issuer).await;
    let client = world.service.client();
    let answered = fill(&client).await;
    assert!((8192..8192 + 1024).contains(&answered), "{answered}");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    assert_eq!(value(&world, "idp_token_audit_records_total").await, 0);
    assert!(value(&world, "idp_token_audit_write_failures_total").await > 0);
    assert!(value(&world, "idp_token_audit_calls_left_out_total").await > 0);
    let (status, text) = page(world.service.admin, "/readyz").await;
    assert_eq!((status, text.as_str()), (503, "not ready: the audit log cannot be written\n"));

    std::fs::remove_file(log.path()).unwrap();
    eventually("all that was kept", async || log.text().matches('\n').count() == answered).await;
    eventually("readiness", async || page(world.service.admin, "/readyz").await.0 == 200).await;
    list(&client, "last").await.unwrap_err();
    let all = log.after(answered + 1).await;
    assert_eq!(all[answered]["request_id"], "last");
    assert_eq!(value(&world, "idp_token_audit_records_total").await, answered as u64 + 1);
}

/// The real program, with a log and a tenant of its own.
struct Stage {
    sandbox: Sandbox,
    log: Log,
}

impl Stage {
    async fn new() -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        Self { sandbox: Sandbox::start(seed, ANYWHERE).await.unwrap(), log: Log::new() }
    }

    async fn serve(&self, file: &str, stdout: Stdio) -> Running {
        let mut serve = command(&["serve"]);
        serve.envs(environment(&self.sandbox)).env("IDP_TOKEN_DRAIN", "2s").env("IDP_TOKEN_AUDIT_FILE", file);
        let service = Running::saying(serve, stdout).await;
        eventually("readiness", async || service.page("/readyz").await.0 == 200).await;
        service
    }

    fn path(&self) -> String {
        self.log.path().display().to_string()
    }
}

#[tokio::test]
async fn at_sigterm_every_call_is_on_record_before_the_process_ends() {
    let stage = Stage::new().await;
    let service = stage.serve(&stage.path(), Stdio::null()).await;
    let client = Client::new(channel(service.grpc));
    for call in 0..20 {
        list(&client, &call.to_string()).await.unwrap();
    }
    stage.sandbox.faults().script(Fault::on(stage.sandbox.domain()).path("/api/v2/users/").hang());
    let mut late = client.clone();
    let request =
        with(ListIdentitiesRequest { user_id: "auth0|x".to_owned(), ..listing("") }, "x-request-id", "late");
    let late = tokio::spawn(async move { late.list_identities(request).await });
    let journal = stage.sandbox.journal();
    eventually("the late call", async || journal.profile_reads() > 1).await;
    // Rotated by someone who sends a signal, which must not end the process.
    std::fs::rename(stage.log.path(), stage.log.beside("old")).unwrap();
    service.signal("HUP").await;
    list(&client, "after").await.unwrap();
    service.signal("TERM").await;
    let (status, log) = service.ended().await;
    late.await.unwrap().unwrap_err();
    assert!(status.success(), "{log}");
    let old = std::fs::read_to_string(stage.log.beside("old")).unwrap();
    let ids = ids([old, stage.log.text()]);
    assert_eq!(ids.len(), 22, "{ids:?}");
    assert!(ids.contains("late") && ids.contains("after"));
}

#[tokio::test]
async fn records_that_cannot_be_written_at_the_end_are_told_of() {
    let stage = Stage::new().await;
    symlink("/dev/full", stage.log.path()).unwrap();
    let service = stage.serve(&stage.path(), Stdio::null()).await;
    list(&Client::new(channel(service.grpc)), "lost").await.unwrap();
    eventually("the first failure", async || service.log().contains("The audit log cannot be written")).await;
    service.signal("TERM").await;
    let (_, log) = service.ended().await;
    assert!(log.contains("Audit records are lost") && log.contains("records=1"), "{log}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_keeps_no_process_from_its_end() {
    let stage = Stage::new().await;
    let (_reader, pipe) = std::io::pipe().unwrap();
    let service = stage.serve("-", pipe.into()).await;
    let client = Client::new(channel(service.grpc));
    // A pipe holds 64 KiB.
    for _ in 0..300 {
        list(&client, "unread").await.unwrap();
    }
    service.signal("TERM").await;
    let (status, log) = service.ended().await;
    assert!(status.success() && log.contains("could not be written in time: they are lost"), "{log}");
}

#[tokio::test]
async fn stdout_has_the_records_and_nothing_else() {
    let stage = Stage::new().await;
    let stdout = std::fs::File::create(stage.log.path()).unwrap();
    let service = stage.serve("-", stdout.into()).await;
    list(&Client::new(channel(service.grpc)), "one").await.unwrap();
    service.signal("TERM").await;
    let (_, log) = service.ended().await;
    assert_eq!(ids([stage.log.text()]), BTreeSet::from(["one".to_owned()]));
    assert!(stage.log.text().starts_with("{\"audit\":1,") && !log.contains("{\"audit\":1,"));
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_keeps_the_service_from_starting_and_check_says_so() {
    let stage = Stage::new().await;
    let config = idp_token_service::cli::sandbox_config(&stage.sandbox, ANYWHERE, ANYWHERE);
    let nowhere = "/nowhere/audit.log";
    let settings = |path: &Path| idp_token_service::audit::Settings {
        destination: idp_token_service::audit::Destination::File(path.to_owned()),
        ..stage.log.settings()
    };
    let config = idp_token_service::config::Config { audit: settings(Path::new(nowhere)), ..config };
    assert!(matches!(Server::bind(&config).await, Err(StartError::Audit(_))));

    let mut variables = environment(&stage.sandbox);
    variables.push(("IDP_TOKEN_AUDIT_FILE", nowhere.to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let served = run(&["serve"], &variables).await;
    assert_eq!(served.code, 64, "{}", served.stderr);
    assert!(served.stderr.contains("the audit log cannot be opened (`audit.file`)"), "{}", served.stderr);
    let checked = run(&["check"], &variables).await;
    assert_eq!(checked.code, 64, "{}", checked.stdout);
    assert!(checked.stdout.contains("ERROR   the audit log cannot be opened"), "{}", checked.stdout);
}

#[tokio::test]
async fn the_sandbox_records_where_it_is_asked_to() {
    let log = Log::new();
    let ports =
        ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tenant-listen", "127.0.0.1:0"];
    let quiet = run(&[&["sandbox", "--once"][..], &ports].concat(), &[]).await;
    assert_eq!(quiet.code, 0, "{}", quiet.stderr);
    assert!(!quiet.stdout.contains("\"audit\":"), "{}", quiet.stdout);
    let path = log.path().display().to_string();
    let asked = run(&[&["sandbox", "--once", "--audit", &path][..], &ports].concat(), &[]).await;
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let calls: Vec<_> = log.records().iter().map(|record| record["rpc"].clone()).collect();
    assert!(
        calls.contains(&"GetIdentityToken".into()) && calls.contains(&"CallProvider".into()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn the_request_that_is_under_way_when_the_log_fails_is_recorded_later() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
    log.after(1).await;
    // The folder of the log is away for a while: what happens meanwhile is kept.
    let (folder, away) = (log.path(), log.beside("away"));
    std::fs::rename(&folder, &away).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let request: CallProviderRequest = get("/oauth2/v3/userinfo").by(google(ADA));
    world.call_with(request).await.unwrap();
    eventually("trouble", async || page(world.service.admin, "/readyz").await.0 == 503).await;
    std::fs::remove_dir(&folder).unwrap();
    eventually("the record", async || log.text().ends_with('\n')).await;
    assert_eq!(log.records().len(), 1);
}
