//! The store's record of an identity's tokens, as this process knows it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::renewal::LONGEST_BACKOFF;
use crate::{
    identity::StoredToken,
    store::{Record, RenewedTokens, Stored},
    token::{Expiry, ExpiryBasis, Fingerprint, TokenSource},
};

/// The shortest time between two renewals of one identity: whoever needs another token after that keeps
/// asking for something that renewing does not give.
const SOONEST: Duration = Duration::from_secs(30);

/// The store's record of an identity. Its times are measured on tokio's clock from when it was first seen
/// here.
#[derive(Debug)]
pub struct StoredState {
    /// What the next swap has to expect; 0 if nothing is stored.
    pub(super) generation: u64,
    /// Since when this generation is known here.
    pub(super) since: Instant,
    pub(super) record: Record,
    /// The record's tokens, as those of a profile are.
    token: Option<Arc<StoredToken>>,
    /// No renewal is tried before.
    retry_at: Instant,
}

impl StoredState {
    /// The outcome of a load that began at `began`. The same generation as `kept` is still the same state.
    pub(super) fn after(kept: Option<&Arc<Self>>, stored: Option<Stored>, began: Instant) -> Arc<Self> {
        let (generation, record) =
            stored.map_or_else(Default::default, |stored| (stored.generation, stored.record));
        match kept {
            Some(kept) if kept.generation == generation => Arc::clone(kept),
            kept => Arc::new(Self::new(kept.map(|kept| &**kept), generation, record, began)),
        }
    }

    /// The state of a record that came after `before`. The same token ends when it was first seen to end
    /// here, and the same failure is waited out as it was first seen: on tokio's clock, which a changed wall
    /// clock does not move.
    pub(super) fn new(before: Option<&Self>, generation: u64, record: Record, since: Instant) -> Self {
        let fresh = record.tokens.as_ref().map(|tokens| Arc::new(token(tokens)));
        let same =
            before.filter(|before| before.fingerprint() == fresh.as_ref().map(|it| it.access.fingerprint()));
        let token = same.and_then(|before| before.token.clone()).or(fresh);
        let is_same_failure = |before: &&Self| before.record.failure == record.failure;
        let retry_at = same.filter(is_same_failure).map(|before| before.retry_at);
        let retry_at = retry_at.unwrap_or_else(|| Instant::now() + backoff(&record));
        Self { generation, since, record, token, retry_at }
    }

    /// This state with another record that could not be stored: this process alone remembers it.
    pub(super) fn remembered_here(&self, record: Record) -> Arc<Self> {
        Arc::new(Self::new(Some(self), self.generation, record, Instant::now()))
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.token.as_ref().map(|token| token.access.fingerprint())
    }

    /// The tokens that were renewed here, if any.
    pub(super) fn token(&self) -> Option<&Arc<StoredToken>> {
        self.token.as_ref()
    }

    /// How long no renewal is tried: the last one failed, or it was just now.
    pub(super) fn backoff(&self) -> Duration {
        self.retry_at.saturating_duration_since(Instant::now())
    }
}

/// Clocks of replicas differ, and one may have been set back: no rest is longer than it can have been meant.
fn backoff(record: &Record) -> Duration {
    let left = |until: SystemTime| until.duration_since(SystemTime::now()).unwrap_or_default();
    match (&record.failure, &record.tokens) {
        (Some(failure), _) => left(failure.retry_at).min(LONGEST_BACKOFF),
        (None, Some(tokens)) => left(tokens.obtained_at + SOONEST).min(SOONEST),
        (None, None) => Duration::ZERO,
    }
}

fn token(tokens: &RenewedTokens) -> StoredToken {
    StoredToken {
        access: tokens.access.clone(),
        token_type: tokens.token_type.clone(),
        refresh: tokens.refresh.clone(),
        expiry: tokens.expires_at.map(|time| Expiry::at(time, ExpiryBasis::Provider)),
        scopes: tokens.scopes.clone(),
        source: TokenSource::Renewed,
    }
}
