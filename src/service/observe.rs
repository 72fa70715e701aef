//! Observation of calls: their metrics, and a log line for failures.

use std::{error::Error as _, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

use super::repeats::Repeats;
use crate::{
    audit::{AuditGuard, Outcome},
    broker::{Blame, Error},
    rpc::Rpc,
    telemetry::{Metrics, metrics::code_name},
};

/// The call's id in the log and, on request, in the answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Maximum length of a caller's request id, in bytes; a longer one is replaced.
const LONGEST_ID: usize = 128;

/// Maximum bytes of foreign text in a log line; a longer text is cut.
const LONGEST_TEXT: usize = 1024;

/// The state that all observed calls share.
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    repeats: Repeats,
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, repeats: Repeats::default() }
    }
}

/// One observed call. If it is dropped before its end, it counts as cancelled.
pub(super) struct Observation {
    observer: Arc<Observer>,
    rpc: Option<Rpc>,
    began: Instant,
    /// The request id as the caller sent it.
    request_id: Option<HeaderValue>,
    entry: AuditGuard,
    settled: bool,
}

impl Observation {
    pub(super) fn begin(
        observer: Arc<Observer>,
        rpc: Option<Rpc>,
        headers: &HeaderMap,
        entry: AuditGuard,
    ) -> Self {
        let request_id =
            headers.get(REQUEST_ID).map(|id| if is_fit(id) { id.clone() } else { new_request_id() });
        Self { observer, rpc, began: Instant::now(), request_id, entry, settled: false }
    }

    /// Counts the answer. A failure gets a log line. The answer carries the request id if the caller sent one
    /// or the call failed.
    pub(super) fn end(mut self, response: &mut Response<Body>) {
        let code = response.headers().get(Status::GRPC_STATUS);
        let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
        self.settled = true;
        self.observer.metrics.rpc_done(self.rpc, code, self.began.elapsed());
        if code != Code::Ok && self.request_id.is_none() {
            self.request_id = Some(new_request_id());
        }
        let status = response.extensions().get::<Status>();
        if let Some(Error::Overloaded(overload)) = status.and_then(error_of) {
            self.observer.metrics.overload(*overload);
        }
        self.record(code, status);
        let Some(request_id) = self.request_id.take() else { return };
        if let Some(status) = status {
            self.log(status, &request_id);
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
    }

    /// Ends the call's audit record.
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

    /// Logs an error once, here, at a level that says whether it is the caller's fault.
    fn log(&self, status: &Status, request_id: &HeaderValue) {
        let rpc = Rpc::label(self.rpc);
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
        let Some(left_out) = self.observer.repeats.admit(self.rpc, status.code()) else { return };
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
            // A panic outside the handler takes the whole connection down: there is no caller left.
            let code = if std::thread::panicking() { Code::Internal } else { Code::Cancelled };
            self.observer.metrics.rpc_done(self.rpc, code, self.began.elapsed());
            self.record(code, None);
        }
    }
}

/// Returns the error that became `status`.
fn error_of(status: &Status) -> Option<&Error> {
    status.source().and_then(|source| source.downcast_ref())
}

/// The cause that the audit record keeps beside the reason. None of it was written by a caller.
fn detail(error: &Error) -> Option<String> {
    match error {
        Error::Caller(why) => Some(why.to_string()),
        Error::Invalid(invalid) => Some(invalid.field.clone()),
        Error::DeadlineExceeded(stage) => Some(stage.name().to_owned()),
        _ => None,
    }
}

/// Returns whether a caller's id can name the call in logs: visible ASCII, and not too long.
fn is_fit(id: &HeaderValue) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// The id of the trace that the call belongs to: the second field of `traceparent`
/// (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get(TRACE_PARENT)?.to_str().ok()?;
    let (version, rest) = parent.split_once('-')?;
    let (id, _) = rest.split_once('-')?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = id.len() == 32 && is_hex(id) && id.bytes().any(|byte| byte != b'0');
    (version.len() == 2 && is_hex(version) && version != "ff" && is_id).then(|| id.to_owned())
}

/// Cuts `text` to what a log line quotes.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// A new id, random enough to be unique in the logs.
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
