//! Leases within one process, on tokio's clock.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::{Acquired, Lease, LeaseName};

/// The number of entries beyond which expired ones are removed: far more than are ever held at once.
const SWEEP_AT: usize = 4096;

#[derive(Default)]
pub(in crate::store) struct Leases(Mutex<HashMap<LeaseName, Held>>);

struct Held {
    holder: String,
    expires: Instant,
}

impl Leases {
    pub(in crate::store) fn acquire(&self, name: &LeaseName, holder: &str, length: Duration) -> Acquired {
        let now = Instant::now();
        let mut leases = self.lock();
        if leases.len() >= SWEEP_AT {
            leases.retain(|_, held| now < held.expires);
        }
        if let Some(held) = leases.get(name).filter(|held| now < held.expires) {
            return Acquired::held(&held.holder, held.expires - now);
        }
        let inherited = leases.contains_key(name);
        let lease = Lease { inherited, ..Lease::new(name, holder, length) };
        leases.insert(name.clone(), Held { holder: lease.holder.clone(), expires: lease.expires });
        Acquired::Yes(lease)
    }

    pub(in crate::store) fn renew(&self, lease: &mut Lease) -> bool {
        let mut leases = self.lock();
        let Some(held) = leases.get_mut(&lease.name).filter(|held| held.holder == lease.holder) else {
            return false;
        };
        lease.expires = Instant::now() + lease.length;
        held.expires = lease.expires;
        true
    }

    pub(in crate::store) fn release(&self, lease: &Lease) -> bool {
        let mut leases = self.lock();
        let ours = leases.get(&lease.name).is_some_and(|held| held.holder == lease.holder);
        ours && leases.remove(&lease.name).is_some()
    }

    pub(in crate::store) fn remove_expired(&self) -> u64 {
        let now = Instant::now();
        let mut leases = self.lock();
        let before = leases.len();
        leases.retain(|_, held| now < held.expires);
        (before - leases.len()) as u64
    }

    /// The lock is held for a look-up or an assignment, never across an await.
    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseName, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
