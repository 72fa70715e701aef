//! Which system answers under which `Host`.

use http::HeaderMap;
use http::request::Parts;

/// Every API and OAuth host that the sandbox plays. Any other `Host` is the tenant.
pub const PROVIDER_HOSTS: &[&str] = &[
    "www.googleapis.com",
    "gmail.googleapis.com",
    "people.googleapis.com",
    "sheets.googleapis.com",
    "openidconnect.googleapis.com",
    "oauth2.googleapis.com",
    "api.github.com",
    "uploads.github.com",
    "codeload.github.com",
    "github.com",
    "graph.facebook.com",
];

/// The system that a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Site {
    /// The Auth0 tenant.
    Tenant,
    /// Any of Google's hosts.
    Google,
    /// Any of GitHub's hosts.
    GitHub,
    /// Facebook's Graph API.
    Facebook,
}

impl Site {
    /// The system behind a host name without port.
    pub(crate) fn of(host: &str) -> Self {
        if !PROVIDER_HOSTS.contains(&host) {
            return Self::Tenant;
        }
        match host {
            "graph.facebook.com" => Self::Facebook,
            google if google.ends_with("googleapis.com") => Self::Google,
            _ => Self::GitHub,
        }
    }
}

/// The host that a request names, in lower case and without the port: `Host`, or HTTP/2's `:authority`.
pub(crate) fn named_in(parts: &Parts) -> String {
    let authority = parts.uri.authority().map(http::uri::Authority::host);
    let host = of_header(&parts.headers).or(authority).unwrap_or_default();
    host.to_ascii_lowercase()
}

fn of_header(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(http::header::HOST)?.to_str().ok()?;
    Some(host.rsplit_once(':').map_or(host, |(name, _port)| name))
}
