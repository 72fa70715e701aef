//! Connections: accepted, limited, renewed, and let go without losing a call.

use std::{io, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{peer::Peer, service::Gate};

/// Connections at once. A service mesh opens a handful for each caller; this many is a leak or an attack, and what is
/// beyond it waits in the system's backlog.
const CONNECTIONS: usize = 8192;

/// Calls at once on one connection; gRPC clients queue or open another one. HTTP/2 advises at least 100.
const STREAMS: u32 = 200;

/// All headers of a request together, in bytes: gRPC clients count on 8 KiB, Auth0 tokens with permissions on more.
const HEADERS: u32 = 16 * 1024;

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

/// A client must have said which protocol it speaks by then: gRPC clients do so as they connect.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// When the process has no file descriptors left, accepting again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The tasks of all connections, and how they are told to end.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) tracker: TaskTracker,
    /// Take no further calls, finish those under way.
    pub(super) go_away: CancellationToken,
    /// Stop at once.
    pub(super) end: CancellationToken,
}

/// Accepts connections until it is dropped; each is served by a task of its own.
pub(super) async fn accept(listener: TcpListener, gate: Gate, connections: Connections) {
    let gate = Arc::new(gate);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let protocol = Arc::new(protocol());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let (gate, protocol) = (Arc::clone(&gate), Arc::clone(&protocol));
        let Connections { go_away, end, .. } = connections.clone();
        connections.tracker.spawn(async move {
            let peer = Peer { address, sans: Vec::new() };
            serve(stream, peer, gate, &protocol, go_away, end).await;
            drop(place);
        });
    }
}

/// A connection that broke before it was accepted is nobody's problem; anything else is ours.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "Cannot accept connections");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn serve(
    stream: TcpStream,
    peer: Peer,
    gate: Arc<Gate>,
    protocol: &auto::Builder<TokioExecutor>,
    go_away: CancellationToken,
    end: CancellationToken,
) {
    // hyper would wait for ever for the first bytes, and the connection would keep its place.
    if tokio::time::timeout(GREETING_TIMEOUT, greeting(&stream)).await.is_err() {
        return;
    }
    // Small messages leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        if gate.identifies_callers() {
            request.extensions_mut().insert(peer.clone());
        }
        gate.answer(request)
    });
    let connection = protocol.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);

    // The connection is polled at every call, and whatever stands beside it too: one handle is the least.
    let time_to_go = AbortOnDropHandle::new(tokio::spawn(time_to_go(go_away)));
    let outcome = tokio::select! {
        biased;
        outcome = &mut connection => outcome,
        _ = time_to_go => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = tokio::time::timeout(AGE_GRACE, connection) => outcome.unwrap_or(Ok(())),
                () = end.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "A connection ended");
    }
}

/// Waits until the client has sent HTTP/2's preface, or anything else, or has left.
async fn greeting(stream: &TcpStream) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut first = [0; PREFACE.len()];
    while let Ok(length @ 1..) = stream.peek(&mut first).await {
        if length == PREFACE.len() || !PREFACE.starts_with(&first[..length]) {
            return;
        }
        // A part of it; peeking does not wait for more.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn time_to_go(go_away: CancellationToken) {
    let age = AGE.mul_f64(1.0 + fastrand::f64() / 10.0);
    let _ = tokio::time::timeout(age, go_away.cancelled()).await;
}
