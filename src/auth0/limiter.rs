//! Spaces requests to the Management API, whose rate limit all tools of a tenant share, and shares the turns
//! out among callers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::error::{Auth0Error, LONGEST_WINDOW};
use crate::{
    identity::UserId,
    shares::{Holder, Share, Shares},
    telemetry::Metrics,
};

mod queue;
#[cfg(test)]
mod tests;

use queue::Queue;

/// Maximum number of queued reads. At ten a second the last of them waits 100 s, longer than any caller does;
/// further reads are told to come back later.
const QUEUE: usize = 1000;

/// Of so many turns in a row, one at least is for a cold read: one caller's refused tokens must not keep
/// every other user out.
const COLD_EVERY: u32 = 5;

/// Priority of a queued read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A call in progress holds a token that was refused or has expired.
    Urgent,
    /// A user whom nobody has asked about recently.
    Cold,
}

/// Who asks for a read, and how urgently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    pub(super) holder: Holder,
    pub(super) urgency: Urgency,
}

/// A token bucket with queues, adjusted by `x-ratelimit-*` headers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Limiter {
    shared: Arc<Shared>,
    /// Grants turns until the last limiter is dropped.
    _granting: Arc<AbortOnDropHandle<()>>,
    metrics: Arc<Metrics>,
}

struct Shared {
    state: Mutex<State>,
    /// Places in the queues, by who asks.
    places: Shares,
    /// Told when a read is queued.
    queued: Notify,
}

struct State {
    bucket: Bucket,
    urgent: Queue<Waiting>,
    cold: Queue<Waiting>,
    /// Urgent turns since the last cold one.
    urgent_in_a_row: u32,
    /// The reads that wait, by user: whoever asks for the same user too adds their own place in the queue.
    reads: HashMap<UserId, Weak<Turn>>,
}

/// A read's turn, which may come from several places in the queues.
#[derive(Default)]
struct Turn {
    is_granted: AtomicBool,
    granted: Notify,
}

/// One place in a queue.
struct Waiting {
    /// Gone once the read has its turn, or is given up.
    turn: Weak<Turn>,
    _place: Share,
}

impl Limiter {
    /// Makes a limiter of `per_second` requests a second, and as many at once. Needs a tokio runtime; its
    /// task ends with the limiter.
    pub(super) fn new(per_second: u32, metrics: Arc<Metrics>) -> Self {
        let state = Mutex::new(State::new(Bucket::new(per_second)));
        let shared = Arc::new(Shared { state, places: Shares::new(QUEUE), queued: Notify::new() });
        let granting = AbortOnDropHandle::new(tokio::spawn(grant(Arc::clone(&shared))));
        Self { shared, _granting: Arc::new(granting), metrics }
    }

    /// Waits for the turn of a read of `user` that somebody asks for. A read that is given up gives up its
    /// places.
    ///
    /// # Errors
    /// [`Auth0Error::RateLimited`] at once when the holder has its share of the queue, or when the turn would
    /// come after `deadline`.
    pub(super) async fn turn(&self, user: &UserId, asks: Asks, deadline: Instant) -> Result<(), Auth0Error> {
        let turn = Arc::new(Turn::default());
        self.shared.enter(&turn, asks, deadline)?;
        self.shared.state().reads.insert(user.clone(), Arc::downgrade(&turn));
        turn.granted.notified().await;
        Ok(())
    }

    /// Adds a place for somebody who asks for `user` too: they need not wait behind all that the first who
    /// asked has queued. Does nothing where no such read waits, or there is no place.
    pub(super) fn join(&self, user: &UserId, asks: Asks) {
        let turn = self.shared.state().reads.get(user).and_then(Weak::upgrade);
        if let Some(turn) = turn {
            let far = Instant::now() + LONGEST_WINDOW;
            let _ = self.shared.enter(&turn, asks, far);
        }
    }

    /// Learns from an answer's headers how many requests the whole tenant has left.
    pub(super) fn observe(&self, answer: &Response<Bytes>) {
        let number = |name| number(answer.headers(), name);
        let Some(remaining) = number("x-ratelimit-remaining") else { return };
        self.metrics.auth0_remaining(remaining);
        let mut state = self.shared.state();
        state.bucket.lower(remaining.max(0));
        if let (..=0, Some(reset)) = (remaining, number("x-ratelimit-reset")) {
            state.bucket.close(until(reset));
        }
    }

    /// Stops all requests for `wait`, after Auth0 said that the limit is reached.
    pub(super) fn close(&self, wait: Duration) {
        self.shared.state().bucket.close(wait);
    }

