//! A call's request message as it arrives.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::buffer_budget::{BufferBudget, Share};
use crate::broker::Error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a message that are not counted: most messages are smaller, and a connection's 200 calls hold 200
/// KiB of it at most.
const SMALL: usize = 1024;

/// A request body that counts towards the budget once more than `SMALL` bytes have arrived.
///
/// Bytes count when they arrive, not when they are announced: announcing a length costs a client five bytes,
/// and the server no memory. At most one message of the largest size counts, since earlier messages have been
/// consumed.
pub struct TrackedRequestBody<B> {
    body: B,
    budget: Arc<BufferBudget>,
    /// The size of the largest message, in bytes.
    most: usize,
    seen: usize,
    held: Option<Held>,
}

struct Held {
    share: Share,
    gives_way: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<B> TrackedRequestBody<B> {
    pub(super) fn new(body: B, budget: Arc<BufferBudget>, most: usize) -> Self {
        Self { body, budget, most, seen: 0, held: None }
    }

    fn count(&mut self, length: usize) {
        let length = length.min(self.most - self.seen);
        self.seen += length;
        if let Some(held) = &self.held {
            held.share.grow(length);
        } else if self.seen > SMALL {
            let share = self.budget.admit();
            share.grow(self.seen);
            self.held = Some(Held { gives_way: Box::pin(share.gives_way()), share });
        }
    }
}

impl<B> Body for TrackedRequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(held) = &mut this.held
            && held.gives_way.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(Status::from(Error::Overloaded).into())));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(|frame| frame.data_ref())) {
            this.count(data.map_or(0, Bytes::len));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tonic::Code;

    use super::*;
    use crate::{
        service::{MESSAGE_LIMIT, buffer_budget::PIECE},
        telemetry::Metrics,
    };

    /// Simulates a client that sends these pieces and then nothing more.
    struct Stalling(Vec<usize>);

    impl Body for Stalling {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let piece = self.0.pop();
            piece.map_or(Poll::Pending, |length| {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; length])))))
            })
        }
    }

    /// The next frame as its length; an error as its code; `None` if no frame is ready.
    async fn next(body: &mut TrackedRequestBody<Stalling>) -> Option<Result<usize, Code>> {
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
        let Poll::Ready(Some(frame)) = polled else { return None };
        Some(match frame {
            Ok(frame) => Ok(frame.data_ref().map_or(0, Bytes::len)),
            Err(error) => Err(error.downcast_ref::<Status>().expect("a status").code()),
        })
    }

    #[tokio::test]
    async fn a_message_that_stands_still_gives_way_to_newer_ones() {
        let budget = Arc::new(BufferBudget::new(5 * PIECE, Arc::new(Metrics::default())));
        let message = |pieces: &[usize]| {
            TrackedRequestBody::new(Stalling(pieces.to_vec()), Arc::clone(&budget), MESSAGE_LIMIT)
        };
        let (mut small, mut old) = (message(&[SMALL]), message(&[2 * PIECE]));
        assert_eq!(next(&mut small).await, Some(Ok(SMALL)));
        assert_eq!(next(&mut old).await, Some(Ok(2 * PIECE)));
        assert_eq!(next(&mut old).await, None);
        let mut new = message(&[3 * PIECE, PIECE]);
        assert_eq!(next(&mut new).await, Some(Ok(PIECE)));
        assert_eq!(next(&mut old).await, None, "there was room");
        assert_eq!(next(&mut new).await, Some(Ok(3 * PIECE)));
        assert_eq!(next(&mut old).await, Some(Err(Code::Unavailable)));
        assert_eq!(next(&mut new).await, None, "the newer one goes on");
        assert_eq!(next(&mut small).await, None, "what is small does not count");
    }

    #[tokio::test]
    async fn many_messages_in_one_call_push_nothing_out() {
        let budget = Arc::new(BufferBudget::new(2 * MESSAGE_LIMIT, Arc::new(Metrics::default())));
        let message = |pieces: &[usize]| {
            TrackedRequestBody::new(Stalling(pieces.to_vec()), Arc::clone(&budget), MESSAGE_LIMIT)
        };
        let mut other = message(&[MESSAGE_LIMIT]);
        assert_eq!(next(&mut other).await, Some(Ok(MESSAGE_LIMIT)));
        let mut endless = message(&[MESSAGE_LIMIT - 1; 10]);
        for _ in 0..10 {
            assert_eq!(next(&mut endless).await, Some(Ok(MESSAGE_LIMIT - 1)));
        }
        assert_eq!(next(&mut other).await, None, "it still waits");
    }
}
