//! Revocation of a user's tokens.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header::AUTHORIZATION};

use super::{
    proof,
    tokens::{refused, url},
};
use crate::{
    provider::{
        Ends, Revocation, RevocationVerdict, Settings, TokenPair, Unsendable, answer::Document, bearer, query,
    },
    secret::Secret,
};

/// `DELETE /me/permissions`: removes the application from the user's account, which ends all of its tokens
/// for them.
/// <https://developers.facebook.com/docs/graph-api/reference/user/permissions>
#[derive(Debug)]
pub(super) struct Removal {
    secret: Option<Arc<Secret>>,
    url: Uri,
}

impl Removal {
    pub(super) fn new(settings: &Settings, version: &str) -> Self {
        let url = url(settings.revoke_url.as_ref(), version, "me/permissions");
        Self { secret: settings.client_secret.clone(), url }
    }
}

impl Revocation for Removal {
    fn ends(&self) -> Ends {
        Ends::Grant
    }

    fn encode(&self, pair: TokenPair<'_>, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = match &self.secret {
            Some(secret) => {
                query::extended(&self.url, "appsecret_proof", &proof::of(pair.access, &secret.get()))?
            }
            None => self.url.clone(),
        };
        request.headers_mut().insert(AUTHORIZATION, bearer::authorization(pair.access));
        Ok(request)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict {
        let is_bare = answer.body().trim_ascii() == b"true";
        let is_done = is_bare || Document::read(answer.body()).flag("success") == Some(true);
        if is_done && answer.status().is_success() {
            return RevocationVerdict::Revoked;
        }
        refused(answer, now).into()
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        self.secret.as_ref()
    }
}
