//! The load: the same for every server, many calls at once on one connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::task::JoinSet;
use tonic::{
    Request, Status,
    client::Grpc,
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};

use crate::{Outcome, raw::Raw, server::Server};

/// Calls at once on the connection; the next begins when one ends.
pub(crate) const STREAMS: usize = 64;

/// What all servers answer.
const PATH: &str = "/idptoken.v1.IdpTokenService/GetIdentityToken";

/// A connection to one server, and what to ask there.
#[derive(Clone)]
pub(crate) struct Load {
    channel: Channel,
    request: Bytes,
    authorization: Option<AsciiMetadataValue>,
}

impl Load {
    /// Connects to `server`, for calls with `request`.
    pub(crate) async fn connect(server: &Server, request: &Bytes) -> Outcome<Self> {
        let channel = Endpoint::from_shared(format!("http://{}", server.address()))?.connect().await?;
        let authorization = Some(server.authorization()).filter(|value| !value.is_empty());
        let authorization = authorization.map(str::parse).transpose()?;
        Ok(Self { channel, request: request.clone(), authorization })
    }

    /// One call, and its answer.
    pub(crate) async fn call(&self) -> Result<Bytes, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(self.request.clone());
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let answer = grpc.unary(request, PathAndQuery::from_static(PATH), Raw).await?;
        Ok(answer.into_inner())
    }

    /// So many calls in all.
    pub(crate) async fn calls(&self, calls: usize) -> Outcome<()> {
        let left = Arc::new(AtomicUsize::new(calls));
        let one_more = |left: usize| left.checked_sub(1);
        self.run(move || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()).await?;
        Ok(())
    }

    /// Calls for so long.
    pub(crate) async fn time(&self, time: Duration) -> Outcome<Round> {
        let began = Instant::now();
        let latencies = self.run(move || began.elapsed() < time).await?;
        Ok(Round { latencies, took: began.elapsed() })
    }

    /// Calls for as long as `go_on` says so, and how long each took.
    async fn run(&self, go_on: impl Fn() -> bool + Clone + Send + 'static) -> Outcome<Vec<Duration>> {
        let mut streams = JoinSet::new();
        for _ in 0..STREAMS {
            let (load, go_on) = (self.clone(), go_on.clone());
            streams.spawn(async move {
                let mut latencies = Vec::new();
                while go_on() {
                    let began = Instant::now();
                    load.call().await?;
                    latencies.push(began.elapsed());
                }
                Ok::<_, Status>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(stream) = streams.join_next().await {
            latencies.append(&mut stream??);
        }
        Ok(latencies)
    }
}

/// What came of a round.
pub(crate) struct Round {
    pub(crate) latencies: Vec<Duration>,
    took: Duration,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "a number of calls is far below 2^52")]
    pub(crate) fn calls(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls() / self.took.as_secs_f64()
    }
}
