//! JSON that was made to do harm. None of it reaches Auth0.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use idp_token_testkit::{
    PATIENCE, World, assert_error, metadata,
    people::ADA,
    web::{http, post, status_of, url},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

use crate::callers::admit_end_users;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Asserts that the call is refused for its message, in few words.
async fn assert_refused(request: reqwest::RequestBuilder, what: &str) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400, "{what}");
    let text = answer.text().await.unwrap();
    assert!(text.len() < 4096, "{what}: {} bytes", text.len());
    let error = serde_json::from_str(&text).unwrap();
    let details = assert_error(Err::<(), _>(status_of(&error)), Code::InvalidArgument, "INVALID_FIELD");
    assert!(["(message)", "request.body"].contains(&metadata(&details, "field")), "{what}: {text}");
}

#[tokio::test]
async fn json_that_is_no_message_is_refused_in_few_words() {
    let world = World::start().await.ready().await;
    let address = world.service.address;
    let nested = format!("{}{}", "{\"identity\":".repeat(50_000), "}".repeat(50_000));
    let keys: String = (0..100_000).map(|key| format!("\"k{key}\":1,")).collect();
    for (what, json) in [
        ("nothing", Vec::new()),
        ("no JSON", b"userId=ada".to_vec()),
        ("a list", b"[]".to_vec()),
        ("deep lists", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        ("deep objects", nested.into_bytes()),
        ("many keys", format!("{{{keys}\"k\":1}}").into_bytes()),
        ("a key twice", format!(r#"{{"userId":"{ADA}","userId":"x"}}"#).into_bytes()),
        ("two spellings", format!(r#"{{"userId":"{ADA}","user_id":"x"}}"#).into_bytes()),
        ("an unknown key", format!(r#"{{"userId":"{ADA}","admin":true}}"#).into_bytes()),
        ("a number for a text", br#"{"userId": 5}"#.to_vec()),
        ("an object for a text", br#"{"userId": {}}"#.to_vec()),
        (
            "too large a number",
            format!(r#"{{"userId":"{ADA}","pageSize":99999999999999999999}}"#).into_bytes(),
        ),
        (
            "too long a number",
            format!(r#"{{"userId":"{ADA}","pageSize":1{}}}"#, "0".repeat(100_000)).into_bytes(),
        ),
        ("infinity", format!(r#"{{"userId":"{ADA}","pageSize":1e999}}"#).into_bytes()),
        ("a fraction", format!(r#"{{"userId":"{ADA}","pageSize":1.5}}"#).into_bytes()),
        ("NaN", format!(r#"{{"userId":"{ADA}","pageSize":NaN}}"#).into_bytes()),
        ("no UTF-8", b"{\"userId\":\"\xff\xfe\"}".to_vec()),
        ("a byte order mark", format!("\u{feff}{{\"userId\":\"{ADA}\"}}").into_bytes()),
        ("a lone surrogate", br#"{"userId":"\ud800"}"#.to_vec()),
        ("a comment", format!(r#"{{"userId":"{ADA}"/**/}}"#).into_bytes()),
        ("two messages", format!(r#"{{"userId":"{ADA}"}}{{}}"#).into_bytes()),
        ("a message cut short", format!(r#"{{"userId":"{ADA}""#).into_bytes()),
        ("ten mebibytes", format!(r#"{{"userId":"{}"}}"#, "a".repeat(10 * 1024 * 1024)).into_bytes()),
        ("ten mebibytes of spaces", vec![b' '; 10 * 1024 * 1024]),
    ] {
        assert_refused(post(address, "ListIdentities", json), what).await;
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn a_body_that_is_no_base64_or_no_gzip_is_refused() {
    let world = World::start().await.ready().await;
    let address = world.service.address;
    let body = format!(r#"{{"identity":{{"userId":"{ADA}"}},"request":{{"path":"/","body":"ab*d"}}}}"#);
    assert_refused(post(address, "CallProvider", body), "no base64").await;
    let packed = |body: Vec<u8>| post(address, "ListIdentities", body).header("content-encoding", "gzip");
    let json = format!(r#"{{"userId":"{ADA}"}}"#);
    let whole = gzip(json.as_bytes());
    assert_refused(packed(json.into_bytes()), "JSON that says it is gzip").await;
    assert_refused(packed(whole[..whole.len() - 8].to_vec()), "gzip cut short").await;
    assert_refused(packed(gzip(&vec![b' '; 64 * 1024 * 1024])), "a bomb of 64 MiB in 64 KiB").await;
    let many = format!(r#"{{"request":{{"headers":[{}{{}}]}}}}"#, "{},".repeat(1_500_000));
    assert_refused(post(address, "CallProvider", many), "a million headers").await;
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn protobuf_that_is_no_message_is_refused() {
    let world = World::start().await.ready().await;
    let request = |body: Vec<u8>| {
        http()
            .post(url(world.service.address, "ListIdentities"))
            .header("content-type", "application/proto")
            .body(body)
    };
    assert_refused(request(b"\x08\x05".to_vec()), "a number for a text").await;
    assert_refused(request(b"\x0a\xff".to_vec()), "a length without end").await;
    assert_refused(request(vec![0; 5 * 1024 * 1024]), "five mebibytes").await;
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn a_stranger_s_message_is_not_even_read() {
    let world = World::configured(admit_end_users).await;
    let answer = post(world.service.address, "ListIdentities", vec![b'['; 100_000]).send().await.unwrap();
    assert_eq!(answer.status(), 401, "{}", answer.text().await.unwrap());
}

/// A request of which only the beginning comes.
async fn unfinished(world: &World, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.service.address).await.unwrap();
    let head = "POST /idptoken.v1.IdpTokenService/ListIdentities HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 1000\r\n";
    stream.write_all(format!("{head}{headers}\r\n{{\"userId\":").as_bytes()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(2 * PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_callers_deadline() {
    let world = World::start().await.ready().await;
    let answer = answer(unfinished(&world, "connect-timeout-ms: 300\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_no_longer_than_in_grpc() {
    let mut world = World::start().await.ready().await;
    let stream = unfinished(&world, "").await;
    // A third of the default deadline. Should the request arrive after this, it takes that long.
    world.pass(Duration::from_secs(11)).await;
    let answer = answer(stream).await;
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains(r#""stage":"queue""#), "{answer}");
}
