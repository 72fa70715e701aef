//! Connections: accepted, limited, renewed, and let go without losing a call.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    caller::Peer,
    service::Answer,
    telemetry::{Metrics, Refusal},
    tls,
};

mod greeting;
mod newcomers;
#[cfg(test)]
mod tests;

use greeting::Greeting;
use newcomers::{NEWCOMERS, Newcomer, Newcomers};

/// Connections at once. A service mesh opens a handful for each caller; this many is a leak or an attack. What comes on top
/// is closed at once, so that its client goes to another replica: in the system's backlog it would wait without end.
const CONNECTIONS: usize = 8192;

/// Calls at once on one connection; gRPC clients queue or open another one. HTTP/2 advises at least 100.
const STREAMS: u32 = 200;

/// All headers of a request together, in bytes: gRPC clients count on 8 KiB, Auth0 tokens with permissions on more.
const HEADERS: u32 = 16 * 1024;

/// Bytes of answers on one call that wait in a connection for a client that grants a window and then does not read: with 200
/// calls 12 MiB. hyper's own 400 KiB would be 80.
const SEND_BUFFER: usize = 64 * 1024;

/// A silent connection is asked whether it lives, and closed when it does not answer: a vanished peer would otherwise
/// hold its place until the connection's age ends it.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection is asked to go after this time, and up to a tenth more, so that the calls of long-lived clients
/// spread over replicas that were added meanwhile.
const AGE: Duration = Duration::from_secs(30 * 60);

/// Then the calls under way have this long to finish: as long as the longest deadline.
const AGE_GRACE: Duration = Duration::from_secs(600);

/// An HTTP/1 client must have sent its headers by then.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls that a client may have taken back before the server has looked at them. A client that takes back thousands at once
/// (CVE-2023-44487, rapid reset) is sent away.
const RESETS: usize = 20;

/// Calls on one connection that the server may have to end because the client breaks the protocol (CVE-2025-8671), before it
/// is sent away.
const BREACHES: usize = 1024;

/// When the process has no file descriptors left, accepting again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The log says so this often: whoever opens connections could make a line of each.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The tasks of all connections, and how they are told to end.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) tracker: TaskTracker,
    /// Take no further calls, finish those under way.
    pub(super) go_away: CancellationToken,
    /// Stop at once.
    pub(super) end: CancellationToken,
}

/// Takes connections, and has `answer` answer the requests on them. Each has its [`Peer`] among its extensions.
pub(super) struct Door<F> {
    answer: F,
    /// Plain text without.
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    places: Arc<Semaphore>,
    newcomers: Arc<Newcomers>,
    protocol: auto::Builder<TokioExecutor>,
    metrics: Arc<Metrics>,
}

impl<F> Door<F>
where
    F: Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
{
    pub(super) fn new(
        answer: F,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            answer,
            tls,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            newcomers: Arc::new(Newcomers::new(NEWCOMERS, Arc::clone(&metrics))),
            protocol: protocol(),
            metrics,
        }
    }

    /// Accepts connections until it is dropped; each is served by a task of its own.
    pub(super) async fn accept(self, listener: TcpListener, connections: Connections) {
        let door = Arc::new(self);
        let mut told = None;
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error, &mut told).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&door.places).try_acquire_owned() else {
                door.metrics.connection_refused(Refusal::Full);
                continue;
            };
            let (door, own) = (Arc::clone(&door), connections.clone());
            connections.tracker.spawn(async move {
                door.serve(stream, address, own).await;
                drop(place);
            });
        }
    }

    async fn serve(&self, stream: TcpStream, address: SocketAddr, connections: Connections) {
        let newcomer = self.newcomers.admit(&connections.go_away);
        // Small messages leave at once.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let peer = Peer { address, sans: Vec::new() };
            return self.converse(Greeting::of(stream, newcomer), peer, connections).await;
        };
        let server = Arc::clone(&tls.borrow());
        let Some(stream) = self.shake_hands(TlsAcceptor::from(server).accept(stream), &newcomer).await else {
            return;
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = Peer { address, sans: certificate.map(tls::sans).unwrap_or_default() };
        self.converse(Greeting::of(stream, newcomer), peer, connections).await;
    }

    async fn shake_hands(
        &self,
        hands: Accept<TcpStream>,
        newcomer: &Newcomer,
    ) -> Option<TlsStream<TcpStream>> {
        let outcome = tokio::select! {
            outcome = hands => outcome,
            () = newcomer.must_leave() => return None,
        };
        // A client that just leaves, as checks of the port do, breaks no rule of TLS.
        outcome
            .inspect_err(|error| {
                if error.kind() == io::ErrorKind::InvalidData {
                    self.metrics.connection_refused(Refusal::Handshake);
                }
                tracing::debug!(%error, "A TLS handshake failed");
            })
            .ok()
    }

    async fn converse<S>(&self, stream: S, peer: Peer, connections: Connections)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Every request has it, and names are many letters.
        let peer = Arc::new(peer);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&peer));
            (self.answer)(request)
        });
        let connection = self.protocol.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        // The connection is polled at every call, and whatever stands beside it too: one handle is the least.
        let time_to_go = AbortOnDropHandle::new(tokio::spawn(time_to_go(connections.go_away)));
        let outcome = tokio::select! {
            biased;
            outcome = &mut connection => outcome,
            _ = time_to_go => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = tokio::time::timeout(AGE_GRACE, connection) => outcome.unwrap_or(Ok(())),
                    () = connections.end.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "A connection ended");
        }
    }
}

/// A connection that broke before it was accepted is nobody's problem; anything else is ours.
async fn pause_after(error: &io::Error, told: &mut Option<Instant>) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
        tracing::warn!(%error, "Cannot accept connections");
        *told = Some(Instant::now());
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADERS as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(BREACHES)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn time_to_go(go_away: CancellationToken) {
    let age = AGE.mul_f64(1.0 + fastrand::f64() / 10.0);
    let _ = tokio::time::timeout(age, go_away.cancelled()).await;
}
