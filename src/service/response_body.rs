//! A large answer as it is sent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::Frame;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, body::Body};

use crate::{
    memory::{CallMemory, counted},
    shares::Share,
    telemetry::Metrics,
};

/// Larger answers are passed to the connection in pieces of so many bytes, the size of HTTP/2's frames.
const PIECE: usize = 16 * 1024;

/// Answers of so many bytes are not counted, since a connection's 200 calls hold 200 KiB of them at most.
const SMALL: usize = 1024;

/// How long an answer may be on its way, whatever the call's deadline: 35 KiB/s for the largest.
const ON_ITS_WAY: Duration = Duration::from_secs(120);

/// A response body that passes the connection one piece at a time: given a whole message, hyper would buffer
/// all of it until the client makes room. What has not left counts for the call, also what the connection
/// has. If the client has not read it in time, it is dropped, and the call's stream is reset.
pub(super) struct PacedResponseBody {
    body: Body,
    limits: ResponseLimits,
    held: Option<Held>,
}

/// The limits on sending an answer. Every answer of an RPC that may be large has them among its extensions,
/// for layers that replace its body.
#[derive(Clone)]
pub struct ResponseLimits {
    memory: CallMemory,
    /// When the answer must be taken.
    until: Instant,
    metrics: Arc<Metrics>,
}

impl ResponseLimits {
    /// The limits of an answer that begins now, to a call with this deadline.
    pub(super) fn new(memory: CallMemory, deadline: Instant, metrics: Arc<Metrics>) -> Self {
        Self { memory, until: deadline.min(Instant::now() + ON_ITS_WAY), metrics }
    }

    /// Wraps `body` with these limits.
    pub fn apply(self, body: Body) -> Body {
        Body::new(PacedResponseBody::new(body, self))
    }
}

/// The unsent rest of a message.
struct Held {
    rest: Arc<Mutex<Option<Rest>>>,
    /// Drops the rest in time. A task does it, since the connection does not poll a body that it has no room
    /// for.
    _watch: AbortOnDropHandle<()>,
}

struct Rest {
    bytes: Bytes,
    share: Share,
}

impl PacedResponseBody {
    fn new(body: Body, limits: ResponseLimits) -> Self {
        Self { body, limits, held: None }
    }

    fn hold(&self, bytes: Bytes) -> Held {
        let ResponseLimits { memory, until, metrics } = self.limits.clone();
        let share = memory.owe(bytes.len());
        let rest = Arc::new(Mutex::new(Some(Rest { bytes, share })));
        let watched = Arc::clone(&rest);
        let watch = tokio::spawn(async move {
            sleep_until(until).await;
            metrics.slow_peer();
            watched.lock().unwrap_or_else(PoisonError::into_inner).take();
            memory.finishes();
        });
        Held { rest, _watch: AbortOnDropHandle::new(watch) }
    }
}

impl Held {
    /// The next piece, and whether it is the last; `None` if the rest was dropped.
    fn next(&self) -> Option<(Bytes, bool)> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let Rest { bytes, share } = rest.as_mut()?;
        let length = bytes.len().min(PIECE);
        // A copy: a slice of these few bytes would keep the whole message.
        let piece = counted(bytes[..length].to_vec(), share.split(length));
        bytes.advance(length);
        Some((piece, bytes.is_empty()))
    }
}

impl http_body::Body for PacedResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.held.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) if data.len() > PIECE => this.held = Some(this.hold(data)),
                Ok(data) if data.len() > SMALL => {
                    let share = this.limits.memory.owe(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(counted(data, share)))));
                }
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let next = this.held.as_ref().and_then(Held::next);
        let Some((piece, is_last)) = next else {
            return Poll::Ready(Some(Err(Status::cancelled("the answer was not taken in time"))));
        };
        if is_last {
            this.held = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body as _;
    use tonic::Code;

    use super::*;
    use crate::memory::Memory;

    const LIMIT: Duration = Duration::from_secs(30);

    fn answer(
        message: Bytes,
        allowed: Duration,
        memory: &Memory,
        metrics: &Arc<Metrics>,
    ) -> PacedResponseBody {
        let body = Body::new(http_body_util::Full::new(message));
        let limits = ResponseLimits::new(memory.call(), Instant::now() + allowed, Arc::clone(metrics));
        PacedResponseBody::new(body, limits)
    }

    async fn next(body: &mut PacedResponseBody) -> Option<Result<Bytes, Code>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|status| status.code()))
    }

    #[tokio::test]
    async fn an_answer_leaves_in_pieces_and_counts_until_the_last_of_them_is_gone() {
        let memory = Memory::new(1 << 30);
        for length in [0, 1, SMALL, SMALL + 1, PIECE, PIECE + 1, 3 * PIECE, 100_000] {
            let message: Bytes = (0..length).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
            let mut body = answer(message.clone(), LIMIT, &memory, &Arc::default());
            let mut pieces = Vec::new();
            while let Some(piece) = next(&mut body).await {
                let piece = piece.expect("nobody is slow");
                assert!(piece.len() <= PIECE);
                pieces.push(piece);
            }
            assert!(pieces.concat() == message && body.is_end_stream(), "{length}");
            drop(body);
            assert_eq!(memory.held(), if length > SMALL { length } else { 0 }, "{length}");
            drop(pieces);
            assert_eq!(memory.held(), 0, "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_in_time_is_thrown_away() {
        let metrics = Arc::default();
        let mut body = answer(Bytes::from(vec![0; 5 * PIECE]), LIMIT, &Memory::new(1 << 30), &metrics);
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(LIMIT - Duration::from_millis(10)).await;
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let watched = body.held.as_ref().is_some_and(|held| held.next().is_none());
        assert!(watched, "the rest is still there, though nobody asks for it");
        assert_eq!(next(&mut body).await, Some(Err(Code::Cancelled)));
        assert!(metrics.page().contains("idp_token_slow_peers_total 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn no_deadline_keeps_an_answer_for_ever() {
        let (memory, allowed) = (Memory::new(1 << 30), Duration::from_secs(600));
        let mut body = answer(Bytes::from(vec![0; 5 * PIECE]), allowed, &memory, &Arc::default());
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(ON_ITS_WAY - Duration::from_secs(1)).await;
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(next(&mut body).await == Some(Err(Code::Cancelled)));
    }
}
