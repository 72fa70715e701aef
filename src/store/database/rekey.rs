//! Reseals everything under the first key, one batch at a time, while other work continues.

use super::{BATCH, Database, Row, engine::Value, index};
use crate::store::{Rekeyed, StoreError, keyring::Sealed, seal::Place};

const RECORDS: &str = "
    SELECT account, owner, generation, key_id, sealed FROM idp_token_record
    WHERE key_id <> $1 AND account > $2 ORDER BY account LIMIT $3";

// A row that was changed meanwhile has another nonce: then this changes nothing.
const RESEAL_RECORD: &str = "
    UPDATE idp_token_record SET key_id = $1, sealed = $2 WHERE account = $3 AND sealed = $4";

const SHARED: &str = "SELECT name, generation, key_id, sealed FROM idp_token_shared WHERE key_id <> $1";

const RESEAL_SHARED: &str = "
    UPDATE idp_token_shared SET key_id = $1, sealed = $2 WHERE name = $3 AND sealed = $4";

const LEFT: &str = "
    SELECT (SELECT count(*) FROM idp_token_record WHERE key_id <> $1)
         + (SELECT count(*) FROM idp_token_shared WHERE key_id <> $1)
         + (SELECT count(*) FROM idp_token_index_key WHERE key_id <> $1) AS remaining";

impl Database {
    pub(in crate::store) async fn rekey(&self) -> Result<Rekeyed, StoreError> {
        self.keys.reload().await;
        let index = index::reseal(&self.engine, &self.keys).await?;
        let resealed = u64::from(index) + self.rekey_shared().await? + self.rekey_records().await?;
        let first = self.keys.first();
        let row = self.engine.fetch_one(LEFT, &[Value::Bytes(first.as_bytes())]).await?;
        let left = row.map_or(Ok(0), |row| row.integer("remaining"))?.unsigned_abs();
        Ok(Rekeyed { resealed, left })
    }

    async fn rekey_records(&self) -> Result<u64, StoreError> {
        let (mut resealed, mut after) = (0, Vec::new());
        loop {
            let first = self.keys.first();
            let values = [Value::Bytes(first.as_bytes()), Value::Bytes(&after), Value::Integer(BATCH)];
            let rows = self.engine.fetch(RECORDS, &values).await?;
            let Some(last) = rows.last() else { return Ok(resealed) };
            after = last.bytes("account")?;
            for row in &rows {
                resealed += self.rekey_record(row).await?;
            }
        }
    }

    async fn rekey_record(&self, row: &Row) -> Result<u64, StoreError> {
        let (account, owner) = (row.bytes("account")?, row.bytes("owner")?);
        let place = Place::Record { account: &account, owner: &owner, generation: row.generation()? };
        self.reseal(RESEAL_RECORD, place, &row.sealed()?, Value::Bytes(&account)).await
    }

    async fn rekey_shared(&self) -> Result<u64, StoreError> {
        let mut resealed = 0;
        for row in self.engine.fetch(SHARED, &[Value::Bytes(self.keys.first().as_bytes())]).await? {
            let name = row.text("name")?;
            let place = Place::Shared { name: &name, generation: row.generation()? };
            resealed += self.reseal(RESEAL_SHARED, place, &row.sealed()?, Value::Text(&name)).await?;
        }
        Ok(resealed)
    }

    /// A row that cannot be opened is left unchanged, and counted as remaining.
    async fn reseal(
        &self,
        sql: &'static str,
        place: Place<'_>,
        old: &Sealed,
        name: Value<'_>,
    ) -> Result<u64, StoreError> {
        let plain = match self.keys.open(place, old).await {
            Ok(plain) => plain,
            Err(error) => {
                tracing::warn!(%error, "Cannot reseal a row; it is left unchanged");
                return Ok(0);
            }
        };
        let new = self.keys.seal(place, plain);
        let values =
            [Value::Bytes(new.key.as_bytes()), Value::Bytes(&new.bytes), name, Value::Bytes(&old.bytes)];
        self.engine.execute(sql, &values).await
    }
}
