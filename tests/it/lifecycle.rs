//! The real program: how it starts, what it tells the world meanwhile, and how it stops.

use std::time::{Duration, Instant};

use idp_token_sandbox::{Fault, Sandbox, Seed};
use idp_token_service::service::pb::{
    CallProviderRequest, ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::{
    ANYWHERE, channel, eventually, get, keys,
    people::{ADA, DONALD, google},
    process::{Running, command, environment, host_overrides, run},
};
use tokio::process::Command;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};

const SECOND: Duration = Duration::from_secs(1);
const CONTRACT: &str = "idptoken.v1.IdpTokenService";

/// A tenant, and a configuration file for a `serve` that works with it.
struct Stage {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let seed = Seed { signing_key: Some(keys::SIGNING_KEY.clone()), ..Seed::sample() };
        let sandbox = Sandbox::start(seed, ANYWHERE).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("service.toml"), host_overrides(&sandbox)).unwrap();
        Self { sandbox, folder }
    }

    fn serve(&self) -> Command {
        let file = self.folder.path().join("service.toml");
        let mut command = command(&["serve", "--config", file.to_str().unwrap()]);
        command.envs(environment(&self.sandbox)).env("IDP_TOKEN_DRAIN", "2s");
        command
    }

    fn hold_up_google(&self, fault: impl FnOnce(Fault) -> Fault) {
        self.sandbox.faults().script(fault(Fault::on("www.googleapis.com")));
    }

    async fn google_is_asked(&self) {
        let journal = self.sandbox.journal();
        eventually("a call to Google", async || !journal.to("www.googleapis.com").is_empty()).await;
    }
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

async fn is_ready(service: &Running) {
    eventually("readiness", async || service.page("/readyz").await.0 == 200).await;
}

/// A call to Google that is under way while the test goes on.
fn calling(service: &Running) -> tokio::task::JoinHandle<Result<i32, tonic::Status>> {
    let mut client = IdpTokenServiceClient::new(channel(service.grpc));
    let request = CallProviderRequest {
        identity: Some(google(ADA)),
        request: Some(get("/oauth2/v3/userinfo")),
        ..Default::default()
    };
    tokio::spawn(
        async move { client.call_provider(request).await.map(|answer| answer.into_inner().status_code) },
    )
}

#[tokio::test]
async fn it_is_alive_at_once_and_ready_as_soon_as_auth0_lets_it_work() {
    let stage = Stage::new().await;
    stage
        .sandbox
        .faults()
        .script(Fault::on(stage.sandbox.domain()).path("/oauth/token").always().answer(401));
    let service = Running::start(stage.serve()).await;
    let channel = channel(service.grpc);
    assert_eq!(service.page("/healthz").await.0, 200);
    for name in ["", CONTRACT] {
        assert_eq!(health(&channel, name).await, NotServing, "{name:?}");
    }
    let (status, text) = service.page("/readyz").await;
    assert_eq!((status, text.as_str()), (503, "not ready\n"));
    eventually("a line that says why", async || service.log().contains("Not ready: Auth0 refuses")).await;

    stage.sandbox.faults().clear();
    let journal = stage.sandbox.journal();
    is_ready(&service).await;
    let granted = journal.entries().into_iter().rfind(|entry| entry.path == "/oauth/token").unwrap();
    // A second is promised; a busy machine may add some.
    assert!(granted.time.elapsed().unwrap() < 5 * SECOND);
    for name in ["", CONTRACT] {
        assert_eq!(health(&channel, name).await, Serving, "{name:?}");
    }
}

#[tokio::test]
async fn at_sigterm_calls_under_way_finish_and_no_new_ones_are_invited() {
    let stage = Stage::new().await;
    let mut serve = stage.serve();
    serve.env("IDP_TOKEN_DRAIN", "10s");
    let service = Running::start(serve).await;
    is_ready(&service).await;
    let mut watched = HealthClient::new(channel(service.grpc))
        .watch(HealthCheckRequest { service: CONTRACT.to_owned() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), Serving);
    // Connections are asked to go after a fifth of the drain time: the call outlasts that.
    stage.hold_up_google(|fault| fault.delay(3 * SECOND));
    let call = calling(&service);
    stage.google_is_asked().await;

    service.signal("TERM").await;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), NotServing);
    assert_eq!(service.page("/readyz").await.0, 503);
    assert_eq!(call.await.unwrap().unwrap(), 200, "it was under way");
    drop(watched);
    let (status, log) = service.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("Stopping") && log.contains("Stopped"), "{log}");
    assert!(!log.contains("still under way"), "{log}");
}

#[tokio::test]
async fn a_hung_call_holds_the_end_up_no_longer_than_the_drain_time() {
    let stage = Stage::new().await;
    let service = Running::start(stage.serve()).await;
    is_ready(&service).await;
    stage.hold_up_google(Fault::hang);
    let call = calling(&service);
    stage.google_is_asked().await;
    let asked = Instant::now();
    service.signal("TERM").await;
    let (status, log) = service.ended().await;
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0));
    // The call itself would have gone on for 30 s.
    assert!(took >= 2 * SECOND && took < 15 * SECOND, "{took:?}");
    assert!(log.contains("still under way at the end of the drain time"), "{log}");
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn sigint_stops_it_too_and_the_next_one_takes_the_same_port_at_once() {
    let stage = Stage::new().await;
    let first = Running::start(stage.serve()).await;
    let (grpc, admin) = (first.grpc, first.admin);
    is_ready(&first).await;
    // A connection that is open at the end leaves its port in TIME_WAIT.
    let channel = channel(grpc);
    assert_eq!(health(&channel, "").await, Serving);
    first.signal("INT").await;
    assert_eq!(first.ended().await.0.code(), Some(0));

    let mut again = stage.serve();
    again.env("IDP_TOKEN_LISTEN", grpc.to_string()).env("IDP_TOKEN_ADMIN_LISTEN", admin.to_string());
    let second = Running::start(again).await;
    assert_eq!((second.grpc, second.admin), (grpc, admin));
    is_ready(&second).await;
    let mut client = IdpTokenServiceClient::new(channel);
    let request = ListIdentitiesRequest { user_id: DONALD.to_owned(), ..Default::default() };
    eventually("the old channel to reconnect", async || {
        client.list_identities(request.clone()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_key() {
    let stage = Stage::new().await;
    let taken = std::net::TcpListener::bind(ANYWHERE).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, key) in [("IDP_TOKEN_LISTEN", "(listen)"), ("IDP_TOKEN_ADMIN_LISTEN", "(admin_listen)")] {
        let mut variables = environment(&stage.sandbox);
        variables.push((variable, address.clone()));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ended = run(&["serve"], &variables).await;
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains(&format!("cannot listen on {address} {key}")), "{}", ended.stderr);
    }
}
