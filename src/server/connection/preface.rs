//! A time limit for the first bytes of a connection. hyper would wait for them for ever and keep its place.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pending::PendingConnection;

/// The HTTP/2 connection preface; a connection that begins otherwise is HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads fail once it must give way, until it has sent HTTP/2's whole preface or anything
/// else.
pub(super) struct PrefaceTimeout<S> {
    stream: S,
    waiting: Option<Waiting>,
}

struct Waiting {
    must_leave: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Bytes of the preface received so far.
    heard: usize,
}

impl<S> PrefaceTimeout<S> {
    pub(super) fn of(stream: S, pending: PendingConnection) -> Self {
        let must_leave = Box::pin(async move { pending.must_leave().await });
        Self { stream, waiting: Some(Waiting { must_leave, heard: 0 }) }
    }
}

impl Waiting {
    /// Returns whether the client's protocol is known after the bytes `new`.
    fn hear(&mut self, new: &[u8]) -> bool {
        let expected = &PREFACE[self.heard..];
        let common = expected.len().min(new.len());
        self.heard += common;
        new[..common] != expected[..common] || self.heard == PREFACE.len()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PrefaceTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let Some(waiting) = &mut this.waiting else { return outcome };
        if outcome.is_pending() {
            ready!(waiting.must_leave.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if waiting.hear(&buffer.filled()[before..]) {
            this.waiting = None;
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PrefaceTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_is_known_after_the_whole_preface_or_anything_else() {
        let heard = |pieces: &[&[u8]]| {
            let mut waiting = Waiting { must_leave: Box::pin(std::future::pending()), heard: 0 };
            pieces.iter().position(|piece| waiting.hear(piece))
        };
        for (pieces, expected) in [
            (&[PREFACE][..], Some(0)),
            (&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more"], Some(0)),
            (&[b"PRI * ", b"HTTP/2.0\r\n", b"\r\nSM\r\n\r\n"], Some(2)),
            (&[b"PRI * ", b"HTTP/2.0\r\n"], None),
            (&[b"P", b"OST / HTTP/1.1"], Some(1)),
            (&[b"G"], Some(0)),
        ] {
            assert_eq!(heard(pieces), expected, "{pieces:?}");
        }
    }
}
