//! Limits on connections that have not sent a preface yet: few at once, and not for long.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, Refusal};

/// Maximum number. A connection is pending for one or two round trips, so this allows thousands of new ones a
/// second, and only a faster flood of silent ones could push out an honest one.
pub(super) const NEWCOMERS: usize = 1024;

/// Time limit for the handshake and the first bytes: gRPC clients send both as they connect.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// All pending connections. At the limit, the oldest is closed: to refuse new ones instead would let a
/// thousand silent connections keep everyone out.
pub(super) struct Newcomers {
    limit: usize,
    waiting: Mutex<Waiting>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// In the order of arrival.
    newcomers: BTreeMap<u64, CancellationToken>,
}

/// A connection that has not sent a preface yet. It stops counting once this is dropped.
pub(super) struct Newcomer {
    number: u64,
    leave: CancellationToken,
    deadline: Instant,
    all: Arc<Newcomers>,
}

impl Newcomers {
    /// Creates a limit of `limit` connections.
    pub(super) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, waiting: Mutex::default(), metrics }
    }

    /// Admits a connection, which must also close at `go_away`.
    pub(super) fn admit(self: &Arc<Self>, go_away: &CancellationToken) -> Newcomer {
        let leave = go_away.child_token();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.newcomers.insert(number, leave.clone());
        if waiting.newcomers.len() > self.limit
            && let Some((_, oldest)) = waiting.newcomers.pop_first()
        {
            oldest.cancel();
            self.metrics.connection_refused(Refusal::Crowded);
        }
        Newcomer { number, leave, deadline: Instant::now() + GREETING_TIMEOUT, all: Arc::clone(self) }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// Waits until the connection must close: its time is up, others need its place, or the server stops.
    pub(super) async fn must_leave(&self) {
        tokio::select! {
            () = self.leave.cancelled() => {}
            () = tokio::time::sleep_until(self.deadline) => self.all.metrics.connection_refused(Refusal::Silent),
        }
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.all.waiting().newcomers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_whoever_has_spoken_does_not_count() {
        let metrics = Arc::new(Metrics::new(&[]));
        let all = Arc::new(Newcomers::new(NEWCOMERS, Arc::clone(&metrics)));
        let go_away = CancellationToken::new();
        let mut newcomers: Vec<_> = (0..NEWCOMERS).map(|_| all.admit(&go_away)).collect();
        drop(newcomers.remove(7));
        newcomers.push(all.admit(&go_away));
        let gone = |newcomers: &[Newcomer]| newcomers.iter().filter(|one| one.leave.is_cancelled()).count();
        assert_eq!(gone(&newcomers), 0, "there was room");
        newcomers.push(all.admit(&go_away));
        assert_eq!(gone(&newcomers), 1);
        newcomers[0].must_leave().await;
        assert!(metrics.page().contains(r#"idp_token_connections_refused_total{reason="crowded"} 1"#));
        go_away.cancel();
        assert_eq!(gone(&newcomers), newcomers.len());
        drop(newcomers);
        assert!(all.waiting().newcomers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_stays_silent_for_long() {
        let metrics = Arc::new(Metrics::new(&[]));
        let newcomer =
            Arc::new(Newcomers::new(NEWCOMERS, Arc::clone(&metrics))).admit(&CancellationToken::new());
        let began = Instant::now();
        newcomer.must_leave().await;
        assert_eq!(began.elapsed().as_secs(), GREETING_TIMEOUT.as_secs());
        assert!(metrics.page().contains(r#"idp_token_connections_refused_total{reason="silent"} 1"#));
    }
}
