//! Facebook's Graph API. Its failures are told apart by codes; the HTTP status says little.
//! <https://developers.facebook.com/docs/graph-api/guides/error-handling>

use std::{
    borrow::Cow,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, uri::PathAndQuery};
use serde::Deserialize;

use self::{debug_token::DebugToken, removal::Removal, tokens::Exchange};
use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Revocation,
    Settings, Source, Verdict,
    advice::Advice,
    answer::{self, Loose},
    bearer, kind, query,
    request::ApiRequest,
};
use crate::{retry::retry_after, secret::Secret, token::AccessToken};

mod body;
mod debug_token;
mod others;
mod permission;
mod proof;
mod removal;
mod tokens;
mod usage;

/// The version of paths that have none. By default, Graph uses the oldest version available to the
/// application.
/// <https://developers.facebook.com/docs/graph-api/guides/versioning>
pub(super) const DEFAULT_VERSION: &str = "v25.0";

/// Graph reads `method` as the request's method, `batch` as further requests, and the others as tokens or
/// proofs.
/// <https://developers.facebook.com/docs/graph-api/batch-requests>,
/// <https://developers.facebook.com/docs/graph-api/guides/secure-requests>
const REFUSED_PARAMETERS: [&str; 6] =
    ["method", "batch", "appsecret_proof", "appsecret_time", "input_token", "fb_exchange_token"];

const ADVICE: Advice = Advice {
    grant_ended: "Facebook's tokens live for some 60 days, die when the user changes the password or removes the app, and can \
        be exchanged for new ones only while they live.",
    token_ended: "Facebook no longer accepts the token. Facebook's tokens live for some 60 days, die when the user changes \
        the password or removes the app, and can be exchanged for new ones only while they live.",
    with_application: "Facebook's tokens live for some 60 days, die when the user changes the password or removes the app, \
        and can be exchanged for new ones only while they live. With the application this service does so in time.",
    ..Advice::GENERAL
};

/// Facebook accounts.
pub(super) const KIND: Kind = Kind {
    strategies: &["facebook"],
    hosts: HostRule::Fixed,
    is_shared: false,
    takes: &[kind::CLIENT, &["inspect_url", "revoke_url"]],
    takes_lone_secret: true,
    wants_certificate: false,
    advice: ADVICE,
    check_version,
    build: |settings| Box::new(Facebook::new(settings)),
};

/// The adapter of `facebook`.
#[derive(Debug)]
pub(super) struct Facebook {
    hosts: [HostPattern; 1],
    version: String,
    client_secret: Option<Arc<Secret>>,
    renewal: Result<Exchange, MissingCapability>,
    inspection: Result<DebugToken, MissingCapability>,
    revocation: Removal,
}

impl Facebook {
    /// Creates the adapter for the public Graph API; with a client secret, every call carries an
    /// `appsecret_proof`.
    pub(super) fn new(settings: Settings) -> Self {
        let version = settings.api_version.as_deref().unwrap_or(DEFAULT_VERSION);
        Self {
            hosts: [HostPattern::new("graph.facebook.com")],
            version: version.to_owned(),
            renewal: Exchange::new(&settings, version),
            inspection: DebugToken::new(&settings, version),
            revocation: Removal::new(&settings, version),
            client_secret: settings.client_secret,
        }
    }

    fn target(&self, asked: &PathAndQuery, token: &AccessToken) -> PathAndQuery {
        let mut target = self.sent_path(asked.path()).into_owned();
        if let Some(query) = asked.query() {
            target.extend(["?", query]);
        }
        if let Some(secret) = &self.client_secret {
            query::append(&mut target, "appsecret_proof", &proof::of(token, &secret.get()));
        }
        PathAndQuery::try_from(target)
            .expect("a checked path stays one behind a version and before a parameter")
    }
}

fn check_version(version: &str) -> Result<(), String> {
    is_version(version).then_some(()).ok_or_else(|| format!("must be a version such as `{DEFAULT_VERSION}`"))
}

