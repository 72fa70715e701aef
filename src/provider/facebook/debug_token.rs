//! What Graph knows of a token.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::tokens::{refused, url};
use crate::{
    provider::{
        Inspected, Inspection, InspectionVerdict, Lack, Settings, Unsendable,
        answer::{self, Loose, Words},
        client::{Client, sensitive},
        inspection::time,
        query,
        setback::Setback,
    },
    secret::Secret,
    token::AccessToken,
};

/// `debug_token`, which wants a token of the application itself.
/// <https://developers.facebook.com/docs/facebook-login/access-tokens/debugging-and-error-handling>
#[derive(Debug)]
pub(super) struct DebugToken {
    client: Client,
    url: Uri,
}

impl DebugToken {
    pub(super) fn new(settings: &Settings, version: &str) -> Result<Self, Lack> {
        let client = Client::with_secret(settings)?;
        Ok(Self { client, url: url(settings.inspect_url.as_ref(), version, "debug_token") })
    }
}

#[derive(Deserialize)]
struct Debugged {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    is_valid: bool,
    /// Zero for a token that does not end.
    #[serde(default)]
    expires_at: Loose,
    #[serde(default)]
    scopes: Words,
    #[serde(default)]
    user_id: Loose,
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
        match answer::page::<Debugged>(answer).map(|body| body.data) {
            Some(Data { is_valid: false, .. }) => InspectionVerdict::Dead,
            Some(data) => InspectionVerdict::Active(Inspected {
                expires_at: time(data.expires_at.number()),
                scopes: data.scopes.0,
                subject: data.user_id.name(),
            }),
            None => match refused(answer, now) {
                // It is the application's own token that was refused.
                Setback::Dead(code) => InspectionVerdict::ClientRefused { code },
                setback => setback.into(),
            },
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}
