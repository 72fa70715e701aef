//! State that must outlive a process or be shared by its replicas: renewed tokens, leases, and the Management
//! token.
//!
//! Providers that rotate refresh tokens invalidate the old one at use, and Auth0 cannot be told the new one:
//! this store then has the only copy. So it keeps two promises. A record changes only by compare-and-swap on
//! its generation, so that no replica undoes another's work. And a temporary failure destroys nothing: a row
//! that cannot be read stays where it is.
//!
//! | backend | tokens survive | shared by replicas | clock of the leases |
//! |---|---|---|---|
//! | `memory:` | nothing; bounded to [`MEMORY_BYTES`], the least recently used goes first | no | tokio's |
//! | `sqlite:///path` | the process, and a loss of power | processes of one machine | that machine's |
//! | `postgres://...` | whatever the server survives | yes | the server's |
//!
//! In a database, all content is sealed with AES-256-GCM under a key of the [`Keyring`], bound to its row and
//! generation, and rows are found by keyed hashes. Someone who reads the database without the keys learns how
//! many accounts there are and when they were active: no tokens, no user or account ids, no connections.
//! Someone who can also write can delete rows and restore a whole former row, but can pass off neither one
//! account's row as another's nor an old row as a newer generation.
//!
//! A record belongs to an account at a provider, not to an Auth0 user, because Auth0 moves accounts between
//! users. A store serves one tenant; other tenants may use the same database, and see nothing of it.
//!
//! The databases use threads and sockets, which tokio's paused clock does not control: tests that pause it
//! need `memory:`.

use std::{sync::Arc, time::Duration};

use self::{database::Database, memory::Memory};
pub use self::{
    error::StoreError,
    keyring::{KeyId, Keyring},
    lease::{Acquired, Lease, LeaseName},
    memory::MEMORY_BYTES,
    record::{Failure, Record, RenewedTokens, Stored, Swap},
    shared::{Shared, SharedSwap},
    url::StoreUrl,
};

use crate::identity::{IdentityKey, UserId};

mod clock;
mod database;
mod error;
mod format;
mod keyring;
mod lease;
mod memory;
mod record;
mod seal;
mod shared;
mod url;

/// See the module's documentation.
#[derive(Debug)]
pub struct Store(Backend);

#[derive(Debug)]
enum Backend {
    Memory(Memory),
    Database(Box<Database>),
}

/// The result of [`Store::rekey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Rows that were moved to the first key.
    pub resealed: u64,
    /// Rows that remain under another key: changed meanwhile by a replica that does not know the first key
    /// yet, sealed under a key that the keyring lacks, or damaged.
    pub left: u64,
}

/// The result of [`Store::remove_unused`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Records that were unused for that long.
    pub records: u64,
    /// Leases that expired and were never released.
    pub leases: u64,
    /// Shared values that expired.
    pub shared: u64,
}

impl Store {
    /// Opens the store at `url` for one `tenant`, creates or migrates its tables, and proves that `keys` are
    /// the right ones. Any number of replicas may do so concurrently. A memory store ignores `keys`.
    ///
    /// Records stored under another name of the same tenant are not found. As custom domains may change, the
    /// name is [`crate::config::Auth0::audience`].
    ///
    /// # Errors
    /// `Misconfigured` without keys or rights, or if the file cannot be created; `UnknownKey` if the keyring
    /// cannot read the database; `Newer` if a later version has migrated it; `Unavailable` if it cannot be
    /// reached, within about 10 s.
    pub async fn open(url: &StoreUrl, keys: Option<Arc<Keyring>>, tenant: &str) -> Result<Self, StoreError> {
        if !url.needs_keys() {
            return Ok(Self::memory());
        }
        let keys = keys.ok_or_else(StoreError::keys_missing)?;
        Ok(Self(Backend::Database(Box::new(Database::open(url, keys, tenant).await?))))
    }

    /// An empty store in memory.
    pub fn memory() -> Self {
        Self(Backend::Memory(Memory::new(MEMORY_BYTES)))
    }

    /// Returns whether records survive this process. If not, tokens that rotate must not be renewed.
    pub fn is_durable(&self) -> bool {
        matches!(self.0, Backend::Database(_))
    }

