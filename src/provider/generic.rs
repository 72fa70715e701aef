//! Any provider that follows the standards: OAuth 2.0 bearer tokens (RFC 6750), links (RFC 8288),
//! `Retry-After`. Auth0 gives all of them one strategy, so each connection has its own settings.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use serde::Deserialize;

use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Revocation,
    Settings, Verdict,
    advice::Advice,
    answer::{self, Loose, Words},
    bearer,
    inspection::Introspection,
    kind,
    renewal::RefreshGrant,
    request::ApiRequest,
    revocation::StandardRevocation,
};
use crate::{retry::retry_after, token::AccessToken};

mod page;
mod tokens;

/// Custom social connections, and OpenID Connect enterprise connections.
pub(super) const KIND: Kind = Kind {
    strategies: &["oauth2", "oidc"],
    hosts: HostRule::Required,
    is_shared: true,
    takes: &[kind::CLIENT, kind::PROOF, &["inspect_url", "revoke_url", "scopes", "rotates", "lifetime"]],
    takes_lone_secret: false,
    wants_certificate: false,
    advice: Advice::GENERAL,
    check_version: kind::no_version,
    build: |settings| Box::new(Generic::new(&settings)),
};

/// The adapter of one `oauth2` or `oidc` connection.
#[derive(Debug)]
pub(super) struct Generic {
    hosts: Vec<HostPattern>,
    renewal: Result<RefreshGrant, MissingCapability>,
    inspection: Result<Introspection, MissingCapability>,
    revocation: Result<StandardRevocation, MissingCapability>,
}

impl Generic {
    /// Creates the adapter for the API hosts of `settings`; without hosts, nothing can be called.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            hosts: settings.hosts.iter().map(HostPattern::new).collect(),
            renewal: tokens::renewal(settings),
            inspection: tokens::inspection(settings),
            revocation: tokens::revocation(settings),
        }
    }
}

impl Provider for Generic {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        bearer::request(call, call.path_and_query.clone(), token)
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        let status = answer.status();
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                Verdict::RateLimited { retry_after: wait(answer.headers(), now) }
            }
            status if answer::may_pass(status) => {
                Verdict::Unavailable { retry_after: retry_after(answer.headers(), now) }
            }
            status if status.is_client_error() => refused(answer),
            _ => Verdict::Accepted,
        }
    }

    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        page::next(sent, answer, self.refused_parameters())
    }

    fn rate_limit(&self, headers: &HeaderMap, now: SystemTime) -> Option<RateLimit> {
        answer::rate_limit(headers, now)
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        self.inspection.as_ref().map(|inspection| inspection as _)
    }

    fn revocation(&self) -> Result<&dyn Revocation, &MissingCapability> {
        self.revocation.as_ref().map(|revocation| revocation as _)
    }
}

/// Classifies by the challenge (RFC 6750, section 3.1); a 401 without one means that the token is dead.
fn refused(answer: &Response<Bytes>) -> Verdict {
    let headers = answer.headers();
    if let Some(missing) = missing_scopes(answer) {
        return Verdict::ScopeNotGranted { missing };
    }
    let is_invalid = answer::challenge(headers, "invalid_token", "error").is_some();
    if is_invalid || answer.status() == StatusCode::UNAUTHORIZED {
        return Verdict::TokenRefused;
    }
    Verdict::Accepted
}

/// The scopes of an `insufficient_scope` error, from the challenge or, as GitLab sends it, from the body:
/// `{"error":"insufficient_scope","scope":"api"}`.
fn missing_scopes(answer: &Response<Bytes>) -> Option<Vec<String>> {
    if let Some(scopes) = answer::challenge(answer.headers(), "insufficient_scope", "scope") {
        return Some(Words::of(scopes).0);
    }
    let failure: Failure =
        answer::json(answer.body()).filter(|_| answer.status() == StatusCode::FORBIDDEN)?;
    (failure.error.text() == "insufficient_scope").then_some(failure.scope.0)
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry_after(headers, now).or_else(|| answer::exhausted(headers, now))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    error: Loose,
    scope: Words,
}

#[cfg(test)]
mod tests;
