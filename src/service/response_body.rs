//! A large answer as it is sent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::Frame;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, body::Body};

use super::buffer_budget::{BufferBudget, PIECE, Share};

/// A response body that passes the connection one piece at a time: given a whole message, hyper would buffer
/// all of it until the client makes room. The rest counts towards the [`BufferBudget`]. If the client has not
/// read it by the call's deadline, it is dropped, and the call's stream is reset.
pub(super) struct PacedResponseBody {
    body: Body,
    budget: Arc<BufferBudget>,
    deadline: Instant,
    held: Option<Held>,
}

/// The limits on sending an answer. Every answer of an RPC that may be large has them among its extensions,
/// for layers that replace its body.
#[derive(Clone)]
pub struct ResponseLimits {
    pub(super) budget: Arc<BufferBudget>,
    /// The call's deadline.
    pub(super) until: Instant,
}

impl ResponseLimits {
    /// Wraps `body` with these limits.
    pub fn apply(self, body: Body) -> Body {
        Body::new(PacedResponseBody::new(body, self.budget, self.until))
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
    _share: Share,
}

impl PacedResponseBody {
    pub(super) fn new(body: Body, budget: Arc<BufferBudget>, deadline: Instant) -> Self {
        Self { body, budget, deadline, held: None }
    }

    fn hold(&self, bytes: Bytes) -> Held {
        let (share, budget, deadline) = (self.budget.admit(), Arc::clone(&self.budget), self.deadline);
        share.grow(bytes.len());
        let gives_way = share.gives_way();
        let rest = Arc::new(Mutex::new(Some(Rest { bytes, _share: share })));
        let watched = Arc::clone(&rest);
        let watch = tokio::spawn(async move {
            tokio::select! {
                () = gives_way => {}
                () = sleep_until(deadline) => budget.too_slow(),
            }
            watched.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        Held { rest, _watch: AbortOnDropHandle::new(watch) }
    }
}

impl Held {
    /// The next piece, and whether it is the last; `None` if the rest was dropped.
    fn next(&self) -> Option<(Bytes, bool)> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &mut rest.as_mut()?.bytes;
        let length = bytes.len().min(PIECE);
        // A copy: a slice of these few bytes would keep the whole message.
        let piece = Bytes::copy_from_slice(&bytes[..length]);
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
    use std::{future::poll_fn, time::Duration};

    use http_body::Body as _;
    use tonic::Code;

    use super::*;
    use crate::telemetry::Metrics;

    const LIMIT: Duration = Duration::from_secs(30);

    fn budget(limit: usize) -> (Arc<BufferBudget>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        (Arc::new(BufferBudget::new(limit, Arc::clone(&metrics))), metrics)
    }

    fn answer(message: Bytes, budget: &Arc<BufferBudget>) -> PacedResponseBody {
        let body = Body::new(http_body_util::Full::new(message));
        PacedResponseBody::new(body, Arc::clone(budget), Instant::now() + LIMIT)
    }

    async fn next(body: &mut PacedResponseBody) -> Option<Result<Bytes, Code>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(|status| status.code()))
    }

    #[tokio::test]
    async fn an_answer_leaves_in_pieces_that_keep_nothing_else() {
        let (budget, _) = budget(usize::MAX);
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 100_000] {
            let message: Bytes = (0..length).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
            let (mut body, mut taken) = (answer(message.clone(), &budget), Vec::new());
            while let Some(piece) = next(&mut body).await {
                let piece = piece.expect("nobody is slow");
                assert!(piece.len() <= PIECE);
                assert_eq!(piece.is_unique(), length > PIECE, "{length}: a view of a larger message");
                taken.extend_from_slice(&piece);
            }
            assert!(taken == message && body.is_end_stream(), "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_in_time_is_thrown_away() {
        let (budget, metrics) = budget(usize::MAX);
        let mut body = answer(Bytes::from(vec![0; 5 * PIECE]), &budget);
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(LIMIT - Duration::from_millis(10)).await;
        assert!(next(&mut body).await.is_some_and(|piece| piece.is_ok()));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let watched = body.held.as_ref().is_some_and(|held| held.next().is_none());
        assert!(watched, "the rest is still there, though nobody asks for it");
        assert_eq!(next(&mut body).await, Some(Err(Code::Cancelled)));
        assert!(metrics.page().contains(r#"idp_token_slow_peers_total{reason="late"} 1"#));
    }

    #[tokio::test]
    async fn an_answer_that_stands_still_gives_way_to_newer_ones() {
        let (budget, metrics) = budget(5 * PIECE);
        let mut old = answer(Bytes::from(vec![0; 3 * PIECE]), &budget);
        assert!(next(&mut old).await.is_some_and(|piece| piece.is_ok()));
        let mut new = answer(Bytes::from(vec![0; 3 * PIECE]), &budget);
        assert!(next(&mut new).await.is_some_and(|piece| piece.is_ok()));
        while old.held.as_ref().is_some_and(|held| held.rest.lock().expect("no panic").is_some()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(next(&mut old).await, Some(Err(Code::Cancelled)));
        assert!(next(&mut new).await.is_some_and(|piece| piece.is_ok()));
        assert!(metrics.page().contains(r#"idp_token_slow_peers_total{reason="crowded"} 1"#));
    }
}
