//! Clients that send too much, too slowly or nothing: they cost little, and keep nobody else from being
//! served.

use idp_token_testkit::{
    PATIENCE, World,
    frames::{
        CONTINUATION, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, RST_STREAM, WINDOW_UPDATE, dismissed, frame,
        greet, headers,
    },
    page,
    people::ADA,
    tls::{Pki, client, connect},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

const METHOD: &str = "/idptoken.v1.IdpTokenService/ListIdentities";

#[tokio::test]
async fn a_client_that_takes_back_thousands_of_calls_at_once_is_sent_away() {
    let world = World::start().await.ready().await;
    let stream = greet(world.service.address).await;
    let call = |stream: u32| {
        let open = frame(HEADERS, END_HEADERS, stream, &headers(METHOD));
        // CANCEL
        [open, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let rapid: Vec<u8> = (0..5000).flat_map(|number| call(2 * number + 1)).collect();
    let outcome = timeout(PATIENCE, dismissed(stream, &rapid)).await.expect("an end");
    assert_eq!(outcome, Some(ENHANCE_YOUR_CALM));
    world.list(ADA).await.unwrap();
}

#[tokio::test]
async fn a_client_whose_headers_never_end_is_sent_away() {
    let world = World::start().await.ready().await;
    let stream = greet(world.service.address).await;
    // A literal header of a KiB (RFC 7541), in a frame of its own.
    let filler = [&[0x00, 1, b'x', 0x7f, 0x81, 0x07][..], &[b'a'; 1024]].concat();
    let mut endless = frame(HEADERS, 0, 1, &headers(METHOD));
    (0..10_000).for_each(|_| endless.extend(frame(CONTINUATION, 0, 1, &filler)));
    let outcome = timeout(PATIENCE, dismissed(stream, &endless)).await.expect("an end");
    assert!(outcome.is_some(), "no GOAWAY");
    world.list(ADA).await.unwrap();
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_again_and_again_is_sent_away() {
    let world = World::start().await.ready().await;
    let stream = greet(world.service.address).await;
    // A window that grows beyond its maximum is an error of its stream, which the server has to reset (RFC
    // 9113, section 6.9.1).
    let breach = |stream: u32| {
        let open = frame(HEADERS, END_HEADERS, stream, &headers(METHOD));
        [open, frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
    };
    let breaches: Vec<u8> = (0..5000).flat_map(|number| breach(2 * number + 1)).collect();
    let outcome = timeout(PATIENCE, dismissed(stream, &breaches)).await.expect("an end");
    assert_eq!(outcome, Some(ENHANCE_YOUR_CALM));
    world.list(ADA).await.unwrap();
}

#[tokio::test]
async fn headers_over_http_1_have_a_limit_and_a_time_too() {
    let world = World::start().await;
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(20 * 1024));
    let mut stream = TcpStream::connect(world.service.address).await.unwrap();
    stream.write_all(long.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");

    let mut slow = TcpStream::connect(world.service.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: local").await.unwrap();
    let end = timeout(PATIENCE, slow.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the connection still keeps its place");
}

#[tokio::test]
async fn over_tls_whoever_says_nothing_is_sent_away_before_and_after_the_handshake() {
    let pki = Pki::new();
    let world = World::configured(|config| config.tls = Some(pki.without_client_ca())).await;
    let address = world.service.address;
    let config = client(&[&pki.authority], None);
    let mut peers = JoinSet::new();
    for first in [&b""[..], &[22, 3, 1, 0, 200]] {
        peers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(first).await.unwrap();
            timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.is_ok()
        });
    }
    for first in [&b""[..], b"PRI * HTTP/2.0"] {
        let config = config.clone();
        peers.spawn(async move {
            let mut stream = connect(address, config).await.unwrap();
            stream.write_all(first).await.unwrap();
            stream.flush().await.unwrap();
            timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.is_ok()
        });
    }
    assert_eq!(peers.join_all().await, [true; 4], "a connection still keeps its place");
    assert!(page(world.service.admin, "/metrics").await.1.contains(r#"refused_total{reason="silent"} 4"#));
}
