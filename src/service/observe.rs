//! What is kept of a call: its metrics, and one log line where something went wrong.

use std::{error::Error as _, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use super::repeats::Repeats;
use crate::{
    audit::{AuditGuard, Outcome},
    broker::{Blame, Error},
    telemetry::{Metrics, metrics::code_name},
};

/// The RPCs' names as metrics have them; the last is for everything else: health checks, reflection, unknown paths.
pub const METHODS: [&str; 8] = [
    "ListIdentities",
    "GetIdentityToken",
    "CallProvider",
    "StreamProvider",
    "InspectIdentityToken",
    "RevokeIdentityToken",
    "CreateConnectLink",
    "other",
];

/// Names a call in the log and, on request, in the answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// A caller's id that is longer, in bytes, is replaced.
const LONGEST_ID: usize = 128;

/// Bytes of a text in a log line that others have a say in; of a longer one, the beginning is quoted.
const LONGEST_TEXT: usize = 1024;

/// What all calls have in common.
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    repeats: Repeats,
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, repeats: Repeats::new() }
    }
}

/// One call under observation. A call that is dropped before its end counts as cancelled.
pub(super) struct Observation {
    observer: Arc<Observer>,
    method: usize,
    began: Instant,
    /// As the caller sent it.
    request_id: Option<HeaderValue>,
    entry: AuditGuard,
    settled: bool,
}

impl Observation {
    pub(super) fn begin(
        observer: Arc<Observer>,
        method: usize,
        headers: &HeaderMap,
        entry: AuditGuard,
    ) -> Self {
        let request_id =
            headers.get(REQUEST_ID).map(|id| if is_fit(id) { id.clone() } else { new_request_id() });
        Self { observer, method, began: Instant::now(), request_id, entry, settled: false }
    }

    /// Counts the answer; a failure gets a log line, and every answer to a caller that sent a request id, or that
    /// failed, carries one.
    pub(super) fn end(mut self, response: &mut Response<Body>) {
        let code = response.headers().get(Status::GRPC_STATUS);
        let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
        self.settled = true;
        self.observer.metrics.rpc_done(self.method, code, self.began.elapsed());
        if code != Code::Ok && self.request_id.is_none() {
            self.request_id = Some(new_request_id());
        }
        let status = response.extensions().get::<Status>();
        self.record(code, status);
        let Some(request_id) = self.request_id.take() else { return };
        if let Some(status) = status {
            self.log(status, &request_id);
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
    }

    /// Ends the call's record.
    fn record(&mut self, code: Code, status: Option<&Status>) {
        let entry = std::mem::take(&mut self.entry);
        if !entry.is_kept(code == Code::Ok) {
            return;
        }
        let request_id = self.request_id.as_ref().and_then(|id| id.to_str().ok());
        entry.end(Outcome {
            code: code_name(code),
            reason: status.and_then(StatusExt::get_details_error_info).map(|info| info.reason),
            detail: status.and_then(error_of).and_then(detail),
            request_id: request_id.map(str::to_owned),
            took: self.began.elapsed(),
        });
    }

    /// An error is logged once, here, at a level that says whose business it is.
    fn log(&self, status: &Status, request_id: &HeaderValue) {
        let rpc = METHODS[self.method];
        let code = code_name(status.code());
        let id = request_id.to_str().unwrap_or_default();
        let took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let error = error_of(status);
        let detail = error.and_then(Error::internal_detail).unwrap_or_default();
        let cause = beginning(&detail);
        let message = beginning(status.message());
        let blame = error.map_or(Blame::Caller, Error::blame);
        if blame == Blame::Caller {
            return tracing::debug!(rpc, code, request_id = id, took_ms, "{message}");
        }
        let Some(left_out) = self.observer.repeats.admit(self.method, status.code()) else { return };
        match blame {
            Blame::Operator => {
                tracing::error!(rpc, code, request_id = id, took_ms, left_out, cause, "{message}");
            }
            _ => tracing::warn!(rpc, code, request_id = id, took_ms, left_out, cause, "{message}"),
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.settled {
            // A panic outside of what ends panics takes the whole connection along: no caller left.
            let code = if std::thread::panicking() { Code::Internal } else { Code::Cancelled };
            self.observer.metrics.rpc_done(self.method, code, self.began.elapsed());
            self.record(code, None);
        }
    }
}

/// The error that became `status`.
fn error_of(status: &Status) -> Option<&Error> {
    status.source().and_then(|source| source.downcast_ref())
}

/// What the record has of an error besides its reason. Nothing of it was written by a caller.
fn detail(error: &Error) -> Option<String> {
    match error {
        Error::Caller(why) => Some(why.to_string()),
        Error::Invalid(invalid) => Some(invalid.field.clone()),
        Error::DeadlineExceeded(stage) => Some(stage.name().to_owned()),
        _ => None,
    }
}

/// Whether a caller's id can name the call in logs: visible letters, and not too many.
fn is_fit(id: &HeaderValue) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// The trace that the call is part of: the second field of `traceparent`
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let (version, rest) = parent.split_once('-')?;
    let (id, _) = rest.split_once('-')?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = id.len() == 32 && is_hex(id) && id.bytes().any(|byte| byte != b'0');
    (version.len() == 2 && is_hex(version) && version != "ff" && is_id).then(|| id.to_owned())
}

/// As much of `text` as a log line quotes.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// Random enough never to meet another one in the logs.
fn new_request_id() -> HeaderValue {
    let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    HeaderValue::try_from(id).expect("hexadecimal digits make a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static [u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(value).expect("a valid header value");
        HeaderMap::from_iter([(HeaderName::from_static(name), value)])
    }

    #[test]
    fn the_trace_is_taken_from_a_traceparent_as_w3c_has_it() {
        const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (value, expected) in [
            (&b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00000001-01"[..], Some(ID)),
            (b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00000001-01-more", Some(ID)),
            (b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa00000001-01", None),
            (b"00-00000000000000000000000000000000-00f067aa00000001-01", None),
            (b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa00000001-01", None),
            (b"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa00000001-01", None),
            (b"00-4bf92f3577b34da6a3ce929d0e0e4736", None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(trace_id(&headers("traceparent", value)).as_deref(), expected, "{value:?}");
        }
        assert_eq!(trace_id(&HeaderMap::new()), None);
    }

    #[test]
    fn a_callers_request_id_is_taken_if_it_is_harmless() {
        let long = HeaderValue::from_bytes(&[b'a'; LONGEST_ID + 1]).expect("a valid header value");
        assert!(is_fit(&HeaderValue::from_static("req-1/2:3")));
        for id in [HeaderValue::from_static(""), HeaderValue::from_static("a b"), long] {
            assert!(!is_fit(&id), "{id:?}");
        }
        assert!(!is_fit(headers("x", b"a\xe2\x80\xa8b").get("x").expect("it is there")));
    }
}
