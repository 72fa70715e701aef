//! Work that only one replica does at a time.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Known,
    flight::{RENEWAL_TIMEOUT, Target, Works},
};
use crate::{
    identity::IdentityKey,
    store::{Acquired, Lease, LeaseName, Store, StoreError},
};

/// How long a replica that died keeps others from taking over.
const LENGTH: Duration = Duration::from_secs(15);

/// After a lease ran out that was not given back, who takes it over leaves its former owner this time to store what it
/// may have been issued: after an outage of the store both come back, and the owner tries every quarter of a second.
/// Taking over takes less than 20 s all the same.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// A lease is renewed this often while the work runs, so that two of its renewals may fail.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// So long another replica's work is waited for: as long as a renewal may take.
const WAIT_TIMEOUT: Duration = RENEWAL_TIMEOUT;

/// How often it is looked whether another replica is done, on average.
const POLL: Duration = Duration::from_millis(200);

/// Whose turn it is.
pub(super) enum Turn {
    /// Ours.
    Ours(Lease),
    /// Another replica's, and it need not be ours any more, or took too long to come: this is known meanwhile.
    Others(Arc<Known>),
}

impl Works {
    /// Waits for the lease on an identity of which `kept` is known, unless what another replica stores meanwhile
    /// `suffices`.
    pub(super) async fn turn(
        &self,
        target: &Target,
        kept: Option<&Arc<Known>>,
        suffices: impl Fn(&Known) -> bool,
    ) -> Result<Turn, StoreError> {
        let name = LeaseName::Identity(IdentityKey::clone(&target.key));
        let give_up = Instant::now() + WAIT_TIMEOUT;
        loop {
            match self.store.acquire(&name, &self.holder, LENGTH).await? {
                Acquired::Yes(lease) => return Ok(Turn::Ours(lease)),
                Acquired::Held { remaining, .. } => {
                    let pause =
                        POLL.mul_f64(0.5 + fastrand::f64()).min(remaining.max(Duration::from_millis(1)));
                    tokio::time::sleep(pause).await;
                }
            }
            let known = self.look(&target.user, &target.key, kept).await?;
            if suffices(&known) || Instant::now() >= give_up {
                return Ok(Turn::Others(known));
            }
        }
    }
}

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
