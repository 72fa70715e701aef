//! Spaces requests to the Management API, whose rate limit all tools of a tenant share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::error::{Auth0Error, LONGEST_WINDOW};
use crate::telemetry::Metrics;

/// Maximum number of queued reads. At ten a second the last of them waits 100 s, longer than any caller does;
/// further reads are told to come back later.
const QUEUE: usize = 1000;

/// Priority of a queued read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A call in progress holds a token that was refused or has expired.
    Urgent,
    /// A user whom nobody has asked about recently.
    Cold,
}

/// A token bucket with a queue, adjusted by `x-ratelimit-*` headers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Limiter {
    bucket: Arc<Mutex<Bucket>>,
    urgent: mpsc::Sender<Waiter>,
    cold: mpsc::Sender<Waiter>,
    metrics: Arc<Metrics>,
}

type Waiter = oneshot::Sender<()>;

impl Limiter {
    /// Makes a limiter of `per_second` requests a second, and as many at once. Needs a tokio runtime; its
    /// task ends with the limiter.
    pub(super) fn new(per_second: u32, metrics: Arc<Metrics>) -> Self {
        let bucket = Arc::new(Mutex::new(Bucket::new(per_second)));
        let (urgent, urgent_waiters) = mpsc::channel(QUEUE);
        let (cold, cold_waiters) = mpsc::channel(QUEUE);
        tokio::spawn(serve(Arc::clone(&bucket), urgent_waiters, cold_waiters));
        Self { bucket, urgent, cold, metrics }
    }

    /// Waits for this request's turn. A caller that leaves gives up its place.
    ///
    /// # Errors
    /// [`Auth0Error::RateLimited`] at once when the queue is full, or when the turn would come after
    /// `deadline`.
    pub(super) async fn turn(&self, urgency: Urgency, deadline: Instant) -> Result<(), Auth0Error> {
        match self.wait() {
            Some(retry_after) if Instant::now() + retry_after >= deadline => {
                return Err(Auth0Error::RateLimited { retry_after });
            }
            _ => {}
        }
        let queue = match urgency {
            Urgency::Urgent => &self.urgent,
            Urgency::Cold => &self.cold,
        };
        let (waiter, turn) = oneshot::channel();
        let full = || Auth0Error::RateLimited { retry_after: self.estimate(QUEUE) };
        queue.try_send(waiter).map_err(|_| full())?;
        turn.await.map_err(|_| full())
    }

    /// Learns from an answer's headers how many requests the whole tenant has left.
    pub(super) fn observe(&self, answer: &Response<Bytes>) {
        let number = |name| number(answer.headers(), name);
        let Some(remaining) = number("x-ratelimit-remaining") else { return };
        self.metrics.auth0_remaining(remaining);
        let mut bucket = lock(&self.bucket);
        bucket.lower(remaining.max(0));
        if let (..=0, Some(reset)) = (remaining, number("x-ratelimit-reset")) {
            bucket.close(until(reset));
        }
    }

    /// Stops all requests for `wait`, after Auth0 said that the limit is reached.
    pub(super) fn close(&self, wait: Duration) {
        lock(&self.bucket).close(wait);
    }

    /// Returns how long a new request would wait behind those already queued; `None` if not at all.
    pub(super) fn wait(&self) -> Option<Duration> {
        let queued = 2 * QUEUE - self.urgent.capacity() - self.cold.capacity();
        Some(self.estimate(queued)).filter(|wait| !wait.is_zero())
    }