    /// The record of an account, or `None`. Counts as a use, see [`Self::remove_unused`]. `user` is the
    /// account's current user: older versions of this service kept records by user.
    ///
    /// # Errors
    /// `UnknownKey` or `Corrupt` if the row exists but cannot be read; `Unavailable`, within about 5 s.
    pub async fn load(&self, key: &IdentityKey, user: &UserId) -> Result<Option<Stored>, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.load(key)),
            Backend::Database(database) => database.load(key, user).await,
        }
    }

    /// Replaces generation `expected` by `record`, on behalf of `user`; 0 stands for "no record". Of
    /// concurrent writers with the same expectation, one wins.
    ///
    /// Safe to repeat: after `Unavailable` it is unknown whether the swap happened, and a repetition with the
    /// same expectation and content recognises its own work.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn swap(
        &self,
        key: &IdentityKey,
        user: &UserId,
        expected: u64,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.swap(key, user, expected, record)),
            Backend::Database(database) => database.swap(key, user, expected, record).await,
        }
    }

    /// Removes the records that were last swapped on behalf of `user`, and returns how many.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn remove_user(&self, user: &UserId) -> Result<u64, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.remove_user(user)),
            Backend::Database(database) => database.remove_user(user).await,
        }
    }

    /// Removes records that were neither read nor written for `older_than`, including revoked ones, as well
    /// as expired leases and shared values. The limit is exact to about a day. A short one does harm: an
    /// identity's last refresh token is removed with its record. Half a year is a good choice.
    ///
    /// # Errors
    /// `Unavailable`; what was removed before stays removed.
    pub async fn remove_unused(&self, older_than: Duration) -> Result<Removed, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.remove_unused(older_than)),
            Backend::Database(database) => database.remove_unused(older_than).await,
        }
    }

    /// Takes the lease `name` for `length`, if it is free. `holder` is the replica's name, for people to
    /// read. It need not be unique: every lease taken is distinct, even by the same holder.
    ///
    /// # Errors
    /// `Unavailable`; the lease may have been taken, and then expires by itself.
    pub async fn acquire(
        &self,
        name: &LeaseName,
        holder: &str,
        length: Duration,
    ) -> Result<Acquired, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.leases.acquire(name, holder, length)),
            Backend::Database(database) => database.acquire(name, holder, length).await,
        }
    }

    /// Extends a lease to its full length from now on. Returns false if it is lost: released, or expired and
    /// taken again.
    ///
    /// # Errors
    /// `Unavailable`; the lease is still valid until [`Lease::expires`] at least.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.leases.renew(lease)),
            Backend::Database(database) => database.renew(lease).await,
        }
    }

    /// Releases a lease. Returns false if it was lost before; a lease of that name held by another stays
    /// untouched.
    ///
    /// # Errors
    /// `Unavailable`; the lease then expires by itself.
    pub async fn release(&self, lease: Lease) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.leases.release(&lease)),
            Backend::Database(database) => database.release(lease).await,
        }
    }

    /// The value that all replicas share under `name`, until it expires.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn get_shared(&self, name: &str) -> Result<Option<Shared>, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.get_shared(name)),
            Backend::Database(database) => database.get_shared(name).await,
        }
    }

    /// Shares `value` under `name` for `length`, in place of generation `expected`; 0 stands for "none, or
    /// expired". Names are stored in plain text.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn put_shared(
        &self,
        name: &str,
        expected: u64,
        value: &secrecy::SecretString,
        length: Duration,
    ) -> Result<SharedSwap, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.put_shared(name, expected, value, length)),
            Backend::Database(database) => database.put_shared(name, expected, value, length).await,
        }
    }

    /// Reads the keys file again and reseals every row that is not under its first key, a hundred at a time,
    /// while other work continues. It never overwrites a concurrent change. Once no rows remain, the old keys
    /// can be removed.
    ///
    /// # Errors
    /// `Unavailable`; rows resealed before stay so.
    pub async fn rekey(&self) -> Result<Rekeyed, StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(Rekeyed::default()),
            Backend::Database(database) => database.rekey().await,
        }
    }
}
