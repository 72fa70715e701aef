//! A budget for all bytes that are held for calls: messages that arrive, answers gathered from providers, and
//! answers that wait for their callers.
//!
//! What is new is refused when the budget, or a caller's share of it, is used up. What was begun is finished:
//! an answer that finds no room waits until it is one of the [`FINISHING`] for which room is kept back. An
//! answer that its caller does not take gives way while others need the room.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    provider::request::BODY_LIMIT,
    shares::{Holder, Refused, Share, Shares},
    telemetry::{Metrics, Slow},
};

/// Answers that are gathered although the budget is used up. Each needs at most [`BODY_LIMIT`], which is kept
/// back for it, so that what was begun always ends.
const FINISHING: usize = 4;

/// How long an answer may wait without its caller taking any of it, while others need the room: a caller that
/// reads takes some within a few round trips.
const STALLED: Duration = Duration::from_secs(5);

/// The budget. Cheap to clone.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    bytes: Shares,
    finishing: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    metrics: Arc<Metrics>,
}

/// Answers that wait for their callers.
#[derive(Default)]
struct Waiting {
    next: u64,
    /// In the order in which their callers last took something.
    answers: BTreeMap<u64, WaitingAnswer>,
}

struct WaitingAnswer {
    since: Instant,
    bytes: usize,
    gives_way: CancellationToken,
}

/// The bytes that are held for one call. Cheap to clone; what the message takes is given back with the last
/// clone, or when the call is answered.
#[derive(Clone)]
pub struct CallMemory(Arc<Call>);

struct Call {
    memory: Memory,
    /// Unknown until the caller has proved who it is; nothing is read before.
    holder: OnceLock<Holder>,
    message: Mutex<Option<Share>>,
    /// Held while the call is one of the [`FINISHING`].
    finishing: Mutex<Option<OwnedSemaphorePermit>>,
}

/// The place of an answer among those that wait for their callers.
pub struct WaitingPlace {
    number: u64,
    bytes: usize,
    gives_way: CancellationToken,
    memory: Memory,
}

impl Memory {
    /// Makes a budget of `limit` bytes.
    pub fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        let bytes = Shares::new(limit.saturating_sub(FINISHING * BODY_LIMIT));
        let finishing = Arc::new(Semaphore::new(FINISHING));
        Self(Arc::new(Inner { bytes, finishing, waiting: Mutex::default(), metrics }))
    }

    /// Begins a call, which holds nothing yet.
    pub fn call(&self) -> CallMemory {
        CallMemory(Arc::new(Call {
            memory: self.clone(),
            holder: OnceLock::new(),
            message: Mutex::default(),
            finishing: Mutex::default(),
        }))
    }

    /// Whether the largest message could be taken now.
    pub fn has_room(&self) -> bool {
        self.0.bytes.free() >= BODY_LIMIT
    }

    /// Lets answers give way that stand still, until `needed` bytes are on their way back.
    fn make_room(&self, needed: usize) {
        let mut waiting = self.waiting();
        let mut freed = 0;
        while freed < needed
            && let Some(oldest) = waiting.answers.first_entry()
            && oldest.get().since.elapsed() >= STALLED
        {
            let stalled = oldest.remove();
            stalled.gives_way.cancel();
            freed += stalled.bytes;
            self.0.metrics.slow_peer(Slow::Crowded);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.0.waiting)
    }
}

impl CallMemory {
    /// Says who calls. The first word counts.
    pub fn is_for(&self, holder: Holder) {
        let _ = self.0.holder.set(holder);
    }

    /// Counts `bytes` of the call's message, which arrived just now.
    ///
    /// # Errors
    /// When they are more than may be held.
    pub fn message(&self, bytes: usize) -> Result<(), Refused> {
        let mut message = lock(&self.0.message);
        let outcome = match &mut *message {
            Some(share) => share.grow(bytes),
            None => self.bytes().take(self.holder(), bytes).map(|share| *message = Some(share)),
        };
        outcome.inspect_err(|_| self.0.memory.make_room(bytes))
    }

    /// Gives back `bytes` of the message, which are held no longer.
    pub fn message_shrinks(&self, bytes: usize) {
        if let Some(message) = &mut *lock(&self.0.message) {
            message.shrink(bytes);
        }
    }

    /// Gives back what the message took: the call is answered.
    pub fn message_ends(&self) {
        lock(&self.0.message).take();
    }

    /// Takes `bytes` for something new.
    ///
    /// # Errors
    /// When they are more than may be held.
    pub fn begin(&self, bytes: usize) -> Result<Share, Refused> {
        self.bytes().take(self.holder(), bytes).inspect_err(|_| self.0.memory.make_room(bytes))
    }

