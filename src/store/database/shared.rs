//! Values that all replicas share until they expire by the database's clock.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Database, Row, Value};
use crate::store::{
    Shared, SharedSwap, StoreError,
    clock::{duration, millis, next_generation},
    seal::Place,
    shared::lost,
};

const GET: &str = "
    SELECT generation, key_id, sealed, expires_at - (SELECT now FROM idp_token_clock) AS remaining
    FROM idp_token_shared WHERE name = $1 AND expires_at > (SELECT now FROM idp_token_clock)";

// $6 is the expected generation; 0 also replaces an expired value.
const PUT: &str = "
    INSERT INTO idp_token_shared (name, generation, key_id, sealed, expires_at)
    SELECT $1, $2, $3, $4, now + $5 FROM idp_token_clock
    WHERE $6 = 0 OR EXISTS (SELECT 1 FROM idp_token_shared WHERE name = $1)
    ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, key_id = excluded.key_id,
        sealed = excluded.sealed, expires_at = excluded.expires_at
    WHERE idp_token_shared.generation = $6
       OR ($6 = 0 AND idp_token_shared.expires_at <= (SELECT now FROM idp_token_clock))";

const REMOVE_EXPIRED: &str = "
    DELETE FROM idp_token_shared WHERE expires_at < (SELECT now FROM idp_token_clock)";

impl Database {
    pub(in crate::store) async fn get_shared(&self, name: &str) -> Result<Option<Shared>, StoreError> {
        let name = self.index.shared(name);
        match self.engine.fetch_one(GET, &[Value::Text(&name)]).await? {
            Some(row) => self.read_shared(&name, &row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read_shared(&self, name: &str, row: &Row) -> Result<Shared, StoreError> {
        let generation = row.generation()?;
        let plain = self.keys.open(Place::Shared { name, generation }, &row.sealed()?).await?;
        let value = str::from_utf8(&plain)
            .map_err(|_| StoreError::Corrupt { what: "a shared value's content cannot be read" })?;
        Ok(Shared { generation, value: value.into(), remaining: duration(row.integer("remaining")?) })
    }

    pub(in crate::store) async fn put_shared(
        &self,
        name: &str,
        expected: u64,
        value: &SecretString,
        length: Duration,
    ) -> Result<SharedSwap, StoreError> {
        let (stored_name, generation) = (self.index.shared(name), next_generation(expected));
        let plain = Zeroizing::new(value.expose_secret().as_bytes().to_vec());
        let sealed = self.keys.seal(Place::Shared { name: &stored_name, generation }, plain);
        let values = [
            Value::Text(&stored_name),
            Value::generation(generation),
            Value::Bytes(sealed.key.as_bytes()),
            Value::Bytes(&sealed.bytes),
            Value::Integer(millis(length)),
            Value::generation(expected),
        ];
        if self.engine.execute(PUT, &values).await? == 1 {
            return Ok(SharedSwap::Done(generation));
        }
        Ok(lost(self.get_shared(name).await?, expected, value))
    }

    pub(super) async fn remove_expired_shared(&self) -> Result<u64, StoreError> {
        self.engine.execute(REMOVE_EXPIRED, &[]).await
    }
}