    /// Returns how long a new cold read of `holder` would wait; `None` if not at all.
    pub(super) fn wait(&self, holder: Holder) -> Option<Duration> {
        let wait = self.shared.state().wait(Urgency::Cold, holder);
        Some(wait).filter(|wait| !wait.is_zero())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `turn` a place in the queue of `holder`.
    fn enter(
        &self,
        turn: &Arc<Turn>,
        Asks { holder, urgency }: Asks,
        deadline: Instant,
    ) -> Result<(), Auth0Error> {
        let mut state = self.state();
        let retry_after = state.wait(urgency, holder);
        let place = self.places.take(holder, 1);
        let is_late = !retry_after.is_zero() && Instant::now() + retry_after >= deadline;
        let Some(place) = place.ok().filter(|_| !is_late) else {
            return Err(Auth0Error::RateLimited { retry_after });
        };
        state.queue(urgency).push(holder, Waiting { turn: Arc::downgrade(turn), _place: place });
        drop(state);
        self.queued.notify_one();
        Ok(())
    }
}

impl State {
    fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            urgent: Queue::default(),
            cold: Queue::default(),
            urgent_in_a_row: 0,
            reads: HashMap::new(),
        }
    }

    fn queue(&mut self, urgency: Urgency) -> &mut Queue<Waiting> {
        match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Cold => &mut self.cold,
        }
    }

    /// How long a new read of `holder` would wait: behind its own, and as many of each other's at most. Those
    /// less urgent do not count, though one in [`COLD_EVERY`] turns is theirs.
    fn wait(&self, urgency: Urgency, holder: Holder) -> Duration {
        let ahead = match urgency {
            Urgency::Urgent => self.urgent.ahead(holder),
            Urgency::Cold => self.urgent.len() + self.cold.ahead(holder),
        };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.bucket.wait() + Duration::from_secs_f64(f64::from(ahead) / self.bucket.per_second)
    }

    fn is_idle(&self) -> bool {
        self.urgent.len() + self.cold.len() == 0
    }

    /// Takes the next place out of the queues.
    fn next(&mut self) -> Option<Waiting> {
        if self.urgent_in_a_row + 1 < COLD_EVERY
            && let Some(waiting) = self.urgent.pop()
        {
            self.urgent_in_a_row += 1;
            return Some(waiting);
        }
        self.urgent_in_a_row = 0;
        self.cold.pop().or_else(|| self.urgent.pop())
    }

    /// Gives the next read its turn. A read that has had its turn, or was given up, uses nothing up.
    fn grant(&mut self) {
        self.reads.retain(|_, turn| turn.strong_count() > 0);
        while let Some(waiting) = self.next() {
            if waiting.turn.upgrade().is_some_and(|turn| turn.grant()) {
                self.bucket.take();
                return;
            }
        }
    }
}

impl Turn {
    /// Returns whether this was news.
    fn grant(&self) -> bool {
        let was_granted = self.is_granted.swap(true, Ordering::Relaxed);
        self.granted.notify_one();
        !was_granted
    }
}

/// Grants turns, for as long as a [`Limiter`] exists.
async fn grant(shared: Arc<Shared>) {
    loop {
        // Wait for a read before asking the bucket, which may be closed until the next one comes.
        if shared.state().is_idle() {
            shared.queued.notified().await;
            continue;
        }
        let wait = shared.state().bucket.wait();
        if wait.is_zero() {
            shared.state().grant();
        } else {
            // The wait may grow meanwhile: another answer may close the bucket for longer.
            tokio::time::sleep(wait).await;
        }
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Returns the time until a Unix second; zero if it has passed.
fn until(unix_seconds: i64) -> Duration {
    let seconds = u64::try_from(unix_seconds).unwrap_or_default();
    let reset = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let wait = reset.and_then(|reset| reset.duration_since(SystemTime::now()).ok());
    wait.unwrap_or_default().min(LONGEST_WINDOW)
}

struct Bucket {
    per_second: f64,
    level: f64,
    filled: Instant,
    closed_until: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, level: per_second, filled: Instant::now(), closed_until: None }
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let grown = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.level = (self.level + grown).min(self.per_second);
        self.filled = now;
    }

    /// Returns how long until a request may be sent, rounded up so that no sleep is slightly too short.
    fn wait(&self) -> Duration {
        let closed =
            self.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        let level = self.level + self.filled.elapsed().as_secs_f64() * self.per_second;
        let empty = (1.0 - level).max(0.0) / self.per_second;
        if empty == 0.0 {
            closed
        } else {
            closed.max(Duration::from_secs_f64(empty) + Duration::from_millis(1))
        }
    }

    fn take(&mut self) {
        self.fill();
        self.level -= 1.0;
    }

    /// Allows no request for `wait`. An earlier, longer closing stands.
    fn close(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        self.closed_until = Some(self.closed_until.map_or(until, |earlier| earlier.max(until)));
    }

    /// Lowers the balance to `remaining`: other tools have used some of the quota.
    #[expect(clippy::cast_precision_loss, reason = "a number of requests is far below 2^52")]
    fn lower(&mut self, remaining: i64) {
        self.fill();
        self.level = self.level.min(remaining as f64);
    }
}
