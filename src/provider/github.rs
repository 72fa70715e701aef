//! GitHub's REST API, for the tokens of OAuth apps and of GitHub Apps.
//! <https://docs.github.com/rest/using-the-rest-api>

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, USER_AGENT},
};
use serde::Deserialize;

use self::tokens::Application;
use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Revocation,
    Settings, Verdict,
    advice::Advice,
    answer::{self, Loose},
    bearer, kind, query,
    renewal::{AGENT, RefreshGrant},
    request::ApiRequest,
};
use crate::{retry::retry_after, token::AccessToken};

mod scope;
mod tokens;

/// The version for requests without the header; supported until at least March 2028 (GitHub's changelog of
/// 2026-03-12). <https://docs.github.com/rest/about-the-rest-api/api-versions>
pub(super) const DEFAULT_VERSION: &str = "2022-11-28";

/// How long to wait when GitHub reports a secondary limit without a time:
/// <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const SECONDARY_WAIT: Duration = Duration::from_secs(60);

/// Source:
/// <https://docs.github.com/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation>.
const ADVICE: Advice = Advice {
    no_refresh_token: "GitHub's token ends after 8 hours and came without a refresh token. Have the login ask for the scope \
        `offline_access`, or switch the expiration of user tokens off in the app's settings at GitHub.",
    grant_ended: "GitHub does so after six months without use, when a refresh token is used twice (by another program, or \
        by a service whose `store.url` was emptied), and when the user or an organisation removes the app.",
    token_ended: "GitHub no longer accepts the token. The eleventh login of a user with the same app and scopes evicts the \
        first; a year without use ends a token, as do the user or an organisation that removes the app, and an \
        organisation's SAML single sign-on may want a new login.",
    ..Advice::GENERAL
};

/// github.com, for OAuth apps and GitHub Apps.
pub(super) const KIND: Kind = Kind {
    strategies: &["github"],
    hosts: HostRule::Fixed,
    is_shared: false,
    takes: &[kind::CLIENT, &["inspect_url", "revoke_url"]],
    takes_lone_secret: false,
    wants_certificate: false,
    advice: ADVICE,
    check_version,
    build: |settings| Box::new(GitHub::new(&settings)),
};

/// The adapter of `github`.
#[derive(Debug)]
pub(super) struct GitHub {
    hosts: [HostPattern; 2],
    version: HeaderValue,
    renewal: Result<RefreshGrant, MissingCapability>,
    application: Result<Application, MissingCapability>,
}

impl GitHub {
    /// Creates the adapter for GitHub's public API, in the version of `settings`.
    pub(super) fn new(settings: &Settings) -> Self {
        let version = settings.api_version.as_ref().and_then(|version| HeaderValue::try_from(version).ok());
        let version = version.unwrap_or(HeaderValue::from_static(DEFAULT_VERSION));
        Self {
            hosts: [HostPattern::new("api.github.com"), HostPattern::new("uploads.github.com")],
            renewal: tokens::renewal(settings),
            application: Application::new(settings, &version),
            version,
        }
    }
}

fn check_version(version: &str) -> Result<(), String> {
    is_version(version).then_some(()).ok_or_else(|| format!("must be a date such as `{DEFAULT_VERSION}`"))
}

/// Returns whether `version` is a date, `YYYY-MM-DD`.
fn is_version(version: &str) -> bool {
    let in_place = |(index, byte): (usize, u8)| {
        if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() }
    };
    let number = |from, to| version.get(from..to).and_then(|digits: &str| digits.parse::<u32>().ok());
    version.len() == 10
        && version.bytes().enumerate().all(in_place)
        && number(5, 7).is_some_and(|month| (1..=12).contains(&month))
        && number(8, 10).is_some_and(|day| (1..=31).contains(&day))
}

