//! The bodies of Google's errors.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::{
    provider::answer::{self, Loose},
    retry::LONGEST_WAIT,
};

#[derive(Default, Deserialize)]
struct Body {
    error: Failure,
}

/// Both of Google's error formats: `errors` is the older, `details` the newer one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    message: Loose,
    errors: Option<Vec<Detail>>,
    details: Option<Vec<Detail>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: Loose,
    message: Loose,
    #[serde(rename = "retryDelay")]
    retry_delay: Loose,
}

impl Failure {
    /// Reads the error in a body; streaming methods wrap it in an array.
    pub(super) fn read(answer: &Response<Bytes>) -> Self {
        let body = answer.body();
        let parsed: Option<Body> = if body.trim_ascii_start().starts_with(b"[") {
            answer::json(body).and_then(|bodies: Vec<Body>| bodies.into_iter().next())
        } else {
            answer::json(body)
        };
        parsed.unwrap_or_default().error
    }

    fn details(&self) -> impl Iterator<Item = &Detail> {
        self.errors.iter().chain(&self.details).flatten()
    }

    /// Returns whether the error has one of `reasons`.
    pub(super) fn has(&self, reasons: &[&str]) -> bool {
        self.details().any(|detail| reasons.contains(&detail.reason.text()))
    }

    /// Returns whether the token lacks a scope, in any of Google's formats. Analytics also reports
    /// `insufficientPermissions` for users who may not see the resource.
    pub(super) fn lacks_scope(&self) -> bool {
        let is_older = |detail: &Detail| {
            detail.reason.text() == "insufficientPermissions"
                && !detail.message.text().starts_with("User does not have")
        };
        self.has(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT"])
            || self.details().any(is_older)
            || self.message.text() == "Request had insufficient authentication scopes."
    }

    /// How long `google.rpc.RetryInfo` asks to wait: a protobuf duration in JSON, such as `3.5s`.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        let seconds = self
            .details()
            .find_map(|detail| detail.retry_delay.text().strip_suffix('s')?.parse::<f64>().ok())?;
        Duration::try_from_secs_f64(seconds).ok().map(|delay| delay.min(LONGEST_WAIT))
    }
}
