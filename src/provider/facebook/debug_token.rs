//! Inspection of Graph's tokens.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::tokens::{refused, url};
use crate::{
    provider::{
        Inspected, Inspection, InspectionVerdict, MissingCapability, Settings, Unsendable,
        answer::Document,
        client::{Client, sensitive},
        endpoint_error::EndpointError,
        inspection::time,
        query,
    },
    secret::Secret,
    token::AccessToken,
};

/// The `debug_token` endpoint, which requires a token of the application itself.
/// <https://developers.facebook.com/docs/facebook-login/access-tokens/debugging-and-error-handling>
#[derive(Debug)]
pub(super) struct DebugToken {
    client: Client,
    url: Uri,
}

impl DebugToken {
    pub(super) fn new(settings: &Settings, version: &str) -> Result<Self, MissingCapability> {
        let client = Client::with_secret(settings)?;
        Ok(Self { client, url: url(settings.inspect_url.as_ref(), version, "debug_token") })
    }

    /// Returns whether Graph's answer is about a token of this application. It reports no `app_id` for a
    /// token that it cannot attribute; then the error code says whether the token is dead.
    fn is_own(&self, data: &Document) -> bool {
        match data.id("app_id") {
            Some(id) => id == self.client.id(),
            None => data.object("error").number("code") == Some(190),
        }
    }
}

impl Inspection for DebugToken {
    fn encode(&self, access: &AccessToken, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let secret = self.client.credential().get();
        let own = Zeroizing::new(format!("Bearer {}|{}", self.client.id(), secret.expose_secret()));
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = query::extended(&self.url, "input_token", access.expose())?;
        request.headers_mut().insert(AUTHORIZATION, sensitive(&own));
        Ok(request)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        let data = Document::read(answer.body()).object("data");
        match data.flag("is_valid").filter(|_| answer.status().is_success()) {
            Some(true) => InspectionVerdict::Active(Inspected {
                // Zero for a token that does not expire.
                expires_at: time(data.number("expires_at")),
                scopes: data.words("scopes"),
                subject: data.id("user_id"),
            }),
            Some(false) if self.is_own(&data) => InspectionVerdict::Dead,
            Some(false) => InspectionVerdict::DeadOrForeign,
            None => match refused(answer, now) {
                // The application's own token was refused.
                EndpointError::Dead(code) => InspectionVerdict::ClientRefused { code },
                error => error.into(),
            },
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}
