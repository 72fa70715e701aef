//! Renewal of Graph's tokens. There are no refresh tokens: a live token is exchanged for a longer-lived one.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri};
use secrecy::ExposeSecret;

use super::{is_limit, wait};
use crate::{
    provider::{
        MissingCapability, Renewal, RenewalVerdict, Settings, Source, TokenPair, Transient, Unsendable,
        answer::Document,
        client::Client,
        endpoint_error::{self, EndpointError},
        query,
        renewal::read_tokens,
    },
    secret::Secret,
};

/// `own` if set, otherwise the URL of `path` below Graph's version.
pub(super) fn url(own: Option<&Uri>, version: &str, path: &str) -> Uri {
    let graph = || format!("https://graph.facebook.com/{version}/{path}").parse();
    own.cloned().unwrap_or_else(|| graph().expect("a checked version and a fixed path make a URL"))
}

/// The `fb_exchange_token` grant. All parameters are in the query, as documented:
/// <https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived>
#[derive(Debug)]
pub(super) struct Exchange {
    client: Client,
    url: Uri,
}

impl Exchange {
    pub(super) fn new(settings: &Settings, version: &str) -> Result<Self, MissingCapability> {
        let client = Client::with_secret(settings)?;
        Ok(Self { client, url: url(settings.token_url.as_ref(), version, "oauth/access_token") })
    }
}

impl Renewal for Exchange {
    /// The old token stays valid until it expires.
    fn rotates(&self) -> bool {
        false
    }

    fn source(&self) -> Source {
        Source::LiveAccessToken
    }

    fn encode(&self, pair: TokenPair<'_>, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let secret = self.client.credential().get();
        let parameters = [
            ("grant_type", "fb_exchange_token"),
            ("client_id", self.client.id()),
            ("client_secret", secret.expose_secret()),
            ("fb_exchange_token", pair.access.expose()),
        ];
        let extend = |url: Uri, (name, value)| query::extended(&url, name, value);
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = parameters.into_iter().try_fold(self.url.clone(), extend)?;
        Ok(request)
    }

    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> RenewalVerdict {
        read_tokens(answer).map_or_else(|| refused(answer, now).into(), RenewalVerdict::Renewed)
    }

    fn credential(&self) -> &Arc<Secret> {
        self.client.credential()
    }
}

/// Classifies by the code if the answer is Graph's own. A wrong secret has the code of an unknown error (1)
/// or of a wrong parameter (100), and is recognised by its message alone.
pub(super) fn refused(answer: &Response<Bytes>, now: SystemTime) -> EndpointError {
    let failure = Document::read(answer.body()).object("error");
    let message = failure.text("message");
    match failure.number("code").filter(|_| endpoint_error::may_be_final(answer.status())) {
        Some(190) => EndpointError::Dead("190"),
        Some(102) => EndpointError::Dead("102"),
        Some(101) => EndpointError::Client("101"),
        Some(1 | 100) if message.contains("client secret") => EndpointError::Client("client_secret"),
        Some(100) if message.contains("appsecret_proof") => EndpointError::Client("appsecret_proof"),
        code => transient(answer, code.is_some_and(is_limit), now),
    }
}

fn transient(answer: &Response<Bytes>, is_limited: bool, now: SystemTime) -> EndpointError {
    match endpoint_error::transient(answer, now) {
        EndpointError::Transient(Transient { throttled, what, .. }) => {
            let retry_after = wait(answer.headers(), now);
            EndpointError::Transient(Transient { retry_after, throttled: throttled || is_limited, what })
        }
        other => other,
    }
}
