//! The protocol of a request, by its content type.

use http::{HeaderMap, header};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// gRPC itself.
    Grpc,
    /// gRPC-Web, in either of its encodings.
    GrpcWeb,
    /// The Connect protocol.
    Connect(Shape),
}

/// The variants of the Connect protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) codec: Codec,
    /// As a stream of enveloped messages, rather than one bare message.
    pub(super) streaming: bool,
}

/// The encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

/// Supported content types, for `accept-post`, in each protocol's usual spelling.
pub(super) const ACCEPTED: &str = "application/json, application/proto, application/grpc-web+proto, \
                                   application/grpc-web-text, application/grpc";

impl Content {
    /// `None` for anything else: forms, plain text, no type. These are all that a page may send to another
    /// origin without a preflight, so a protocol that took one of them would be open to all pages.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::CONTENT_TYPE).into_iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let text = value.to_str().ok()?;
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, parameters) = (kind.trim(), parameters.trim());
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let connect = |codec, streaming| Some(Self::Connect(Shape { codec, streaming }));
        match () {
            // The protocol has no parameters; they are ignored, as gRPC servers do.
            () if is("application/grpc") || is("application/grpc+proto") => Some(Self::Grpc),
            () if is("application/json") && (parameters.is_empty() || is_utf8(parameters)) => {
                connect(Codec::Json, false)
            }
            () if !parameters.is_empty() => None,
            () if is("application/proto") => connect(Codec::Proto, false),
            () if is("application/connect+json") => connect(Codec::Json, true),
            () if is("application/connect+proto") => connect(Codec::Proto, true),
            // tonic-web compares these byte for byte.
            () if GRPC_WEB.contains(&text) => Some(Self::GrpcWeb),
            () => None,
        }
    }
}

const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

fn is_utf8(parameter: &str) -> bool {
    parameter.eq_ignore_ascii_case("charset=utf-8") || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Option<Content> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        Content::of(&headers)
    }

    #[test]
    fn a_content_type_names_one_protocol_or_none() {
        let connect = |codec, streaming| Some(Content::Connect(Shape { codec, streaming }));
        for (value, expected) in [
            ("application/grpc", Some(Content::Grpc)),
            ("application/grpc+proto", Some(Content::Grpc)),
            ("application/grpc-web", Some(Content::GrpcWeb)),
            ("application/grpc-web+proto", Some(Content::GrpcWeb)),
            ("application/grpc-web-text", Some(Content::GrpcWeb)),
            ("application/grpc-web+json", None),
            ("application/grpcx", None),
            ("application/json", connect(Codec::Json, false)),
            ("Application/JSON; charset=UTF-8", connect(Codec::Json, false)),
            ("application/json;charset=\"utf-8\"", connect(Codec::Json, false)),
            ("application/json; charset=latin1", None),
            ("application/proto", connect(Codec::Proto, false)),
            ("application/proto; charset=utf-8", None),
            ("application/connect+json", connect(Codec::Json, true)),
            ("application/connect+proto", connect(Codec::Proto, true)),
            ("text/plain", None),
            ("text/plain; application/json", None),
            ("application/x-www-form-urlencoded", None),
            ("multipart/form-data; boundary=application/json", None),
            ("application/jsonp", None),
            ("", None),
        ] {
            assert_eq!(of(&[value]), expected, "{value}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["text/plain", "application/json"]), None, "which of them is it?");
        assert_eq!(of(&["application/json", "text/plain"]), None);
    }
}
