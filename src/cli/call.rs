//! `call`: one RPC with a JSON request and a JSON answer, using the descriptor that reflection serves.

use std::{error::Error as _, time::Duration};

use http::uri::PathAndQuery;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

mod codec;

use codec::Dynamic;

use super::{Failure, output::say};
use crate::{
    service::{DOMAIN, pb},
    telemetry::metrics::code_name,
};

const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// Equal to the server's default deadline.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of an answer in bytes; the service returns bodies of up to 4 MiB, and headers beside them.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

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
  idp-token-service call ListIdentities '{"userId": "google-oauth2|108204268033311374519"}'

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
    match answer {
        Ok(json) => say(json),
        Err(status) if is_foreign(&status) => Err(Failure::Unreachable(format!(
            "{} answers, but is not this service; --address must be the service's `listen` address ({}: {})",
            arguments.address,
            code_name(status.code()),
            status.message()
        ))),
        Err(status) => Err(Failure::Other(describe(&status))),
    }
}

/// Returns whether the other side does not speak the contract. Every error of ours names its reason; one
/// without is a client's own, about an answer that is not gRPC or about no answer.
fn is_foreign(status: &Status) -> bool {
    let ours = status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN);
    let odd = matches!(status.code(), Code::Unimplemented | Code::Internal | Code::Unknown);
    !ours && (odd || breaks_the_protocol(status))
}

/// Returns whether the answer was not HTTP/2, which hyper says only in words.
fn breaks_the_protocol(status: &Status) -> bool {
    let is_protocol = |text: &str| text.contains("FRAME_SIZE_ERROR") || text.contains("PROTOCOL_ERROR");
    let mut cause = status.source();
    while let Some(error) = cause {
        if is_protocol(&error.to_string()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the endpoint of an address in plain text.
fn endpoint(address: &str) -> Result<Endpoint, Failure> {
    let bad = |what: &str| Err(Failure::Usage(format!("`{address}` {what}")));
    let Some((scheme, _)) = address.split_once("://") else {
        return match Endpoint::from_shared(format!("http://{address}")) {
            Ok(_) => bad(&format!("has no scheme; write http://{address}")),
            Err(_) => bad("is not a URL; write it like http://127.0.0.1:50051"),
        };
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return bad(
            "is not supported: this client speaks plain text only; write http://HOST:PORT, or use grpcurl for TLS",
        );
    }
    Endpoint::from_shared(address.to_owned())
        .or_else(|_| bad("is not a URL; write it like http://127.0.0.1:50051"))
}

/// Calls any RPC of the contract.
pub(super) struct Client {
    channel: Channel,
    pool: DescriptorPool,
}

impl Client {
    pub(super) async fn connect(address: &str) -> Result<Self, Failure> {
        let connected = endpoint(address)?.connect_timeout(TIMEOUT).timeout(TIMEOUT).connect().await;
        let channel = connected.map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::Unreachable(format!(
                "no service at {address}{cause}; is it running? See `serve` and `sandbox`"
            ))
        })?;
        let pool =
            DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).expect("the build makes a valid descriptor set");
        Ok(Self { channel, pool })
    }

    /// Returns the answer as JSON, or the error status.
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
            return Err(Failure::Usage(format!(
                "{} is a streaming RPC, which this command does not support",
                method.name()
            )));
        }
        let request = read(method.input(), json)?;
        let path = PathAndQuery::try_from(format!("/{SERVICE}/{}", method.name()))
            .map_err(|error| Failure::Other(error.to_string()))?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(ANSWER_LIMIT);
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
    message.map_err(|error| {
        let error = error.to_string();
        let hint =
            if error.contains("duration") { "; write a duration in seconds, like \"60s\"" } else { "" };
        Failure::Usage(format!("this is not the JSON of a {name}: {error}{hint}"))
    })
}

/// Returns indented JSON, without fields that have their default.
fn write(message: &DynamicMessage) -> String {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::pretty(&mut text);
    message
        .serialize_with_options(&mut json, &SerializeOptions::new())
        .expect("a message that was read from the wire can be written as JSON");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Describes a status in words: code, message, and what its details add.
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
        lines.push(format!("  try again in: {} s", whole_seconds(delay)));
    }
    for link in details.help().map(|help| help.links.as_slice()).unwrap_or_default() {
        lines.push(format!("  help: {}\n        {}", link.description, link.url));
    }
    if let Some(id) = status.metadata().get("x-request-id").and_then(|id| id.to_str().ok()) {
        lines.push(format!("  x-request-id: {id}"));
    }
    lines.join("\n")
}

/// Rounds up, so that waiting that long is enough.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (1_000, 1), (31_782, 32)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
