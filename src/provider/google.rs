//! Google's APIs. Error reasons: <https://cloud.google.com/apis/design/errors> and
//! <https://developers.google.com/drive/api/guides/handle-errors>.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use serde::Deserialize;

use self::{
    failure::Failure,
    tokens::{TokenInfo, TokenRevocation},
};
use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Revocation,
    Settings, Verdict,
    advice::Advice,
    answer::{self, Loose},
    bearer, kind, query,
    renewal::RefreshGrant,
    request::ApiRequest,
};
use crate::{retry::retry_after, token::AccessToken};

mod failure;
mod tokens;

/// Hosts below `googleapis.com` that issue or revoke tokens. Through them, a caller that may call but not see
/// the token could obtain another one, or revoke this one without the service knowing.
/// <https://developers.google.com/identity/protocols/oauth2>,
/// <https://cloud.google.com/iam/docs/reference/sts/rest>,
/// <https://cloud.google.com/iam/docs/reference/credentials/rest>, Firebase's token exchange, and the host
/// where Chrome exchanges its user's token for those of other applications.
const TOKEN_HOSTS: [&str; 5] = [
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
    "securetoken.googleapis.com",
    "oauthaccountmanager.googleapis.com",
];

/// Google's parameters that override the method or carry an API key. Calls with a key count for its owner's
/// project, and the key would appear in logs on the way.
/// <https://cloud.google.com/apis/docs/system-parameters>
const SYSTEM_PARAMETERS: [&str; 2] = ["$httpMethod", "key"];

/// Only the operator of the Google Cloud project can fix these.
const NOT_CONFIGURED: [&str; 5] =
    ["SERVICE_DISABLED", "accessNotConfigured", "BILLING_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED"];

/// Limits on requests over time. Storage quotas such as `storageQuotaExceeded` do not pass by waiting.
const RATE_LIMITED: [&str; 6] = [
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "dailyLimitExceeded",
    "quotaExceeded",
    "RATE_LIMIT_EXCEEDED",
];

/// Sources: <https://developers.google.com/identity/protocols/oauth2/web-server#offline> and
/// <https://developers.google.com/identity/protocols/oauth2#expiration>.
const ADVICE: Advice = Advice {
    no_refresh_token: "Google issued no refresh token, so that access ends with the token, an hour after the login. Google \
        sends one on its consent screen only: send `access_type=offline` and `prompt=consent` to /authorize, as \
        CreateConnectLink does with `offline_access`.",
    grant_ended: "Google does so 7 days after the consent while the app's publishing status is Testing (publish it in the \
        Google Cloud console), after six months without use, when a user with Gmail scopes changes the password, and with \
        the oldest of more than 100 refresh tokens of an account.",
    grant_ended_by_code: &[(
        "invalid_rapt",
        "The session control of the user's organisation wants a new login: an administrator can exempt the app.",
    )],
    ..Advice::GENERAL
};

/// Google accounts and Google Workspace.
pub(super) const KIND: Kind = Kind {
    strategies: &["google-oauth2", "google-apps"],
    hosts: HostRule::Fixed,
    is_shared: false,
    takes: &[kind::CLIENT, kind::PROOF, &["inspect_url", "revoke_url"]],
    takes_lone_secret: false,
    wants_certificate: false,
    advice: ADVICE,
    check_version: kind::no_version,
    build: |settings| Box::new(Google::new(&settings)),
};

/// The adapter of `google-oauth2` and `google-apps`.
#[derive(Debug)]
pub(super) struct Google {
    hosts: [HostPattern; 2],
    renewal: Result<RefreshGrant, MissingCapability>,
    inspection: TokenInfo,
    revocation: TokenRevocation,
}

impl Google {
    /// Creates the adapter for Google's public APIs, with the application of `settings` for renewals.
    pub(super) fn new(settings: &Settings) -> Self {
        let all = HostPattern::new("*.googleapis.com").except(&TOKEN_HOSTS);
        Self {
            hosts: [HostPattern::new("www.googleapis.com"), all],
            renewal: tokens::renewal(settings),
            inspection: TokenInfo::new(settings),
            revocation: TokenRevocation::new(settings),
        }
    }
}

impl Provider for Google {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn refused_parameters(&self) -> &[&str] {
        &SYSTEM_PARAMETERS
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        bearer::request(call, call.path_and_query.clone(), token)
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        match answer.status() {
            StatusCode::UNAUTHORIZED => unauthorized(answer),
            StatusCode::FORBIDDEN => forbidden(answer, now),
            StatusCode::TOO_MANY_REQUESTS => rate_limited(answer.headers(), &Failure::read(answer), now),
            status if answer::may_pass(status) => {
                Verdict::Unavailable { retry_after: retry_after(answer.headers(), now) }
            }
            _ => Verdict::Accepted,
        }
    }

    /// `nextPageToken` goes into the query's `pageToken` (<https://google.aip.dev/158>). The result is of no
    /// use for a search that sends its `pageToken` in a POST body.
    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        let page: Page = answer::page(answer)?;
        let token = page.next_page_token.text();
        if token.is_empty() {
            return None;
        }
        let query = query::set(sent.query().unwrap_or_default(), "pageToken", token);
        query::sendable(sent.path(), &query, self.refused_parameters())
    }

    /// Google does not report rate limits.
    fn rate_limit(&self, _: &HeaderMap, _: SystemTime) -> Option<RateLimit> {
        None
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        Ok(&self.inspection)
    }

    fn revocation(&self) -> Result<&dyn Revocation, &MissingCapability> {
        Ok(&self.revocation)
    }
}

/// With these reasons a 401 is about the user, and another token would not help: a user without a YouTube
/// channel, without a Google Ads account, or without the right on Android Publisher.
const NOT_ABOUT_THE_TOKEN: [&str; 3] = ["youtubeSignupRequired", "NOT_ADS_USER", "permissionDenied"];

fn unauthorized(answer: &Response<Bytes>) -> Verdict {
    if Failure::read(answer).has(&NOT_ABOUT_THE_TOKEN) {
        return Verdict::Accepted;
    }
    Verdict::TokenRefused
}

fn forbidden(answer: &Response<Bytes>, now: SystemTime) -> Verdict {
    let failure = Failure::read(answer);
    let challenge = answer::challenge(answer.headers(), "insufficient_scope", "scope");
    if challenge.is_some() || failure.lacks_scope() {
        return Verdict::ScopeNotGranted { missing: scopes(challenge.unwrap_or_default()) };
    }
    if failure.has(&NOT_CONFIGURED) {
        return Verdict::NotConfigured;
    }
    if failure.has(&RATE_LIMITED) {
        return rate_limited(answer.headers(), &failure, now);
    }
    Verdict::Accepted
}

fn rate_limited(headers: &HeaderMap, failure: &Failure, now: SystemTime) -> Verdict {
    Verdict::RateLimited { retry_after: retry_after(headers, now).or_else(|| failure.retry_delay()) }
}

fn scopes(list: &str) -> Vec<String> {
    list.split_ascii_whitespace().map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, rename = "nextPageToken")]
    next_page_token: Loose,
}

#[cfg(test)]
mod tests;
