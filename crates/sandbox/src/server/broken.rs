//! A body that breaks off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// The first bytes of a body, under the length of the whole, and then an error, on which hyper closes the
/// connection.
pub(crate) fn after(body: Body, bytes: usize) -> Body {
    let hint = body.size_hint();
    Body::new(Broken { body, left: bytes, hint, flushed: false })
}

struct Broken {
    body: Body,
    left: usize,
    hint: SizeHint,
    flushed: bool,
}

impl Broken {
    fn head(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let data = frame.into_data().ok()?;
        let head = data.slice(..data.len().min(self.left));
        self.left -= head.len();
        (!head.is_empty()).then(|| Frame::data(head))
    }

    /// Waits one turn, in which hyper sends what it has, and breaks in the next.
    fn break_off<T>(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, axum::Error>>> {
        if !self.flushed {
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::ConnectionReset)))))
    }
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.left == 0 {
            return self.break_off(context);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match self.head(frame) {
                Some(head) => Poll::Ready(Some(Ok(head))),
                None => self.break_off(context),
            },
            Poll::Ready(_) => self.break_off(context),
            Poll::Pending => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
