//! RFC 7662.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri};
use serde::Deserialize;

use super::{Inspected, Inspection, InspectionVerdict, time};
use crate::{
    provider::{
        Unsendable,
        answer::{self, Loose, Words},
        client::{Client, Form},
        setback::{self, Meaning, OAuthError, Setback},
    },
    secret::Secret,
    token::AccessToken,
};

/// An introspection endpoint.
#[derive(Debug)]
pub(in crate::provider) struct Introspection {
    /// Who asks.
    pub(in crate::provider) client: Client,
    /// The endpoint.
    pub(in crate::provider) url: Uri,
}

#[derive(Deserialize)]
struct Body {
    active: bool,
    #[serde(default)]
    exp: Loose,
    #[serde(default)]
    scope: Words,
    #[serde(default)]
    sub: Loose,
}

impl Inspection for Introspection {
    fn encode(&self, access: &AccessToken, now: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let form = Form::default().field("token", access.expose()).field("token_type_hint", "access_token");
        self.client.post(&self.url, form, now)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        match answer::page::<Body>(answer) {
            Some(Body { active: false, .. }) => InspectionVerdict::Dead,
            Some(body) => InspectionVerdict::Active(Inspected {
                expires_at: time(body.exp.number()),
                scopes: body.scope.0,
                subject: body.sub.name(),
            }),
            None => refused(answer, now).into(),
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}

/// Of a dead token the endpoint says so in a success; `invalid_grant` would speak of something else.
fn refused(answer: &Response<Bytes>, now: SystemTime) -> Setback {
    let no_grant = |error: &OAuthError| (error.error.text() == "invalid_grant").then_some(Meaning::Passing);
    setback::of(answer, no_grant, now)
}
