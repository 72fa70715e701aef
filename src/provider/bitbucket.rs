//! Bitbucket Cloud's REST API. Not Bitbucket Data Center, and not Atlassian's other products.
//! <https://developer.atlassian.com/cloud/bitbucket/rest/intro>

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use serde::Deserialize;

use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Settings,
    Verdict,
    advice::Advice,
    answer::{self, Loose, Words},
    bearer,
    inspection::Probe,
    kind, query,
    renewal::RefreshGrant,
    request::ApiRequest,
};
use crate::{retry::retry_after, token::AccessToken};

mod tokens;

const ADVICE: Advice = Advice {
    no_refresh_token: "No refresh token is held, though Bitbucket issues one at every login, so that access ends with the \
        token. Have the user log in again.",
    grant_ended: "Bitbucket does so after three months without use, and each refresh token is good for one use: no other \
        program may renew with it.",
    ..Advice::GENERAL
};

/// Bitbucket Cloud accounts.
pub(super) const KIND: Kind = Kind {
    strategies: &["bitbucket"],
    hosts: HostRule::Fixed,
    is_shared: false,
    takes: &[kind::CLIENT, kind::PROOF, &["inspect_url"]],
    takes_lone_secret: false,
    wants_certificate: false,
    advice: ADVICE,
    check_version: kind::no_version,
    build: |settings| Box::new(Bitbucket::new(&settings)),
};

/// The adapter of `bitbucket`.
#[derive(Debug)]
pub(super) struct Bitbucket {
    hosts: [HostPattern; 1],
    renewal: Result<RefreshGrant, MissingCapability>,
    inspection: Probe,
}

impl Bitbucket {
    /// Creates the adapter for the public API, with the application of `settings` for renewals.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            hosts: [HostPattern::new("api.bitbucket.org")],
            renewal: tokens::renewal(settings),
            inspection: tokens::inspection(settings),
        }
    }
}

impl Provider for Bitbucket {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    /// Since May 2026 a token is accepted only in the header:
    /// <https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003>
    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        bearer::request(call, call.path_and_query.clone(), token)
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        judge(answer, now)
    }

    /// `next` is an absolute URL (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination>).
    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        let page: Page = answer::page(answer)?;
        query::followed(sent, page.next.text(), self.refused_parameters())
    }

    /// Bitbucket reports a limit and whether it is near, but not what remains:
    /// <https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>
    fn rate_limit(&self, _: &HeaderMap, _: SystemTime) -> Option<RateLimit> {
        None
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        Ok(&self.inspection)
    }
}

fn judge(answer: &Response<Bytes>, now: SystemTime) -> Verdict {
    match answer.status() {
        StatusCode::UNAUTHORIZED => Verdict::TokenRefused,
        StatusCode::FORBIDDEN => forbidden(answer),
        StatusCode::TOO_MANY_REQUESTS => {
            Verdict::RateLimited { retry_after: retry_after(answer.headers(), now) }
        }
        status if answer::may_pass(status) => {
            Verdict::Unavailable { retry_after: retry_after(answer.headers(), now) }
        }
        _ => Verdict::Accepted,
    }
}

/// `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.",
/// "detail":{"granted":["account"],"required":["repository"]}}}`, as in the tests of several clients.
/// Other refusals have text in `detail`, or nothing.
fn forbidden(answer: &Response<Bytes>) -> Verdict {
    if let Some(Body { error: Scopes { detail } }) = answer::json::<Body<Scopes>>(answer.body()) {
        return Verdict::ScopeNotGranted { missing: detail.required.without(&detail.granted) };
    }
    let message = answer::json::<Body<Message>>(answer.body()).unwrap_or_default().error.message;
    if message.text().contains("required privilege scopes") {
        return Verdict::ScopeNotGranted { missing: accepted(answer.headers()) };
    }
    Verdict::Accepted
}

fn accepted(headers: &HeaderMap) -> Vec<String> {
    answer::list(headers, "x-accepted-oauth-scopes").into_iter().map(str::to_owned).collect()
}

#[derive(Default, Deserialize)]
struct Body<T> {
    error: T,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default)]
    message: Loose,
}

#[derive(Deserialize)]
struct Scopes {
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    required: Words,
    #[serde(default)]
    granted: Words,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    next: Loose,
}

#[cfg(test)]
mod tests;
