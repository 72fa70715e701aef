//! The Microsoft identity platform's token endpoints.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token>

use http::Uri;

use super::{Accounts, judge};
use crate::provider::{
    AuthMethod, IdentityApi, MissingCapability, Settings,
    client::{Client, assertion::Signing},
    endpoint_error::{self, Meaning, OAuthError},
    inspection::Probe,
    renewal::RefreshGrant,
};

/// For multi-tenant applications; a single-tenant application needs a `token_url` with its tenant's name.
const WORK_URL: &str = "https://login.microsoftonline.com/organizations/oauth2/v2.0/token";
/// <https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-protocols-oauth-code>
const WORK_V1_URL: &str = "https://login.microsoftonline.com/common/oauth2/token";
/// Applications for personal accounts only are refused at `common` (AADSTS9002331); others work here too.
const PERSONAL_URL: &str = "https://login.microsoftonline.com/consumers/oauth2/v2.0/token";

/// Renews tokens. Every answer has a new refresh token, and the old ones stay valid:
/// <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>
pub(super) fn renewal(settings: &Settings, accounts: Accounts) -> Result<RefreshGrant, MissingCapability> {
    let v1 = settings.identity_api == IdentityApi::V1;
    let own = match accounts {
        Accounts::AddIns => return Err(MissingCapability::Unsupported),
        Accounts::Personal => PERSONAL_URL,
        Accounts::Work if v1 => WORK_V1_URL,
        Accounts::Work => WORK_URL,
    };
    let url = settings.token_url.clone().unwrap_or(Uri::from_static(own));
    let signing = Signing { audience: url.to_string(), names_certificate: true };
    let client = Client::new(settings, AuthMethod::Post, signing)?;
    let fields = if v1 && accounts == Accounts::Work { resource(settings) } else { scope(settings) };
    Ok(RefreshGrant { client, url, rotates: false, fields, lifetime: None, dialect })
}

/// Without it, the token is for the same resource as the last one.
fn resource(settings: &Settings) -> Vec<(&'static str, String)> {
    settings.resource.iter().map(|resource| ("resource", resource.clone())).collect()
}

/// The scopes of the grant, sent every time: without them the answer has other scopes, or is an error.
/// `.default` means those that were granted for the API. `offline_access` keeps refresh tokens coming.
fn scope(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut scopes = settings.scopes.clone();
    if scopes.is_empty() {
        let api = settings.hosts.iter().find(|host| !host.starts_with("*."));
        scopes.extend(api.map(|host| format!("https://{host}/.default")));
    }
    if !scopes.iter().any(|scope| scope == "offline_access") {
        scopes.push("offline_access".to_owned());
    }
    vec![("scope", scopes.join(" "))]
}

/// Too many requests in a short time, and a transient error: both are reported with the error code of a dead
/// grant.
/// <https://learn.microsoft.com/entra/identity-platform/reference-breaking-changes> (the loop),
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
const PASSING: [i64; 2] = [50_196, 90_024];

/// Codes that require the user to act, in `suberror` and `error`:
/// <https://learn.microsoft.com/entra/msal/dotnet/advanced/exceptions/msal-error-handling>
const DEAD: [&str; 11] = [
    "additional_action",
    "bad_token",
    "basic_action",
    "client_mismatch",
    "consent_required",
    "interaction_required",
    "login_required",
    "message_only",
    "protection_policy_required",
    "token_expired",
    "user_password_expired",
];

/// Codes that only an operator can fix: the application, its secret or key, its tenant, or the requested
/// resource is unknown, has expired or is disabled.
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
const CLIENT: [(i64, &str); 9] = [
    (90_002, "AADSTS90002"),
    (500_011, "AADSTS500011"),
    (650_057, "AADSTS650057"),
    (700_016, "AADSTS700016"),
    (700_027, "AADSTS700027"),
    (7_000_112, "AADSTS7000112"),
    (7_000_215, "AADSTS7000215"),
    (7_000_218, "AADSTS7000218"),
    (7_000_222, "AADSTS7000222"),
];

/// Programs should not rely on these numbers, so only those are read that save a grant or that `error` does
/// not express.
fn dialect(error: &OAuthError) -> Option<Meaning> {
    let code = error.code.as_str();
    let is_grant = code == "invalid_grant" || code == "interaction_required";
    if is_grant && error.numbers.iter().any(|number| PASSING.contains(number)) {
        return Some(Meaning::Transient);
    }
    if let Some((_, name)) = CLIENT.iter().find(|(number, _)| error.numbers.contains(number)) {
        let by_name = endpoint_error::standard(code).filter(|meaning| matches!(meaning, Meaning::Client(_)));
        return by_name.or(Some(Meaning::Client(name)));
    }
    let by_suberror = || endpoint_error::known(&error.suberror, &DEAD).filter(|_| is_grant);
    by_suberror().or_else(|| endpoint_error::known(code, &DEAD)).map(Meaning::Dead)
}

/// Inspects a token by a request for the user's own profile, for Graph tokens only: Microsoft has no
/// inspection endpoint.
pub(super) fn inspection(settings: &Settings) -> Result<Probe, MissingCapability> {
    let graph = settings.hosts.iter().find(|host| host.contains("graph") && !host.starts_with("*."));
    let own = graph.and_then(|host| format!("https://{host}/v1.0/me").parse().ok());
    let url = settings.inspect_url.clone().or(own).ok_or(MissingCapability::Unsupported)?;
    Ok(Probe { url, id: "id", judge })
}
