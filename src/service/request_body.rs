//! A call's request message as it arrives.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::{broker::Error, memory::CallMemory};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a message that are not counted: most messages are smaller, and a connection's 200 calls hold 200
/// KiB of it at most.
const SMALL: usize = 1024;

/// What a call holds in bytes while its message does not come: its headers, of 16 KiB at most, and its
/// stream. A connection's 200 calls may all be such calls.
const UNFINISHED: usize = 20 * 1024;

/// A request body whose bytes count for its call once more than `SMALL` have arrived, or once it has to be
/// waited for.
///
/// Bytes count when they arrive, not when they are announced: announcing a length costs a client five bytes,
/// and the server no memory. At most one message of the largest size counts, since earlier messages have been
/// consumed.
pub struct TrackedRequestBody<B> {
    body: B,
    memory: CallMemory,
    /// The size of the largest message, in bytes.
    most: usize,
    seen: usize,
    counted: usize,
    has_waited: bool,
    /// Whether what it held is gone with it: the message is made into another.
    is_source: bool,
}

impl<B> TrackedRequestBody<B> {
    /// The message itself, of at most `most` bytes, which is held until the call is answered.
    pub(super) fn message(body: B, memory: CallMemory, most: usize) -> Self {
        Self::new(body, memory, most, false)
    }

    /// Text of at most `most` bytes that the message is made from.
    pub(super) fn source(body: B, memory: CallMemory, most: usize) -> Self {
        Self::new(body, memory, most, true)
    }

    fn new(body: B, memory: CallMemory, most: usize, is_source: bool) -> Self {
        Self { body, memory, most, seen: 0, counted: 0, has_waited: false, is_source }
    }

    fn count(&mut self, length: usize) -> Result<(), Error> {
        self.seen += length.min(self.most - self.seen);
        self.hold()
    }

    fn wait(&mut self) -> Result<(), Error> {
        if self.has_waited {
            return Ok(());
        }
        self.has_waited = true;
        self.hold()
    }

    /// Counts what is held by now.
    fn hold(&mut self) -> Result<(), Error> {
        let held = match self.has_waited {
            true => self.seen + UNFINISHED,
            false if self.seen > SMALL => self.seen,
            false => return Ok(()),
        };
        let new = held - self.counted;
        self.counted = held;
        self.memory.message(new).map_err(Error::from)
    }
}

impl<B> Drop for TrackedRequestBody<B> {
    fn drop(&mut self) {
        if self.is_source {
            self.memory.message_shrinks(self.counted);
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
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            return this.wait().map_or_else(refused, |()| Poll::Pending);
        };
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(|frame| frame.data_ref()))
            && let Err(error) = this.count(data.map_or(0, Bytes::len))
        {
            return refused(error);
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

fn refused<T>(error: Error) -> Poll<Option<Result<T, BoxError>>> {
    Poll::Ready(Some(Err(Status::from(error).into())))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tonic::Code;

    use super::*;
    use crate::{memory::Memory, service::MESSAGE_LIMIT};

    const MIB: usize = 1024 * 1024;

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
    async fn a_message_without_room_is_refused_and_those_before_it_go_on() {
        let memory = Memory::new(64 * MIB);
        let message = |pieces: &[usize]| {
            TrackedRequestBody::message(Stalling(pieces.to_vec()), memory.call(), MESSAGE_LIMIT)
        };
        let mut half_sent: Vec<_> = (0..12).map(|_| message(&[MIB, 3 * MIB])).collect();
        for body in &mut half_sent {
            assert_eq!(next(body).await, Some(Ok(3 * MIB)));
            assert_eq!(next(body).await, Some(Ok(MIB)));
        }
        let (mut small, mut large) = (message(&[SMALL]), message(&[SMALL + 1]));
        assert_eq!(next(&mut large).await, Some(Err(Code::Unavailable)));
        assert_eq!(next(&mut small).await, Some(Ok(SMALL)), "what is small and whole does not count");
        assert_eq!(next(&mut small).await, Some(Err(Code::Unavailable)), "what has to be waited for does");
        half_sent.pop();
        assert_eq!(next(&mut half_sent[0]).await, None, "it may still become whole");
        drop(half_sent);
        assert_eq!(next(&mut message(&[SMALL + 1])).await, Some(Ok(SMALL + 1)));
    }

    #[tokio::test]
    async fn many_messages_in_one_call_take_the_room_of_one() {
        let memory = Memory::new(64 * MIB);
        let pieces = vec![MESSAGE_LIMIT - 1; 30];
        let mut endless = TrackedRequestBody::message(Stalling(pieces), memory.call(), MESSAGE_LIMIT);
        for _ in 0..30 {
            assert_eq!(next(&mut endless).await, Some(Ok(MESSAGE_LIMIT - 1)));
        }
    }

    #[tokio::test]
    async fn the_text_that_a_message_is_made_from_is_given_back_with_it() {
        let memory = Memory::new(64 * MIB);
        let call = memory.call();
        let mut text = TrackedRequestBody::source(Stalling(vec![40 * MIB]), call.clone(), 40 * MIB);
        let mut message = TrackedRequestBody::message(Stalling(vec![MIB, MIB]), call.clone(), MESSAGE_LIMIT);
        assert_eq!(next(&mut text).await, Some(Ok(40 * MIB)));
        assert_eq!(next(&mut message).await, Some(Ok(MIB)));
        assert!(call.begin(10 * MIB).is_err());
        drop(text);
        assert!(call.begin(46 * MIB).is_ok());
        drop(message);
        assert!(call.begin(48 * MIB).is_err(), "the message is held until the call is answered");
        call.message_ends();
        assert!(call.begin(48 * MIB).is_ok());
    }
}
