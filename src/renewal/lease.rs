//! Work that only one replica does at a time.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::store::{Lease, Store};

/// How long a replica that died keeps others from taking over.
pub(super) const LENGTH: Duration = Duration::from_secs(15);

/// After a lease ran out that was not given back, who takes it over leaves its former owner this time to store what it
/// may have been issued: after an outage of the store both come back, and the owner tries every quarter of a second.
/// Taking over takes less than 20 s all the same.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// A lease is renewed this often while the work runs, so that two of its renewals may fail.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Does `work` while keeping `lease`, and gives it back. Work that was begun is ended even if the lease is lost: what a
/// provider was asked cannot be taken back, and the swap at the end decides whose outcome counts.
pub(super) async fn holding<T>(store: &Store, mut lease: Lease, work: impl Future<Output = T>) -> T {
    let outcome = tokio::select! {
        outcome = work => outcome,
        never = keep(store, &mut lease) => match never {},
    };
    if let Err(error) = store.release(lease).await {
        tracing::warn!(%error, "Cannot give a lease back; it runs out by itself");
    }
    outcome
}

async fn keep(store: &Store, lease: &mut Lease) -> std::convert::Infallible {
    let mut every = tokio::time::interval(RENEW_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    loop {
        every.tick().await;
        match store.renew(lease).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("A lease is lost; the work goes on, and whoever stores first counts");
            }
            Err(error) => tracing::warn!(%error, "Cannot renew a lease"),
        }
    }
}
