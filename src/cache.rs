//! A bounded cache whose loads run once, detached from the callers, and never bring back what is older.
//!
//! moka bounds the memory; everything about time is decided here, on tokio's clock, by when a load *began*: a value
//! answers for the moment before its request was sent, so whoever needs to know what is true *after* some event asks
//! for a load that began after it. That makes an invalidation during a load harmless: the older load cannot
//! satisfy the newer wish, nor overwrite the newer value.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// A value, and when the load that brought it began.
#[derive(Clone, Debug)]
pub struct Loaded<V> {
    /// What was loaded.
    pub value: V,
    /// When the load began.
    pub began: Instant,
}

/// What to do with a kept value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is good.
    Take,
    /// It is good, and a new one should be on its way already.
    TakeAndReload,
    /// It is not good enough: wait for a load, new or under way.
    Reload,
    /// As `Reload`, but only a load that began at this moment or later will do.
    ReloadSince(Instant),
}

/// How long a key rests after its loads failed: doubling from `first` to `most`, each with jitter.
#[derive(Debug)]
pub struct Rest<E> {
    /// After the first failure; zero for none at all.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
    /// The least, by the error: for as long as the other side asks to be left alone.
    pub least: fn(&E) -> Duration,
}

impl<E> Rest<E> {
    /// The next load may begin at once.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, least: |_| Duration::ZERO };

    /// Half to all of the nominal rest, so that many replicas do not come back at the same moment.
    fn after(self, failures: u32, error: &E) -> Duration {
        let nominal = self.first.saturating_mul(1 << (failures.saturating_sub(1)).min(16)).min(self.most);
        nominal.mul_f64(0.5 + fastrand::f64() / 2.0).max((self.least)(error))
    }
}

impl<E> Clone for Rest<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Rest<E> {}

/// See the module's documentation.
pub struct Cache<K, V, E> {
    slots: moka::sync::Cache<K, Arc<Slot<V, E>>>,
    rest: Rest<E>,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// A cache of at most about `capacity` keys, each forgotten after `idle` without a read.
    pub fn new(capacity: u64, idle: Duration, rest: Rest<E>) -> Self {
        Self {
            slots: moka::sync::Cache::builder()
                .max_capacity(capacity)
                .time_to_idle(idle)
                // moka's own policy may refuse a newcomer, and with it the promise that its load runs once.
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build(),
            rest,
        }
    }

    /// The kept value if `judge` takes it, or else that of a load, one under way or a new one. The load goes on when
    /// the caller leaves, and must have a time limit of its own.
    ///
    /// # Errors
    /// The load's error, which all its waiters get. It is not kept, but during the [`Rest`] that follows it is the
    /// answer to every further wish.
    ///
    /// # Panics
    /// When the load panicked.
    pub async fn get<L>(
        &self,
        key: K,
        judge: impl FnOnce(&Loaded<V>) -> Use,
        load: impl FnOnce() -> L,
    ) -> Result<Loaded<V>, E>
    where
        L: Future<Output = Result<V, E>> + Send + 'static,
    {
        let slot = match self.slots.get(&key) {
            Some(slot) => slot,
            None => self.slots.get_with(key, Arc::default),
        };
        let mut outcome = {
            let mut state = slot.lock();
            let verdict = state.kept.as_ref().map_or(Use::Reload, judge);
            match (verdict, &state.kept) {
                (Use::Take, Some(kept)) => return Ok(kept.clone()),
                (Use::TakeAndReload, Some(kept)) => {
                    let kept = kept.clone();
                    if state.may_reload() {
                        state.flight = Some(Flight::start(&slot, self.rest, load()));
                    }
                    return Ok(kept);
                }
                _ => {}
            }
            if let Some(error) = state.resting() {
                return Err(error);
            }
            let in_time = |began| !matches!(verdict, Use::ReloadSince(moment) if began < moment);
            let flight = match state.flight.take() {
                Some(flight) if flight.is_alive() && in_time(flight.began) => flight,
                _ => Flight::start(&slot, self.rest, load()),
            };
            state.flight.insert(flight).outcome.clone()
        };
        let outcome = outcome.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).expect("the load of a cached value does not panic")
    }

    /// The kept value, however old.
    pub fn peek(&self, key: &K) -> Option<Loaded<V>> {
        self.slots.get(key)?.lock().kept.clone()
    }

    /// Lets go of what has been idle too long; moka does this by itself only while it is being used.
    pub fn sweep(&self) {
        self.slots.run_pending_tasks();
    }
}

