//! Calls that are open to everybody: health and reflection. They hold little, but some last.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body, service::Routes};
use tower::Service;

use crate::{
    broker::Error,
    caller::Peer,
    deadline::Stage,
    shares::{Holders, Share, Shares},
};

use super::gate::Answer;

/// Streams at once: watches of the health, and reflection. A load balancer and a client have one each.
const STREAMS: usize = 1024;

/// How long reflection, or the question for the health, may take. Tools ask for a handful of files.
const LONGEST: Duration = Duration::from_secs(60);

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Health and reflection; UNIMPLEMENTED for unknown paths. Cheap to clone.
#[derive(Clone)]
pub(super) struct OpenCalls {
    routes: Routes,
    /// Streams, by the address that they come from: there is no caller.
    streams: Shares,
    holders: Holders,
}

impl OpenCalls {
    pub(super) fn new(routes: Routes) -> Self {
        Self { routes: routes.prepare(), streams: Shares::new(STREAMS), holders: Holders::default() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When too many streams are open, in all or from one address.
    pub(super) fn answer(&self, request: Request<Body>, peer: Option<&Peer>) -> Result<Answer, Error> {
        let path = request.uri().path();
        let longest = (path != WATCH).then_some(LONGEST);
        // An answer to a question holds nothing once it is given: whoever probes must always get one.
        let share = match path {
            CHECK => None,
            _ => Some(self.streams.take(self.holders.at(peer), 1)?),
        };
        let answer = self.routes.clone().call(request);
        Ok(Box::pin(async move {
            let answer = tokio::time::timeout(longest.unwrap_or(LONGEST), answer).await;
            let Ok(answer) = answer else {
                return Ok(Status::from(Error::DeadlineExceeded(Stage::Queue)).into_http());
            };
            Ok(answer?.map(|body| Body::new(Limited::new(body, longest, share))))
        }))
    }
}

/// A body that ends in time, and keeps its share until then.
struct Limited {
    body: Body,
    until: Option<Pin<Box<Sleep>>>,
    _share: Option<Share>,
}

impl Limited {
    fn new(body: Body, longest: Option<Duration>, share: Option<Share>) -> Self {
        Self { body, until: longest.map(|longest| Box::pin(sleep(longest))), _share: share }
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let is_late = this.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready());
        if is_late {
            Poll::Ready(Some(Err(Error::DeadlineExceeded(Stage::Queue).into())))
        } else {
            Poll::Pending
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body as _;
    use tokio::time::Instant;
    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_ends_ends_by_itself_and_gives_its_place_back() {
        let (streams, start) = (Shares::new(1), Instant::now());
        let share = streams.take(Holders::default().at(None), 1).expect("it is free");
        let endless = Body::new(http_body_util::StreamBody::new(tokio_stream::pending::<
            Result<Frame<Bytes>, Status>,
        >()));
        let mut body = Limited::new(endless, Some(LONGEST), Some(share));
        let end = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let code = end.and_then(Result::err).map(|status| status.code());
        assert_eq!((code, start.elapsed()), (Some(Code::DeadlineExceeded), LONGEST));
        drop(body);
        assert_eq!(streams.free(), 1);
    }
}
