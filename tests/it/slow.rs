//! Clients that send half a message, or do not take their answers: they hold little, and nobody else's place.

use idp_token_service::service::pb::CallProviderRequest;
use idp_token_testkit::{
    PATIENCE, World,
    audit::Log,
    channel, eventually,
    frames::{
        DATA, END_HEADERS, END_STREAM, Frame, HEADERS, INITIAL_WINDOW_SIZE, PING, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, frame, greet, headers, headers_of, long_header, read, setting,
    },
    get,
    http::Build,
    issuer::{Issuer, Key},
    page,
    people::{ADA, github},
    wire::RawGitHub,
};
use prost::Message;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const LIST: &str = "/idptoken.v1.IdpTokenService/ListIdentities";
const CALL: &str = "/idptoken.v1.IdpTokenService/CallProvider";

/// Reads frames until one is of this kind.
async fn read_until(stream: &mut TcpStream, kind: u8) -> Frame {
    let reading = async {
        loop {
            let frame = read(stream).await.expect("the connection lives");
            if frame.kind == kind {
                return frame;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("a frame")
}

/// Waits until the server has seen all that was sent.
async fn settle(stream: &mut TcpStream) {
    stream.write_all(&frame(PING, 0, 0, &[0; 8])).await.unwrap();
    while read_until(stream, PING).await.flags == 0 {}
}

#[tokio::test]
async fn half_sent_calls_take_nobodys_place() {
    let log = Log::new();
    let world = World::configured(|config| log.record(config)).await.ready().await;
    let mut connections = Vec::new();
    // The server works on 1024 calls at once, has 8192 places in its audit log, and takes 200 calls on one
    // connection.
    for _ in 0..42 {
        let mut stream = greet(world.service.address).await;
        let half = |stream: u32| {
            let open = frame(HEADERS, END_HEADERS, stream, &headers(LIST));
            // A message of 100 bytes, of which one has come.
            [open, frame(DATA, 0, stream, &[0, 0, 0, 0, 100, 10])].concat()
        };
        let calls: Vec<u8> = (0..200).flat_map(|number| half(2 * number + 1)).collect();
        stream.write_all(&calls).await.unwrap();
        settle(&mut stream).await;
        connections.push(stream);
    }
    world.list(ADA).await.unwrap();
}

/// Four MiB from GitHub.
fn large() -> &'static [u8] {
    let body = "x".repeat(4 * 1024 * 1024);
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes().leak()
}

/// Makes a call, within a second, that is answered by [`large`], on a connection without any room for it.
async fn call_and_take_nothing(world: &World, content_type: &str) -> TcpStream {
    let message = get("/user").by(github(ADA));
    let body =
        if content_type == "application/proto" { message.encode_to_vec() } else { enveloped(&message) };
    let mut stream = greet(world.service.address).await;
    let closed = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 0));
    let timed = [
        headers_of(CALL, content_type),
        long_header("grpc-timeout", "1S"),
        long_header("connect-timeout-ms", "1000"),
    ]
    .concat();
    let open = frame(HEADERS, END_HEADERS, 1, &timed);
    stream.write_all(&[closed, open, frame(DATA, END_STREAM, 1, &body)].concat()).await.unwrap();
    stream
}

fn enveloped(message: &CallProviderRequest) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message.encode_to_vec()].concat()
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_thrown_away_at_the_calls_deadline() {
    let hub = RawGitHub::answering(large()).await;
    for protocol in ["application/grpc", "application/grpc-web+proto", "application/proto"] {
        let world = World::configured(|config| hub.replace_github(config)).await.ready().await;
        let mut stream = call_and_take_nothing(&world, protocol).await;
        assert_eq!(read_until(&mut stream, HEADERS).await.flags & END_STREAM, 0, "an answer with a body");
        eventually("the answer's end", async || {
            page(world.service.admin, "/metrics").await.1.contains("slow_peers_total 1")
        })
        .await;
        // Room comes too late.
        stream.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0x10, 0, 0])).await.unwrap();
        assert_eq!(read_until(&mut stream, RST_STREAM).await.stream, 1);
        settle(&mut stream).await;
    }
}

#[tokio::test]
async fn many_large_answers_at_once_arrive_whole() {
    let hub = RawGitHub::answering(large()).await;
    let world = World::configured(|config| hub.replace_github(config)).await.ready().await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let mut client = world.service.client();
        calls.spawn(async move { client.call_provider(get("/user").by(github(ADA))).await });
    }
    for answer in calls.join_all().await {
        let body = answer.unwrap().into_inner().body;
        assert!(body.len() == 4 * 1024 * 1024 && body.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn of_a_stranger_no_message_is_read() {
    let issuer = Issuer::start().await;
    let world = World::configured(|config| issuer.trust(config)).await;
    let made_up = format!("Bearer {}", Key::new("mine").sign(&issuer.claims()));
    for shown in [&[][..], &[("authorization", "Bearer junk")], &[("authorization", &*made_up)]] {
        let mut stream = greet(world.service.address).await;
        let shown: Vec<u8> = shown.iter().flat_map(|(name, value)| long_header(name, value)).collect();
        let call = frame(HEADERS, END_HEADERS, 1, &[headers(LIST), shown].concat());
        stream.write_all(&call).await.unwrap();
        assert_ne!(read_until(&mut stream, HEADERS).await.flags & END_STREAM, 0, "the call still waits");
    }
}

#[tokio::test]
async fn what_is_open_to_everybody_takes_small_messages_only() {
    let world = World::start().await;
    let mut health = HealthClient::new(channel(world.service.address));
    let asking = |service: String| HealthCheckRequest { service };
    let status = health.check(asking("x".repeat(5000))).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange);
    health.check(asking(String::new())).await.unwrap();
}
