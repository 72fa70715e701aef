//! Tokens whose signature was verified recently: verifying costs more than the rest of a call.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use super::issuer::Principal;

/// Maximum number of tokens, of about 200 bytes each; the least recently used make room.
const CAPACITY: u64 = 20_000;

/// Longest time that a token is remembered. A revoked key, or a table removed from the configuration, is
/// trusted no longer than keys are cached anyway.
const LONGEST: Duration = Duration::from_secs(60);

/// The full SHA-256 of a token: nobody can make a second token with the same hash, and no token is kept in
/// memory.
type Hash = [u8; 32];

/// The cache of verified tokens; see the module's documentation.
pub(super) struct Verified(Cache<Hash, VerifiedToken>);

#[derive(Clone)]
struct VerifiedToken {
    principal: Principal,
    issuer: Arc<str>,
    until: Instant,
}

impl Default for Verified {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(CAPACITY).time_to_live(LONGEST);
        // moka's default policy may reject a new entry.
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Verified {
    /// Returns whom `token` identifies and who issued it, if it was verified recently.
    pub(super) fn get(&self, token: &str) -> Option<(Principal, Arc<str>)> {
        // moka's clock is not tokio's.
        let known = self.0.get(&hash(token))?;
        (Instant::now() < known.until).then_some((known.principal, known.issuer))
    }

    /// Remembers for at most `left` whom `token` identifies and who issued it.
    pub(super) fn insert(&self, token: &str, (principal, issuer): (Principal, Arc<str>), left: Duration) {
        let until = Instant::now() + left.min(LONGEST);
        self.0.insert(hash(token), VerifiedToken { principal, issuer, until });
    }
}

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
