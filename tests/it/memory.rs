//! The memory for calls: what is held stays within it, what was begun ends, and what is new is told to wait.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use idp_token_sandbox::Sandbox;
use idp_token_service::service::pb::idp_token_service_client::IdpTokenServiceClient;
use idp_token_testkit::{
    World, assert_error, channel, eventually, get,
    http::Build,
    people::{ADA, github},
    process::{Running, command, environment},
    wire::LargeFiles,
};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{Code, Request, Status, body::Body};
use tower::{Service, ServiceExt};

const MIB: usize = 1024 * 1024;
const BODY: usize = 4 * MIB;

/// The real program, whose GitHub has large files only, with this much memory for calls.
async fn serve(sandbox: &Sandbox, files: &LargeFiles, memory: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("service.toml");
    let hosts = format!("[providers.github]\nhosts = {{ \"api.github.com\" = \"{}\" }}\n", files.url());
    let rest = format!("[limits]\nmemory = \"{memory}\"\n[audit]\nfile = \"/dev/null\"\n");
    std::fs::write(&config, hosts + &rest).unwrap();
    let mut program = command(&["serve", "--config", config.to_str().unwrap()]);
    program.envs(environment(sandbox));
    Running::ready(program).await
}

/// Makes so many calls at once, 200 on a connection, and gives the reasons of those that failed.
async fn failures(running: &Running, count: usize) -> Vec<Status> {
    let mut calls = JoinSet::new();
    for of_one_connection in (0..count).collect::<Vec<_>>().chunks(200) {
        let client = IdpTokenServiceClient::new(channel(running.grpc)).max_decoding_message_size(2 * BODY);
        for _ in of_one_connection {
            let mut client = client.clone();
            let mut call = Request::new(get("/user").by(github(ADA)));
            call.set_timeout(Duration::from_secs(300));
            calls.spawn(async move {
                let answer = client.call_provider(call).await?.into_inner();
                assert_eq!(answer.body.len(), BODY);
                Ok(())
            });
        }
    }
    calls.join_all().await.into_iter().filter_map(Result::err).collect()
}

#[tokio::test]
async fn a_thousand_answers_of_four_mebibytes_stay_within_the_memory_for_calls() {
    let sandbox = World::start().await.sandbox;
    for chunked in [false, true] {
        let files = LargeFiles::of(BODY, chunked).await;
        let running = serve(&sandbox, &files, "256MiB").await;
        let before = running.peak_memory();
        let failures = failures(&running, 1024).await;
        let held = running.peak_memory() - before;
        assert!(held < 256 * MIB, "{} MiB", held / MIB);
        // So many were begun at most, and all that were begun ended well.
        assert!((500..700).contains(&failures.len()), "{}", failures.len());
        for status in failures {
            assert_error(Err::<(), _>(status), Code::Unavailable, "OVERLOADED");
        }
    }
}

/// Half a mebibyte of a message of four.
struct HalfSent(Option<Bytes>);

impl http_body::Body for HalfSent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
    }
}

async fn half_of_a_call(address: SocketAddr) {
    let length = u32::try_from(BODY).unwrap().to_be_bytes();
    let message = [&[0][..], &length, &vec![0; MIB / 2 - 5]].concat();
    let request = http::Request::post(format!("http://{address}/idptoken.v1.IdpTokenService/CallProvider"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(HalfSent(Some(message.into()))))
        .unwrap();
    let _ = channel(address).ready().await.unwrap().call(request).await;
}

#[tokio::test]
async fn while_half_sent_messages_hold_all_memory_no_call_that_needs_some_is_begun() {
    let files = LargeFiles::of(BODY, false).await;
    let world = World::configured(|config| {
        files.replace_github(config);
        config.limits.memory = 64 * MIB;
    })
    .await
    .ready()
    .await;
    // What is not kept back for answers, to the last byte.
    let half_sent: Vec<_> = (0..96).map(|_| tokio::spawn(half_of_a_call(world.service.address))).collect();
    eventually("refusals", async || world.call(github(ADA), get("/user")).await.is_err()).await;
    assert_error(world.call(github(ADA), get("/user")).await, Code::Unavailable, "OVERLOADED");
    world.list(ADA).await.unwrap();
    half_sent.iter().for_each(JoinHandle::abort);
    eventually("room", async || world.call(github(ADA), get("/user")).await.is_ok()).await;
}
