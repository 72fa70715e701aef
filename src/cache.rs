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
pub enum Lookup {
    /// It is good.
    Hit,
    /// It is good, and a new one should be on its way already.
    HitAndRefresh,
    /// It is not good enough: wait for a load, new or under way.
    Miss,
    /// As `Miss`, but only a load that began at this moment or later will do.
    MissSince(Instant),
}

/// How long a key rests after its loads failed: doubling from `first` to `most`, each with jitter.
#[derive(Debug)]
pub struct Backoff<E> {
    /// After the first failure; zero for none at all.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
    /// The least, by the error: for as long as the other side asks to be left alone.
    pub least: fn(&E) -> Duration,
}

impl<E> Backoff<E> {
    /// The next load may begin at once.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, least: |_| Duration::ZERO };

    /// Half to all of the nominal rest, so that many replicas do not come back at the same moment.
    fn after(self, failures: u32, error: &E) -> Duration {
        let nominal = self.first.saturating_mul(1 << (failures.saturating_sub(1)).min(16)).min(self.most);
        nominal.mul_f64(0.5 + fastrand::f64() / 2.0).max((self.least)(error))
    }
}

impl<E> Clone for Backoff<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Backoff<E> {}

/// See the module's documentation.
pub struct Cache<K, V, E> {
    slots: moka::sync::Cache<K, Arc<Slot<V, E>>>,
    rest: Backoff<E>,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// A cache of at most about `capacity` keys, each forgotten after `idle` without a read.
    pub fn new(capacity: u64, idle: Duration, rest: Backoff<E>) -> Self {
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

    /// The kept value if `judge` takes it, or else that of a load, one under way or a new one. `load` is told what is
    /// kept, and why that will not do. The load goes on when the caller leaves, and must have a time limit of its own.
    ///
    /// # Errors
    /// The load's error, which all its waiters get. It is not kept, but during the [`Rest`] that follows it is the
    /// answer to every further wish.
    ///
    /// # Panics
    /// When the load panicked.
    pub async fn get<L>(
        &self,
        key: &K,
        judge: impl FnOnce(&Loaded<V>) -> Lookup,
        load: impl FnOnce(Option<&V>, Lookup) -> L,
    ) -> Result<Loaded<V>, E>
    where
        L: Future<Output = Result<V, E>> + Send + 'static,
    {
        let slot = match self.slots.get(key) {
            Some(slot) => slot,
            None => self.slots.get_with(key.clone(), Arc::default),
        };
        let mut outcome = {
            let mut state = slot.lock();
            let verdict = state.kept.as_ref().map_or(Lookup::Miss, judge);
            let load = |kept: Option<&Loaded<V>>| load(kept.map(|kept| &kept.value), verdict);
            match (verdict, &state.kept) {
                (Lookup::Hit, Some(kept)) => return Ok(kept.clone()),
                (Lookup::HitAndRefresh, Some(kept)) => {
                    let kept = kept.clone();
                    if state.may_reload() {
                        state.flight = Some(Flight::start(&slot, self.rest, load(Some(&kept))));
                    }
                    return Ok(kept);
                }
                _ => {}
            }
            if let Some(error) = state.resting() {
                return Err(error);
            }
            let in_time = |began| !matches!(verdict, Lookup::MissSince(moment) if began < moment);
            let flight = match state.flight.take() {
                Some(flight) if flight.is_alive() && in_time(flight.began) => flight,
                _ => Flight::start(&slot, self.rest, load(state.kept.as_ref())),
            };
            state.flight.insert(flight).outcome.clone()
        };
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        let outcome = outcome.expect("the load of a cached value does not panic");
        if outcome.is_err() && slot.lock().is_empty() {
            // Or else keys that bring nothing but errors would push out those that serve.
            self.slots.invalidate(key);
        }
        outcome
    }

    /// Keeps what is known otherwise than by a load. Loads that began before are of no use any more.
    pub fn put(&self, key: &K, known: Loaded<V>) {
        let slot = self.slots.get_with(key.clone(), Arc::default);
        slot.settle(known.began, &Ok(known), self.rest);
    }

    /// Whether anything is known of `key`. Cheaper than a look at it, and counts as no use.
    pub fn contains(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// Forgets what is known of `key`.
    pub fn remove(&self, key: &K) {
        self.slots.invalidate(key);
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

    fn is_empty(&self) -> bool {
        self.kept.is_none() && self.resting().is_none() && !self.flight.as_ref().is_some_and(Flight::is_alive)
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
        rest: Backoff<E>,
        load: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Self {
        let (sender, outcome) = watch::channel(None);
        let began = Instant::now();
        let slot = Arc::clone(slot);
        tokio::spawn(async move {
            let result = load.await.map(|value| Loaded { value, began });
            slot.settle(began, &result, rest);
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
    /// Keeps the outcome of a load that began at `began`, unless that of a later one is known.
    fn settle(&self, began: Instant, result: &Result<Loaded<V>, E>, rest: Backoff<E>) {
        let mut state = self.lock();
        if state.kept.as_ref().is_some_and(|kept| kept.began > began) {
            return;
        }
        match result {
            Ok(loaded) => {
                state.failures = 0;
                state.rest = None;
                state.kept = Some(loaded.clone());
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.rest = Some((Instant::now() + rest.after(state.failures, error), error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
