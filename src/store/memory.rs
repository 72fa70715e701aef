//! A store that is lost with the process: for one replica, and for tests that pause the clock.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use moka::{ops::compute::Op, sync::Cache};
use secrecy::SecretString;
use tokio::time::Instant;

use self::leases::Leases;
use super::{IdentityKey, Record, Removed, Shared, SharedSwap, Stored, Swap, clock::next_generation, format};
use crate::identity::UserId;

mod leases;

/// Maximum bytes of records: some tens of thousands. Beyond that, the least recently used are dropped, at the
/// cost of another renewal: tokens that rotate are never here.
pub const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// See the module's documentation.
pub(super) struct Memory {
    records: Cache<IdentityKey, Entry>,
    shared: Mutex<HashMap<String, SharedEntry>>,
    pub(super) leases: Leases,
    clock: Clock,
}

#[derive(Clone)]
struct Entry {
    /// The user for whom it was last written.
    owner: UserId,
    stored: Stored,
    used: Instant,
}

struct SharedEntry {
    generation: u64,
    value: SecretString,
    expires: Instant,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let records = Cache::builder()
            .max_capacity(bytes)
            .weigher(weight)
            // moka's default policy may reject a new entry: a renewal just stored would be forgotten at once.
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Self { records, shared: Mutex::default(), leases: Leases::default(), clock: Clock::now() }
    }

    pub(super) fn load(&self, key: &IdentityKey) -> Option<Stored> {
        let touch = |entry: Option<moka::Entry<IdentityKey, Entry>>| match entry {
            Some(entry) => Op::Put(self.used_now(entry.into_value())),
            None => Op::Nop,
        };
        let entry = self.records.entry_by_ref(key).and_compute_with(touch).into_entry()?;
        Some(entry.into_value().stored)
    }

    pub(super) fn swap(&self, key: &IdentityKey, owner: &UserId, expected: u64, record: &Record) -> Swap {
        let mut outcome = Swap::Lost(None);
        self.records.entry_by_ref(key).and_compute_with(|entry| {
            let current = entry.map(moka::Entry::into_value);
            if current.as_ref().map_or(0, |entry| entry.stored.generation) != expected {
                outcome = lost(current, expected, record);
                return Op::Nop;
            }
            let generation = next_generation(expected);
            outcome = Swap::Done(generation);
            Op::Put(self.entry(owner, generation, record, current))
        });
        outcome
    }

    fn entry(&self, owner: &UserId, generation: u64, record: &Record, before: Option<Entry>) -> Entry {
        let now = self.clock.wall();
        let created_at = before.map_or(now, |entry| entry.stored.created_at);
        let record = record.clone();
        self.used_now(Entry {
            owner: owner.clone(),
            stored: Stored { generation, record, created_at, updated_at: now, last_used_at: now },
            used: Instant::now(),
        })
    }

    fn used_now(&self, mut entry: Entry) -> Entry {
        entry.used = Instant::now();
        entry.stored.last_used_at = self.clock.wall();
        entry
    }

    pub(super) fn remove_user(&self, user: &UserId) -> u64 {
        self.remove_where(|_, entry| entry.owner == *user)
    }

    pub(super) fn remove_unused(&self, older_than: Duration) -> Removed {
        let now = Instant::now();
        let mut shared = self.shared();
        let before = shared.len();
        shared.retain(|_, entry| now < entry.expires);
        Removed {
            records: self.remove_where(|_, entry| now.saturating_duration_since(entry.used) > older_than),
            leases: self.leases.remove_expired(),
            shared: (before - shared.len()) as u64,
        }
    }

    /// Each record is judged again when it is removed: it may have been used or swapped since it was found.
    fn remove_where(&self, unwanted: impl Fn(&IdentityKey, &Entry) -> bool) -> u64 {
        let found = self.records.iter().filter(|(key, entry)| unwanted(key, entry));
        let remove = |key: &IdentityKey| {
            let removed = self.records.entry_by_ref(key).and_compute_with(|entry| match entry {
                Some(entry) if unwanted(key, entry.value()) => Op::Remove,
                _ => Op::Nop,
            });
            matches!(removed, moka::ops::compute::CompResult::Removed(_))
        };
        found.map(|(key, _)| remove(&key)).filter(|removed| *removed).count() as u64
    }

    pub(super) fn get_shared(&self, name: &str) -> Option<Shared> {
        self.shared().get(name).and_then(SharedEntry::unless_expired)
    }

    pub(super) fn put_shared(
        &self,
        name: &str,
        expected: u64,
        value: &SecretString,
        length: Duration,
    ) -> SharedSwap {
        let mut shared = self.shared();
        let current = shared.get(name).and_then(SharedEntry::unless_expired);
        if current.as_ref().map_or(0, |current| current.generation) != expected {
            return super::shared::lost(current, expected, value);
        }
        let generation = next_generation(expected);
        let entry = SharedEntry { generation, value: value.clone(), expires: Instant::now() + length };
        shared.insert(name.to_owned(), entry);
        SharedSwap::Done(generation)
    }

    /// The lock is held for a look-up or an assignment, never across an await.
    fn shared(&self) -> MutexGuard<'_, HashMap<String, SharedEntry>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedEntry {
    fn unless_expired(&self) -> Option<Shared> {
        let remaining = self.expires.saturating_duration_since(Instant::now());
        let shared = Shared { generation: self.generation, value: self.value.clone(), remaining };
        (!remaining.is_zero()).then_some(shared)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("records", &self.records.entry_count()).finish_non_exhaustive()
    }
}

