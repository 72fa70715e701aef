//! A last look before a body is written.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Decides, at the moment in which the body of a request is written, whether it still may be. It travels
/// among the request's extensions. Between the decision to send and the writing there may be a connection to
/// set up, or a sleep of the whole process.
#[derive(Clone)]
pub struct SendGuard(Arc<dyn Fn() -> bool + Send + Sync>);

impl SendGuard {
    /// A guard that lets the body go while `may_send` says so.
    pub fn new(may_send: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_send))
    }

    /// `body` under this guard.
    pub(super) fn over(self, body: Bytes) -> reqwest::Body {
        reqwest::Body::wrap(Guarded { guard: self, body: Some(body) })
    }
}

impl fmt::Debug for SendGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendGuard")
    }
}

/// The guard has kept a body back.
#[derive(Debug, thiserror::Error)]
#[error("the request must not be sent any more")]
struct KeptBack;

struct Guarded {
    guard: SendGuard,
    /// `None` once it was written.
    body: Option<Bytes>,
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = KeptBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, KeptBack>>> {
        let Some(body) = self.body.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(if (self.guard.0)() { Ok(Frame::data(body)) } else { Err(KeptBack) }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}