/// All that is known of one key.
struct Slot<V, E>(Mutex<State<V, E>>);

struct State<V, E> {
    kept: Option<Loaded<V>>,
    flight: Option<Flight<V, E>>,
    /// Since the last success.
    failures: u32,
    /// Until when, and the error that is the answer until then.
    rest: Option<(Instant, E)>,
}

impl<V, E> Default for Slot<V, E> {
    fn default() -> Self {
        Self(Mutex::new(State { kept: None, flight: None, failures: 0, rest: None }))
    }
}

impl<V, E> Slot<V, E> {
    /// The lock is held for a few assignments, never over an await.
    fn lock(&self) -> MutexGuard<'_, State<V, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V, E: Clone> State<V, E> {
    fn resting(&self) -> Option<E> {
        self.rest.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, error)| error.clone())
    }

    fn may_reload(&self) -> bool {
        !self.flight.as_ref().is_some_and(Flight::is_alive) && self.resting().is_none()
    }
}

/// A load under way.
struct Flight<V, E> {
    began: Instant,
    outcome: watch::Receiver<Option<Result<Loaded<V>, E>>>,
}

impl<V, E> Flight<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn start(
        slot: &Arc<Slot<V, E>>,
        rest: Rest<E>,
        load: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Self {
        let (sender, outcome) = watch::channel(None);
        let began = Instant::now();
        let slot = Arc::clone(slot);
        tokio::spawn(async move {
            let result = load.await.map(|value| Loaded { value, began });
            slot.settle(&result, rest);
            // Nobody may be waiting any more; the value is kept all the same.
            let _ = sender.send(Some(result));
        });
        Self { began, outcome }
    }
}

impl<V, E> Flight<V, E> {
    /// Neither finished nor panicked.
    fn is_alive(&self) -> bool {
        self.outcome.has_changed().is_ok() && self.outcome.borrow().is_none()
    }
}

