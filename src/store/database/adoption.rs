//! Records of version 1, stored by user, connection and account: without a tenant, and unreachable after
//! Auth0 moved the account to another user.
//!
//! They can be identified only for a known user, so they cannot be renamed all at once. Each is adopted when
//! it is first requested for its user, by one statement that gives it its new name: of several replicas one
//! does it, and a crash leaves the old row or the new one. Records that nobody requests are removed like all
//! unused ones.

use super::{
    Database, Names, Row, Value,
    index::{Digest, Index},
};
use crate::{
    identity::{IdentityKey, UserId},
    store::{StoreError, seal::Place},
};

/// The value of the column `version` in a row that awaits adoption.
const FORMER: i64 = 1;

const ADOPT: &str = "
    UPDATE idp_token_record SET account = $1, owner = $2, version = 2, key_id = $3, sealed = $4
    WHERE account = $5 AND sealed = $6";

impl Index {
    pub(super) fn former_owner(&self, user: &UserId) -> Digest {
        self.digest("owner", &[user.as_str()])
    }

    pub(super) fn former_account(&self, key: &IdentityKey, user: &UserId) -> Digest {
        self.digest("identity", &[user.as_str(), &key.connection, &key.account_id])
    }
}

impl Row {
    pub(super) fn is_former(&self) -> Result<bool, StoreError> {
        Ok(self.integer("version")? == FORMER)
    }
}

impl Database {
    /// Gives a row of version 1 its new name, unless it is being changed concurrently.
    pub(super) async fn adopt(&self, names: &Names, row: &Row) -> Result<(), StoreError> {
        let (former, old, generation) = (row.bytes("account")?, row.sealed()?, row.generation()?);
        let place = Place::Record { account: &former, owner: &row.bytes("owner")?, generation };
        let plain = self.keys.open(place, &old).await?;
        let new = self.keys.seal(names.place(generation), plain);
        let values = [
            Value::Bytes(&names.account),
            Value::Bytes(&names.owner),
            Value::Bytes(new.key.as_bytes()),
            Value::Bytes(&new.bytes),
            Value::Bytes(&former),
            Value::Bytes(&old.bytes),
        ];
        self.engine.execute(ADOPT, &values).await.map(drop)
    }
}
