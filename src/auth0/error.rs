//! Auth0's errors, and which answer means which.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::wire::ErrorBody;
use crate::{retry::retry_after, transport::TransportError};

/// Why Auth0 gave no usable answer. Cloned to every caller that shares a request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Auth0Error {
    /// Auth0 has no such user.
    #[error("Auth0 has no such user; check the id, which must be verbatim, not escaped")]
    UserNotFound,
    /// Auth0 throttles this service, or would if the request were sent now.
    #[error("Auth0's rate limit is reached; try again in {} s", whole_seconds(*.retry_after))]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// Auth0 cannot be reached, fails, or answers nonsense.
    #[error("Auth0 gave no usable answer: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// When to try again, if Auth0 says.
        retry_after: Option<Duration>,
    },
    /// Auth0 refuses this service. Only an operator can fix it.
    #[error("Auth0 refuses this service: {detail}")]
    Misconfigured {
        /// What is wrong, and what to change.
        detail: String,
        /// The scopes that the client grant lacks, if that is the reason.
        missing_scopes: Vec<&'static str>,
    },
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Wait when the answer says nothing better.
const LATER: Duration = Duration::from_secs(1);

/// Longest plausible wait: Auth0's windows are a second or a minute long, so a reset further away means a
/// wrong clock.
pub(super) const LONGEST_WINDOW: Duration = Duration::from_secs(60);

impl Auth0Error {
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into(), retry_after: None }
    }

    pub(super) fn misconfigured(detail: impl Into<String>) -> Self {
        Self::Misconfigured { detail: detail.into(), missing_scopes: Vec::new() }
    }

    /// Interprets answers that mean the same at both endpoints: throttling and server errors. `None` if the
    /// endpoint itself must judge the answer.
    pub(super) fn of_common(answer: &Response<Bytes>, body: &ErrorBody) -> Option<Self> {
        let status = answer.status();
        // Auth0 has been seen to report its rate limit as 500 `access_denied`: "Global limit has been
        // reached" (https://community.auth0.com/t/global-limit-has-been-reached/77440).
        let disguised = status.is_server_error() && body.speaks_of_a_limit();
        if status == StatusCode::TOO_MANY_REQUESTS || disguised {
            return Some(Self::RateLimited { retry_after: wait(answer) });
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            let retry_after =
                retry_after(answer.headers(), SystemTime::now()).map(|wait| wait.min(LONGEST_WINDOW));
            return Some(Self::Unavailable { detail: format!("it answered {status}"), retry_after });
        }
        None
    }

    /// Returns how long the other side asks to wait before the request is repeated; `None` if it must not be
    /// repeated.
    pub(super) fn is_transient(&self) -> Option<Option<Duration>> {
        match self {
            Self::RateLimited { retry_after } => Some(Some(*retry_after)),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::UserNotFound | Self::Misconfigured { .. } => None,
        }
    }

    /// Returns the outcome label for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::UserNotFound => "not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Misconfigured { .. } => "refused",
        }
    }
}

impl From<TransportError> for Auth0Error {
    fn from(error: TransportError) -> Self {
        Self::unavailable(error.to_string())
    }
}

/// Returns how long a 429 asks to wait: `Retry-After`, or else `x-ratelimit-reset`, which is Unix time in
/// seconds.
pub(super) fn wait(answer: &Response<Bytes>) -> Duration {
    let now = SystemTime::now();
    let reset = || {
        let seconds = answer.headers().get("x-ratelimit-reset")?.to_str().ok()?.parse().ok()?;
        let reset = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        Some(reset.duration_since(now).unwrap_or_default())
    };
    retry_after(answer.headers(), now).or_else(reset).unwrap_or(LATER).clamp(LATER / 10, LONGEST_WINDOW)
}