    /// Adds `more` to `share`, for something that was begun. Waits its turn where there is no room.
    pub async fn grow(&self, share: &mut Share, more: usize) {
        if lock(&self.0.finishing).is_none() {
            if share.grow(more).is_ok() {
                return;
            }
            self.0.memory.make_room(more);
            let permit = Arc::clone(&self.0.memory.0.finishing).acquire_owned().await;
            *lock(&self.0.finishing) = permit.ok();
        }
        share.owe(more);
    }

    /// Counts `bytes` that are there already, whether or not there is room.
    pub fn owe(&self, bytes: usize) -> Share {
        self.bytes().owe(self.holder(), bytes)
    }

    /// Takes a place for an answer of `bytes` among those that wait for their callers.
    pub fn waits(&self, bytes: usize) -> WaitingPlace {
        let memory = self.0.memory.clone();
        let mut place = WaitingPlace { number: 0, bytes, gives_way: CancellationToken::new(), memory };
        place.enter();
        place
    }

    /// Counts an answer that was not taken by the call's deadline.
    pub fn is_late(&self) {
        self.0.memory.0.metrics.slow_peer(Slow::Late);
    }

    fn bytes(&self) -> &Shares {
        &self.0.memory.0.bytes
    }

    fn holder(&self) -> Holder {
        self.0.holder.get().copied().unwrap_or(Holder::ANYBODY)
    }
}

impl WaitingPlace {
    /// Notes that the caller has just taken some of it, and `left` bytes wait still.
    pub fn moves(&mut self, left: usize) {
        if self.memory.waiting().answers.remove(&self.number).is_some() {
            self.bytes = left;
            self.enter();
        }
    }

    /// Completes when the answer must be dropped.
    pub fn gives_way(&self) -> impl Future<Output = ()> + Send + 'static {
        self.gives_way.clone().cancelled_owned()
    }

    fn enter(&mut self) {
        let mut waiting = self.memory.waiting();
        self.number = waiting.next;
        waiting.next += 1;
        let (since, bytes, gives_way) = (Instant::now(), self.bytes, self.gives_way.clone());
        waiting.answers.insert(self.number, WaitingAnswer { since, bytes, gives_way });
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.memory.waiting().answers.remove(&self.number);
    }
}

impl fmt::Debug for CallMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallMemory").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;
    use crate::{caller::Caller, shares::Holders};

    const MIB: usize = 1024 * 1024;

    /// A budget that leaves 48 MiB beside what is kept back.
    fn memory() -> Memory {
        Memory::new(64 * MIB, Arc::new(Metrics::default()))
    }

    #[tokio::test]
    async fn a_greedy_caller_leaves_room_for_others() {
        let memory = memory();
        let call_of = |id: &str| {
            let call = memory.call();
            call.is_for(Holders::default().of(&Caller::Service { id: id.to_owned() }));
            call
        };
        let (greedy, other) = (call_of("greedy"), call_of("other"));
        let held: Vec<_> = std::iter::from_fn(|| greedy.begin(MIB).ok()).collect();
        assert_eq!(held.len(), 36);
        assert!(greedy.message(1).is_err() && other.message(4 * MIB).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_ends_and_never_more_than_the_budget_is_held() {
        let memory = memory();
        let most = Arc::new(AtomicUsize::new(0));
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let (memory, most) = (memory.clone(), Arc::clone(&most));
            calls.spawn(async move {
                let call = memory.call();
                let mut share = call.begin(MIB / 16).expect("200 such pieces fit");
                for _ in 0..8 {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..50))).await;
                    call.grow(&mut share, MIB / 2).await;
                    most.fetch_max(memory.0.bytes.held(), Ordering::Relaxed);
                }
            });
        }
        calls.join_all().await;
        let most = most.load(Ordering::Relaxed);
        assert!(most > 48 * MIB && most <= 64 * MIB, "{most}");
        assert_eq!((memory.0.bytes.held(), memory.0.finishing.available_permits()), (0, FINISHING));
    }

    #[tokio::test]
    async fn nothing_new_is_begun_while_there_is_no_room() {
        let memory = memory();
        let call = memory.call();
        let held = call.owe(48 * MIB);
        assert!(!memory.has_room() && call.begin(1).is_err() && call.message(1).is_err());
        drop(held);
        assert!(memory.has_room() && call.begin(1).is_ok() && call.message(1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_answers_that_wait_those_that_stand_still_give_way_first_and_no_more_than_needed() {
        let memory = memory();
        let call = memory.call();
        let mut places: Vec<_> = (0..4).map(|_| call.waits(MIB)).collect();
        tokio::time::sleep(STALLED).await;
        places[0].moves(MIB / 2);
        memory.make_room(2 * MIB);
        let gone: Vec<_> = places.iter().map(|place| place.gives_way.is_cancelled()).collect();
        assert_eq!(gone, [false, true, true, false]);
        drop(places);
        assert!(memory.waiting().answers.is_empty());
    }
}
