//! Which system answers under which `Host`.

use http::HeaderMap;
use http::request::Parts;

use super::seed::GenericSeed;

/// Every API and OAuth host that the sandbox plays whatever the seed says, `*.` for all directly below a
/// domain; the hosts of generic providers come with the seed ([`Sandbox::hosts`](super::Sandbox::hosts)). Any
/// other `Host` is the tenant.
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
    "api.bitbucket.org",
    "bitbucket.org",
    "graph.microsoft.com",
    "login.microsoftonline.com",
    "*.sharepoint.com",
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
    /// Bitbucket's API and its token endpoint.
    Bitbucket,
    /// Microsoft Graph.
    Graph,
    /// Microsoft's token endpoints.
    MicrosoftLogin,
    /// Some organisation's SharePoint.
    SharePoint,
    /// API and authorization server of the generic provider of that place in the seed.
    Generic(usize),
}

impl Site {
    /// The system behind a host name without port.
    pub(crate) fn of(host: &str, generic: &[GenericSeed]) -> Self {
        match host {
            "graph.facebook.com" => Self::Facebook,
            "api.bitbucket.org" | "bitbucket.org" => Self::Bitbucket,
            "graph.microsoft.com" => Self::Graph,
            "login.microsoftonline.com" => Self::MicrosoftLogin,
            "api.github.com" | "uploads.github.com" | "codeload.github.com" | "github.com" => Self::GitHub,
            known if known.ends_with("googleapis.com") && PROVIDER_HOSTS.contains(&known) => Self::Google,
            below if is_sharepoint(below) => Self::SharePoint,
            other => generic
                .iter()
                .position(|one| one.api_host == other || one.auth_host == other)
                .map_or(Self::Tenant, Self::Generic),
        }
    }
}

fn is_sharepoint(host: &str) -> bool {
    host.strip_suffix(".sharepoint.com")
        .is_some_and(|label| !label.is_empty() && label != "*" && !label.contains('.'))
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
