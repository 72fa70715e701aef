//! A budget for all bytes that are held for calls: messages that arrive, answers gathered from providers, and
//! answers that wait for their callers.
//!
//! What is new is refused when the budget, or a caller's share of it, is used up. What was begun is finished:
//! an answer that finds no room waits until it is one of the few for which room is kept back.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    provider::request::BODY_LIMIT,
    shares::{Holder, Overload, Share, Shares},
};

/// Answers that are gathered although the budget is used up. Each needs at most [`BODY_LIMIT`], which is kept
/// back for it, so that what was begun always ends.
const FINISHING: usize = 4;

/// The budget. Cheap to clone.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    bytes: Shares,
    finishing: Arc<Semaphore>,
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

impl Memory {
    /// Makes a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let bytes = Shares::new(limit.saturating_sub(FINISHING * BODY_LIMIT));
        let finishing = Arc::new(Semaphore::new(FINISHING));
        Self(Arc::new(Inner { bytes, finishing }))
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

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.0.bytes.held()
    }

    /// Whether the largest message could be taken now.
    pub fn has_room(&self) -> bool {
        self.0.bytes.free() >= BODY_LIMIT
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
    pub fn message(&self, bytes: usize) -> Result<(), Overload> {
        let mut message = lock(&self.0.message);
        match &mut *message {
            Some(share) => share.grow(bytes),
            None => self.bytes().take(self.holder(), bytes).map(|share| *message = Some(share)),
        }
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
    pub fn begin(&self, bytes: usize) -> Result<Share, Overload> {
        self.bytes().take(self.holder(), bytes)
    }

    /// Adds `more` to `share`, for something that was begun. Waits its turn where there is no room.
    pub async fn grow(&self, share: &mut Share, more: usize) {
        if lock(&self.0.finishing).is_none() {
            if share.grow(more).is_ok() {
                return;
            }
            let permit = Arc::clone(&self.0.memory.0.finishing).acquire_owned().await;
            *lock(&self.0.finishing) = permit.ok();
        }
        share.owe(more);
    }

    /// Leaves the room that is kept back to others: what is held still is little.
    pub fn finishes(&self) {
        lock(&self.0.finishing).take();
    }

    /// Counts `bytes` that are there already, whether or not there is room.
    pub fn owe(&self, bytes: usize) -> Share {
        self.bytes().owe(self.holder(), bytes)
    }

    fn bytes(&self) -> &Shares {
        &self.0.memory.0.bytes
    }

    /// Who holds it.
    pub fn holder(&self) -> Holder {
        self.0.holder.get().copied().unwrap_or(Holder::ANYBODY)
    }
}

/// Bytes that count as `share` until the last of their clones is dropped.
pub fn counted(bytes: impl AsRef<[u8]> + Send + 'static, share: Share) -> Bytes {
    Bytes::from_owner(Counted { bytes, _share: share })
}

struct Counted<B> {
    bytes: B,
    _share: Share,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
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
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::task::JoinSet;

    use super::*;
    use crate::{caller::Caller, shares::Holders};

    const MIB: usize = 1024 * 1024;

    /// A budget that leaves 48 MiB beside what is kept back.
    fn memory() -> Memory {
        Memory::new(64 * MIB)
    }

    #[tokio::test]
    async fn a_greedy_caller_leaves_room_for_others() {
        let (memory, holders) = (memory(), Holders::default());
        let call_of = |id: &str| {
            let call = memory.call();
            call.is_for(holders.of(&Caller::Service { id: id.to_owned() }));
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
                    most.fetch_max(memory.held(), Ordering::Relaxed);
                }
            });
        }
        calls.join_all().await;
        let most = most.load(Ordering::Relaxed);
        assert!(most > 48 * MIB && most <= 64 * MIB, "{most}");
        assert_eq!((memory.held(), memory.0.finishing.available_permits()), (0, FINISHING));
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
}
