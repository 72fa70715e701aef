//! Failures of token, inspection and revocation endpoints: RFC 6749, section 5.2, and its dialects.
//!
//! Only the provider's own word makes a failure permanent. Throttles, server failures, empty or broken
//! bodies, and proxies in front of a provider say nothing about a grant.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answer::{self, Document};
use crate::retry::retry_after;

/// Why the endpoint did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndpointError {
    /// The provider says that the token or grant is dead.
    Dead(&'static str),
    /// The provider refuses the application, or its request.
    Client(&'static str),
    /// A temporary failure.
    Transient(Transient),
}

/// A temporary failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transient {
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether it is a throttle rather than a failure.
    pub throttled: bool,
    /// What happened, for the log: "it answered 503 Service Unavailable". Quotes nothing that the provider
    /// sent.
    pub what: String,
}

/// An error body: RFC 6749's fields, Google's `error_subtype`, Microsoft's `suberror` and `error_codes`.
#[derive(Debug, Default)]
pub(super) struct OAuthError {
    /// `error`, in lower case.
    pub(super) code: String,
    pub(super) description: String,
    pub(super) subtype: String,
    pub(super) suberror: String,
    pub(super) numbers: Vec<i64>,
}

impl OAuthError {
    fn read(body: &[u8]) -> Self {
        let document = Document::read(body);
        let text = |name| document.text(name).trim().to_owned();
        Self {
            code: text("error").to_ascii_lowercase(),
            description: text("error_description"),
            subtype: text("error_subtype"),
            suberror: text("suberror"),
            numbers: document.numbers("error_codes"),
        }
    }
}

/// What an error means at one provider, if it differs from RFC 6749.
pub(super) type Dialect = fn(&OAuthError) -> Option<Meaning>;

/// What an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The token or grant is dead.
    Dead(&'static str),
    /// The application or its request is refused.
    Client(&'static str),
    /// A temporary failure, whatever its name.
    Transient,
}

/// The dialect of providers that follow RFC 6749.
pub(super) fn plain(_: &OAuthError) -> Option<Meaning> {
    None
}

/// Classifies an answer that lacks what was asked for. Errors with a success status count too, as GitHub
/// sends them.
pub(super) fn of(answer: &Response<Bytes>, dialect: Dialect, now: SystemTime) -> EndpointError {
    let status = answer.status();
    if !may_be_final(status) {
        return transient(answer, now);
    }
    let error = OAuthError::read(answer.body());
    match dialect(&error).or_else(|| standard(&error.code)) {
        Some(Meaning::Dead(code)) => EndpointError::Dead(code),
        Some(Meaning::Client(code)) => EndpointError::Client(code),
        Some(Meaning::Transient) | None => transient(answer, now),
    }
}

/// Returns whether the body of an answer with this status may be a permanent verdict.
pub(super) fn may_be_final(status: StatusCode) -> bool {
    let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_success() || status.is_client_error() && !passes.contains(&status)
}

/// Returns whether an answer is an HTML page, such as that of a portal or a gateway, whatever its status.
pub(super) fn is_page(answer: &Response<Bytes>) -> bool {
    answer.body().trim_ascii_start().starts_with(b"<")
}

/// Classifies `answer` as a temporary failure.
pub(super) fn transient(answer: &Response<Bytes>, now: SystemTime) -> EndpointError {
    let exhausted = answer::exhausted(answer.headers(), now);
    let throttled = answer.status() == StatusCode::TOO_MANY_REQUESTS || exhausted.is_some();
    let retry_after = retry_after(answer.headers(), now).or(exhausted);
    let what = match answer.status() {
        status if status.is_success() => format!("it answered {status} without what was asked for"),
        status => format!("it answered {status}"),
    };
    EndpointError::Transient(Transient { retry_after, throttled, what })
}

/// Returns the one of `names` that equals `text`, so that nothing keeps text from an answer.
pub(super) fn known(text: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| *name == text)
}

/// The codes of RFC 6749, section 5.2. `invalid_target` is from RFC 8707, and `invalid_resource` is its name
/// in drafts and at Microsoft; `unsupported_token_type` is from RFC 7009. The last two ask for a proof of
/// possession (RFC 9449), which this service does not send.
pub(super) fn standard(code: &str) -> Option<Meaning> {
    const CLIENT: [&str; 10] = [
        "invalid_client",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_request",
        "invalid_target",
        "invalid_resource",
        "unsupported_token_type",
        "invalid_dpop_proof",
        "use_dpop_nonce",
    ];
    if code == "invalid_grant" {
        return Some(Meaning::Dead("invalid_grant"));
    }
    known(code, &CLIENT).map(Meaning::Client)
}

#[cfg(test)]
mod tests;