impl Provider for GitHub {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        let mut request = bearer::request(call, call.path_and_query.clone(), token);
        dress(request.headers_mut(), &self.version);
        request
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        match answer.status() {
            StatusCode::UNAUTHORIZED => unauthorized(answer),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                limited(answer, now).unwrap_or_else(|| forbidden(answer))
            }
            // GitHub answers 404 for what a token may not see.
            StatusCode::NOT_FOUND => scope_not_granted(answer.headers()).unwrap_or(Verdict::Accepted),
            status if answer::may_pass(status) => {
                Verdict::Unavailable { retry_after: retry_after(answer.headers(), now) }
            }
            _ => Verdict::Accepted,
        }
    }

    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        query::followed(sent, answer::next_link(answer.headers())?, self.refused_parameters())
    }

    fn rate_limit(&self, headers: &HeaderMap, _: SystemTime) -> Option<RateLimit> {
        Some(RateLimit {
            limit: answer::number(headers, "x-ratelimit-limit")?,
            remaining: answer::number(headers, "x-ratelimit-remaining")?,
            reset: answer::epoch(headers, "x-ratelimit-reset"),
        })
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        self.application.as_ref().map(|application| application as _)
    }

    fn revocation(&self) -> Result<&dyn Revocation, &MissingCapability> {
        self.application.as_ref().map(|application| application as _)
    }
}

/// Sets GitHub's required headers. An `accept` header of the caller is kept, since GitHub's media types
/// choose between representations.
fn dress(headers: &mut HeaderMap, version: &HeaderValue) {
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert("x-github-api-version", version.clone());
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/vnd.github+json"));
}

/// The endpoints of a GitHub App itself require a JWT, and answer 401 to any user's token.
fn unauthorized(answer: &Response<Bytes>) -> Verdict {
    if message(answer).contains("json web token") {
        return Verdict::Accepted;
    }
    Verdict::TokenRefused
}

/// Returns how long to wait, in GitHub's documented order: `retry-after`, an exhausted primary limit, at
/// least a minute.
fn limited(answer: &Response<Bytes>, now: SystemTime) -> Option<Verdict> {
    let headers = answer.headers();
    if let Some(wait) = retry_after(headers, now) {
        return Some(Verdict::RateLimited { retry_after: Some(wait) });
    }
    if answer::number(headers, "x-ratelimit-remaining") == Some(0) {
        let reset = answer::epoch(headers, "x-ratelimit-reset");
        let wait = reset.map_or(SECONDARY_WAIT, |reset| answer::wait_until(reset, now));
        return Some(Verdict::RateLimited { retry_after: Some(wait) });
    }
    let says_so = || {
        let message = message(answer);
        ["secondary rate limit", "api rate limit exceeded", "abuse detection"]
            .iter()
            .any(|words| message.contains(words))
    };
    if answer.status() == StatusCode::TOO_MANY_REQUESTS || says_so() {
        return Some(Verdict::RateLimited { retry_after: Some(SECONDARY_WAIT) });
    }
    None
}

fn forbidden(answer: &Response<Bytes>) -> Verdict {
    let headers = answer.headers();
    // The organisation requires a login through its single sign-on; no scope would help.
    if answer::text(headers, "x-github-sso").is_some_and(|sso| sso.starts_with("required")) {
        return Verdict::Accepted;
    }
    if message(answer).contains("resource not accessible by") {
        return Verdict::ScopeNotGranted { missing: permissions(headers) };
    }
    scope_not_granted(headers).unwrap_or(Verdict::Accepted)
}

/// Returns the missing scopes: those that the action accepts, if the token holds none of them. Tokens of
/// GitHub Apps have no scopes, and no such header.
/// <https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>
fn scope_not_granted(headers: &HeaderMap) -> Option<Verdict> {
    if !headers.contains_key("x-oauth-scopes") {
        return None;
    }
    let held = answer::list(headers, "x-oauth-scopes");
    let accepted = answer::list(headers, "x-accepted-oauth-scopes");
    if accepted.is_empty()
        || accepted.iter().any(|wanted| held.iter().any(|held| scope::grants(held, wanted)))
    {
        return None;
    }
    Some(Verdict::ScopeNotGranted { missing: scope::least(&accepted) })
}

/// `contents=read,issues=write; administration=read`: alternative sets of permissions.
/// <https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api>
fn permissions(headers: &HeaderMap) -> Vec<String> {
    let sets = answer::text(headers, "x-accepted-github-permissions").unwrap_or_default();
    let permissions = sets.split([',', ';']).map(str::trim).filter(|permission| !permission.is_empty());
    permissions.map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: Loose,
}

/// The message in lower case; GitHub has no error codes.
fn message(answer: &Response<Bytes>) -> String {
    answer::json::<Failure>(answer.body())
        .map(|failure| failure.message.text().to_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
