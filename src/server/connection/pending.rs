//! Limits on connections that have not sent a preface yet: few at once, and not for long.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{ConnectionRefusal, Metrics};

/// Maximum number. A connection is pending for one or two round trips, so this allows thousands of new ones a
/// second, and only a faster flood of silent ones could push out an honest one.
pub(super) const MAX_PENDING: usize = 1024;

/// Time limit for the handshake and the first bytes: gRPC clients send both as they connect.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// All pending connections. At the limit, the oldest is closed: to refuse new ones instead would let a
/// thousand silent connections keep everyone out.
pub(super) struct PendingConnections {
    limit: usize,
    waiting: Mutex<Waiting>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// In the order of arrival.
    pending: BTreeMap<u64, CancellationToken>,
}

/// A connection that has not sent a preface yet. It stops counting once this is dropped.
pub(super) struct PendingConnection {
    number: u64,
    leave: CancellationToken,
    deadline: Instant,
    all: Arc<PendingConnections>,
}

impl PendingConnections {
    /// Creates a limit of `limit` connections.
    pub(super) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, waiting: Mutex::default(), metrics }
    }

    /// Admits a connection, which must also close at `go_away`.
    pub(super) fn admit(self: &Arc<Self>, go_away: &CancellationToken) -> PendingConnection {
        let leave = go_away.child_token();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.pending.insert(number, leave.clone());
        if waiting.pending.len() > self.limit
            && let Some((_, oldest)) = waiting.pending.pop_first()
        {
            oldest.cancel();
            self.metrics.connection_refused(ConnectionRefusal::Crowded);
        }
        PendingConnection { number, leave, deadline: Instant::now() + PREFACE_TIMEOUT, all: Arc::clone(self) }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingConnection {
    /// Waits until the connection must close: its time is up, others need its place, or the server stops.
    pub(super) async fn must_leave(&self) {
        tokio::select! {
            () = self.leave.cancelled() => {}
            () = tokio::time::sleep_until(self.deadline) => self.all.metrics.connection_refused(ConnectionRefusal::Silent),
        }
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        self.all.waiting().pending.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_whoever_has_spoken_does_not_count() {
        let metrics = Arc::new(Metrics::default());
        let all = Arc::new(PendingConnections::new(MAX_PENDING, Arc::clone(&metrics)));
        let go_away = CancellationToken::new();
        let mut pending: Vec<_> = (0..MAX_PENDING).map(|_| all.admit(&go_away)).collect();
        drop(pending.remove(7));
        pending.push(all.admit(&go_away));
        let gone =
            |pending: &[PendingConnection]| pending.iter().filter(|one| one.leave.is_cancelled()).count();
        assert_eq!(gone(&pending), 0, "there was room");
        pending.push(all.admit(&go_away));
        assert_eq!(gone(&pending), 1);
        pending[0].must_leave().await;
        assert!(metrics.page().contains(r#"idp_token_connections_refused_total{reason="crowded"} 1"#));
        go_away.cancel();
        assert_eq!(gone(&pending), pending.len());
        drop(pending);
        assert!(all.waiting().pending.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_stays_silent_for_long() {
        let metrics = Arc::new(Metrics::default());
        let pending = Arc::new(PendingConnections::new(MAX_PENDING, Arc::clone(&metrics)))
            .admit(&CancellationToken::new());
        let began = Instant::now();
        pending.must_leave().await;
        assert_eq!(began.elapsed().as_secs(), PREFACE_TIMEOUT.as_secs());
        assert!(metrics.page().contains(r#"idp_token_connections_refused_total{reason="silent"} 1"#));
    }
}