impl<V: Clone, E: Clone> Slot<V, E> {
    fn settle(&self, result: &Result<Loaded<V>, E>, rest: Rest<E>) {
        let mut state = self.lock();
        match result {
            Ok(loaded) => {
                state.failures = 0;
                state.rest = None;
                if state.kept.as_ref().is_none_or(|kept| kept.began <= loaded.began) {
                    state.kept = Some(loaded.clone());
                }
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.rest = Some((Instant::now() + rest.after(state.failures, error), error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    type Numbers = Cache<&'static str, u32, &'static str>;

    const SECOND: Duration = Duration::from_secs(1);

    const GROWING: Rest<&str> =
        Rest { first: SECOND, most: Duration::from_secs(60), least: |_| Duration::ZERO };

    fn numbers(rest: Rest<&'static str>) -> Numbers {
        Cache::new(100, Duration::from_secs(600), rest)
    }

    /// Loads that take a second and answer how many there have been.
    #[derive(Clone, Default)]
    struct Source(Arc<AtomicU32>);

    impl Source {
        async fn load(self) -> Result<u32, &'static str> {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(SECOND).await;
            Ok(number)
        }

        fn loads(&self) -> u32 {
            self.0.load(Ordering::SeqCst)
        }
    }

    async fn read(cache: &Numbers, source: &Source) -> Result<u32, &'static str> {
        cache.get("key", |_| Use::Take, || source.clone().load()).await.map(|loaded| loaded.value)
    }

    /// Takes only what began after this call.
    async fn read_anew(cache: &Numbers, source: &Source) -> Result<u32, &'static str> {
        let now = Instant::now();
        let judge = |kept: &Loaded<u32>| if kept.began < now { Use::ReloadSince(now) } else { Use::Take };
        cache.get("key", judge, || source.clone().load()).await.map(|loaded| loaded.value)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_callers_share_one_load() {
        let (cache, source) = (Arc::new(numbers(Rest::NONE)), Source::default());
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (cache, source) = (Arc::clone(&cache), source.clone());
            callers.spawn(async move { read(&cache, &source).await });
        }
        assert_eq!(callers.join_all().await, vec![Ok(1); 100]);
        assert_eq!(source.loads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_does_not_cancel_the_load() {
        let (cache, source) = (numbers(Rest::NONE), Source::default());
        let hurried = tokio::time::timeout(SECOND / 10, read(&cache, &source)).await;
        assert!(hurried.is_err());
        assert_eq!(read(&cache, &source).await, Ok(1));
        assert_eq!(source.loads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_began_too_early_serves_no_newer_wish_and_overwrites_nothing() {
        let (cache, source) = (Arc::new(numbers(Rest::NONE)), Source::default());
        assert_eq!(read(&cache, &source).await, Ok(1));
        let early = tokio::spawn({
            let (cache, source) = (Arc::clone(&cache), source.clone());
            async move { read_anew(&cache, &source).await }
        });
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(read_anew(&cache, &source).await, Ok(3));
        assert_eq!(early.await.expect("the reader ends"), Ok(2));
        assert_eq!(cache.peek(&"key").map(|kept| kept.value), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_replaced_ahead_of_its_end_while_it_still_serves() {
        let (cache, source) = (numbers(Rest::NONE), Source::default());
        assert_eq!(read(&cache, &source).await, Ok(1));
        for _ in 0..10 {
            let ahead = cache.get("key", |_| Use::TakeAndReload, || source.clone().load()).await;
            assert_eq!(ahead.map(|loaded| loaded.value), Ok(1));
        }
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(read(&cache, &source).await, Ok(2));
        assert_eq!(source.loads(), 2, "one reload however many asked");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_key_rests_and_then_recovers() {
        let (cache, loads) = (numbers(GROWING), Source::default());
        let ask = async || {
            let source = loads.clone();
            let load = || async move {
                let number = source.load().await?;
                if number > 2 { Ok(number) } else { Err("down") }
            };
            cache.get("key", |_| Use::Take, load).await.map(|loaded| loaded.value)
        };
        assert_eq!((ask().await, ask().await), (Err("down"), Err("down")));
        assert_eq!(loads.loads(), 1, "the second answer came out of the rest");
        tokio::time::sleep(SECOND).await;
        assert_eq!(ask().await, Err("down"));
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(ask().await, Ok(3));
    }

    #[test]
    fn a_rest_grows_to_its_most_and_is_jittered() {
        for (failures, nominal) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (4_000_000, 60)] {
            let rest = GROWING.after(failures, &"down");
            assert!(rest >= nominal * SECOND / 2 && rest <= nominal * SECOND, "{failures}: {rest:?}");
        }
        assert_eq!(Rest::NONE.after(3, &"down"), Duration::ZERO);
    }

    #[test]
    fn a_rest_is_as_long_as_the_other_side_asks() {
        let patient = Rest { first: SECOND, most: 60 * SECOND, least: |seconds: &u32| *seconds * SECOND };
        assert_eq!(patient.after(1, &30), 30 * SECOND);
        assert!(patient.after(7, &1) >= 30 * SECOND, "its own rest is the longer one");
    }

    #[tokio::test]
    #[should_panic(expected = "does not panic")]
    async fn a_panic_in_a_load_reaches_the_waiters_instead_of_hanging_them() {
        let cache = numbers(Rest::NONE);
        let _ = cache.get("key", |_| Use::Take, || async { panic!("on purpose") }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_recovers_from_a_panicked_load() {
        let (cache, source) = (Arc::new(numbers(Rest::NONE)), Source::default());
        let panicked = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.get("key", |_| Use::Take, || async { panic!("on purpose") }).await }
        });
        assert!(panicked.await.is_err());
        assert_eq!(read(&cache, &source).await, Ok(1));
    }
}
