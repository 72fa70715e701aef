//! What the identity providers' HTTP APIs have in common, and what sets each apart.
//!
//! An adapter does no I/O: it *describes* a request and *reads* an answer. One transport sends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};

use self::request::ApiRequest;
use crate::{secret::Secret, token::AccessToken};

pub mod request;

/// One provider's dialect. Adding a provider takes a file with an implementation, and one line in `build`.
pub trait Provider: Send + Sync {
    /// The API hosts that a token of this provider may be sent to; the first is the default.
    fn hosts(&self) -> &[HostPattern];

    /// The HTTP request that carries out `call` with `token`: the token and the provider's required headers set,
    /// the body untouched, an absolute `https` URI.
    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes>;

    /// What the provider's answer means for the token and for sending again.
    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict;

    /// The path and query of the page after `answer`, on the host of `sent`; `None` on the last page.
    /// Never contains a token.
    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String>;

    /// The rate limit as of an answer with these headers, where the provider tells.
    fn rate_limit(&self, headers: &HeaderMap, now: SystemTime) -> Option<RateLimit>;

    /// The client secret that requests are made with, if any: to read again when the provider refuses it.
    fn client_secret(&self) -> Option<&Arc<Secret>>;
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A success, a redirect, or a failure that is the caller's own business.
    Accepted,
    /// The provider no longer accepts the token.
    TokenRefused,
    /// The user never granted a scope that this needs.
    ScopeNotGranted {
        /// The scopes to ask for, as far as the provider names them.
        missing: Vec<String>,
    },
    /// The provider throttles this user or application.
    RateLimited {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider fails in a way that may pass.
    Unavailable {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider wants something that only an operator can set up: a client secret, an API switched on.
    NotConfigured,
}

/// A provider's rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in the current window.
    pub limit: i64,
    /// Requests left.
    pub remaining: i64,
    /// When the window ends.
    pub reset: Option<SystemTime>,
}

/// A host, or all hosts directly below one: `api.github.com`, `*.googleapis.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// A pattern of lower-case letters; a `*` may stand for the whole first label only.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether `host`, in lower case and without a port, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            None => self.0 == host,
            Some(suffix) => {
                host.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
