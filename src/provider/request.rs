//! A caller's request to a provider's API, proven harmless.

use bytes::Bytes;
use http::{HeaderMap, Method, uri::PathAndQuery};

/// What a caller asked for, unchecked. `path` may carry a query after `?`; `query` is added to it.
#[derive(Clone, Debug, Default)]
pub struct RawRequest {
    /// Empty means GET.
    pub method: String,
    /// Empty means the provider's main host.
    pub host: String,
    /// Percent-encoded already.
    pub path: String,
    /// Unescaped names and values.
    pub query: Vec<(String, String)>,
    /// Names and values as the caller wrote them.
    pub headers: Vec<(String, String)>,
    /// Sent byte for byte.
    pub body: Bytes,
}

/// A request that may be sent with a token: only [`ApiRequest::check`] makes one.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// The method, never one that opens a tunnel or echoes the request.
    pub method: Method,
    /// One of the provider's hosts.
    pub host: String,
    /// The path and query that are really sent.
    pub path_and_query: PathAndQuery,
    /// The caller's headers, less what only the service may set.
    pub headers: HeaderMap,
    /// Sent byte for byte.
    pub body: Bytes,
}
