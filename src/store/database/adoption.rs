//! Records of version 1, which were kept by user, connection and account: without a tenant, and lost from
//! sight when Auth0 moved the account to another user.
//!
//! They say whose they are only to whoever knows the user, so they cannot be renamed at once. Each is adopted
//! when it is first asked for on behalf of its user: one statement gives it its new name, so that of several
//! replicas one does it, and a crash leaves the old row or the new one. What nobody asks for goes like all
//! that is unused.

use super::{
    Database, Names, Row, Value,
    index::{Digest, Index},
};
use crate::{
    identity::{IdentityKey, UserId},
    store::{StoreError, seal::Place},
};

/// What the column `version` says of a row that waits for its adoption.
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
    /// Gives a row of version 1 its new name, unless somebody else changes it just now.
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
