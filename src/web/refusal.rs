//! Answers to requests that are not calls. They never reach the gate.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;

use super::content::ACCEPTED;
use crate::telemetry::HttpRejection;

impl HttpRejection {
    /// Answers with a text for people, in a browser or with curl. Connect's clients read the status alone.
    pub(super) fn into_response(self) -> Response<Body> {
        let (status, text) = match self {
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, HELP),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, HELP),
            Self::NotFound => (StatusCode::NOT_FOUND, HELP),
            Self::Host => (StatusCode::FORBIDDEN, HOST),
            Self::Origin => (StatusCode::FORBIDDEN, ORIGIN),
        };
        let mut response = Response::new(Body::new(Full::new(Bytes::from_static(text.as_bytes()))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match self {
            Self::MediaType => drop(headers.insert("accept-post", HeaderValue::from_static(ACCEPTED))),
            Self::Method => drop(headers.insert(header::ALLOW, HeaderValue::from_static("POST"))),
            Self::NotFound | Self::Host | Self::Origin => {}
        }
        response
    }
}

const HELP: &str = "\
This port takes RPCs: gRPC (content-type application/grpc over HTTP/2), gRPC-Web, and the Connect protocol, which is
POST /idptoken.v1.IdpTokenService/METHOD with content-type application/json or application/proto.
Try: grpcurl -plaintext HOST:PORT list
or:  curl -H 'content-type: application/json' -d '{\"userId\": \"...\"}' \\
       http://HOST:PORT/idptoken.v1.IdpTokenService/ListIdentities
";

const HOST: &str = "\
This service does not identify its callers, so it accepts web requests only at an IP address or `localhost`:
any page could point a name of its own here. Use the address, or configure who may call.
";

const ORIGIN: &str = "\
This service does not identify its callers, so it accepts no requests from pages of other origins. Add the
origin to `web.allowed_origins`, or configure who may call.
";
