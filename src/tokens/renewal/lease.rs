//! Work that only one replica does at a time.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Renewer, Selected, StoredState, in_time,
    timing::{LEASE, LINGER, RENEW_AGAIN, RENEW_EVERY, RENEWAL_TIMEOUT},
};
use crate::{
    identity::IdentityKey,
    store::{self, Lease, LeaseName, Store, StoreError},
    transport::SendGuard,
};

/// How long another replica's work is waited for: as long as a renewal may take.
const WAIT_TIMEOUT: Duration = RENEWAL_TIMEOUT;

/// How often it is looked whether another replica is done, on average.
const POLL: Duration = Duration::from_millis(200);

/// Who works on an identity.
pub(in crate::tokens) enum Acquired {
    /// We do.
    Leader(HeldLease),
    /// Another replica does or did: nothing is left to do, or it took too long. This is what is stored
    /// meanwhile.
    Follower(Arc<StoredState>),
}

impl Renewer {
    /// Waits for the lease on an identity of which `kept` is known, unless what another replica stores
    /// meanwhile `suffices`.
    pub(in crate::tokens) async fn acquire(
        &self,
        identity: &Selected,
        kept: Option<&Arc<StoredState>>,
        suffices: impl Fn(&StoredState) -> bool,
    ) -> Result<Acquired, StoreError> {
        let name = LeaseName::Identity(IdentityKey::clone(identity.key()));
        let give_up = Instant::now() + WAIT_TIMEOUT;
        loop {
            match self.store.acquire(&name, &self.holder, LEASE).await? {
                store::Acquired::Yes(lease) => {
                    return Ok(Acquired::Leader(HeldLease::new(&self.store, lease)));
                }
                store::Acquired::Held { remaining, .. } => {
                    let pause =
                        POLL.mul_f64(0.5 + fastrand::f64()).min(remaining.max(Duration::from_millis(1)));
                    tokio::time::sleep(pause).await;
                }
            }
            let stored = self.load(identity, kept).await?;
            if suffices(&stored) || Instant::now() >= give_up {
                return Ok(Acquired::Follower(stored));
            }
        }
    }
}

/// A lease that is ours until it ends.
pub(in crate::tokens) struct HeldLease {
    store: Arc<Store>,
    /// As last renewed.
    lease: Arc<Mutex<Lease>>,
}

impl HeldLease {
    fn new(store: &Arc<Store>, lease: Lease) -> Self {
        Self { store: Arc::clone(store), lease: Arc::new(Mutex::new(lease)) }
    }

    /// Whether another replica held it before and let it run out.
    pub(super) fn is_inherited(&self) -> bool {
        self.latest().is_inherited()
    }

    /// Does `work` while the lease is kept, and gives it back.
    pub(in crate::tokens) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let outcome = tokio::select! {
            outcome = work => outcome,
            never = self.keep() => match never {},
        };
        if let Err(error) = self.store.release(self.latest()).await {
            tracing::warn!(%error, "Cannot give a lease back; it runs out by itself");
        }
        outcome
    }

    /// Renews the lease in the store; false if it is not ours any more.
    pub(super) async fn confirm(&self) -> Result<bool, StoreError> {
        let mut lease = self.latest();
        let is_ours = self.store.renew(&mut lease).await?;
        let mut latest = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ours && lease.expires() > latest.expires() {
            *latest = lease;
        }
        Ok(is_ours)
    }

    /// A guard of requests that lets nothing be written once the lease has ended, as it was last renewed.
    pub(super) fn guard(&self) -> SendGuard {
        let lease = Arc::clone(&self.lease);
        SendGuard::new(move || latest(&lease).expires() > Instant::now())
    }

    /// Does `exchange` until the lease ends, as it was last renewed; `None` if that comes first. An answer
    /// that is there already is taken all the same, after a sleep too: it may be the only live copy.
    pub(super) async fn bound<T>(&self, exchange: impl Future<Output = T>) -> Option<T> {
        let ended = async {
            loop {
                let expires = self.latest().expires();
                if expires <= Instant::now() {
                    return;
                }
                tokio::time::sleep_until(expires).await;
            }
        };
        let mut exchange = pin!(exchange);
        tokio::select! {
            biased;
            outcome = &mut exchange => return Some(outcome),
            () = ended => {}
        }
        tokio::time::timeout(LINGER, exchange).await.ok()
    }

    fn latest(&self) -> Lease {
        latest(&self.lease)
    }

    async fn keep(&self) -> std::convert::Infallible {
        let mut pause = RENEW_EVERY;
        loop {
            tokio::time::sleep(pause).await;
            pause = match in_time(self.confirm()).await {
                Ok(true) => RENEW_EVERY,
                Ok(false) => {
                    tracing::warn!("A lease is lost: nothing more is sent to the provider under it");
                    RENEW_EVERY
                }
                Err(error) => {
                    tracing::warn!(%error, "Cannot renew a lease");
                    RENEW_AGAIN
                }
            };
        }
    }
}

fn latest(lease: &Mutex<Lease>) -> Lease {
    lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
