//! Row names that do not reveal their owners: HMAC-SHA-256 under a key of the store's own.
//!
//! The tenant is part of every name: two tenants may share a database and have the same accounts at the same
//! providers. The Auth0 user is part of none, since accounts move between users, see [`IdentityKey`]. The
//! user for whom a row was last written is noted beside it, so that all of a user's rows can be erased.
//!
//! Plain user and account ids would give every reader of a backup a list of all users and their accounts
//! elsewhere; plain hashes could be guessed, since Google's and GitHub's ids are numbers. The price is that
//! users cannot be found by hand-written SQL: [`super::Database::remove_user`] finds them.
//!
//! The key must not change with the encryption keys: two replicas that look for one identity under two names
//! would renew it twice. So it is created once, at random, and stored in the database, sealed under an
//! encryption key. That also proves at the start that the keyring is the right one.

use std::sync::Arc;

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::engine::{Engine, Row, Value};
use crate::{
    identity::UserId,
    store::{IdentityKey, Keyring, LeaseName, StoreError, keyring::Sealed, seal::Place},
};

/// A row's name.
pub(super) type Digest = [u8; 32];

const READ: &str = "SELECT key_id, sealed FROM idp_token_index_key WHERE only_one = 1";

const CREATE: &str = "
    INSERT INTO idp_token_index_key (only_one, key_id, sealed) VALUES (1, $1, $2) ON CONFLICT (only_one) DO NOTHING";

const RESEAL: &str = "
    UPDATE idp_token_index_key SET key_id = $1, sealed = $2 WHERE only_one = 1 AND sealed = $3";

#[derive(Debug)]
pub(super) struct Index {
    key: hmac::Key,
    tenant: String,
}

impl Index {
    /// Reads the key, or creates it. Of replicas that do so concurrently, one creates it for all.
    pub(super) async fn open(engine: &Engine, keys: &Arc<Keyring>, tenant: &str) -> Result<Self, StoreError> {
        let row = match engine.fetch_one(READ, &[]).await? {
            Some(row) => row,
            None => create(engine, keys).await?,
        };
        let key = keys.open(Place::IndexKey, &row.sealed()?).await?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), tenant: tenant.to_owned() })
    }

    pub(super) fn owner(&self, user: &UserId) -> Digest {
        self.digest("tenant, user", &[&self.tenant, user.as_str()])
    }

    pub(super) fn account(&self, key: &IdentityKey) -> Digest {
        self.digest("tenant, account", &[&self.tenant, &key.connection, &key.account_id])
    }

    pub(super) fn lease(&self, name: &LeaseName) -> Digest {
        match name {
            LeaseName::Identity(key) => {
                self.digest("tenant, account lease", &[&self.tenant, &key.connection, &key.account_id])
            }
            LeaseName::Shared(name) => self.digest("tenant, shared lease", &[&self.tenant, name]),
        }
    }

    /// The name of a shared value: plain text, except for the tenant's hash.
    pub(super) fn shared(&self, name: &str) -> String {
        format!("{}/{name}", URL_SAFE_NO_PAD.encode(self.digest("tenant", &[&self.tenant])))
    }

    /// Each part is preceded by its length, so that no two names are encoded alike.
    pub(super) fn digest(&self, kind: &str, parts: &[&str]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [kind].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().try_into().expect("an HMAC-SHA-256 has 32 bytes")
    }
}

async fn create(engine: &Engine, keys: &Keyring) -> Result<Row, StoreError> {
    let mut key = Zeroizing::new(vec![0; 32]);
    rand::fill(&mut key).expect("the system has random bytes");
    let sealed = keys.seal(Place::IndexKey, key);
    engine.execute(CREATE, &[Value::Bytes(sealed.key.as_bytes()), Value::Bytes(&sealed.bytes)]).await?;
    let row = engine.fetch_one(READ, &[]).await?;
    row.ok_or(StoreError::Corrupt { what: "the index key is gone" })
}

/// Seals the key under the keyring's first key; returns whether that was necessary.
pub(super) async fn reseal(engine: &Engine, keys: &Arc<Keyring>) -> Result<bool, StoreError> {
    let row = engine.fetch_one(READ, &[]).await?;
    let old: Sealed = row.ok_or(StoreError::Corrupt { what: "the index key is gone" })?.sealed()?;
    if old.key == keys.first() {
        return Ok(false);
    }
    let new = keys.seal(Place::IndexKey, keys.open(Place::IndexKey, &old).await?);
    let values = [Value::Bytes(new.key.as_bytes()), Value::Bytes(&new.bytes), Value::Bytes(&old.bytes)];
    Ok(engine.execute(RESEAL, &values).await? == 1)
}
