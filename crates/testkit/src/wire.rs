//! Both ends of the wire, for what no HTTP library would send or show.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use idp_token_service::{config::Config, service::pb::CallProviderRequest};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tonic::Status;

use super::{ANYWHERE, Service};

/// A GitHub that answers every request with the same bytes and hangs up. It keeps what it was sent, byte for
/// byte.
pub struct RawGitHub {
    url: url::Url,
    heard: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl RawGitHub {
    pub async fn answering(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let ear = Arc::clone(&heard);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                ear.lock().unwrap().push(request);
                let _ = stream.write_all(answer).await;
            }
        });
        Self { url, heard, serving }
    }

    /// Makes the service take this one for GitHub.
    pub fn replace_github(&self, config: &mut Config) {
        replace_github(&self.url, config);
    }

    /// The requests that came, as they came.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for RawGitHub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A GitHub that answers every request, however many come at once, with a file of so many `x`.
pub struct LargeFiles {
    url: url::Url,
    serving: JoinHandle<()>,
}

impl LargeFiles {
    /// Files of `length` bytes, which is announced unless they are `chunked`.
    pub async fn of(length: usize, chunked: bool) -> Self {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let body = "x".repeat(length);
        let answer = match chunked {
            true => format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
            false => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"),
        };
        let answer: Arc<str> = answer.into();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    read_request(&mut stream).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, serving }
    }

    /// Where they are.
    pub fn url(&self) -> &url::Url {
        &self.url
    }

    /// Makes the service take this one for GitHub.
    pub fn replace_github(&self, config: &mut Config) {
        replace_github(&self.url, config);
    }
}

impl Drop for LargeFiles {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn replace_github(url: &url::Url, config: &mut Config) {
    let hosts = BTreeMap::from([("api.github.com".to_owned(), url.clone())]);
    config.providers.get_mut("github").unwrap().host_overrides = hosts;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !is_whole(&String::from_utf8_lossy(&bytes)) {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

impl Service {
    /// The failure of a call by a client without a clock of its own, which tonic's has: so only the service
    /// ends it.
    pub async fn fail_within(&self, timeout: &str, message: &CallProviderRequest) -> Status {
        fail_within(self.address, timeout, message).await
    }
}

/// The same, at an address where something stands before a service.
pub async fn fail_within(address: SocketAddr, timeout: &str, message: &CallProviderRequest) -> Status {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut frame).unwrap();
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{address}/idptoken.v1.IdpTokenService/CallProvider");
    let request = client.post(url).header("content-type", "application/grpc").header("te", "trailers");
    let answer = request.header("grpc-timeout", timeout).body(frame).send().await.unwrap();
    Status::from_header_map(answer.headers()).expect("a failure has its status in the first headers")
}
