//! A caller's request to a provider's API, proven harmless.
//!
//! The token is as good as the user's password, so what is sent with it is parsed, not merely validated: a request
//! passes only if this service, the policy, the HTTP client and the provider must all understand it alike. Bodies
//! are read only where the provider takes their parameters for those of a query; otherwise a policy that allows a POST
//! allows what the provider reads from its body.

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

/// The largest body that is held in memory, in bytes: what gRPC takes in one message unless told otherwise, and little
/// enough to hold for every call under way.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The longest path with its query, in bytes. RFC 9110 (section 4.1) asks servers to take 8,000.
pub const TARGET_LIMIT: usize = 8 * 1024;

/// Query parameters that no provider's adapter lets through: they carry a token past the `authorization` header, as
/// someone else (RFC 6750, section 2.3; <https://cloud.google.com/apis/docs/system-parameters>), or leave a secret
/// in logs on the way.
pub const TOKEN_PARAMETERS: [&str; 5] =
    ["access_token", "oauth_token", "bearer_token", "refresh_token", "client_secret"];

/// Query parameters that no provider's adapter lets through since some servers read them as the headers of these names, which
/// change the method.
pub const METHOD_PARAMETERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

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
#[expect(
    clippy::manual_non_exhaustive,
    reason = "`non_exhaustive` keeps other crates out, but not other modules"
)]
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
    _checked: (),
}

impl ApiRequest {
    /// Proves that `raw` may be sent to `provider` with a user's token.
    ///
    /// # Errors
    /// The first field that is wrong, and what to send instead. No value is quoted: it may hold a secret.
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

/// Whether `path` is written as a path, without a query (RFC 3986, section 3.3: `path-absolute`): it holds no host, no user and no
/// line of a header. Whether it may be sent is for [`ApiRequest::check`] to say.
pub fn is_path(path: &str) -> bool {
    path::is_written_as_one(path)
}

/// Names longer than any that is registered (<https://www.iana.org/assignments/http-methods>) are no method.
const METHOD_LIMIT: usize = 20;

/// The method of that name; GET where there is none.
///
/// # Errors
/// When none of that name is ever sent; as words that follow "it".
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

/// Whether `target`, a path that may carry a query, can be sent exactly as it is written.
///
/// # Errors
/// When it cannot; as words that follow "it".
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
