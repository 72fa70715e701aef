//! Records in a database: sealed by this service, found by keyed hashes, changed by compare-and-swap.
//!
//! Every operation is one statement, or several that need not be atomic: no transaction stays open across a
//! wait.

use std::{sync::Arc, time::Duration};

use self::{
    engine::{Engine, Row, Value},
    index::{Digest, Index},
};
use super::{
    IdentityKey, KeyId, Keyring, Record, StoreError, StoreUrl, Stored, Swap,
    clock::{from_millis, millis, next_generation},
    format,
    keyring::Sealed,
    seal::Place,
};
use crate::identity::UserId;

mod adoption;
mod engine;
mod failure;
mod index;
mod leases;
mod lent;
mod postgres;
mod rekey;
mod removal;
mod schema;
mod shared;
mod sqlite;

/// The last use is recorded only when the recorded one is older than this, so that most reads do not write.
const USED_ANEW: Duration = Duration::from_secs(3600);

/// Maximum number of rows per statement, so that none holds locks for long.
const BATCH: i64 = 100;

/// How often to look for a row that is being adopted: another replica's adoption is visible at the second
/// look, and `rekey` may come in between.
const LOOKS: u32 = 4;

// In one statement, since a row under adoption has either the one name or the other.
const LOAD: &str = "
    SELECT account, owner, version, generation, key_id, sealed, created_at, updated_at, last_used_at,
           (SELECT now FROM idp_token_clock) AS now
    FROM idp_token_record WHERE account IN ($1, $2) ORDER BY version DESC LIMIT 1";

const USED: &str = "
    UPDATE idp_token_record SET last_used_at = (SELECT now FROM idp_token_clock) WHERE account = $1";

// $6: a new row never awaits adoption.
const INSERT: &str = "
    INSERT INTO idp_token_record
        (account, owner, version, generation, key_id, sealed, created_at, updated_at, last_used_at)
    SELECT $1, $2, 2, $3, $4, $5, now, now, now FROM idp_token_clock
    WHERE NOT EXISTS (SELECT 1 FROM idp_token_record WHERE account = $6)
    ON CONFLICT (account) DO NOTHING";

const UPDATE: &str = "
    UPDATE idp_token_record SET owner = $2, generation = $3, key_id = $4, sealed = $5,
           updated_at = (SELECT now FROM idp_token_clock), last_used_at = (SELECT now FROM idp_token_clock)
    WHERE account = $1 AND generation = $6";

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Database {
    engine: Engine,
    keys: Arc<Keyring>,
    index: Index,
}

/// The names of an account's row.
struct Names {
    account: Digest,
    /// The account's current user.
    owner: Digest,
    /// The row's name in version 1, see [`adoption`].
    former: Digest,
}

impl Database {
    pub(super) async fn open(url: &StoreUrl, keys: Arc<Keyring>, tenant: &str) -> Result<Self, StoreError> {
        let engine = Engine::open(url).await?;
        let index = Index::open(&engine, &keys, tenant).await?;
        Ok(Self { engine, keys, index })
    }

    pub(super) async fn load(&self, key: &IdentityKey, user: &UserId) -> Result<Option<Stored>, StoreError> {
        let names = self.names(key, user);
        let Some(row) = self.find(&names).await? else { return Ok(None) };
        if row.millis_since("last_used_at")? >= millis(USED_ANEW) {
            self.used(&names.account).await;
        }
        self.read(&names, &row).await.map(Some)
    }

    fn names(&self, key: &IdentityKey, user: &UserId) -> Names {
        Names {
            account: self.index.account(key),
            owner: self.index.owner(user),
            former: self.index.former_account(key, user),
        }
    }

    /// Returns the account's row, after adopting it if necessary.
    async fn find(&self, names: &Names) -> Result<Option<Row>, StoreError> {
        let values = [Value::Bytes(&names.account), Value::Bytes(&names.former)];
        for _ in 0..LOOKS {
            match self.engine.fetch_one(LOAD, &values).await? {
                Some(row) if row.is_former()? => self.adopt(names, &row).await?,
                found => return Ok(found),
            }
        }
        Err(StoreError::unavailable("others keep changing a row"))
    }

    async fn read(&self, names: &Names, row: &Row) -> Result<Stored, StoreError> {
        let generation = row.generation()?;
        let place = Place::Record { account: &names.account, owner: &row.bytes("owner")?, generation };
        let plain = self.keys.open(place, &row.sealed()?).await?;
        Ok(Stored {
            generation,
            record: format::decode(&plain, row.millis_since("updated_at")?)?,
            created_at: from_millis(row.integer("created_at")?),
            updated_at: from_millis(row.integer("updated_at")?),
            last_used_at: from_millis(row.integer("last_used_at")?),
        })
    }

    /// Failures are only logged: the tokens are available, and must not be withheld because their use cannot
    /// be recorded.
    async fn used(&self, account: &Digest) {
        if let Err(error) = self.engine.execute(USED, &[Value::Bytes(account)]).await {
            tracing::warn!(%error, "Cannot record the use of a row; rows that seem unused are removed after half a year");
        }
    }

    pub(super) async fn swap(
        &self,
        key: &IdentityKey,
        user: &UserId,
        expected: u64,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let (names, generation) = (self.names(key, user), next_generation(expected));
        let sealed = self.keys.seal(names.place(generation), format::encode(record));
        let swapped = match expected {
            0 => self.insert(&names, generation, &sealed).await?,
            _ => self.update(&names, expected, generation, &sealed).await?,
        };
        if swapped {
            return Ok(Swap::Done(generation));
        }
        let current = match self.find(&names).await? {
            Some(row) => Some(self.read(&names, &row).await?),
            None => None,
        };
        Ok(Swap::lost(current, expected, record))
    }

    async fn insert(&self, names: &Names, generation: u64, sealed: &Sealed) -> Result<bool, StoreError> {
        let values = [
            Value::Bytes(&names.account),
            Value::Bytes(&names.owner),
            Value::generation(generation),
            Value::Bytes(sealed.key.as_bytes()),
            Value::Bytes(&sealed.bytes),
            Value::Bytes(&names.former),
        ];
        Ok(self.engine.execute(INSERT, &values).await? == 1)
    }

    async fn update(
        &self,
        names: &Names,
        expected: u64,
        generation: u64,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        let values = [
            Value::Bytes(&names.account),
            Value::Bytes(&names.owner),
            Value::generation(generation),
            Value::Bytes(sealed.key.as_bytes()),
            Value::Bytes(&sealed.bytes),
            Value::generation(expected),
        ];
        Ok(self.engine.execute(UPDATE, &values).await? == 1)
    }
}

impl Names {
    fn place(&self, generation: u64) -> Place<'_> {
        Place::Record { account: &self.account, owner: &self.owner, generation }
    }
}

impl Row {
    /// The age of the time in `column`, by the store's clock in the column `now`.
    fn millis_since(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.integer("now")?.saturating_sub(self.integer(column)?).max(0))
    }

    fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.integer("generation")?.unsigned_abs())
    }

    fn sealed(&self) -> Result<Sealed, StoreError> {
        Ok(Sealed { key: KeyId::from_stored(&self.bytes("key_id")?)?, bytes: self.bytes("sealed")? })
    }
}

impl Value<'_> {
    fn generation(generation: u64) -> Self {
        Self::Integer(generation.try_into().unwrap_or(i64::MAX))
    }
}
