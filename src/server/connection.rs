//! Accepts, limits, recycles and drains connections.

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
    sync::watch,
    time::Instant,
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    caller::{Peer, Standing},
    service::Answer,
    telemetry::{ConnectionRefusal, Metrics, admin::Probe},
    tls,
};

mod pending;
mod preface;
mod table;
#[cfg(test)]
mod tests;

use pending::{MAX_PENDING, PendingConnection, PendingConnections};
use preface::PrefaceTimeout;
pub(crate) use table::ConnectionLimits;
use table::{Place, Table};

/// Maximum concurrent calls on a connection; gRPC clients queue or open another one. HTTP/2 advises at least
/// 100.
const STREAMS: u32 = 200;

/// Maximum size of a request's headers, in bytes: gRPC clients rely on 8 KiB, Auth0 tokens with permissions
/// on more.
const HEADERS: u32 = 16 * 1024;

/// Maximum bytes of a call's answer that a connection buffers for a client that grants a window but does not
/// read: 12 MiB for 200 calls. hyper's default of 400 KiB would be 80 MiB.
const SEND_BUFFER: usize = 64 * 1024;

/// A silent connection is pinged, and closed if it does not answer. A vanished peer would otherwise hold its
/// place until the connection's maximum age.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection is asked to close after this time plus up to a tenth, so that long-lived clients spread over
/// new replicas.
const AGE: Duration = Duration::from_secs(30 * 60);

/// Calls in progress then have this long to finish: the longest deadline.
const AGE_GRACE: Duration = Duration::from_secs(600);

/// An HTTP/1 client must send its headers within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum pending RST_STREAMs: a client that cancels thousands of calls at once (CVE-2023-44487, rapid
/// reset) is disconnected.
const RESETS: usize = 20;

/// Maximum calls on a connection that the server resets because the client breaks the protocol
/// (CVE-2025-8671), before it is disconnected.
const BREACHES: usize = 1024;

/// Pause after the process runs out of file descriptors: accepting again at once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Minimum interval between log lines about this, since whoever opens connections could cause a line with
/// each.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The tasks of all connections, and the signals that end them.
#[derive(Clone, Default)]
pub(super) struct Connections {
    pub(super) tracker: TaskTracker,
    /// Accept no further calls, and finish those in progress.
    pub(super) go_away: CancellationToken,
    /// Stop at once.
    pub(super) end: CancellationToken,
}

/// Accepts connections and passes their requests to `answer`, each with its [`Peer`] as an extension.
pub(super) struct Acceptor<F> {
    answer: F,
    /// `None` for plain text.
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    table: Table,
    pending: Arc<PendingConnections>,
    protocol: auto::Builder<TokioExecutor>,
    metrics: Arc<Metrics>,
}

impl<F> Acceptor<F>
where
    F: Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
{
    pub(super) fn new(
        answer: F,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        limits: ConnectionLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            answer,
            tls,
            table: Table::new(limits, Arc::clone(&metrics)),
            pending: Arc::new(PendingConnections::new(MAX_PENDING, Arc::clone(&metrics))),
            protocol: protocol(),
            metrics,
        }
    }

    /// Tells that no connection is free.
    pub(super) fn probe(&self) -> Probe {
        let table = self.table.clone();
        Box::new(move || table.is_full().then_some("all connections are in use"))
    }

    /// Accepts connections until it is dropped; each is served by its own task.
    pub(super) async fn accept(self, listener: TcpListener, connections: Connections) {
        let acceptor = Arc::new(self);
        let mut told = None;
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error, &mut told).await;
                    continue;
                }
            };
            // Closed at once, so that its client tries another replica: in the system's backlog it would wait
            // without limit.
            let place = match acceptor.table.admit(address.ip()) {
                Ok(place) => place,
                Err(refusal) => {
                    acceptor.metrics.connection_refused(refusal);
                    continue;
                }
            };
            let (acceptor, own) = (Arc::clone(&acceptor), connections.clone());
            connections.tracker.spawn(async move {
                let leave = place.leave.clone();
                let standing = Arc::clone(&place.standing);
                let serving = acceptor.serve(stream, address, place, own);
                tokio::select! {
                    biased;
                    () = serving => {}
                    // One that has proved something is asked to leave by what serves it.
                    () = leaves_at_once(&leave, &standing) => {}
                }
            });
        }
    }

    async fn serve(&self, stream: TcpStream, address: SocketAddr, place: Place, connections: Connections) {
        let pending = self.pending.admit(&connections.go_away);
        // Send small messages at once.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let peer = Peer { address, sans: Vec::new() };
            return self.converse(PrefaceTimeout::of(stream, pending), peer, place, connections).await;
        };
        let server = Arc::clone(&tls.borrow());
        let Some(stream) = self.shake_hands(TlsAcceptor::from(server).accept(stream), &pending).await else {
            return;
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = Peer { address, sans: certificate.map(tls::sans).unwrap_or_default() };
        self.converse(PrefaceTimeout::of(stream, pending), peer, place, connections).await;
    }

    async fn shake_hands(
        &self,
        hands: Accept<TcpStream>,
        pending: &PendingConnection,
    ) -> Option<TlsStream<TcpStream>> {
        let outcome = tokio::select! {
            outcome = hands => outcome,
            () = pending.must_leave() => return None,
        };
        // A client that just disconnects, like a port check, breaks no rule of TLS.
        outcome
            .inspect_err(|error| {
                if error.kind() == io::ErrorKind::InvalidData {
                    self.metrics.connection_refused(ConnectionRefusal::Handshake);
                }
                tracing::debug!(%error, "A TLS handshake failed");
            })
            .ok()
    }

    async fn converse<S>(&self, stream: S, peer: Peer, place: Place, connections: Connections)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Shared by all requests, since the names can be long.
        let (peer, place) = (Arc::new(peer), Arc::new(place));
        let service = service_fn(|mut request: Request<Incoming>| {
            let call = BusyCall::of(&place);
            request.extensions_mut().insert(Arc::clone(&peer));
            request.extensions_mut().insert(Arc::clone(&place.standing));
            let answer = (self.answer)(request);
            async move {
                let _call = call;
                answer.await
            }
        });
        let connection = self.protocol.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        // The connection is polled for every call, and everything beside it too, so there is only one handle.
        let time_to_go =
            AbortOnDropHandle::new(tokio::spawn(time_to_go(connections.go_away, place.leave.clone())));
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

/// A connection that broke before it was accepted is not an error of the server; anything else is.
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

async fn time_to_go(go_away: CancellationToken, leave: CancellationToken) {
    let age = AGE.mul_f64(1.0 + fastrand::f64() / 10.0);
    tokio::select! {
        () = tokio::time::sleep(age) => {}
        () = go_away.cancelled() => {}
        () = leave.cancelled() => {}
    }
}

/// Completes when a connection that has proved nothing must give way.
async fn leaves_at_once(leave: &CancellationToken, standing: &Standing) {
    leave.cancelled().await;
    if standing.is_proven() {
        std::future::pending::<()>().await;
    }
}

/// Keeps a connection busy until its request is answered.
struct BusyCall(Arc<Place>);

impl BusyCall {
    fn of(place: &Arc<Place>) -> Self {
        place.begins();
        Self(Arc::clone(place))
    }
}

impl Drop for BusyCall {
    fn drop(&mut self) {
        self.0.ends();
    }
}