fn lost(current: Option<Entry>, expected: u64, record: &Record) -> Swap {
    Swap::lost(current.map(|entry| entry.stored), expected, record)
}

fn weight(key: &IdentityKey, entry: &Entry) -> u32 {
    let names = entry.owner.as_str().len() + key.connection.len() + key.account_id.len();
    (names + format::size(&entry.stored.record)).try_into().unwrap_or(u32::MAX)
}

/// The wall clock, advanced by tokio's, so that tests can pause it.
struct Clock {
    began: Instant,
    wall: SystemTime,
}

impl Clock {
    fn now() -> Self {
        Self { began: Instant::now(), wall: SystemTime::now() }
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Acquired, LeaseName};

    fn key(account: usize) -> IdentityKey {
        IdentityKey { connection: "github".to_owned(), account_id: account.to_string() }
    }

    fn swap(memory: &Memory, account: usize) -> Swap {
        let owner = UserId::parse("auth0|ada".to_owned(), "user_id").expect("a valid id");
        memory.swap(&key(account), &owner, 0, &Record::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_and_the_least_recently_used_goes_first() {
        let memory = Memory::new(100 * 1024);
        let newest = 2000;
        for account in 0..=newest {
            swap(&memory, account);
        }
        memory.records.run_pending_tasks();
        assert!(memory.records.weighted_size() <= 100 * 1024);
        assert!(memory.records.entry_count() > 50);
        assert!(memory.load(&key(0)).is_none() && memory.load(&key(newest)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_stays_and_what_is_not_goes_by_tokios_clock() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let memory = Memory::new(MEMORY_BYTES);
        swap(&memory, 1);
        swap(&memory, 2);
        tokio::time::advance(100 * DAY).await;
        let used = memory.load(&key(1)).expect("it was stored");
        assert!(used.last_used_at >= used.created_at + 100 * DAY);
        tokio::time::advance(100 * DAY).await;
        assert_eq!(memory.remove_unused(180 * DAY).records, 1);
        assert!(memory.load(&key(1)).is_some() && memory.load(&key(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn leases_and_shared_values_run_out_by_tokios_clock() {
        const LENGTH: Duration = Duration::from_secs(15);
        let memory = Memory::new(MEMORY_BYTES);
        let name = LeaseName::Identity(key(1));
        let take = || memory.leases.acquire(&name, "here", LENGTH);
        let Acquired::Yes(mut lease) = take() else { panic!("nobody has it") };
        memory.put_shared("token", 0, &"secret".into(), LENGTH);
        tokio::time::advance(LENGTH - Duration::from_secs(1)).await;
        assert!(memory.leases.renew(&mut lease) && memory.get_shared("token").is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(
            matches!(take(), Acquired::Held { remaining, .. } if remaining == LENGTH - Duration::from_secs(1))
        );
        assert!(memory.get_shared("token").is_none());
        tokio::time::advance(LENGTH).await;
        assert!(matches!(take(), Acquired::Yes(_)) && !memory.leases.release(&lease));
    }
}
