//! Token introspection: RFC 7662.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri};

use super::{Inspected, Inspection, InspectionVerdict, time};
use crate::{
    provider::{
        Unsendable,
        answer::Document,
        client::{Client, Form},
        endpoint_error,
    },
    secret::Secret,
    token::AccessToken,
};

/// An introspection endpoint.
#[derive(Debug)]
pub(in crate::provider) struct Introspection {
    /// The client that asks.
    pub(in crate::provider) client: Client,
    /// The endpoint.
    pub(in crate::provider) url: Uri,
}

impl Inspection for Introspection {
    fn encode(&self, access: &AccessToken, now: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let form = Form::default().field("token", access.expose()).field("token_type_hint", "access_token");
        self.client.post(&self.url, form, now)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        let document = Document::read(answer.body());
        match document.flag("active").filter(|_| answer.status().is_success()) {
            Some(true) => InspectionVerdict::Active(Inspected {
                expires_at: time(document.number("exp")),
                scopes: document.words("scope"),
                subject: document.id("sub"),
            }),
            // Section 2.2: the same answer as for a token that the application may not ask about.
            Some(false) => InspectionVerdict::DeadOrForeign,
            None => {
                InspectionVerdict::from(endpoint_error::of(answer, endpoint_error::plain, now)).or_foreign()
            }
        }
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}
