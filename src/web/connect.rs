//! The Connect protocol's unary RPCs (<https://connectrpc.com/docs/protocol>) in JSON and protobuf,
//! translated to gRPC.
//!
//! A message is not read until the gate asks for it, so refused calls cost no JSON. An invalid request
//! becomes a failure of its body, so that the gate answers and counts it like any other.

use std::{ops::RangeInclusive, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost_reflect::MethodDescriptor;
use tonic::{Code, Status, body::Body};

mod error;
mod request;

use super::{
    content::{Codec, Shape},
    frame, gzip,
    json::{self, Schema},
};
use crate::{
    broker::Error,
    service::{Answer, Gate, ResponseLimits},
};
use request::Message;

/// Sizes of answers sent in gzip, in bytes: a shorter one gains nothing, and a longer one would keep other
/// calls waiting.
const WORTH_PACKING: RangeInclusive<usize> = 1024..=1024 * 1024;

/// The translator for all RPCs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connect {
    schema: Arc<Schema>,
}

/// The format of an answer.
struct Reader {
    shape: Shape,
    takes_gzip: bool,
    /// `None` for an unknown RPC.
    method: Option<MethodDescriptor>,
}

impl Connect {
    pub(super) fn new(schema: Schema) -> Self {
        Self { schema: Arc::new(schema) }
    }

    /// Returns whether `path` is that of an RPC, even of one unknown to this version.
    pub(super) fn serves(&self, path: &str) -> bool {
        Schema::is_of_service(path)
    }

    /// Lets `gate` answer a request of this shape.
    pub(super) fn answer(&self, gate: &Gate, shape: Shape, request: Request<Incoming>) -> Answer {
        let (mut head, body) = request.into_parts();
        let method = self.schema.method(head.uri.path()).cloned();
        let message = Message::of(&head.headers, shape, method.clone());
        let reader = Reader { shape, takes_gzip: request::takes_gzip(&head.headers), method };
        let timeout = request::timeout(&head.headers);
        to_grpc(&mut head.headers, timeout.as_ref().ok().cloned().flatten());
        head.version = Version::HTTP_2;
        let message = timeout.and(message);
        let (body, memory) = gate.count(body, request::TEXT_LIMIT);
        head.extensions.insert(memory);
        let body = frame::Later::new(async move { message?.receive(body).await });
        let answer = gate.answer(Request::from_parts(head, Body::new(body)));
        let connect = self.clone();
        Box::pin(async move {
            let Ok(answer) = answer.await;
            Ok(connect.translate(answer, &reader).await)
        })
    }

    async fn translate(&self, answer: Response<Body>, reader: &Reader) -> Response<Body> {
        let (mut head, body) = answer.into_parts();
        let limits = head.extensions.remove::<ResponseLimits>();
        let mut headers = head.headers;
        let outcome = match Status::from_header_map(&headers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => reader.message(body).await,
        };
        let packs =
            reader.takes_gzip && outcome.as_ref().is_ok_and(|message| WORTH_PACKING.contains(&message.len()));
        let mut response = match outcome {
            Ok(message) if packs => Response::new(gzip::pack(&message)),
            Ok(message) => Response::new(message),
            Err(status) => error::response(&self.schema, &status, reader.shape),
        };
        let ours = response.headers_mut();
        if packs {
            ours.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        ours.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        ours.entry(header::CONTENT_TYPE).or_insert(content_type(reader.shape.codec));
        remove_grpc(&mut headers);
        ours.extend(headers);
        let response = response.map(|body| Body::new(Full::from(body)));
        match limits {
            Some(limits) => response.map(|body| limits.apply(body)),
            None => response,
        }
    }
}

impl Reader {
    /// Encodes an answer's message in the caller's format.
    async fn message(&self, body: Body) -> Result<Vec<u8>, Status> {
        let whole = body.collect().await?;
        let status = whole.trailers().and_then(Status::from_header_map);
        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
            return Err(status);
        }
        let message = frame::unframe(whole.to_bytes());
        let written =
            message.zip(self.method.as_ref()).and_then(|(message, method)| match self.shape.codec {
                Codec::Proto => Some(message.into()),
                Codec::Json => json::write(method.output(), &message),
            });
        written.ok_or_else(|| {
            // The gate considers the call a success.
            tracing::error!(
                rpc = self.method.as_ref().map(MethodDescriptor::name),
                "Cannot encode an answer for the Connect protocol"
            );
            Error::Internal.into()
        })
    }
}

fn content_type(codec: Codec) -> HeaderValue {
    HeaderValue::from_static(match codec {
        Codec::Json => "application/json",
        Codec::Proto => "application/proto",
    })
}

/// Translates Connect's headers to those of gRPC.
fn to_grpc(headers: &mut HeaderMap, timeout: Option<HeaderValue>) {
    for name in [
        header::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        request::TIMEOUT,
        request::VERSION,
        request::GRPC_TIMEOUT,
    ] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(timeout) = timeout {
        headers.insert(request::GRPC_TIMEOUT, timeout);
    }
}

/// Removes gRPC's own headers, and those that describe its body.
fn remove_grpc(headers: &mut HeaderMap) {
    let of_body = [header::CONTENT_TYPE, header::CONTENT_LENGTH];
    let is_grpc = |name: &HeaderName| name.as_str().starts_with("grpc-") || of_body.contains(name);
    let names: Vec<_> = headers.keys().filter(|name| is_grpc(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
