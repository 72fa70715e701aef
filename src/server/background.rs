//! What goes on beside the calls.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::report;
use crate::{
    auth0::Auth0,
    store::{Acquired, LeaseName, Removed, Store, StoreError},
    telemetry::admin::Readiness,
    tokens::Tokens,
};

/// How often secrets that nobody uses any more are dropped from memory.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Between two attempts at the first Management token; the fetch itself rests longer when it keeps failing.
const AUTHENTICATE_EVERY: Duration = Duration::from_millis(500);

const HOUR: Duration = Duration::from_secs(3600);

/// Tokens that nobody has asked for in half a year are as good as never asked for again.
const UNUSED_FOR: Duration = Duration::from_secs(183 * 24 * 3600);

/// Hours between two removals: about a day, never the same at two replicas.
const REMOVE_EVERY: Range<f64> = 22.0..26.0;

/// Of replicas that come within this time one does the work: it keeps the lease, which runs out before its next turn.
const REMOVAL_LEASE: Duration = Duration::from_secs(20 * 3600);

/// Tasks that end with the server.
#[derive(Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Does `work` until the end.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(self.stop.clone(), work);
    }

    /// Does `work` until `stop`.
    pub(super) fn spawn_until(
        &self,
        stop: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        });
    }

    /// Ends everything.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

pub(super) async fn serve_admin(listener: TcpListener, router: axum::Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "The admin endpoint has stopped");
    }
}

pub(super) async fn sweep(auth0: Arc<Auth0>, tokens: Arc<Tokens>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        auth0.sweep();
        tokens.sweep();
    }
}

/// Without a Management token every call would fail, so none is invited before there is one.
pub(super) async fn become_ready(auth0: Arc<Auth0>, health: HealthReporter, readiness: Readiness) {
    let mut told = String::new();
    while let Err(error) = auth0.authenticate().await {
        let message = error.to_string();
        // Said once, and again when it changes.
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

/// Removes rows that nobody has used for long: now, and about once a day.
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
            tracing::info!(records, leases, shared, "Removed tokens that nobody used for half a year");
            Ok(())
        }
        Err(error) => {
            // Another replica may be luckier.
            let _ = store.release(lease).await;
            Err(error)
        }
    }
}
