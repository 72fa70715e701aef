//! The errors of the token endpoints, which are known by their numbers.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use std::time::SystemTime;

use http::StatusCode;
use serde_json::json;

use crate::reply::{self, Refused};
use crate::secrets;

/// Why no tokens are issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Aadsts {
    /// A parameter is not there.
    Missing(&'static str),
    /// Nobody's directory.
    NoTenant(String),
    /// Nobody's application.
    NoClient,
    /// No secret came.
    NoSecret,
    /// The secret is wrong.
    WrongSecret,
    /// Another grant than a refresh token.
    GrantType,
    /// The refresh token is none, or not for such accounts.
    Malformed,
    /// The refresh token was not used for too long.
    Inactive,
    /// The refresh token was revoked: a new password set by an administrator, say.
    Revoked,
    /// The user has not granted it, or no longer does.
    NoConsent,
    /// `.default` beside other scopes.
    Scope,
    /// Scopes of more than one API.
    SeveralResources,
    /// An API that the directory does not have.
    NoResource(String),
}

/// Status, `error`, number and `suberror`.
type Kind = (StatusCode, &'static str, u32, Option<&'static str>);

impl Aadsts {
    fn kind(&self) -> Kind {
        let bad = |error, number| (StatusCode::BAD_REQUEST, error, number, None);
        let dead = |number, suberror| (StatusCode::BAD_REQUEST, "invalid_grant", number, suberror);
        match self {
            Self::Missing(_) => bad("invalid_request", 900_144),
            Self::NoTenant(_) => bad("invalid_request", 90_002),
            Self::NoClient => bad("unauthorized_client", 700_016),
            Self::NoSecret => (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_218, None),
            Self::WrongSecret => (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, None),
            Self::GrantType => bad("unsupported_grant_type", 70_003),
            Self::Malformed => dead(9_002_313, None),
            Self::Inactive => dead(700_082, None),
            Self::Revoked => dead(50_173, Some("bad_token")),
            Self::NoConsent => dead(65_001, Some("consent_required")),
            Self::Scope => bad("invalid_scope", 70_011),
            Self::SeveralResources => bad("invalid_request", 28_000),
            Self::NoResource(_) => bad("invalid_resource", 500_011),
        }
    }

    fn text(&self) -> String {
        let text = match self {
            Self::Missing(name) => {
                return format!("The request body must contain the following parameter: '{name}'.");
            }
            Self::NoTenant(tenant) => return format!("Tenant '{tenant}' not found."),
            Self::NoResource(resource) => {
                return format!("The resource principal named {resource} was not found in the tenant.");
            }
            Self::NoClient => "Application with this identifier was not found in the directory.",
            Self::NoSecret => {
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            }
            Self::WrongSecret => "Invalid client secret provided.",
            Self::GrantType => "The app requested an unsupported grant type.",
            Self::Malformed => "Invalid request. Request is malformed or invalid.",
            Self::Inactive => "The refresh token has expired due to inactivity.",
            Self::Revoked => {
                "The provided grant has expired due to it being revoked, a fresh auth token is needed."
            }
            Self::NoConsent => "The user or administrator has not consented to use the application.",
            Self::Scope => ".default scope can't be combined with resource-specific scopes.",
            Self::SeveralResources => {
                "Provided value for the input parameter scope is not valid because it contains more than one resource."
            }
        };
        text.to_owned()
    }

    /// The answer, as it is written at that time.
    pub(super) fn refuse(&self, now: SystemTime) -> Refused {
        let (status, error, number, suberror) = self.kind();
        let (trace, correlation) = (id(), id());
        let time = humantime::format_rfc3339_seconds(now).to_string().replace('T', " ");
        let text = self.text();
        let mut body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
            ),
            "error_codes": [number],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        });
        suberror.iter().for_each(|suberror| body["suberror"] = json!(suberror));
        reply::json(status, &body).into()
    }
}

fn id() -> String {
    let hex = secrets::hex(&secrets::bytes::<16>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
