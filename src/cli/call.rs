//! `call`: one RPC with a JSON request and a JSON answer, through reflection's own descriptor.

use std::time::Duration;

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::Failure;
use crate::{service::pb, telemetry::metrics::code_name};

const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// As long as the server's own default.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The RPC, such as ListIdentities or GetIdentityToken
    method: String,
    /// The request in proto3's JSON form; `-` reads it from standard input
    #[arg(default_value = "{}")]
    json: String,
    /// Where the service listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    address: String,
}

const EXAMPLE: &str = r#"Example:
  idp-token-service call ListIdentities '{"userId": "google-oauth2|111199914890750704174"}'

The answer of GetIdentityToken contains the token: mind who sees your terminal."#;

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let json = match arguments.json.as_str() {
        "-" => {
            std::io::read_to_string(std::io::stdin()).map_err(|error| Failure::Usage(error.to_string()))?
        }
        _ => arguments.json,
    };
    let client = Client::connect(&arguments.address).await?;
    let answer = client.call(&arguments.method, &json).await?;
    println!("{}", answer.map_err(|status| Failure::Other(describe(&status)))?);
    Ok(())
}

/// Calls any RPC of the contract.
pub(super) struct Client {
    channel: Channel,
    pool: DescriptorPool,
}

impl Client {
    pub(super) async fn connect(address: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| {
            Failure::Usage(format!("`{address}` is no URL; write it like http://127.0.0.1:50051"))
        })?;
        let connected = endpoint.connect_timeout(TIMEOUT).timeout(TIMEOUT).connect().await;
        let channel = connected.map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::Unreachable(format!(
                "no service at {address}{cause}; is it running? See `serve` and `sandbox`"
            ))
        })?;
        let pool =
            DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).expect("the build makes a valid descriptor set");
        Ok(Self { channel, pool })
    }

    /// The answer as JSON, or the status that came instead of one.
    pub(super) async fn call(&self, method: &str, json: &str) -> Result<Result<String, Status>, Failure> {
        let service = self.pool.get_service_by_name(SERVICE).expect("the contract has its service");
        let Some(method) = service.methods().find(|candidate| candidate.name() == method) else {
            let known: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
            return Err(Failure::Usage(format!(
                "`{method}` is not an RPC; choose one of {}",
                known.join(", ")
            )));
        };
        if method.is_client_streaming() {
            return Err(Failure::Usage(format!("{} streams, which this command does not", method.name())));
        }
        let request = read(method.input(), json)?;
        let path = PathAndQuery::try_from(format!("/{SERVICE}/{}", method.name()))
            .map_err(|error| Failure::Other(error.to_string()))?;
        // A body of 4 MiB comes with headers.
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(8 * 1024 * 1024);
        grpc.ready().await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let answer = grpc.unary(Request::new(request), path, Dynamic(method.output())).await;
        answer.map(|answer| write(answer.get_ref())).map(Ok).or_else(|status| Ok(Err(status)))
    }
}

fn read(kind: MessageDescriptor, json: &str) -> Result<DynamicMessage, Failure> {
    let name = kind.name().to_owned();
    let mut json = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind, &mut json, &options);
    let message = message.and_then(|message| json.end().map(|()| message));
    message.map_err(|error| Failure::Usage(format!("this is not the JSON of a {name}: {error}")))
}

/// Indented, without the fields that have their default.
fn write(message: &DynamicMessage) -> String {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::pretty(&mut text);
    message
        .serialize_with_options(&mut json, &SerializeOptions::new())
        .expect("a message that was read from the wire can be written as JSON");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A status in words: code, message, and what its details add.
pub(super) fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let mut lines = vec![format!("{}: {}", code_name(status.code()), status.message())];
    if let Some(info) = details.error_info() {
        lines.push(format!("  reason: {} ({})", info.reason, info.domain));
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        lines.extend(metadata.into_iter().map(|(key, value)| format!("  {key}: {value}")));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        lines.push(format!("  try again in: {delay:?}"));
    }
    for link in details.help().map(|help| help.links.as_slice()).unwrap_or_default() {
        lines.push(format!("  help: {}\n        {}", link.description, link.url));
    }
    lines.join("\n")
}

/// Encodes and decodes messages whose type is known at run time only; it holds the type of the answer.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        DynamicDecoder(self.0.clone())
    }
}

struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message.encode_to_vec());
        Ok(())
    }
}

struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
