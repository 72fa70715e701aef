//! Background tasks.

use std::{ops::Range, sync::Arc, time::Duration};

use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::ServiceExt;

use super::{
    connection::{Acceptor, ConnectionLimits, Connections},
    report,
};
use crate::{
    auth0::Auth0,
    service::Answer,
    store::{Acquired, LeaseName, Removed, Store, StoreError},
    telemetry::{Metrics, admin::Readiness},
    tokens::Tokens,
};

/// How often expired cache entries that hold secrets are dropped from memory.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Between two attempts to get the first Management token; the fetch itself backs off longer when it keeps
/// failing.
const AUTHENTICATE_EVERY: Duration = Duration::from_millis(500);

/// The most connections of the admin port. Whoever scrapes or probes has one or two; the longest idle gives
/// way to a newcomer.
const ADMIN_CONNECTIONS: usize = 64;

const HOUR: Duration = Duration::from_secs(3600);

/// Records unused for half a year are removed.
const UNUSED_FOR: Duration = Duration::from_secs(183 * 24 * 3600);

/// Hours between two removals: about a day, and different at each replica.
const REMOVE_EVERY: Range<f64> = 22.0..26.0;

/// Of the replicas that come within this time, one does the work: it keeps the lease, which expires before
/// its next turn.
const REMOVAL_LEASE: Duration = Duration::from_secs(20 * 3600);

/// Tasks that end with the server.
#[derive(Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Runs `work` until the server ends.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.stop.clone(), work);
    }

    /// Runs `work` until `stop`.
    pub(super) fn spawn_until(
        &self,
        stop: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        });
    }

    /// Ends all tasks.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Serves the admin endpoint: with the limits of any port, so that whoever reaches it takes nothing from
/// others.
pub(super) async fn serve_admin(
    listener: TcpListener,
    router: axum::Router,
    connections: Connections,
    metrics: Arc<Metrics>,
) {
    let answer = move |request: Request<Incoming>| -> Answer {
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        Box::pin(async { answer.await.map(|response| response.map(Body::new)) })
    };
    let limits = ConnectionLimits::open(ADMIN_CONNECTIONS);
    Acceptor::new(answer, None, limits, metrics).accept(listener, connections).await;
}

pub(super) async fn sweep(auth0: Arc<Auth0>, tokens: Arc<Tokens>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        auth0.sweep();
        tokens.sweep();
    }
}

/// Reports readiness only once there is a Management token: without one, every call would fail.
pub(super) async fn become_ready(auth0: Arc<Auth0>, health: HealthReporter, readiness: Readiness) {
    let mut told = String::new();
    while let Err(error) = auth0.authenticate().await {
        let message = error.to_string();
        // Logged once, and again when the error changes.
        if told != message {
            tracing::error!("Not ready: {message}");
            told = message;
        }
        tokio::time::sleep(AUTHENTICATE_EVERY).await;
    }
    report(&health, ServingStatus::Serving).await;
    readiness.set(true);
    tracing::info!("Ready");
}

/// Removes unused rows: now, and then about once a day.
pub(super) async fn remove_unused(store: Arc<Store>) {
    loop {
        if let Err(error) = remove_unless_others_did(&store).await {
            tracing::warn!(%error, "Cannot remove unused rows from the token store now; trying again in a day");
        }
        let hours = REMOVE_EVERY.start + (REMOVE_EVERY.end - REMOVE_EVERY.start) * fastrand::f64();
        tokio::time::sleep(HOUR.mul_f64(hours)).await;
    }
}

async fn remove_unless_others_did(store: &Store) -> Result<(), StoreError> {
    let name = LeaseName::Shared("remove-unused".to_owned());
    let holder = format!("process {}", std::process::id());
    let Acquired::Yes(lease) = store.acquire(&name, &holder, REMOVAL_LEASE).await? else { return Ok(()) };
    match store.remove_unused(UNUSED_FOR).await {
        Ok(Removed { records: 0, .. }) => Ok(()),
        Ok(Removed { records, leases, shared }) => {
            tracing::info!(records, leases, shared, "Removed records unused for half a year");
            Ok(())
        }
        Err(error) => {
            // Another replica may succeed.
            let _ = store.release(lease).await;
            Err(error)
        }
    }
}
