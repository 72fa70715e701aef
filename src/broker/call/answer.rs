//! A provider's answer, made presentable to the caller, and what it means.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, header};

use crate::{
    broker::masking,
    provider::{Provider, RateLimit, Verdict},
    tokens::LiveToken,
};

/// Headers of one connection (RFC 9110, section 7.6.1), and cookies: neither is the caller's business.
const DROPPED: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "set-cookie",
    "set-cookie2",
];

/// What the provider answered, and what that means.
#[derive(Debug)]
pub struct Answer {
    /// The provider's answer: the body untouched, save for the token itself and others that came along.
    pub response: Response<Bytes>,
    /// The identity and the token that were used.
    pub live: LiveToken,
    /// How often the request was sent.
    pub attempts: u32,
    /// Set if the answer is a failure that is recognised.
    pub diagnosis: Option<Diagnosis>,
    /// The provider's rate limit as of this answer.
    pub rate_limit: Option<RateLimit>,
    /// The path and query of the next page.
    pub next_page: Option<String>,
}

/// A provider's failure, in one shape for all providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What it is.
    pub reason: Reason,
    /// Scopes to ask the user for.
    pub missing_scopes: Vec<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Where the user can grant what is missing.
    pub connect_url: Option<String>,
}

/// The failures that are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user never granted a scope.
    ScopeNotGranted,
    /// The provider throttles this user or application.
    RateLimited,
    /// The provider fails in a way that may pass.
    Unavailable,
    /// The provider wants something that an operator must set up.
    NotConfigured,
}

/// The answer without what is not for the caller.
pub(super) fn presentable(
    response: Response<Bytes>,
    live: &LiveToken,
    adapter: &dyn Provider,
) -> Response<Bytes> {
    let token = &live.token().access;
    let (mut head, body) = response.into_parts();
    drop_hop_by_hop(&mut head.headers);
    masking::mask_headers(&mut head.headers, token);
    let body = masking::mask_body(body, token);
    let others = adapter.tokens_of_others(&body);
    Response::from_parts(head, masking::mask_places(body, &others))
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').map(|name| name.trim().to_owned()))
        .collect();
    for name in DROPPED.into_iter().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}

impl Diagnosis {
    pub(super) fn of(verdict: Verdict) -> Option<Self> {
        let (reason, missing_scopes, retry_after) = match verdict {
            // A refusal that gets here is not about the token, which the provider says is alive.
            Verdict::Accepted | Verdict::TokenRefused => return None,
            Verdict::ScopeNotGranted { missing } => (Reason::ScopeNotGranted, missing, None),
            Verdict::RateLimited { retry_after } => (Reason::RateLimited, Vec::new(), retry_after),
            Verdict::Unavailable { retry_after } => (Reason::Unavailable, Vec::new(), retry_after),
            Verdict::NotConfigured => (Reason::NotConfigured, Vec::new(), None),
        };
        Some(Self { reason, missing_scopes, retry_after, connect_url: None })
    }
}
