//! The refresh token grant: RFC 6749, section 6.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::USER_AGENT};

use super::{Renewal, RenewalVerdict, Source, read_tokens};
use crate::{
    provider::{
        TokenPair, Unsendable,
        client::{Client, Form},
        endpoint_error::{self, Dialect},
    },
    secret::Secret,
};

/// A token endpoint that takes refresh tokens.
#[derive(Debug)]
pub(in crate::provider) struct RefreshGrant {
    /// The client that asks.
    pub(in crate::provider) client: Client,
    /// The token endpoint.
    pub(in crate::provider) url: Uri,
    /// Whether refresh tokens are single-use.
    pub(in crate::provider) rotates: bool,
    /// Additional parameters: scopes, a resource.
    pub(in crate::provider) fields: Vec<(&'static str, String)>,
    /// The lifetime of tokens if the answer does not report it.
    pub(in crate::provider) lifetime: Option<Duration>,
    /// What errors mean at this provider.
    pub(in crate::provider) dialect: Dialect,
}

/// GitHub rejects requests without a user agent; other providers do not mind it.
pub(in crate::provider) const AGENT: &str = concat!("idp-token-service/", env!("CARGO_PKG_VERSION"));

impl Renewal for RefreshGrant {
    fn rotates(&self) -> bool {
        self.rotates
    }

    fn source(&self) -> Source {
        Source::RefreshToken
    }

    fn encode(&self, pair: TokenPair<'_>, now: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let token = pair.refresh.ok_or(Unsendable::NoRefreshToken)?;
        let form =
            Form::default().field("grant_type", "refresh_token").field("refresh_token", token.expose());
        let form = self.fields.iter().fold(form, |form, (name, value)| form.field(name, value));
        let mut request = self.client.post(&self.url, form, now)?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(request)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RenewalVerdict {
        match read_tokens(answer) {
            Some(tokens) => {
                let expires_in = tokens.expires_in.or(self.lifetime);
                RenewalVerdict::Renewed(super::Tokens { expires_in, ..tokens })
            }
            None => endpoint_error::of(answer, self.dialect, now).into(),
        }
    }

    fn credential(&self) -> &Arc<Secret> {
        self.client.credential()
    }
}
