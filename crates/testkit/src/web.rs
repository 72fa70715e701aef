//! Callers that speak gRPC, gRPC-Web or the Connect protocol, and what they read.

use std::{net::SocketAddr, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use bytes::Bytes;
use idp_token_service::service::pb;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use tonic::{Code, Status, client::Grpc, transport::Channel};
use tonic_types::pb::Status as Details;

use super::PATIENCE;

/// The ways to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Grpc,
    GrpcWeb,
    GrpcWebText,
    ConnectJson,
    ConnectProto,
}

impl Way {
    pub const ALL: [Self; 5] =
        [Self::Grpc, Self::GrpcWeb, Self::GrpcWebText, Self::ConnectJson, Self::ConnectProto];

    /// Those that are not gRPC itself.
    pub const WEB: [Self; 4] = [Self::GrpcWeb, Self::GrpcWebText, Self::ConnectJson, Self::ConnectProto];

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web+proto",
            Self::GrpcWebText => "application/grpc-web-text",
            Self::ConnectJson => "application/json",
            Self::ConnectProto => "application/proto",
        }
    }

    fn timeout(self, timeout: Duration) -> (&'static str, String) {
        match self {
            Self::ConnectJson | Self::ConnectProto => ("connect-timeout-ms", timeout.as_millis().to_string()),
            _ => ("grpc-timeout", format!("{}m", timeout.as_millis())),
        }
    }
}

/// The URL of an RPC.
pub fn url(service: SocketAddr, method: &str) -> String {
    format!("http://{service}/idptoken.v1.IdpTokenService/{method}")
}

/// A client that sends what it is told and nothing more.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// A POST of JSON to an RPC.
pub fn post(service: SocketAddr, method: &str, json: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    http().post(url(service, method)).header("content-type", "application/json").body(json)
}

/// One call.
pub struct Ask<'a> {
    pub method: &'a str,
    pub token: Option<&'a str>,
    pub timeout: Option<Duration>,
}

impl<'a> Ask<'a> {
    pub fn to(method: &'a str) -> Self {
        Self { method, token: None, timeout: None }
    }

    /// Sends `message`, which is an `idptoken.v1.` of the name `kind`: the answer's message.
    pub async fn send<T: Message + Default + 'static>(
        &self,
        way: Way,
        service: SocketAddr,
        message: T,
        kind: &str,
    ) -> Result<Bytes, Status> {
        if way == Way::Grpc {
            return self.grpc(service, message).await;
        }
        let body = match way {
            Way::ConnectJson => to_json(&message, kind).into_bytes(),
            Way::ConnectProto => message.encode_to_vec(),
            Way::GrpcWebText => BASE64_STANDARD.encode(frame(&message)).into_bytes(),
            _ => frame(&message),
        };
        let mut request = http().post(url(service, self.method)).header("content-type", way.content_type());
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(timeout) = self.timeout {
            let (name, value) = way.timeout(timeout);
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.unwrap();
        match way {
            Way::ConnectJson | Way::ConnectProto => read_connect(answer).await,
            _ => read_grpc_web(answer).await,
        }
    }

    async fn grpc<T: Message + Default + 'static>(
        &self,
        service: SocketAddr,
        message: T,
    ) -> Result<Bytes, Status> {
        let mut grpc = Grpc::<Channel>::new(super::channel(service)).max_encoding_message_size(usize::MAX);
        grpc.ready().await.unwrap();
        let mut request = tonic::Request::new(message);
        if let Some(token) = self.token {
            let token = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", token);
        }
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        let path = format!("/idptoken.v1.IdpTokenService/{}", self.method).try_into().unwrap();
        let codec = tonic_prost::ProstCodec::<T, ()>::default();
        grpc.unary(request, path, codec).await.map(|_| Bytes::new())
    }
}

fn frame(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut frame).unwrap();
    frame
}

/// A message of the contract as JSON.
pub fn to_json(message: &impl Message, kind: &str) -> String {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let kind = pool.get_message_by_name(&format!("idptoken.v1.{kind}")).unwrap();
    let message = DynamicMessage::decode(kind, &*message.encode_to_vec()).unwrap();
    serde_json::to_string(&message).unwrap()
}

/// The JSON of an answer.
pub async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// What gRPC would have said of an error in Connect's JSON.
pub fn status_of(error: &Value) -> Status {
    let code = code(error["code"].as_str().expect("an error has a code"));
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let detail = |detail: &Value| prost_types::Any {
        type_url: format!("type.googleapis.com/{}", detail["type"].as_str().unwrap()),
        value: BASE64_STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap(),
    };
    let details: Vec<_> = details.iter().map(detail).collect();
    if details.is_empty() {
        return Status::new(code, message);
    }
    let details = Details { code: code as i32, message: message.clone(), details };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn code(name: &str) -> Code {
    let spelt = |code: &Code| match code {
        Code::Cancelled => "canceled".to_owned(),
        code => idp_token_service::telemetry::metrics::code_name(*code).to_ascii_lowercase(),
    };
    let mut codes = (1..17).map(Code::from_i32);
    codes.find(|code| spelt(code) == name).unwrap_or_else(|| panic!("{name} is no code of Connect's"))
}

async fn read_connect(answer: reqwest::Response) -> Result<Bytes, Status> {
    let is_well = answer.status() == 200;
    let body = answer.bytes().await.unwrap();
    if is_well { Ok(body) } else { Err(status_of(&serde_json::from_slice(&body).unwrap())) }
}

async fn read_grpc_web(answer: reqwest::Response) -> Result<Bytes, Status> {
    assert_eq!(answer.status(), 200);
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return Err(status);
    }
    let is_text = answer.headers()["content-type"].to_str().unwrap().contains("-text");
    let body = answer.bytes().await.unwrap();
    let body = if is_text { untext(&body) } else { body.to_vec() };
    let (mut message, mut rest) = (Bytes::new(), &body[..]);
    while let Some((head, more)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let (content, more) = more.split_at(length);
        if head[0] & 0x80 == 0 {
            message = Bytes::copy_from_slice(content);
        } else {
            trailers(content)?;
        }
        rest = more;
    }
    Ok(message)
}

/// Pieces of base64, each padded for itself.
fn untext(text: &[u8]) -> Vec<u8> {
    text.chunks(4).flat_map(|group| BASE64_STANDARD.decode(group).unwrap()).collect()
}

fn trailers(text: &[u8]) -> Result<(), Status> {
    let lines = std::str::from_utf8(text).unwrap().split("\r\n").filter_map(|line| line.split_once(':'));
    let pair =
        |(name, value): (&str, &str)| (name.trim().try_into().unwrap(), value.trim().try_into().unwrap());
    let headers: http::HeaderMap = lines.map(pair).collect();
    let status = Status::from_header_map(&headers).expect("trailers have a status");
    if status.code() == Code::Ok { Ok(()) } else { Err(status) }
}
