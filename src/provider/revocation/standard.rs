//! Token revocation: RFC 7009.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri};

use super::{Ends, Revocation, RevocationVerdict};
use crate::{
    provider::{
        TokenPair, Unsendable,
        client::{Client, Form},
        endpoint_error,
    },
    secret::Secret,
};

/// A revocation endpoint.
#[derive(Debug)]
pub(in crate::provider) struct StandardRevocation {
    /// The client that asks.
    pub(in crate::provider) client: Client,
    /// The endpoint.
    pub(in crate::provider) url: Uri,
}

impl Revocation for StandardRevocation {
    fn ends(&self) -> Ends {
        Ends::Token
    }

    /// Sends the refresh token, if there is one: servers then end its access tokens too (section 2.1), but
    /// not vice versa.
    fn encode(&self, pair: TokenPair<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let (token, hint) = match pair.refresh {
            Some(refresh) => (refresh.expose(), "refresh_token"),
            None => (pair.access.expose(), "access_token"),
        };
        let form = Form::default().field("token", token).field("token_type_hint", hint);
        self.client.post(&self.url, form, now)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RevocationVerdict {
        RevocationVerdict::by_status(answer, endpoint_error::plain, now)
    }

    fn credential(&self) -> Option<&Arc<Secret>> {
        Some(self.client.credential())
    }
}
