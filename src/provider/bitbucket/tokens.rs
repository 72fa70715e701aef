//! Bitbucket's token endpoint: <https://developer.atlassian.com/cloud/bitbucket/oauth-2>.

use http::Uri;

use super::judge;
use crate::provider::{
    AuthMethod, MissingCapability, Settings,
    client::{Client, assertion::Signing},
    endpoint_error::{Meaning, OAuthError},
    inspection::Probe,
    renewal::RefreshGrant,
};

const TOKEN_URL: &str = "https://bitbucket.org/site/oauth2/access_token";
const PROBE_URL: &str = "https://api.bitbucket.org/2.0/user";

/// Renews tokens. Since May 2026 every use of a refresh token returns a new one.
/// <https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003>
pub(super) fn renewal(settings: &Settings) -> Result<RefreshGrant, MissingCapability> {
    let url = settings.token_url.clone().unwrap_or(Uri::from_static(TOKEN_URL));
    let signing = Signing { audience: url.to_string(), names_certificate: false };
    let client = Client::new(settings, AuthMethod::Basic, signing)?;
    Ok(RefreshGrant { client, url, rotates: true, fields: Vec::new(), lifetime: None, dialect })
}

/// `{"error":"invalid_request","error_description":"Invalid refresh_token"}`, as shown in
/// <https://community.atlassian.com/t5/Bitbucket-questions/How-do-I-refresh-a-token/qaq-p/1545002>.
fn dialect(error: &OAuthError) -> Option<Meaning> {
    let says_so = error.description.starts_with("Invalid refresh_token");
    (error.code == "invalid_request" && says_so).then_some(Meaning::Dead("invalid_request"))
}

/// Inspects a token by a request for the user's own profile: Bitbucket has no inspection endpoint.
pub(super) fn inspection(settings: &Settings) -> Probe {
    let url = settings.inspect_url.clone().unwrap_or(Uri::from_static(PROBE_URL));
    Probe { url, id: "uuid", judge }
}
