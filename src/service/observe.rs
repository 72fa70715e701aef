//! What is kept of a call: its metrics, and one log line where something went wrong.

use std::{error::Error as _, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::{Code, Status, body::Body};

use super::repeats::Repeats;
use crate::{
    error::{Blame, Error},
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
    settled: bool,
}

impl Observation {
    pub(super) fn begin(observer: Arc<Observer>, method: usize, headers: &HeaderMap) -> Self {
        let request_id = headers.get(REQUEST_ID).filter(|id| id.len() <= LONGEST_ID && id.to_str().is_ok());
        Self { observer, method, began: Instant::now(), request_id: request_id.cloned(), settled: false }
    }

    /// Counts the answer; a failure gets a log line, and every answer to a caller that sent a request id, or that
    /// failed, carries one.
    pub(super) fn end(mut self, response: &mut Response<Body>) {
        let code = response.headers().get(Status::GRPC_STATUS);
        let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
        self.settled = true;
        self.observer.metrics.rpc_done(self.method, code, self.began.elapsed());
        if code == Code::Ok && self.request_id.is_none() {
            return;
        }
        let request_id = self.request_id.take().unwrap_or_else(new_request_id);
        if let Some(status) = response.extensions().get::<Status>() {
            self.log(status, &request_id);
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
    }

    /// An error is logged once, here, at a level that says whose business it is.
    fn log(&self, status: &Status, request_id: &HeaderValue) {
        let rpc = METHODS[self.method];
        let code = code_name(status.code());
        let id = request_id.to_str().unwrap_or_default();
        let took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let error = status.source().and_then(|source| source.downcast_ref::<Error>());
        let cause = beginning(error.and_then(Error::untold).unwrap_or_default());
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
            self.observer.metrics.rpc_done(self.method, Code::Cancelled, self.began.elapsed());
        }
    }
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
