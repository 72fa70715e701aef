//! A gRPC status as an error of the Connect protocol.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message as _;
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::web::{
    content::{Codec, Shape},
    frame,
    json::Schema,
};

/// The message for an unknown RPC, for which tonic gives none.
const NO_SUCH_RPC: &str = "there is no such RPC";

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    value: String,
    /// The same as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<serde_json::Value>,
}

/// The end of a stream that failed.
#[derive(Serialize)]
struct End {
    error: Failure,
}

/// The answer to a call that failed, always in JSON.
pub(super) fn response(schema: &Schema, status: &Status, shape: Shape) -> Response<Vec<u8>> {
    let failure = failure(schema, status);
    if shape.streaming {
        let end = frame::end_of_stream(&json(&End { error: failure }));
        return typed(StatusCode::OK, stream_type(shape.codec), end.into());
    }
    let mut response = typed(http_status(status.code()), "application/json", json(&failure));
    match status.code() {
        // RFC 9110, section 15.5.2, requires a hint on how to authenticate.
        Code::Unauthenticated => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The error may be about the content coding.
        Code::Unimplemented => {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {}
    }
    response
}

fn typed(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn stream_type(codec: Codec) -> &'static str {
    match codec {
        Codec::Json => "application/connect+json",
        Codec::Proto => "application/connect+proto",
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers can be written as JSON")
}

fn failure(schema: &Schema, status: &Status) -> Failure {
    let (code, message) = (status.code(), status.message());
    let message = if code == Code::Unimplemented && message.is_empty() { NO_SUCH_RPC } else { message };
    let details = pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let detail = |any: prost_types::Any| {
        let kind = any.type_url.rsplit('/').next().unwrap_or_default().to_owned();
        let debug = schema.detail(&kind, &any.value);
        Detail { kind, value: BASE64_STANDARD_NO_PAD.encode(&any.value), debug }
    };
    Failure {
        code: name(code),
        message: message.to_owned(),
        details: details.into_iter().map(detail).collect(),
    }
}

/// The code in the protocol's spelling, with one `l` in `canceled`.
fn name(code: Code) -> &'static str {
    match code {
        // The protocol has no code for success, which is not an error.
        Code::Ok | Code::Unknown => "unknown",
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The table of <https://connectrpc.com/docs/protocol#error-codes>.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Cancelled => StatusCode::from_u16(499).expect("a status has three digits"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
