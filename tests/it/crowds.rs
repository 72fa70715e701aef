//! Thousands of connections that do nothing, against the real program: whoever calls is served.

use idp_token_sandbox::{Fault, Sandbox};
use idp_token_service::{
    server::raise_limit,
    service::pb::{ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient},
};
use idp_token_testkit::{
    World, assert_error, channel, eventually,
    frames::{ACK, PING, frame, greet, read},
    get,
    http::Build,
    page,
    people::{ADA, ALAN, GRACE, github, google},
    process::{Running, command, command_with_files, environment},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command, task::JoinSet};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

async fn serve(sandbox: &Sandbox, mut program: Command) -> Running {
    raise_limit();
    program.envs(environment(sandbox));
    Running::ready(program).await
}

async fn lists(channel: &Channel, user: &str) -> usize {
    let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
    let answer = IdpTokenServiceClient::new(channel.clone()).list_identities(request).await.unwrap();
    answer.into_inner().identities.len()
}

/// Connections that have said hello in HTTP/2, and nothing else.
async fn strangers(running: &Running, count: usize) -> Vec<TcpStream> {
    let mut strangers = Vec::new();
    for _ in 0..count {
        strangers.push(greet(running.grpc).await);
    }
    strangers
}

/// Whether the server still answers a PING.
async fn lives(stranger: &mut TcpStream) -> bool {
    if stranger.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_err() {
        return false;
    }
    while let Some(answer) = read(stranger).await {
        // One that is sent away may get a PING of the server's own first.
        if answer.kind == PING && answer.flags == ACK {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn eight_thousand_idle_strangers_keep_no_caller_out() {
    let world = World::start().await;
    let running = serve(&world.sandbox, command(&["serve"])).await;
    let early = channel(running.grpc);
    assert_eq!(lists(&early, ADA).await, 3);
    let mut strangers = strangers(&running, 8192).await;
    // A caller who was here before, one who comes now, and one user whom nobody has asked for.
    assert_eq!(lists(&early, ADA).await, 3);
    assert_eq!(lists(&channel(running.grpc), GRACE).await, 2);
    assert_eq!(running.page("/readyz").await.0, 200);
    // The longest idle have given way, down to an eighth of all.
    let mut living = 0;
    for stranger in &mut strangers {
        living += usize::from(lives(stranger).await);
    }
    assert!((900..=1024).contains(&living), "{living}");
}

#[tokio::test]
async fn with_a_thousand_descriptors_some_stay_for_auth0() {
    let world = World::start().await;
    let running = serve(&world.sandbox, command_with_files(1024, &["serve"])).await;
    let _strangers = strangers(&running, 2000).await;
    for user in [ADA, ALAN, GRACE] {
        assert!(lists(&channel(running.grpc), user).await > 0);
    }
    assert!(!running.log().contains("Cannot accept"), "{}", running.log());
}

#[tokio::test]
async fn a_thousand_silent_connections_to_the_admin_port_stop_neither_port() {
    let world = World::start().await;
    let running = serve(&world.sandbox, command_with_files(1024, &["serve"])).await;
    let mut silent = Vec::new();
    for _ in 0..1100 {
        silent.push(TcpStream::connect(running.admin).await.unwrap());
    }
    assert_eq!(running.page("/readyz").await.0, 200);
    assert!(running.page("/metrics").await.1.ends_with("# EOF\n"));
    assert_eq!(lists(&channel(running.grpc), ADA).await, 3);
}

#[tokio::test]
async fn a_limit_of_connections_that_descriptors_do_not_allow_is_warned_of() {
    let world = World::start().await;
    let mut program = command_with_files(1024, &["serve"]);
    program.env("IDP_TOKEN_LIMITS_CONNECTIONS", "2000");
    let running = serve(&world.sandbox, program).await;
    assert!(running.log().contains("allows fewer connections than configured"), "{}", running.log());
}

#[tokio::test]
async fn watches_of_the_health_leave_room_for_others_and_never_stop_a_check() {
    let world = World::start().await;
    let asks = || HealthCheckRequest { service: String::new() };
    let mut watches = JoinSet::new();
    for _ in 0..4 {
        let health = HealthClient::new(channel(world.service.address));
        for _ in 0..200 {
            let mut health = health.clone();
            watches.spawn(async move { health.watch(asks()).await });
        }
    }
    let (open, refused): (Vec<_>, Vec<_>) = watches.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((open.len(), refused.len()), (768, 32), "of 1,024 an address has three quarters");
    for outcome in refused {
        assert_error(outcome, Code::Unavailable, "OVERLOADED");
    }
    HealthClient::new(channel(world.service.address)).check(asks()).await.unwrap();
    assert_eq!(world.list(ADA).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_whose_places_are_taken_says_so_to_whoever_balances_the_load() {
    let world = World::start().await.ready().await;
    let mut calls = JoinSet::new();
    for (host, identity, path) in
        [("api.github.com", github(ADA), "/user"), ("www.googleapis.com", google(ADA), "/drive/v3/about")]
    {
        world.sandbox.faults().script(Fault::on(host).always().hang());
        for _ in 0..512 / 128 {
            let client = IdpTokenServiceClient::new(channel(world.service.address));
            for _ in 0..128 {
                let (mut client, call) = (client.clone(), get(path).by(identity.clone()));
                calls.spawn(async move { client.call_provider(call).await });
            }
        }
    }
    eventually("the word", async || {
        page(world.service.admin, "/readyz").await
            == (503, "not ready: all places for calls are taken\n".to_owned())
    })
    .await;
    drop(calls);
    eventually("readiness", async || page(world.service.admin, "/readyz").await.0 == 200).await;
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let world = World::start().await;
    let running = serve(&world.sandbox, command(&["serve"])).await;
    running.signal("HUP").await;
    assert_eq!(lists(&channel(running.grpc), ADA).await, 3);
    running.signal("TERM").await;
    let (status, log) = running.ended().await;
    assert!(status.success() && log.contains("Stopped"), "{log}");
}
