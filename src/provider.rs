//! What the identity providers' HTTP APIs have in common, and what sets each apart.
//!
//! An adapter does no I/O: it *describes* a request and *reads* an answer. One transport sends.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};

use self::{facebook::Facebook, github::GitHub, google::Google, request::ApiRequest};
use crate::{secret::Secret, token::AccessToken};

mod answer;
mod bearer;
mod escape;
pub mod facebook;
pub mod github;
pub mod google;
mod query;
pub mod request;
#[cfg(test)]
mod tests;

/// One provider's dialect. Adding a provider takes a file with an implementation, and one line in `build`.
pub trait Provider: Send + Sync {
    /// The API hosts that a token of this provider may be sent to; the first is the default.
    fn hosts(&self) -> &[HostPattern];

    /// Query parameters that this provider reads as a method, a token or further requests. A caller may not send
    /// them: the policy judges method and path, so nothing may change those afterwards.
    /// What every provider refuses is in [`request::TOKEN_PARAMETERS`].
    fn refused_parameters(&self) -> &[&str] {
        &[]
    }

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

impl Verdict {
    /// The word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TokenRefused => "token_refused",
            Self::ScopeNotGranted { .. } => "scope_not_granted",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::NotConfigured => "not_configured",
        }
    }
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
pub struct HostPattern {
    pattern: String,
    except: &'static [&'static str],
}

impl HostPattern {
    /// A pattern of lower-case letters; a `*` may stand for the whole first label only.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), except: &[] }
    }

    /// The same pattern, which does not mean the hosts of `except`.
    #[must_use]
    pub fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }

    /// Whether `host`, in lower case and without a port, is meant.
    pub fn matches(&self, host: &str) -> bool {
        if self.except.contains(&host) {
            return false;
        }
        match self.pattern.strip_prefix('*') {
            None => self.pattern == host,
            Some(suffix) => {
                host.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    /// Whether one host alone is meant.
    pub fn is_exact(&self) -> bool {
        !self.pattern.starts_with('*')
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)?;
        if self.except.is_empty() {
            return Ok(());
        }
        write!(f, " (except {})", self.except.join(", "))
    }
}

/// What an operator may set for a provider, as far as calls to its API go.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The secret of the application that the tokens were issued to; Facebook wants proof of it.
    pub client_secret: Option<Arc<Secret>>,
    /// The version of the provider's API, where it has one: see [`check_api_version`].
    pub api_version: Option<String>,
}

/// The adapter for an Auth0 strategy, or `None` where there is none.
/// An `api_version` that [`check_api_version`] refuses counts as none: the adapter's default holds.
pub fn build(strategy: &str, mut settings: Settings) -> Option<Box<dyn Provider>> {
    settings.api_version =
        settings.api_version.filter(|version| check_api_version(strategy, version).is_ok());
    match strategy {
        "google-oauth2" | "google-apps" => Some(Box::new(Google::new())),
        "github" => Some(Box::new(GitHub::new(settings))),
        "facebook" => Some(Box::new(Facebook::new(settings))),
        _ => None,
    }
}

/// Whether `version` has the shape of an API version of the strategy's provider.
///
/// # Errors
/// What to write instead, as a sentence without a full stop.
pub fn check_api_version(strategy: &str, version: &str) -> Result<(), String> {
    match strategy {
        "github" if github::is_version(version) => Ok(()),
        "github" => Err(format!("must be a date such as `{}`", github::DEFAULT_VERSION)),
        "facebook" if facebook::is_version(version) => Ok(()),
        "facebook" => Err(format!("must be a version such as `{}`", facebook::DEFAULT_VERSION)),
        _ => Err("must be left out: this provider's API has no version to choose".to_owned()),
    }
}
