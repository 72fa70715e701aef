//! A budget for bytes buffered for slow peers: partly received messages and unread answers.
//!
//! Bytes may wait only up to a limit, and not for long. At the limit, the oldest entry is dropped: to refuse
//! new ones instead would let one stalled client keep everyone out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, Slow};

/// Bytes buffered for all peers together: 256 of the largest bodies.
pub(super) const BUFFERED_BYTES: usize = 1024 * 1024 * 1024;

/// In bytes. Smaller answers are not counted, since a connection's 200 calls hold 3 MiB of them at most;
/// larger ones are passed to the connection in pieces of this size, that of HTTP/2's frames.
pub(super) const PIECE: usize = 16 * 1024;

/// All buffered bytes, with a limit.
pub(super) struct BufferBudget {
    limit: usize,
    waiting: Mutex<Entries>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    bytes: usize,
    /// In the order of arrival.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    bytes: usize,
    leave: CancellationToken,
}

/// A share of the budget, returned when dropped.
pub(super) struct Share {
    number: u64,
    leave: CancellationToken,
    all: Arc<BufferBudget>,
}

impl BufferBudget {
    /// Creates a budget of `limit` bytes.
    pub(super) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, waiting: Mutex::default(), metrics }
    }

    /// Admits a new entry without bytes.
    pub(super) fn admit(self: &Arc<Self>) -> Share {
        let leave = CancellationToken::new();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.entries.insert(number, Entry { bytes: 0, leave: leave.clone() });
        Share { number, leave, all: Arc::clone(self) }
    }

    /// Counts an entry that missed its deadline.
    pub(super) fn too_slow(&self) {
        self.metrics.slow_peer(Slow::Late);
    }

    fn waiting(&self) -> MutexGuard<'_, Entries> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn remove_oldest(&mut self) -> Option<Entry> {
        let (&oldest, _) = self.entries.first_key_value()?;
        self.remove(oldest)
    }
}

impl Share {
    /// Adds `bytes` to this entry. The oldest entries are dropped to make room, and this may be one of them.
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

    /// Completes when this entry must be dropped.
    pub(super) fn gives_way(&self) -> impl Future<Output = ()> + Send + 'static {
        self.leave.clone().cancelled_owned()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.waiting().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_waited_longest_gives_way_until_the_rest_fits() {
        let metrics = Arc::new(Metrics::default());
        let all = Arc::new(BufferBudget::new(100, Arc::clone(&metrics)));
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
        let all = Arc::new(BufferBudget::new(100, Arc::new(Metrics::default())));
        let waiting = all.admit();
        waiting.grow(101);
        assert!(waiting.leave.is_cancelled());
        assert_eq!(all.waiting().bytes, 0);
    }
}
