//! Google's token endpoints: <https://developers.google.com/identity/protocols/oauth2/web-server>.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, Uri};

use crate::{
    provider::{
        AuthMethod, Ends, Inspected, Inspection, InspectionVerdict, MissingCapability, Revocation,
        RevocationVerdict, Settings, TokenPair, Unsendable,
        answer::Document,
        client::{Client, Form, assertion::Signing, posted},
        endpoint_error::{self, Meaning, OAuthError},
        inspection::time,
        query,
        renewal::RefreshGrant,
    },
    token::AccessToken,
};

const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const INSPECT_URL: &str = "https://oauth2.googleapis.com/tokeninfo";
const REVOKE_URL: &str = "https://oauth2.googleapis.com/revoke";

/// Renews tokens: the refresh token stays the same, and the answer does not repeat it.
pub(super) fn renewal(settings: &Settings) -> Result<RefreshGrant, MissingCapability> {
    let url = settings.token_url.clone().unwrap_or(Uri::from_static(TOKEN_URL));
    let signing = Signing { audience: url.to_string(), names_certificate: false };
    let client = Client::new(settings, AuthMethod::Post, signing)?;
    Ok(RefreshGrant { client, url, rotates: false, fields: Vec::new(), lifetime: None, dialect })
}

/// `invalid_rapt`: the organisation's session control requires a new login.
fn dialect(error: &OAuthError) -> Option<Meaning> {
    match error.code.as_str() {
        "invalid_grant" if error.subtype == "invalid_rapt" => Some(Meaning::Dead("invalid_rapt")),
        "deleted_client" => Some(Meaning::Client("deleted_client")),
        "disabled_client" => Some(Meaning::Client("disabled_client")),
        _ => None,
    }
}

/// The `tokeninfo` endpoint, open to anyone who has the token, which it takes in the query.
#[derive(Debug)]
pub(super) struct TokenInfo {
    url: Uri,
}

impl TokenInfo {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { url: settings.inspect_url.clone().unwrap_or(Uri::from_static(INSPECT_URL)) }
    }
}

impl Inspection for TokenInfo {
    fn encode(&self, access: &AccessToken, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = query::extended(&self.url, "access_token", access.expose())?;
        Ok(request)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        let document = Document::read(answer.body());
        // The client the token was issued to: always present for a live token.
        if !answer.status().is_success() || document.id("aud").is_none() {
            return endpoint_error::of(answer, of_token, now).into();
        }
        InspectionVerdict::Active(Inspected {
            expires_at: time(document.number("exp")),
            scopes: document.words("scope"),
            subject: document.id("sub"),
        })
    }
}

/// Ends the user's whole grant, whichever of its tokens is sent.
#[derive(Debug)]
pub(super) struct TokenRevocation {
    url: Uri,
}

impl TokenRevocation {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { url: settings.revoke_url.clone().unwrap_or(Uri::from_static(REVOKE_URL)) }
    }
}

impl Revocation for TokenRevocation {
    fn ends(&self) -> Ends {
        Ends::Grant
    }

    fn encode(&self, pair: TokenPair<'_>, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let token = pair.refresh.map_or(pair.access.expose(), |refresh| refresh.expose());
        Ok(posted(&self.url, Form::default().field("token", token)))
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict {
        RevocationVerdict::by_status(answer, of_token, now)
    }
}

/// Classifies answers about the token itself.
fn of_token(error: &OAuthError) -> Option<Meaning> {
    let is_dead = error.code == "invalid_token" || error.description == "Invalid Value";
    is_dead.then_some(Meaning::Dead("invalid_token"))
}
