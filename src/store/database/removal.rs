//! What is removed: a user's rows on request, and what nobody has used for long.

use std::time::Duration;

use super::{BATCH, Database, Value};
use crate::{
    identity::UserId,
    store::{Removed, StoreError, clock::millis},
};

const REMOVE_USER: &str = "DELETE FROM idp_token_record WHERE owner = $1";

// The condition is there twice, since a row may be used between the choice and its removal.
const REMOVE_UNUSED: &str = "
    DELETE FROM idp_token_record
    WHERE identity IN (SELECT identity FROM idp_token_record
                       WHERE last_used_at < (SELECT now FROM idp_token_clock) - $1 LIMIT $2)
    AND last_used_at < (SELECT now FROM idp_token_clock) - $1";

impl Database {
    pub(in crate::store) async fn remove_user(&self, user: &UserId) -> Result<u64, StoreError> {
        self.engine.execute(REMOVE_USER, &[Value::Bytes(&self.index.owner(user))]).await
    }

    pub(in crate::store) async fn remove_unused(&self, older_than: Duration) -> Result<Removed, StoreError> {
        let values = [Value::Integer(millis(older_than)), Value::Integer(BATCH)];
        let mut records = 0;
        loop {
            let removed = self.engine.execute(REMOVE_UNUSED, &values).await?;
            records += removed;
            if removed == 0 {
                break;
            }
        }
        Ok(Removed {
            records,
            leases: self.remove_expired_leases().await?,
            shared: self.remove_expired_shared().await?,
        })
    }
}
