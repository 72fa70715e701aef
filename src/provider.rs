//! The identity providers' HTTP APIs: what they share, and how each differs.
//!
//! An adapter does no I/O: it *describes* requests and *reads* answers. One transport sends them all.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};

pub(crate) use self::escape::fully_decoded;
pub use self::{
    advice::Advice,
    capability::{MissingCapability, TokenPair, Unsendable},
    client::{AuthMethod, has_certificate, private_key},
    endpoint_error::Transient,
    host_pattern::HostPattern,
    inspection::{Inspected, Inspection, InspectionVerdict},
    kind::{HostRule, IdentityApi, Kind, Settings},
    offline::{OfflineAccess, offline_access},
    renewal::{Renewal, RenewalVerdict, Source, Tokens},
    revocation::{Ends, Revocation, RevocationVerdict},
};
use self::{capability::UNSUPPORTED, kind::listed, request::ApiRequest};
use crate::{secret::Secret, token::AccessToken};

mod advice;
mod answer;
mod bearer;
mod bitbucket;
mod capability;
mod client;
mod endpoint_error;
mod escape;
mod facebook;
mod generic;
mod github;
mod google;
mod host_pattern;
mod inspection;
mod kind;
mod microsoft;
mod offline;
mod query;
mod renewal;
pub mod request;
mod revocation;
#[cfg(test)]
mod tests;

/// Every kind of provider. To add one: a file with a `KIND`, its `mod`, and a line here. Tests hold it to the
/// contract of all adapters, and ask for a row in README.md and in docs/configuration.md.
static KINDS: &[&Kind] = &[
    &google::KIND,
    &github::KIND,
    &facebook::KIND,
    &bitbucket::KIND,
    &microsoft::WORK,
    &microsoft::PERSONAL,
    &microsoft::SHAREPOINT,
    &generic::KIND,
];

/// The adapter for one provider's API. Its `Debug` shows no secret.
pub trait Provider: fmt::Debug + Send + Sync {
    /// The API hosts that a token of this provider may be sent to; the first is the default.
    fn hosts(&self) -> &[HostPattern];

    /// Query parameters that this provider reads as a method, a token or further requests. Callers may not
    /// send them: the policy judges method and path, and nothing may change those afterwards. Parameters
    /// refused for every provider are in [`request::TOKEN_PARAMETERS`] and [`request::METHOD_PARAMETERS`].
    fn refused_parameters(&self) -> &[&str] {
        &[]
    }

    /// Checks that `body` does not change the method, the token or the request. Only a provider that reads
    /// query parameters from bodies has anything to check: the rest of a body is covered by the path it is
    /// sent to, which the policy judges.
    ///
    /// # Errors
    /// When the body does change one of them. The text continues a sentence that starts with "it".
    fn check_body(&self, _headers: &HeaderMap, _body: &[u8]) -> Result<(), &'static str> {
        Ok(())
    }

    /// The ranges of `answer` that hold tokens other than the one sent; callers may not see those either.
    fn tokens_of_others(&self, _answer: &[u8]) -> Vec<Range<usize>> {
        Vec::new()
    }

    /// The path sent for a call to `path`, and the path the policy judges: [`Self::encode`] sends no other.
    fn sent_path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        path.into()
    }

    /// Returns the HTTP request for `call` with `token`: an absolute `https` URI, the token and the
    /// provider's required headers, and the body unchanged.
    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes>;

    /// Classifies the provider's answer.
    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict;

    /// The path and query of the page after `answer`, on the host of `sent`; `None` on the last page. Never
    /// contains a token.
    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String>;

    /// The rate limit that an answer's headers report, if any.
    fn rate_limit(&self, headers: &HeaderMap, now: SystemTime) -> Option<RateLimit>;

    /// The client secret that calls use, if any, so that it can be read again when the provider refuses it.
    fn client_secret(&self) -> Option<&Arc<Secret>> {
        None
    }

    /// What a renewal consumes, even when the configuration for renewals is missing.
    fn renewal_source(&self) -> Source {
        Source::RefreshToken
    }

    /// How the provider renews tokens.
    ///
    /// # Errors
    /// When the provider does not renew tokens, or configuration for it is missing.
    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        Err(&UNSUPPORTED)
    }

    /// How the provider inspects tokens.
    ///
    /// # Errors
    /// When the provider does not inspect tokens, or configuration for it is missing.
    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        Err(&UNSUPPORTED)
    }

    /// How the provider revokes tokens.
    ///
    /// # Errors
    /// When the provider does not revoke tokens, or configuration for it is missing.
    fn revocation(&self) -> Result<&dyn Revocation, &MissingCapability> {
        Err(&UNSUPPORTED)
    }
}

/// What an API answer means for the token and for retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A success, a redirect, or a failure that is the caller's own business.
    Accepted,
    /// The provider no longer accepts the token.
    TokenRefused,
    /// The token lacks a scope that the user never granted.
    ScopeNotGranted {
        /// The missing scopes, as far as the provider names them.
        missing: Vec<String>,
    },
    /// The provider throttles this user or this application.
    RateLimited {
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// A temporary failure of the provider.
    Unavailable {
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider needs something that only an operator can set up, such as a client secret or an enabled
    /// API.
    NotConfigured,
}

impl Verdict {
    /// The label in metrics.
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
    /// Requests allowed in the current window.
    pub limit: i64,
    /// Requests left.
    pub remaining: i64,
    /// When the window ends.
    pub reset: Option<SystemTime>,
}

/// Returns the adapter for an Auth0 strategy, or `None` if there is none. An `api_version` that
/// [`check_api_version`] refuses is ignored: the adapter's default applies.
pub fn build(strategy: &str, mut settings: Settings) -> Option<Box<dyn Provider>> {
    let kind = kind(strategy)?;
    settings.api_version = settings.api_version.filter(|version| (kind.check_version)(version).is_ok());
    Some((kind.build)(settings))
}

/// Returns the kind of provider that an Auth0 strategy belongs to.
pub fn kind(strategy: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.strategies.contains(&strategy))
}

/// Advice about the providers of an Auth0 strategy; what holds for any of them where there is no adapter.
pub fn advice(strategy: &str) -> &'static Advice {
    kind(strategy).map_or(&Advice::GENERAL, |kind| kind.advice())
}

/// All Auth0 strategies that have an adapter.
pub fn strategies() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|kind| kind.strategies).copied()
}

/// The strategies as text: "`a`, `b` or `c`".
pub fn strategies_in_words() -> String {
    listed(&strategies().collect::<Vec<_>>())
}

/// Checks that `version` has the shape of an API version of the strategy's provider.
///
/// # Errors
/// What to write instead, as a sentence without a full stop.
pub fn check_api_version(strategy: &str, version: &str) -> Result<(), String> {
    kind(strategy).map_or_else(|| kind::no_version(version), |kind| (kind.check_version)(version))
}
