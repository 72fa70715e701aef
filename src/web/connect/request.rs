//! Reads a Connect request: its headers, and its message as a gRPC frame.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use prost_reflect::MethodDescriptor;
use tonic::Status;

use crate::{
    broker::Error,
    field::InvalidField,
    service::{MESSAGE_LIMIT, TrackedRequestBody},
    web::{
        content::{Codec, Shape},
        frame, gzip, json,
    },
};

pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
pub(super) const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The largest message as text, in bytes: its body in base64, and room for escapes in the rest.
pub(super) const TEXT_LIMIT: usize = MESSAGE_LIMIT / 3 * 4 + 256 * 1024;

/// A message that has not been read yet.
pub(super) struct Message {
    /// `None` for an RPC that the gate does not know.
    method: Option<MethodDescriptor>,
    codec: Codec,
    gzip: bool,
}

impl Message {
    /// Reads the headers that describe the message.
    ///
    /// # Errors
    /// When the protocol version, the encoding or the use of a stream is not supported.
    pub(super) fn of(
        headers: &HeaderMap,
        shape: Shape,
        method: Option<MethodDescriptor>,
    ) -> Result<Self, Error> {
        if headers.get(VERSION).is_some_and(|version| version != "1") {
            return Err(InvalidField::new(VERSION.as_str(), "must be 1, or left out").into());
        }
        let streams = method
            .as_ref()
            .is_some_and(|method| method.is_client_streaming() || method.is_server_streaming());
        if shape.streaming || streams {
            return Err(unsupported("streaming over the Connect protocol"));
        }
        let gzip = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity" | b"") => false,
            Some(b"gzip") => true,
            Some(_) => return Err(unsupported("a content-encoding other than gzip and identity")),
        };
        Ok(Self { method, codec: shape.codec, gzip })
    }

    /// Reads the whole message and frames it.
    ///
    /// # Errors
    /// When the message is invalid or incomplete.
    pub(super) async fn receive(self, body: TrackedRequestBody<Incoming>) -> Result<Bytes, Status> {
        let Some(method) = &self.method else { return Ok(frame::frame(&[])) };
        let limit = match self.codec {
            Codec::Json => TEXT_LIMIT,
            Codec::Proto => MESSAGE_LIMIT,
        };
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            // The gate refuses messages that are too large, with the same text for every protocol.
            Err(error) if error.is::<LengthLimitError>() => return Ok(frame::oversized(u32::MAX as usize)),
            // The body waited for too long and was dropped.
            Err(error) => {
                return Err(error.downcast().map_or_else(|_| invalid("broke off"), |status| *status));
            }
        };
        let unpacked;
        let content: &[u8] = if self.gzip {
            match gzip::unpack(&body, limit) {
                Ok(Some(content)) => unpacked = content,
                Ok(None) => return Ok(frame::oversized(u32::MAX as usize)),
                Err(_) => {
                    return Err(invalid("is no gzip, or cut short, though its content-encoding is gzip"));
                }
            }
            &unpacked
        } else {
            &body
        };
        match self.codec {
            Codec::Proto => Ok(frame::frame(content)),
            Codec::Json => {
                json::read(method.input(), content).map(|message| frame::frame(&message)).map_err(invalid)
            }
        }
    }
}

fn invalid(problem: impl Into<String>) -> Status {
    Error::from(InvalidField::new("(message)", problem)).into()
}

fn unsupported(operation: &'static str) -> Error {
    Error::OperationUnsupported { provider: None, operation }
}

/// Converts `connect-timeout-ms` to gRPC's notation.
///
/// # Errors
/// When the value is not a number of at most ten digits.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>, Error> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let millis = text.parse::<u64>().ok().filter(|_| is_number).ok_or_else(|| {
        InvalidField::new(TIMEOUT.as_str(), "is malformed: at most 10 digits, which count milliseconds")
    })?;
    // gRPC allows eight digits.
    let written = if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", millis / 1000) };
    Ok(Some(HeaderValue::try_from(written).expect("digits and a letter make a header value")))
}

/// Returns whether the caller accepts gzip (RFC 9110, section 12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).expect("a header value"))])
    }

    #[test]
    fn a_timeout_is_written_as_grpc_has_it() {
        for (value, expected) in [
            ("0", Some("0m")),
            ("1500", Some("1500m")),
            ("99999999", Some("99999999m")),
            ("100000000", Some("100000S")),
            ("9999999999", Some("9999999S")),
            ("10000000000", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1s", None),
            ("", None),
        ] {
            let written = timeout(&with(TIMEOUT, value)).ok().flatten();
            assert_eq!(written.as_ref().and_then(|value| value.to_str().ok()), expected, "{value}");
        }
        assert!(matches!(timeout(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("identity", false),
            ("xgzip", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&with(header::ACCEPT_ENCODING, value)), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
