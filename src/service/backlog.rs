//! Bytes that wait for slow peers: of messages that have come in part, and of answers that nobody takes.
//!
//! Few at once, and not for long. Where they are too many, what has waited longest gives way: refusing what is new
//! instead would let one client that stands still keep everybody out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, Slow};

/// Bytes that wait at once, of all peers: 256 of the largest bodies.
pub(super) const BACKLOG: usize = 1024 * 1024 * 1024;

/// Bytes: an answer that is smaller does not count, since a connection's 200 calls hold 3 MiB of it at most; larger ones
/// are handed to the connection in pieces of this size, as HTTP/2's frames are.
pub(super) const PIECE: usize = 16 * 1024;

/// All that waits.
pub(super) struct Backlog {
    limit: usize,
    waiting: Mutex<Entries>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    bytes: usize,
    /// In the order in which they came.
    entries: BTreeMap<u64, AuditGuard>,
}

struct AuditGuard {
    bytes: usize,
    leave: CancellationToken,
}

/// Something that waits. It does so no longer once this is dropped.
pub(super) struct Waiting {
    number: u64,
    leave: CancellationToken,
    all: Arc<Backlog>,
}

impl Backlog {
    /// Room for `limit` bytes.
    pub(super) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, waiting: Mutex::default(), metrics }
    }

    /// Something more that waits, without a byte yet.
    pub(super) fn admit(self: &Arc<Self>) -> Waiting {
        let leave = CancellationToken::new();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.entries.insert(number, AuditGuard { bytes: 0, leave: leave.clone() });
        Waiting { number, leave, all: Arc::clone(self) }
    }

    /// Something waited for too long.
    pub(super) fn too_slow(&self) {
        self.metrics.slow_peer(Slow::Late);
    }

    fn waiting(&self) -> MutexGuard<'_, Entries> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, number: u64) -> Option<AuditGuard> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn remove_oldest(&mut self) -> Option<AuditGuard> {
        let (&oldest, _) = self.entries.first_key_value()?;
        self.remove(oldest)
    }
}

impl Waiting {
    /// So many bytes more; what has waited longest gives way to them, which may be this.
    pub(super) fn grow(&self, bytes: usize) {
        let mut waiting = self.all.waiting();
        let Some(entry) = waiting.entries.get_mut(&self.number) else { return };
        entry.bytes += bytes;
        waiting.bytes += bytes;
        while waiting.bytes > self.all.limit
            && let Some(oldest) = waiting.remove_oldest()
        {
            oldest.leave.cancel();
            self.all.metrics.slow_peer(Slow::Crowded);
        }
    }

    /// Ends when this has to give way.
    pub(super) fn gives_way(&self) -> impl Future<Output = ()> + Send + 'static {
        self.leave.clone().cancelled_owned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.waiting().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_waited_longest_gives_way_until_the_rest_fits() {
        let metrics = Arc::new(Metrics::new(&[]));
        let all = Arc::new(Backlog::new(100, Arc::clone(&metrics)));
        let waiting: Vec<_> = (0..5).map(|_| all.admit()).collect();
        let gone = || waiting.iter().map(|one| one.leave.is_cancelled()).collect::<Vec<_>>();
        waiting.iter().for_each(|one| one.grow(20));
        assert_eq!(gone(), [false; 5], "there was room");
        waiting[4].grow(21);
        assert_eq!(gone(), [true, true, false, false, false]);
        waiting[0].grow(1000);
        assert_eq!(gone(), [true, true, false, false, false], "what gave way counts no more");
        assert!(metrics.page().contains(r#"idp_token_slow_peers_total{reason="crowded"} 2"#));
        drop(waiting);
        let left = all.waiting();
        assert!(left.entries.is_empty() && left.bytes == 0);
    }

    #[test]
    fn what_is_larger_than_all_room_gives_way_itself() {
        let all = Arc::new(Backlog::new(100, Arc::new(Metrics::new(&[]))));
        let waiting = all.admit();
        waiting.grow(101);
        assert!(waiting.leave.is_cancelled());
        assert_eq!(all.waiting().bytes, 0);
    }
}
