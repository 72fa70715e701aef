//! What the identity providers' HTTP APIs have in common, and what sets each apart.
//!
//! An adapter does no I/O: it *describes* a request and *reads* an answer. One transport sends.

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
use self::{ability::UNSUPPORTED, kind::listed, request::ApiRequest};
pub use self::{
    ability::{Held, Lack, Unsendable},
    advice::Advice,
    client::{AuthMethod, has_certificate, private_key},
    host_pattern::HostPattern,
    inspection::{Inspected, Inspection, InspectionVerdict},
    kind::{HostRule, IdentityApi, Kind, Settings},
    offline::{OfflineAccess, offline_access},
    renewal::{Renewal, RenewalVerdict, Source, Tokens},
    revocation::{Ends, Revocation, RevocationVerdict},
    setback::Passing,
};
use crate::{secret::Secret, token::AccessToken};

mod ability;
mod advice;
mod answer;
mod bearer;
mod bitbucket;
mod client;
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
mod setback;
#[cfg(test)]
mod tests;

/// Every kind of provider. Adding one takes a file with a `KIND`, its `mod`, and a line here; tests hold it to the contract of
/// all adapters, and ask for a row in README.md and one in docs/configuration.md.
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

/// One provider's dialect. Its `Debug` shows no secret.
pub trait Provider: fmt::Debug + Send + Sync {
    /// The API hosts that a token of this provider may be sent to; the first is the default.
    fn hosts(&self) -> &[HostPattern];

    /// Query parameters that this provider reads as a method, a token or further requests. A caller may not send
    /// them: the policy judges method and path, so nothing may change those afterwards.
    /// What every provider refuses is in [`request::TOKEN_PARAMETERS`] and [`request::METHOD_PARAMETERS`].
    fn refused_parameters(&self) -> &[&str] {
        &[]
    }

    /// Whether this provider finds nothing in `body` that changes the method, the token or the request. Only one that
    /// takes parameters of a body for those of a query has anything to look for: what a body says otherwise is the
    /// business of the path that it is sent to, which the policy judges.
    ///
    /// # Errors
    /// When it does; as words that follow "it".
    fn check_body(&self, _headers: &HeaderMap, _body: &[u8]) -> Result<(), &'static str> {
        Ok(())
    }

    /// Where an answer holds tokens other than the one that was sent, which its caller may not see either.
    fn tokens_of_others(&self, _answer: &[u8]) -> Vec<Range<usize>> {
        Vec::new()
    }

    /// The path that is sent for a call to `path`, which is what the policy judges: [`Self::encode`] sends no other.
    fn sent_path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        path.into()
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

    /// The client secret that calls are made with, if any: to read again when the provider refuses it.
    fn client_secret(&self) -> Option<&Arc<Secret>> {
        None
    }

    /// What a renewal is made from, also where none can be made for want of configuration.
    fn renewal_source(&self) -> Source {
        Source::RefreshToken
    }

    /// How tokens are renewed.
    ///
    /// # Errors
    /// When the provider renews none, or cannot be asked for want of configuration.
    fn renewal(&self) -> Result<&dyn Renewal, &Lack> {
        Err(&UNSUPPORTED)
    }

    /// How tokens are inspected.
    ///
    /// # Errors
    /// When the provider tells nothing, or cannot be asked for want of configuration.
    fn inspection(&self) -> Result<&dyn Inspection, &Lack> {
        Err(&UNSUPPORTED)
    }

    /// How tokens are revoked.
    ///
    /// # Errors
    /// When the provider revokes none, or cannot be asked for want of configuration.
    fn revocation(&self) -> Result<&dyn Revocation, &Lack> {
        Err(&UNSUPPORTED)
    }
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

/// The adapter for an Auth0 strategy, or `None` where there is none.
/// An `api_version` that [`check_api_version`] refuses counts as none: the adapter's default holds.
pub fn build(strategy: &str, mut settings: Settings) -> Option<Box<dyn Provider>> {
    let kind = kind(strategy)?;
    settings.api_version = settings.api_version.filter(|version| (kind.check_version)(version).is_ok());
    Some((kind.build)(settings))
}

/// The kind of provider that an Auth0 strategy names.
pub fn kind(strategy: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.strategies.contains(&strategy))
}

/// Advice about the providers of an Auth0 strategy; what holds for any of them where there is no adapter.
pub fn advice(strategy: &str) -> &'static Advice {
    kind(strategy).map_or(&Advice::GENERAL, |kind| kind.advice())
}

/// Every Auth0 strategy that there is an adapter for.
pub fn strategies() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|kind| kind.strategies).copied()
}

/// The strategies in words: "`a`, `b` or `c`".
pub fn strategies_in_words() -> String {
    listed(&strategies().collect::<Vec<_>>())
}

/// Whether `version` has the shape of an API version of the strategy's provider.
///
/// # Errors
/// What to write instead, as a sentence without a full stop.
pub fn check_api_version(strategy: &str, version: &str) -> Result<(), String> {
    kind(strategy).map_or_else(|| kind::no_version(version), |kind| (kind.check_version)(version))
}
