//! A token that its provider calls dead, remembered where all replicas see it.

use std::{sync::Arc, time::Duration};

use super::Renewals;
use crate::{
    cache::Loaded,
    identity::{IdentityKey, UserId},
    store::{Record, StoreError},
    token::Fingerprint,
};

use super::known::Known;

impl Renewals {
    /// Remembers, for good, that the provider of an identity refuses `token`; `origin` is the token that Auth0's profile
    /// shows. What cannot be stored is logged and no more: another replica finds out by being refused.
    pub async fn refuse(
        &self,
        user: &UserId,
        key: &Arc<IdentityKey>,
        origin: Fingerprint,
        token: Fingerprint,
    ) {
        match self.store_refusal(user, key, origin, token).await {
            Ok(known) => {
                let began = known.since;
                self.known.put(key, Loaded { value: known, began });
            }
            Err(error) => tracing::warn!(%error, %token, "Cannot store that a token is dead"),
        }
    }

    async fn store_refusal(
        &self,
        user: &UserId,
        key: &Arc<IdentityKey>,
        origin: Fingerprint,
        token: Fingerprint,
    ) -> Result<Arc<Known>, StoreError> {
        let kept = self.known.peek(key).map(|kept| kept.value);
        let known = self.works.look(user, key, kept.as_ref()).await?;
        if known.record.refused.contains(&token) {
            return Ok(known);
        }
        let change = |before: &Record| {
            let descends_from = before.descends_from.or(Some(origin));
            let mut record = Record { descends_from, ..before.clone() };
            record.refuse(token);
            record
        };
        self.works.swap(user, key, &known, change, |_| false, Duration::ZERO).await
    }
}
