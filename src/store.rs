//! What must outlive a process, or be shared by its replicas: renewed tokens, leases, and the Management token.
//!
//! Providers that rotate refresh tokens kill the old one at use, and Auth0 cannot be told the new one: from then on
//! this store is the only place in the world that has it. So everything is built around two promises. A record changes
//! only by compare-and-swap on its generation, so that no replica undoes what another did. And a passing failure
//! destroys nothing: a row that cannot be read stays where it is.
//!
//! | backend | tokens survive | shared by replicas | clock of the leases |
//! |---|---|---|---|
//! | `memory:` | nothing; bounded to [`MEMORY_BYTES`], the least recently used goes first | no | tokio's |
//! | `sqlite:///path` | the process, and a loss of power | processes of one machine | that machine's |
//! | `postgres://...` | whatever the server survives | yes | the server's |
//!
//! In a database everything that tells something is sealed with AES-256-GCM under a key of the [`Keyring`],
//! bound to its row and generation, and rows are found by keyed hashes. Whoever has the database without the
//! keys learns how many accounts there are and when they were active: no tokens, no user or account ids, no
//! connections. Whoever may also write to it can delete rows and put back a row as a whole as it once was,
//! but cannot make one account's row pass for another's, nor an old one for a newer generation.
//!
//! What is stored belongs to an account at a provider, not to an Auth0 user: Auth0 moves accounts between
//! users. And a store serves one tenant: others may use the same database, and see nothing of it.
//!
//! The databases work on threads and sockets that tokio's paused clock does not know: only `memory:` fits tests that
//! pause it.

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

/// What [`Store::rekey`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Rows that were under another key and are under the first one now.
    pub resealed: u64,
    /// Rows that stay under another key: changed meanwhile by a replica that does not know the first key yet, or
    /// sealed under a key that the keyring does not hold, or damaged.
    pub left: u64,
}

/// What [`Store::remove_unused`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Records that nobody has used for so long.
    pub records: u64,
    /// Leases that ran out and were never released.
    pub leases: u64,
    /// Shared values that ran out.
    pub shared: u64,
}

impl Store {
    /// Opens the store at `url` for one `tenant`, creates or migrates its tables, and proves that `keys` are
    /// the right ones. Any number of replicas may do so at the same time. A memory store needs no keys, and
    /// ignores them.
    ///
    /// Under another name for the same tenant nothing is found that was stored before: a custom domain comes
    /// and goes, so this is [`crate::config::Auth0::audience`].
    ///
    /// # Errors
    /// `Misconfigured` without keys, without rights, or where the file cannot be created; `UnknownKey` where the
    /// keyring cannot read the database; `Newer` where a later version has migrated it; `Unavailable` where it cannot
    /// be reached, within some 10 s.
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

    /// Whether what was stored survives this process. Where it does not, tokens that rotate must not be renewed.
    pub fn is_durable(&self) -> bool {
        matches!(self.0, Backend::Database(_))
    }

    /// What is known of an account; `None` if nothing is. Counts as a use, see [`Self::remove_unused`].
    /// `user` is who has it now: an older version of this service kept records by user.
    ///
    /// # Errors
    /// `UnknownKey` or `Corrupt` where the row is there but cannot be read; `Unavailable`, within about 5 s.
    pub async fn load(&self, key: &IdentityKey, user: &UserId) -> Result<Option<Stored>, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.load(key)),
            Backend::Database(database) => database.load(key, user).await,
        }
    }

    /// Puts `record`, on behalf of `user`, in the place of generation `expected`, where 0 stands for "nothing
    /// is stored". Of any number of writers with the same expectation one wins.
    ///
    /// Safe to repeat: after `Unavailable` nobody knows whether the swap happened, and a second one with the same
    /// expectation and the same content finds its own work done.
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

    /// Removes the records that were last swapped on behalf of `user`; says how many.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn remove_user(&self, user: &UserId) -> Result<u64, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.remove_user(user)),
            Backend::Database(database) => database.remove_user(user).await,
        }
    }

    /// Removes records that were neither read nor written for `older_than`, revoked ones as well, and leases and shared
    /// values that ran out. A day less or more does not matter, but an early end does: the last refresh token of an
    /// identity goes with its record. Half a year is a good choice.
    ///
    /// # Errors
    /// `Unavailable`; what was removed until then is gone.
    pub async fn remove_unused(&self, older_than: Duration) -> Result<Removed, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.remove_unused(older_than)),
            Backend::Database(database) => database.remove_unused(older_than).await,
        }
    }

    /// Takes the lease `name` for `length`, if nobody has it. `holder` tells people who has it: the name of this replica.
    /// It needs not be unique: every lease that is taken is another one, even by the same holder.
    ///
    /// # Errors
    /// `Unavailable`; the lease may then have been taken, and runs out by itself.
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

    /// Lets a lease last its length anew from now on. False if it is lost: it ran out and another one was taken, or it
    /// was released.
    ///
    /// # Errors
    /// `Unavailable`; the lease then lasts at least until [`Lease::expires`].
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.leases.renew(lease)),
            Backend::Database(database) => database.renew(lease).await,
        }
    }

    /// Gives a lease back. False if it was lost before; then another's lease of that name stays untouched.
    ///
    /// # Errors
    /// `Unavailable`; the lease then runs out by itself.
    pub async fn release(&self, lease: Lease) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.leases.release(&lease)),
            Backend::Database(database) => database.release(lease).await,
        }
    }

    /// The value that all replicas share under `name`, until it runs out.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn get_shared(&self, name: &str) -> Result<Option<Shared>, StoreError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.get_shared(name)),
            Backend::Database(database) => database.get_shared(name).await,
        }
    }

    /// Shares `value` under `name` for `length`, in the place of generation `expected`, where 0 stands for "there is
    /// none, or it ran out". Names are stored in plain text.
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

    /// Reads the keys file again and seals every row anew that is not under its first key, a hundred at a time, while
    /// others work. Never overwrites what was changed meanwhile. Once nothing is left, the old keys can go.
    ///
    /// # Errors
    /// `Unavailable`; what was resealed until then stays so.
    pub async fn rekey(&self) -> Result<Rekeyed, StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(Rekeyed::default()),
            Backend::Database(database) => database.rekey().await,
        }
    }
}
