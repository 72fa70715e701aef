//! What a provider says of a token, remembered where all replicas see it.

use std::{sync::Arc, time::Duration};

use super::{Selected, StoredState, Tokens, rejected::Introspection};
use crate::{
    store::{Record, StoreError},
    token::Fingerprint,
};

impl Tokens {
    /// Remembers what the provider says of a token of `selected`, until it says otherwise. What cannot be stored is logged and
    /// no more: another replica finds out by being refused.
    pub(super) async fn record(&self, selected: &Selected, token: Fingerprint, word: Introspection) {
        let is_refused = match word {
            Introspection::Active => false,
            Introspection::Inactive => true,
            Introspection::Unknown => return,
        };
        match self.store_refusal(selected, token, is_refused).await {
            Ok(stored) => self.keep(selected.key(), stored),
            Err(error) => {
                tracing::warn!(%error, %token, is_refused, "Cannot store what a provider says of a token");
            }
        }
    }

    async fn store_refusal(
        &self,
        selected: &Selected,
        token: Fingerprint,
        is_refused: bool,
    ) -> Result<Arc<StoredState>, StoreError> {
        let key = selected.key();
        let kept = self.records.peek(key).map(|kept| kept.value);
        let stored = self.renewer.load(selected, kept.as_ref()).await?;
        if stored.record.refused.contains(&token) == is_refused {
            return Ok(stored);
        }
        let origin = selected.identity().fingerprint().unwrap_or(token);
        let change = |before: &Record| {
            let descends_from = before.descends_from.or(Some(origin));
            let mut record = Record { descends_from, ..before.clone() };
            if is_refused {
                record.refuse(token);
            } else {
                record.accept(token);
            }
            record
        };
        self.renewer.swap(selected, &stored, change, |_| false, Duration::ZERO).await
    }
}
