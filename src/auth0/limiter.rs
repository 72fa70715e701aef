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

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::{caller::Caller, shares::Holders};

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
        let outcome = turn(&limiter, Urgency::Urgent, start + Duration::from_secs(20)).await;
        assert!(
            matches!(outcome, Err(Auth0Error::RateLimited { retry_after }) if retry_after.as_secs() == 30)
        );
        assert!(start.elapsed().is_zero());
    }

    const USER: &str = "auth0|1";

    async fn turn(limiter: &Limiter, urgency: Urgency, deadline: Instant) -> Result<(), Auth0Error> {
        turn_of(limiter, Holder::ANYBODY, USER, urgency, deadline).await
    }

    async fn turn_of(
        limiter: &Limiter,
        holder: Holder,
        user: &str,
        urgency: Urgency,
        deadline: Instant,
    ) -> Result<(), Auth0Error> {
        let user = UserId::parse(user.to_owned(), "user_id").expect("a valid id");
        limiter.turn(&user, Asks { holder, urgency }, deadline).await
    }

    fn holders() -> impl Fn(&str) -> Holder {
        let all = Holders::default();
        move |id| all.of(&Caller::Service { id: id.to_owned() })
    }

    /// Returns how long `requests` turns take.
    async fn spaced(limiter: &Limiter, requests: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..requests {
            turn(limiter, Urgency::Cold, in_an_hour()).await.expect("the queue has room");
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
        let mut waiters = JoinSet::new();
        for (number, urgency) in [(1, Urgency::Cold), (2, Urgency::Cold), (3, Urgency::Urgent)] {
            let (limiter, order) = (limiter.clone(), Arc::clone(&order));
            waiters.spawn(async move {
                turn(&limiter, urgency, in_an_hour()).await.expect("the queue has room");
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
                tokio::time::timeout(Duration::from_millis(10), turn(&limiter, Urgency::Cold, in_an_hour()))
                    .await;
            assert!(hurried.is_err());
        }
        assert!(spaced(&limiter, 1).await <= Duration::from_millis(1001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_says_when_to_come_back() {
        let limiter = limiter(10);
        limiter.close(Duration::from_secs(30));
        let mut waiting = JoinSet::new();
        while limiter.shared.places.free() > 0 {
            let waiter = limiter.clone();
            waiting.spawn(async move { turn(&waiter, Urgency::Cold, in_an_hour()).await });
            tokio::task::yield_now().await;
        }
        match turn(&limiter, Urgency::Cold, in_an_hour()).await {
            Err(Auth0Error::RateLimited { retry_after }) => assert!(retry_after > Duration::from_secs(120)),
            other => panic!("{other:?}"),
        }
    }

    /// Queues so many cold reads of a holder, and waits until they are queued.
    async fn queue(limiter: &Limiter, holder: Holder, urgency: Urgency, count: usize) -> JoinSet<()> {
        let mut waiting = JoinSet::new();
        for number in 0..count {
            let limiter = limiter.clone();
            waiting.spawn(async move {
                let user = format!("auth0|{number}");
                let _ = turn_of(&limiter, holder, &user, urgency, in_an_hour()).await;
            });
        }
        for _ in 0..count {
            tokio::task::yield_now().await;
        }
        waiting
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_with_hundreds_of_reads_keeps_no_other_waiting() {
        let (limiter, holder) = (limiter(10), holders());
        limiter.close(Duration::from_secs(1));
        let _greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 600).await;
        let start = Instant::now();
        let soon = start + Duration::from_secs(2);
        turn_of(&limiter, holder("other"), "auth0|x", Urgency::Cold, soon).await.expect("a turn in time");
        assert!(start.elapsed() <= Duration::from_millis(1300), "{:?}", start.elapsed());
        let late = turn_of(&limiter, holder("greedy"), "auth0|y", Urgency::Cold, soon).await;
        assert!(matches!(late, Err(Auth0Error::RateLimited { retry_after }) if retry_after.as_secs() > 50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_has_its_share_of_the_queue_and_others_find_room() {
        let (limiter, holder) = (limiter(10), holders());
        limiter.close(Duration::from_secs(1));
        let _greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 2 * QUEUE).await;
        let queued = limiter.shared.state().cold.len();
        assert_eq!(queued, QUEUE * 3 / 4);
        let others = queue(&limiter, holder("other"), Urgency::Cold, 10).await;
        assert_eq!((limiter.shared.state().cold.len(), others.len()), (queued + 10, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_urgent_read_is_judged_by_urgent_ones_alone() {
        let (limiter, holder) = (limiter(10), holders());
        limiter.close(Duration::from_secs(1));
        let _cold = queue(&limiter, holder("greedy"), Urgency::Cold, 600).await;
        let start = Instant::now();
        let soon = start + Duration::from_secs(2);
        turn_of(&limiter, holder("greedy"), USER, Urgency::Urgent, soon).await.expect("a turn in time");
        assert!(start.elapsed() <= Duration::from_millis(1200), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn urgent_reads_leave_a_turn_in_five_to_cold_ones() {
        let (limiter, holder) = (limiter(10), holders());
        limiter.close(Duration::from_secs(1));
        let _urgent = queue(&limiter, holder("greedy"), Urgency::Urgent, 200).await;
        let start = Instant::now();
        turn_of(&limiter, holder("other"), USER, Urgency::Cold, in_an_hour()).await.expect("a turn");
        assert!(start.elapsed() <= Duration::from_millis(1600), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_for_the_same_user_does_not_wait_behind_all_that_another_has_queued() {
        let (limiter, holder) = (limiter(10), holders());
        limiter.close(Duration::from_secs(1));
        let mut greedy = queue(&limiter, holder("greedy"), Urgency::Cold, 300).await;
        let last = UserId::parse("auth0|299".to_owned(), "user_id").expect("a valid id");
        limiter.join(&last, Asks { holder: holder("other"), urgency: Urgency::Cold });
        let start = Instant::now();
        while limiter.shared.state().reads.contains_key(&last) {
            greedy.join_next().await;
        }
        assert!(start.elapsed() <= Duration::from_millis(1500), "{:?}", start.elapsed());
        // Its turn came once: the other places use nothing up.
        greedy.join_all().await;
        let took = start.elapsed();
        assert!(took > Duration::from_secs(29) && took < Duration::from_millis(31_500), "{took:?}");
    }
}
