//! A bounded cache whose loads run once, detached from their callers, and never replace newer values with
//! older ones.
//!
//! moka bounds the memory; everything about time is decided here, on tokio's clock, by when a load *began*: a
//! value is true as of the moment before its request was sent, so a caller that needs to know what is true
//! *after* some event asks for a load that began after it. An invalidation during a load is therefore
//! harmless: the older load can neither satisfy the newer request nor overwrite the newer value.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// A value, and when its load began.
#[derive(Clone, Debug)]
pub struct Loaded<V> {
    /// The value.
    pub value: V,
    /// When the load began.
    pub began: Instant,
}

/// What to do with a cached value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Use it.
    Hit,
    /// Use it, and start a load for a new one.
    HitAndRefresh,
    /// Wait for a load, new or in progress.
    Miss,
    /// Like `Miss`, but only a load that began at this moment or later will do.
    MissSince(Instant),
}

/// Back-off of a key after failed loads: doubling from `first` to `most`, with jitter.
#[derive(Debug)]
pub struct Backoff<E> {
    /// Back-off after the first failure; zero for none.
    pub first: Duration,
    /// The longest back-off.
    pub most: Duration,
    /// The shortest back-off for an error: as long as the other side asks not to be called.
    pub least: fn(&E) -> Duration,
}

impl<E> Backoff<E> {
    /// No back-off: the next load may begin at once.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, least: |_| Duration::ZERO };

    /// Returns half to all of the nominal back-off, so that many replicas do not come back at the same
    /// moment.
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

/// The cache; see the module's documentation.
pub struct Cache<K, V, E> {
    slots: moka::sync::Cache<K, Arc<Slot<V, E>>>,
    backoff: Backoff<E>,
}

impl<K, V, E> Cache<K, V, E>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Makes a cache of about `capacity` keys at most, each dropped after `idle` without a read.
    pub fn new(capacity: u64, idle: Duration, backoff: Backoff<E>) -> Self {
        Self {
            slots: moka::sync::Cache::builder()
                .max_capacity(capacity)
                .time_to_idle(idle)
                // moka's default policy may reject a new entry, and with it the promise that its load runs
                // once.
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build(),
            backoff,
        }
    }

    /// Returns the cached value if `judge` accepts it, or else the result of a load, in progress or new.
    /// `load` gets the cached value and why it will not do. The load continues when the caller leaves, and
    /// must have its own time limit.
    ///
    /// # Errors
    /// The load's error, which all its waiters get. It is not cached, but returned to every later caller
    /// during the [`Backoff`] that follows.
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
                        state.flight = Some(Flight::start(&slot, self.backoff, load(Some(&kept))));
                    }
                    return Ok(kept);
                }
                _ => {}
            }
            if let Some(error) = state.error_in_backoff() {
                return Err(error);
            }
            let in_time = |began| !matches!(verdict, Lookup::MissSince(moment) if began < moment);
            let flight = match state.flight.take() {
                Some(flight) if flight.is_alive() && in_time(flight.began) => flight,
                _ => Flight::start(&slot, self.backoff, load(state.kept.as_ref())),
            };
            state.flight.insert(flight).outcome.clone()
        };
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        let outcome = outcome.expect("the load of a cached value does not panic");
        if outcome.is_err() && slot.lock().is_empty() {
            // Otherwise keys that bring only errors would displace those with values.
            self.slots.invalidate(key);
        }
        outcome
    }

    /// Stores a value obtained without a load. Loads that began earlier can no longer replace it.
    pub fn put(&self, key: &K, known: Loaded<V>) {
        let slot = self.slots.get_with(key.clone(), Arc::default);
        slot.settle(known.began, &Ok(known), self.backoff);
    }

    /// Returns whether anything is known about `key`. Cheaper than [`Self::peek`], and does not count as a
    /// read.
    pub fn contains(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// Forgets `key`.
    pub fn remove(&self, key: &K) {
        self.slots.invalidate(key);
    }

    /// Returns the cached value, however old.
    pub fn peek(&self, key: &K) -> Option<Loaded<V>> {
        self.slots.get(key)?.lock().kept.clone()
    }

    /// Drops keys that have been idle too long; moka does so by itself only while it is being used.
    pub fn sweep(&self) {
        self.slots.run_pending_tasks();
    }
}

/// Everything known about one key.
struct Slot<V, E>(Mutex<State<V, E>>);

struct State<V, E> {
    kept: Option<Loaded<V>>,
    flight: Option<Flight<V, E>>,
    /// Failures since the last success.
    failures: u32,
    /// The end of the back-off, and the error that is returned until then.
    backoff: Option<(Instant, E)>,
}

impl<V, E> Default for Slot<V, E> {
    fn default() -> Self {
        Self(Mutex::new(State { kept: None, flight: None, failures: 0, backoff: None }))
    }
}

impl<V, E> Slot<V, E> {
    /// Locks the state, for a few assignments and never across an await.
    fn lock(&self) -> MutexGuard<'_, State<V, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V, E: Clone> State<V, E> {
    fn error_in_backoff(&self) -> Option<E> {
        self.backoff.as_ref().filter(|(until, _)| Instant::now() < *until).map(|(_, error)| error.clone())
    }

    fn is_empty(&self) -> bool {
        self.kept.is_none()
            && self.error_in_backoff().is_none()
            && !self.flight.as_ref().is_some_and(Flight::is_alive)
    }

    fn may_reload(&self) -> bool {
        !self.flight.as_ref().is_some_and(Flight::is_alive) && self.error_in_backoff().is_none()
    }
}

/// A load in progress.
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
        backoff: Backoff<E>,
        load: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Self {
        let (sender, outcome) = watch::channel(None);
        let began = Instant::now();
        let slot = Arc::clone(slot);
        tokio::spawn(async move {
            let result = load.await.map(|value| Loaded { value, began });
            slot.settle(began, &result, backoff);
            // The value is kept even if nobody waits for it any more.
            let _ = sender.send(Some(result));
        });
        Self { began, outcome }
    }
}

impl<V, E> Flight<V, E> {
    /// Returns whether the load has neither finished nor panicked.
    fn is_alive(&self) -> bool {
        self.outcome.has_changed().is_ok() && self.outcome.borrow().is_none()
    }
}

impl<V: Clone, E: Clone> Slot<V, E> {
    /// Stores the result of a load that began at `began`, unless that of a later one is known.
    fn settle(&self, began: Instant, result: &Result<Loaded<V>, E>, backoff: Backoff<E>) {
        let mut state = self.lock();
        if state.kept.as_ref().is_some_and(|kept| kept.began > began) {
            return;
        }
        match result {
            Ok(loaded) => {
                state.failures = 0;
                state.backoff = None;
                state.kept = Some(loaded.clone());
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.backoff = Some((Instant::now() + backoff.after(state.failures, error), error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
