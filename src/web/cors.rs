//! Which pages may read answers (the Fetch standard's CORS protocol).
//!
//! Only exact origins, and never `access-control-allow-credentials`: a call authenticates with a token that
//! the page adds, not with what the browser sends by itself. Pages of other origins get answers without these
//! headers, which their browser hides from them.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::body::Body;

/// Headers that a page may send besides the standard ones: the token, those of gRPC-Web and Connect, and a
/// request id.
const ALLOWED_HEADERS: &str = "authorization, content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, \
                               x-grpc-web, x-request-id, x-user-agent";

/// Headers that a page may read: gRPC-Web's status in an answer without a body, and the request id.
const EXPOSED_HEADERS: &str = "grpc-status, grpc-message, grpc-status-details-bin, x-request-id";

/// How long browsers may cache a preflight, in seconds; none does for more than two hours.
const MAX_AGE: &str = "7200";

/// The origins whose pages may read answers.
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
}

/// The CORS headers of an answer.
pub(super) struct CorsHeaders {
    /// The origin that may read it.
    reader: Option<HeaderValue>,
    /// Whether the answer depends on the origin.
    varies: bool,
}

impl Cors {
    pub(super) fn new(origins: Vec<HeaderValue>) -> Self {
        Self { origins }
    }

    /// Answers a preflight request from a page of an allowed origin.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let cors_headers = self.headers_for(request.headers());
        if !asks || cors_headers.reader.is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        cors_headers.put(headers);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// The CORS headers for the answer to a request with these headers.
    pub(super) fn headers_for(&self, headers: &HeaderMap) -> CorsHeaders {
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        let only = origins.next().filter(|_| origins.next().is_none());
        let reader = only.filter(|origin| self.origins.contains(origin)).cloned();
        CorsHeaders { reader, varies: !self.origins.is_empty() }
    }
}

impl CorsHeaders {
    pub(super) fn put(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_name(HeaderName::from_static("origin")));
        }
        if let Some(origin) = self.reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        }
    }
}
