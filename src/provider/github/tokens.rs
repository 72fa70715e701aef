//! GitHub's token endpoints, for OAuth apps and GitHub Apps with expiring user tokens.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, header::AUTHORIZATION, header::CONTENT_TYPE,
};
use percent_encoding::utf8_percent_encode;

use super::dress;
use crate::{
    identity::RESERVED,
    provider::{
        Ends, Inspected, Inspection, InspectionVerdict, MissingCapability, Revocation, RevocationVerdict,
        Settings, TokenPair, Unsendable,
        answer::Document,
        client::Client,
        endpoint_error::{self, EndpointError, Meaning, OAuthError},
        renewal::RefreshGrant,
    },
    secret::Secret,
    token::AccessToken,
};

const TOKEN_URL: &str = "https://github.com/login/oauth/access_token";

/// Renews tokens: the old refresh token and the old access token both die.
/// <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens>
pub(super) fn renewal(settings: &Settings) -> Result<RefreshGrant, MissingCapability> {
    let url = settings.token_url.clone().unwrap_or(Uri::from_static(TOKEN_URL));
    let client = Client::with_secret(settings)?;
    Ok(RefreshGrant { client, url, rotates: true, fields: Vec::new(), lifetime: None, dialect })
}

/// GitHub's own error codes, which it sends with status 200.
/// <https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>
fn dialect(error: &OAuthError) -> Option<Meaning> {
    const CLIENT: [&str; 2] = ["incorrect_client_credentials", "application_suspended"];
    match error.code.as_str() {
        "bad_refresh_token" => Some(Meaning::Dead("bad_refresh_token")),
        other => endpoint_error::known(other, &CLIENT).map(Meaning::Client),
    }
}

/// `/applications/{client_id}/token`, where an application inspects and revokes its users' tokens.
/// <https://docs.github.com/rest/apps/oauth-applications>
#[derive(Debug)]
pub(super) struct Application {
    client: Client,
    inspect_url: Uri,
    revoke_url: Uri,
    version: HeaderValue,
}

impl Application {
    pub(super) fn new(settings: &Settings, version: &HeaderValue) -> Result<Self, MissingCapability> {
        let client = Client::with_secret(settings)?;
        let id = utf8_percent_encode(client.id(), RESERVED);
        let own = format!("https://api.github.com/applications/{id}/token");
        let own = Uri::try_from(own)
            .map_err(|_| MissingCapability::NotConfigured { missing: vec!["client_id"] })?;
        Ok(Self {
            inspect_url: settings.inspect_url.clone().unwrap_or_else(|| own.clone()),
            revoke_url: settings.revoke_url.clone().unwrap_or(own),
            version: version.clone(),
            client,
        })
    }

    fn request(&self, method: Method, url: &Uri, access: &AccessToken) -> Request<Bytes> {
        let body = serde_json::json!({ "access_token": access.expose() });
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.client.basic());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        dress(headers, &self.version);
        request
    }
}

impl Inspection for Application {
    fn encode(&self, access: &AccessToken, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        Ok(self.request(Method::POST, &self.inspect_url, access))
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        let document = Document::read(answer.body());
        match document.object("user").id("id").filter(|_| answer.status().is_success()) {
            Some(id) => InspectionVerdict::Active(Inspected {
                // RFC 3339, or null for a token that does not expire.
                expires_at: humantime::parse_rfc3339(document.text("expires_at")).ok(),
                // Null for GitHub Apps.
                scopes: document.words("scopes"),
                subject: Some(id),
            }),
            None => InspectionVerdict::from(refused(answer, now)).or_foreign(),
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}

impl Revocation for Application {
    fn ends(&self) -> Ends {
        Ends::Token
    }

    fn encode(&self, pair: TokenPair<'_>, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        Ok(self.request(Method::DELETE, &self.revoke_url, pair.access))
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict {
        match answer.status() {
            StatusCode::NO_CONTENT => RevocationVerdict::Revoked,
            _ => refused(answer, now).into(),
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}

/// GitHub answers `Not Found` for dead tokens and for those of other applications.
fn refused(answer: &Response<Bytes>, now: SystemTime) -> EndpointError {
    match (answer.status(), Document::read(answer.body()).text("message")) {
        (StatusCode::NOT_FOUND, "Not Found") => EndpointError::Dead("not_found"),
        (StatusCode::UNAUTHORIZED, message) if !message.is_empty() => {
            EndpointError::Client("bad_credentials")
        }
        _ => endpoint_error::transient(answer, now),
    }
}