/// Returns whether `version` is a version of Graph, such as `v25.0`.
fn is_version(version: &str) -> bool {
    let is_number =
        |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = version.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn has_version(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(is_version)
}

impl Provider for Facebook {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn refused_parameters(&self) -> &[&str] {
        &REFUSED_PARAMETERS
    }

    fn check_body(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
        body::check(headers, body, &REFUSED_PARAMETERS)
    }

    fn tokens_of_others(&self, answer: &[u8]) -> Vec<Range<usize>> {
        others::tokens(answer)
    }

    fn sent_path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if has_version(path) { path.into() } else { format!("/{}{path}", self.version).into() }
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        bearer::request(call, self.target(&call.path_and_query, token), token)
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        if answer.status().is_success() {
            return Verdict::Accepted;
        }
        let failure = answer::json::<Body>(answer.body()).unwrap_or_default().error;
        match failure.code.number() {
            Some(code) => by_code(code, failure.message.text(), answer.headers(), now),
            None => by_status(answer, now),
        }
    }

    /// `paging.next` is an absolute URL that contains the token
    /// (<https://developers.facebook.com/docs/graph-api/results>).
    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        let page: Page = answer::page(answer)?;
        query::followed(sent, page.paging?.next.text(), self.refused_parameters())
    }

    /// Graph reports percentages, not requests.
    fn rate_limit(&self, _: &HeaderMap, _: SystemTime) -> Option<RateLimit> {
        None
    }

    fn client_secret(&self) -> Option<&Arc<Secret>> {
        self.client_secret.as_ref()
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn renewal_source(&self) -> Source {
        Source::LiveAccessToken
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        self.inspection.as_ref().map(|inspection| inspection as _)
    }

    fn revocation(&self) -> Result<&dyn Revocation, &MissingCapability> {
        Ok(&self.revocation)
    }
}

/// <https://developers.facebook.com/docs/graph-api/guides/error-handling> and, for 32, 613 and 80000 to
/// 80014,
/// <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>
fn by_code(code: i64, message: &str, headers: &HeaderMap, now: SystemTime) -> Verdict {
    match code {
        // The call needs a page's token instead of the user's; neither another user token nor a permission
        // would help. Graph reports this with 210, and also with 190
        // (github.com/facebook/facebook-php-business-sdk/issues/428).
        210 => Verdict::Accepted,
        190 if message.to_ascii_lowercase().contains("page access token") => Verdict::Accepted,
        102 | 190 => Verdict::TokenRefused,
        3 | 10 | 200..=299 => Verdict::ScopeNotGranted { missing: permission::named_in(message) },
        code if is_limit(code) => Verdict::RateLimited { retry_after: wait(headers, now) },
        1 | 2 => Verdict::Unavailable { retry_after: wait(headers, now) },
        100 if message.contains("appsecret_proof") => Verdict::NotConfigured,
        _ => Verdict::Accepted,
    }
}

fn is_limit(code: i64) -> bool {
    matches!(code, 4 | 17 | 32 | 341 | 613 | 80_000..=80_014)
}

/// Classifies answers of whatever stands in front of Graph, and answers to HEAD, which have no body for a
/// code.
fn by_status(answer: &Response<Bytes>, now: SystemTime) -> Verdict {
    let headers = answer.headers();
    match answer.status() {
        _ if says_invalid_token(headers) => Verdict::TokenRefused,
        StatusCode::UNAUTHORIZED => Verdict::TokenRefused,
        StatusCode::TOO_MANY_REQUESTS => Verdict::RateLimited { retry_after: wait(headers, now) },
        status if answer::may_pass(status) => Verdict::Unavailable { retry_after: wait(headers, now) },
        _ => Verdict::Accepted,
    }
}

/// `WWW-Authenticate: OAuth "Facebook Platform" "invalid_token" "..."`, a challenge that follows no standard.
fn says_invalid_token(headers: &HeaderMap) -> bool {
    answer::text(headers, "www-authenticate").is_some_and(|value| value.contains("\"invalid_token\""))
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    usage::time_to_regain_access(headers).or_else(|| retry_after(headers, now))
}

#[derive(Default, Deserialize)]
struct Body {
    error: Failure,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    code: Loose,
    message: Loose,
}

#[derive(Deserialize)]
struct Page {
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    next: Loose,
}

#[cfg(test)]
mod tests;
