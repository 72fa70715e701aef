//! Removal of a user's rows on request, and of unused rows.

use std::time::Duration;

use super::{BATCH, Database, Value};
use crate::{
    identity::UserId,
    store::{Removed, StoreError, clock::millis},
};

// $2 matches rows that nobody has requested since version 1, see the module `adoption`.
const REMOVE_USER: &str = "DELETE FROM idp_token_record WHERE owner IN ($1, $2)";

// The condition is repeated, since a row may be used between its selection and its removal.
const REMOVE_UNUSED: &str = "
    DELETE FROM idp_token_record
    WHERE account IN (SELECT account FROM idp_token_record
                       WHERE last_used_at < (SELECT now FROM idp_token_clock) - $1 LIMIT $2)
    AND last_used_at < (SELECT now FROM idp_token_clock) - $1";

impl Database {
    pub(in crate::store) async fn remove_user(&self, user: &UserId) -> Result<u64, StoreError> {
        let (owner, former) = (self.index.owner(user), self.index.former_owner(user));
        self.engine.execute(REMOVE_USER, &[Value::Bytes(&owner), Value::Bytes(&former)]).await
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
