//! Which pages may read answers (the Fetch standard's CORS protocol).
//!
//! Exact origins only, and never `access-control-allow-credentials`: a call proves itself with a token that the page
//! puts in, not with what the browser would add unasked. A page of another origin gets answers without any of these
//! headers, which its browser keeps from it.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::body::Body;

/// What a page may send beyond what it always may: the token, what gRPC-Web and Connect send, and an id for the log.
const ALLOWED_HEADERS: &str = "authorization, content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, \
                               x-grpc-web, x-request-id, x-user-agent";

/// What a page may read: gRPC-Web's status where it comes without a body, and the id of the log.
const EXPOSED_HEADERS: &str = "grpc-status, grpc-message, grpc-status-details-bin, x-request-id";

/// Seconds for which a browser need not ask again; none remembers for longer than two hours.
const MAX_AGE: &str = "7200";

/// The origins whose pages may read answers.
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
}

/// What an answer is marked with.
pub(super) struct Marks {
    /// The origin that may read it.
    reader: Option<HeaderValue>,
    /// Whether it would be another answer for another origin.
    varies: bool,
}

impl Cors {
    pub(super) fn new(origins: Vec<HeaderValue>) -> Self {
        Self { origins }
    }

    /// The answer to a browser that asks whether a page of an allowed origin may call.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let marks = self.marks(request.headers());
        if !asks || marks.reader.is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        marks.put(headers);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// What the answer to a request with these headers is marked with.
    pub(super) fn marks(&self, headers: &HeaderMap) -> Marks {
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        let only = origins.next().filter(|_| origins.next().is_none());
        let reader = only.filter(|origin| self.origins.contains(origin)).cloned();
        Marks { reader, varies: !self.origins.is_empty() }
    }
}

impl Marks {
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
