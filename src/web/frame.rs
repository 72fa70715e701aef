//! gRPC's frames: a flag, a length of four bytes, the message.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Frame;
use tonic::Status;

/// The length of a frame's head.
const HEAD: usize = 5;

/// Set in the flags of the last envelope of a Connect stream.
const END_OF_STREAM: u8 = 2;

/// Frames one message.
pub(super) fn frame(message: &[u8]) -> Bytes {
    enveloped(0, message)
}

/// The final envelope of a Connect stream.
pub(super) fn end_of_stream(end: &[u8]) -> Bytes {
    enveloped(END_OF_STREAM, end)
}

fn enveloped(flags: u8, content: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + content.len());
    frame.put_slice(&head(flags, content.len()));
    frame.put_slice(content);
    frame.freeze()
}

/// The head of a message of more than `length` bytes, without the message: its reader sees that it is too
/// long, and stops.
pub(super) fn oversized(length: usize) -> Bytes {
    Bytes::copy_from_slice(&head(0, length))
}

fn head(flags: u8, length: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [flags, a, b, c, d]
}

/// The message of an answer that is a single uncompressed frame.
pub(super) fn unframe(mut answer: Bytes) -> Option<Bytes> {
    let (flag, length) = (answer.try_get_u8().ok()?, answer.try_get_u32().ok()?);
    (flag == 0 && usize::try_from(length).ok()? == answer.len()).then_some(answer)
}

/// A body of one frame that is created when it is first read.
pub(super) struct Later<F> {
    making: Option<Pin<Box<F>>>,
}

impl<F> Later<F> {
    pub(super) fn new(making: F) -> Self {
        Self { making: Some(Box::pin(making)) }
    }
}

impl<F: Future<Output = Result<Bytes, Status>>> http_body::Body for Later<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(making) = &mut self.making else { return Poll::Ready(None) };
        let made = ready!(making.as_mut().poll(cx));
        self.making = None;
        Poll::Ready(Some(made.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_whole_frame_is_a_message() {
        assert_eq!(unframe(frame(b"abc")).as_deref(), Some(&b"abc"[..]));
        assert_eq!(unframe(frame(b"")).as_deref(), Some(&b""[..]));
        for wrong in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab", b"\x01\0\0\0\x01a"] {
            assert_eq!(unframe(Bytes::from_static(wrong)), None, "{wrong:?}");
        }
    }
}
