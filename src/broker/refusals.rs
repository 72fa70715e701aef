//! Tokens that were refused, by fingerprint, and since when. Auth0 still has them; nobody gets them for a while.

use std::time::Duration;

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use crate::token::Fingerprint;

/// About 100 bytes each: 10 MiB. A refused token leaves Auth0's profile at the user's next login, so the oldest
/// entries are the least likely to matter.
const CAPACITY: u64 = 100_000;

/// How long a refusal is believed that the provider did not confirm. Some answers of 401 are not about the token: a
/// provider's incident, or an endpoint that takes no user's token. A token that is dead is refused again, at the cost of one request; one that is not
/// must not be lost until the user's next login, which for GitHub may be never.
const BELIEVED: Duration = Duration::from_secs(15 * 60);

/// What is known to be refused.
pub(super) struct Refusals {
    /// By a provider, in an answer to us: nobody gets that token.
    seen: Cache<Fingerprint, Instant>,
    /// By a provider, as a caller tells or the answer to one call does: that call gets another token. Others do not suffer
    /// for a mistake.
    reported: Cache<Fingerprint, Instant>,
}

impl Default for Refusals {
    fn default() -> Self {
        let memory = || {
            let memory = Cache::builder().max_capacity(CAPACITY).time_to_live(BELIEVED);
            memory.eviction_policy(EvictionPolicy::lru()).build()
        };
        Self { seen: memory(), reported: memory() }
    }
}

impl Refusals {
    /// A provider refused this token, and nobody knows better; just now, or when that was first said.
    pub(super) fn saw(&self, token: Fingerprint) {
        self.seen.get_with(token, || self.reported.get(&token).unwrap_or_else(Instant::now));
    }

    /// The provider, asked about it, says that the token is alive.
    pub(super) fn forget(&self, token: Fingerprint) {
        self.seen.invalidate(&token);
    }

    /// Since when `token` is refused, for a caller that reports `reported` as refused; `None` if it is not.
    ///
    /// The first refusal counts, so that many callers who learn of it one after the other share one new read.
    pub(super) fn since(&self, token: Fingerprint, reported: Option<Fingerprint>) -> Option<Instant> {
        // Hardly any token is refused. A mere look costs a third of a read, of which moka keeps a record.
        let seen = self.seen.contains_key(&token).then(|| self.seen.get(&token)).flatten();
        // Only a token that is really at hand is remembered: reports of others cannot fill the memory.
        seen.or_else(|| (reported == Some(token)).then(|| self.reported.get_with(token, Instant::now)))
    }
}
