//! A caller's request to a provider's API, proven harmless.
//!
//! The token is as powerful as the user's password, so a request is parsed, not merely validated: it passes
//! only if this service, the policy, the HTTP client and the provider must all understand it alike. Bodies
//! are read only if the provider reads query parameters from them; otherwise a policy that allows a POST
//! allows whatever the provider reads from its body.

use bytes::Bytes;
use http::{HeaderMap, Method, uri::PathAndQuery};

use super::{Provider, query};
use crate::field::InvalidField;

pub use host::is_name as is_host_name;

mod header;
mod host;
pub(super) mod path;
#[cfg(test)]
mod tests;

/// The largest body held in memory, in bytes: gRPC's default limit for a message, and small enough to hold
/// for every concurrent call.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The longest path with its query, in bytes. RFC 9110 (section 4.1) asks servers to accept 8,000.
pub const TARGET_LIMIT: usize = 8 * 1024;

/// Query parameters that no adapter lets through. They carry a token beside the `authorization` header, for
/// another user (RFC 6750, section 2.3; <https://cloud.google.com/apis/docs/system-parameters>), or expose a
/// secret in logs on the way.
pub const TOKEN_PARAMETERS: [&str; 5] =
    ["access_token", "oauth_token", "bearer_token", "refresh_token", "client_secret"];

/// Query parameters that no adapter lets through, because some servers read them like the headers of these
/// names, which change the method.
pub const METHOD_PARAMETERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// A caller's request, unchecked. `path` may have a query after `?`, to which `query` is added.
#[derive(Clone, Debug, Default)]
pub struct RawRequest {
    /// The method; empty means GET.
    pub method: String,
    /// The host; empty means the provider's main host.
    pub host: String,
    /// The path, already percent-encoded.
    pub path: String,
    /// Unescaped names and values.
    pub query: Vec<(String, String)>,
    /// Names and values as the caller wrote them.
    pub headers: Vec<(String, String)>,
    /// The body, sent byte for byte.
    pub body: Bytes,
}

/// A request that may be sent with a token: only [`ApiRequest::check`] makes one.
#[derive(Clone, Debug)]
#[expect(
    clippy::manual_non_exhaustive,
    reason = "`non_exhaustive` keeps other crates out, but not other modules"
)]
pub struct ApiRequest {
    /// The method, never one that opens a tunnel or echoes the request.
    pub method: Method,
    /// One of the provider's hosts.
    pub host: String,
    /// The path and query as sent.
    pub path_and_query: PathAndQuery,
    /// The caller's headers, without those that only the service may set.
    pub headers: HeaderMap,
    /// The body, sent byte for byte.
    pub body: Bytes,
    _checked: (),
}

impl ApiRequest {
    /// Proves that `raw` may be sent to `provider` with a user's token.
    ///
    /// # Errors
    /// The first invalid field, and what to send instead. No value is quoted, as it may hold a secret.
    pub fn check(raw: RawRequest, provider: &dyn Provider) -> Result<Self, InvalidField> {
        let method =
            check_method(&raw.method).map_err(|problem| InvalidField::new("request.method", problem))?;
        let host = host::choose(&raw.host, provider.hosts())
            .map_err(|problem| InvalidField::new("request.host", problem))?;
        let path_and_query = target(&raw, provider.refused_parameters())?;
        let headers = header::check(&raw.headers)?;
        let body = body(raw.body)?;
        provider.check_body(&headers, &body).map_err(|problem| InvalidField::new("request.body", problem))?;
        Ok(Self { method, host, path_and_query, headers, body, _checked: () })
    }
}

/// Returns whether `path` is written as a path without a query (RFC 3986, section 3.3: `path-absolute`), and
/// so contains no host, user or header line. [`ApiRequest::check`] decides whether it may be sent.
pub fn is_path(path: &str) -> bool {
    path::is_written_as_one(path)
}

/// Longer names than any registered one (<https://www.iana.org/assignments/http-methods>) are not methods.
const METHOD_LIMIT: usize = 20;

/// Returns the method of that name; GET if it is empty.
///
/// # Errors
/// When a method of that name is never sent. The text continues a sentence that starts with "it".
pub fn check_method(method: &str) -> Result<Method, &'static str> {
    match method {
        "" => return Ok(Method::GET),
        "CONNECT" | "TRACE" | "TRACK" | "PRI" => {
            return Err(
                "must not be one that opens a tunnel, changes the protocol or echoes the request with its token",
            );
        }
        _ => {}
    }
    if method.len() > METHOD_LIMIT || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Err(
            "must be an HTTP method in upper case, such as `POST`, of at most 20 letters; or empty for `GET`",
        );
    }
    Method::from_bytes(method.as_bytes()).map_err(|_| "must be an HTTP method in upper case, such as `POST`")
}

/// Checks that `target`, a path that may have a query, can be sent exactly as it is written.
///
/// # Errors
/// When it cannot. The text continues a sentence that starts with "it".
pub fn check_path(target: &str) -> Result<(), &'static str> {
    path::check(target)
}

fn target(raw: &RawRequest, refused: &[&str]) -> Result<PathAndQuery, InvalidField> {
    let in_path = |problem| InvalidField::new("request.path", problem);
    check_path(&raw.path).map_err(in_path)?;
    let own_query = raw.path.split_once('?').map_or("", |(_, query)| query);
    if query::has_refused(own_query, refused) {
        return Err(in_path(REFUSED_PARAMETER));
    }
    let mut target = raw.path.clone();
    for (index, (name, value)) in raw.query.iter().enumerate() {
        add(&mut target, name, value, refused).map_err(|(part, problem)| {
            InvalidField::new(format_args!("request.query[{index}].{part}"), problem)
        })?;
    }
    PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|_| in_path("must be a path as RFC 3986 has it, everything else percent-encoded"))
}

const REFUSED_PARAMETER: &str = "must not be a parameter that carries a token or a secret, changes the method or holds \
    further requests: leave it out; the service sets the token, and `method` is what the policy judges";

fn add(
    target: &mut String,
    name: &str,
    value: &str,
    refused: &[&str],
) -> Result<(), (&'static str, &'static str)> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(("name", "must be a parameter's name, without control characters"));
    }
    if query::is_refused(name, refused) {
        return Err(("name", REFUSED_PARAMETER));
    }
    query::append(target, name, value);
    if target.len() > TARGET_LIMIT {
        return Err((
            "value",
            "must fit, with the path and the rest of the query, into 8 KiB: send less, or use a body",
        ));
    }
    Ok(())
}

fn body(body: Bytes) -> Result<Bytes, InvalidField> {
    if body.len() > BODY_LIMIT {
        return Err(InvalidField::new("request.body", "must be at most 4 MiB"));
    }
    Ok(body)
}