    fn estimate(&self, queued: usize) -> Duration {
        let bucket = lock(&self.bucket);
        let queued = u32::try_from(queued).unwrap_or(u32::MAX);
        bucket.wait() + Duration::from_secs_f64(f64::from(queued) / bucket.per_second)
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

/// Grants turns, urgent ones first, for as long as a [`Limiter`] exists.
async fn serve(
    bucket: Arc<Mutex<Bucket>>,
    mut urgent: mpsc::Receiver<Waiter>,
    mut cold: mpsc::Receiver<Waiter>,
) {
    let (mut first_urgent, mut first_cold) = (None, None);
    loop {
        // Wait for a request before asking the bucket, which may be closed until the next one comes.
        if first_urgent.is_none() && first_cold.is_none() {
            tokio::select! {
                biased;
                Some(waiter) = urgent.recv() => first_urgent = Some(waiter),
                Some(waiter) = cold.recv() => first_cold = Some(waiter),
                else => return,
            }
        }
        wait_until_open(&bucket).await;
        let next = first_urgent.take().or_else(|| urgent.try_recv().ok()).or_else(|| first_cold.take());
        // A waiter that has left meanwhile uses nothing up.
        if next.is_some_and(|waiter| waiter.send(()).is_ok()) {
            lock(&bucket).take();
        }
    }
}

/// Waits until the bucket is open. The wait may grow meanwhile: another answer may close the bucket for
/// longer.
async fn wait_until_open(bucket: &Mutex<Bucket>) {
    loop {
        let wait = lock(bucket).wait();
        if wait.is_zero() {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32) -> Limiter {
        Limiter::new(per_second, Arc::new(Metrics::default()))
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Bytes> {
        let builder = Response::builder().status(status);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        builder.body(Bytes::new()).expect("a valid answer")
    }

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_would_come_too_late_is_refused_at_once() {
        let limiter = limiter(10);
        limiter.close(Duration::from_secs(30));
        let start = Instant::now();
        let outcome = limiter.turn(Urgency::Urgent, start + Duration::from_secs(20)).await;
        assert!(
            matches!(outcome, Err(Auth0Error::RateLimited { retry_after }) if retry_after.as_secs() == 30)
        );
        assert!(start.elapsed().is_zero());
    }

    /// Returns how long `requests` turns take.
    async fn spaced(limiter: &Limiter, requests: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..requests {
            limiter.turn(Urgency::Cold, in_an_hour()).await.expect("the queue has room");
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_is_spaced() {
        let limiter = limiter(10);
        assert_eq!(spaced(&limiter, 10).await, Duration::ZERO);
        let rest = spaced(&limiter, 10).await;
        assert!(rest >= Duration::from_millis(990) && rest <= Duration::from_millis(1100), "{rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_stays_closed_for_as_long_as_auth0_asks() {
        let limiter = limiter(10);
        limiter.close(Duration::from_secs(3));
        limiter.close(Duration::from_secs(1));
        assert_eq!(spaced(&limiter, 1).await, Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_window_waits_for_its_reset_and_never_longer_than_a_window_lasts() {
        let reset_in = |seconds: u64| {
            let unix =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
            answer(
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &(unix + seconds).to_string())],
            )
        };
        for (seconds, waits) in [(5, 4..=5), (99_999_999, 60..=60)] {
            let limiter = limiter(10);
            limiter.observe(&reset_in(seconds));
            assert!(waits.contains(&spaced(&limiter, 1).await.as_secs()), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_nonsensical_number_of_requests_left_stops_nothing_for_long() {
        for remaining in ["-9223372036854775808", "-1", "0"] {
            let limiter = limiter(10);
            limiter.observe(&answer(200, &[("x-ratelimit-remaining", remaining)]));
            assert!(spaced(&limiter, 1).await <= Duration::from_millis(101), "{remaining}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_other_tools_used_up_is_not_ours_to_use() {
        let limiter = limiter(10);
        limiter.observe(&answer(200, &[("x-ratelimit-remaining", "2")]));
        assert_eq!(spaced(&limiter, 2).await, Duration::ZERO);
        assert!(!spaced(&limiter, 1).await.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_limit_counts_for_whoever_comes_after_an_idle_time() {
        let limiter = limiter(10);
        spaced(&limiter, 1).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        limiter.close(Duration::from_secs(3));
        assert_eq!(spaced(&limiter, 1).await, Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_urgent_go_first() {
        let limiter = limiter(1);
        spaced(&limiter, 1).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiters = tokio::task::JoinSet::new();
        for (number, urgency) in [(1, Urgency::Cold), (2, Urgency::Cold), (3, Urgency::Urgent)] {
            let (limiter, order) = (limiter.clone(), Arc::clone(&order));
            waiters.spawn(async move {
                limiter.turn(urgency, in_an_hour()).await.expect("the queue has room");
                order.lock().expect("no test thread panicked").push(number);
            });
        }
        waiters.join_all().await;
        assert_eq!(*order.lock().expect("no test thread panicked"), [3, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_uses_nothing_up() {
        let limiter = limiter(1);
        spaced(&limiter, 1).await;
        for _ in 0..5 {
            let hurried =
                tokio::time::timeout(Duration::from_millis(10), limiter.turn(Urgency::Cold, in_an_hour()))
                    .await;
            assert!(hurried.is_err());
        }
        assert!(spaced(&limiter, 1).await <= Duration::from_millis(1001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_says_when_to_come_back() {
        let limiter = limiter(10);
        limiter.close(Duration::from_secs(30));
        let mut waiting = tokio::task::JoinSet::new();
        while limiter.cold.capacity() > 0 {
            let waiter = limiter.clone();
            waiting.spawn(async move { waiter.turn(Urgency::Cold, in_an_hour()).await });
            tokio::task::yield_now().await;
        }
        match limiter.turn(Urgency::Cold, in_an_hour()).await {
            Err(Auth0Error::RateLimited { retry_after }) => assert!(retry_after > Duration::from_secs(120)),
            other => panic!("{other:?}"),
        }
    }
}
