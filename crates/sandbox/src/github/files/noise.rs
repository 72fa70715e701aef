//! Bodies of any size that take no memory: byte `n` is `n * 31 + n / 256`, modulo 256.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// How much is made at once.
const CHUNK: u64 = 64 * 1024;

/// A body under its content length.
pub(super) fn sized(bytes: u64) -> Body {
    Body::new(Noise { at: 0, end: bytes, tells_length: true })
}

/// The same body in chunks, without a length.
pub(super) fn chunked(bytes: u64) -> Body {
    Body::new(Noise { at: 0, end: bytes, tells_length: false })
}

struct Noise {
    at: u64,
    end: u64,
    tells_length: bool,
}

impl http_body::Body for Noise {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let end = self.end.min(self.at + CHUNK);
        let bytes: Vec<u8> = (self.at..end).map(byte).collect();
        self.at = end;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.tells_length { SizeHint::with_exact(self.end - self.at) } else { SizeHint::default() }
    }
}

/// The byte at a place: the remainder of 256 always fits.
fn byte(place: u64) -> u8 {
    u8::try_from((place.wrapping_mul(31) + place / 256) % 256).unwrap_or_default()
}
