//! Records in a database: sealed before they leave, found by keyed hashes, changed by compare-and-swap.
//!
//! Every operation is one statement, or a few that need not be one: no transaction is ever left open while something
//! else is waited for.

use std::{sync::Arc, time::Duration};

use self::{
    engine::{Engine, Row, Value},
    index::{Digest, Index},
};
use super::{
    IdentityKey, KeyId, Keyring, Record, StoreError, StoreUrl, Stored, Swap,
    clock::{duration, from_millis, next_generation},
    format,
    keyring::Sealed,
    seal::Place,
};

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

/// A use is written down when the last one that was is older than this: reads stay reads.
const USED_ANEW: Duration = Duration::from_secs(3600);

/// Rows that one statement removes or one step reads, so that none holds locks for long.
const BATCH: i64 = 100;

const LOAD: &str = "
    SELECT generation, key_id, sealed, created_at, updated_at, last_used_at,
           (SELECT now FROM idp_token_clock) - last_used_at AS unused_for
    FROM idp_token_record WHERE identity = $1";

const USED: &str = "
    UPDATE idp_token_record SET last_used_at = (SELECT now FROM idp_token_clock) WHERE identity = $1";

// `WHERE true` keeps SQLite from taking ON CONFLICT for a join.
const INSERT: &str = "
    INSERT INTO idp_token_record
        (identity, owner, generation, key_id, sealed, created_at, updated_at, last_used_at)
    SELECT $1, $2, $3, $4, $5, now, now, now FROM idp_token_clock WHERE true
    ON CONFLICT (identity) DO NOTHING";

const UPDATE: &str = "
    UPDATE idp_token_record SET generation = $2, key_id = $3, sealed = $4,
           updated_at = (SELECT now FROM idp_token_clock), last_used_at = (SELECT now FROM idp_token_clock)
    WHERE identity = $1 AND generation = $5";

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Database {
    engine: Engine,
    keys: Arc<Keyring>,
    index: Index,
}

impl Database {
    pub(super) async fn open(url: &StoreUrl, keys: Arc<Keyring>) -> Result<Self, StoreError> {
        let engine = Engine::open(url).await?;
        let index = Index::open(&engine, &keys).await?;
        Ok(Self { engine, keys, index })
    }

    pub(super) async fn load(&self, key: &IdentityKey) -> Result<Option<Stored>, StoreError> {
        let (identity, owner) = (self.index.identity(key), self.index.owner(&key.user));
        let Some(row) = self.engine.fetch_one(LOAD, &[Value::Bytes(&identity)]).await? else {
            return Ok(None);
        };
        let stored = self.read(&row, &identity, &owner).await?;
        if duration(row.integer("unused_for")?) >= USED_ANEW {
            self.used(&identity).await;
        }
        Ok(Some(stored))
    }

    async fn read(&self, row: &Row, identity: &Digest, owner: &Digest) -> Result<Stored, StoreError> {
        let generation = row.generation()?;
        let place = Place::Record { identity, owner, generation };
        let plain = self.keys.open(place, &row.sealed()?).await?;
        Ok(Stored {
            generation,
            record: format::decode(&plain)?,
            created_at: from_millis(row.integer("created_at")?),
            updated_at: from_millis(row.integer("updated_at")?),
            last_used_at: from_millis(row.integer("last_used_at")?),
        })
    }

    /// The tokens are at hand: that this cannot be written down is no reason to withhold them.
    async fn used(&self, identity: &Digest) {
        if let Err(error) = self.engine.execute(USED, &[Value::Bytes(identity)]).await {
            tracing::warn!(%error, "Cannot write down that a record is in use; unused ones are removed one day");
        }
    }

    pub(super) async fn swap(
        &self,
        key: &IdentityKey,
        expected: u64,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let (identity, owner) = (self.index.identity(key), self.index.owner(&key.user));
        let generation = next_generation(expected);
        let place = Place::Record { identity: &identity, owner: &owner, generation };
        let sealed = self.keys.seal(place, format::encode(record));
        let swapped = match expected {
            0 => self.insert(&identity, &owner, generation, &sealed).await?,
            _ => self.update(&identity, expected, generation, &sealed).await?,
        };
        if swapped {
            return Ok(Swap::Done(generation));
        }
        let row = self.engine.fetch_one(LOAD, &[Value::Bytes(&identity)]).await?;
        let current = match &row {
            Some(row) => Some(self.read(row, &identity, &owner).await?),
            None => None,
        };
        Ok(Swap::lost(current, expected, record))
    }

    async fn insert(
        &self,
        identity: &Digest,
        owner: &Digest,
        generation: u64,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        let values = [
            Value::Bytes(identity),
            Value::Bytes(owner),
            Value::generation(generation),
            Value::Bytes(sealed.key.as_bytes()),
            Value::Bytes(&sealed.bytes),
        ];
        Ok(self.engine.execute(INSERT, &values).await? == 1)
    }

    async fn update(
        &self,
        identity: &Digest,
        expected: u64,
        generation: u64,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        let values = [
            Value::Bytes(identity),
            Value::generation(generation),
            Value::Bytes(sealed.key.as_bytes()),
            Value::Bytes(&sealed.bytes),
            Value::generation(expected),
        ];
        Ok(self.engine.execute(UPDATE, &values).await? == 1)
    }
}

impl Row {
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
