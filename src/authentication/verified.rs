//! Tokens whose signature was checked lately: checking one costs more than the whole rest of a call.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use super::issuer::Principal;

/// Tokens at once; those used longest ago make room. About 200 bytes each.
const CAPACITY: u64 = 20_000;

/// So long at most. A key that was revoked, or a table taken out of a configuration, is believed no longer than the keys
/// are kept anyway.
const LONGEST: Duration = Duration::from_secs(60);

/// The whole SHA-256 of a token: nobody can make a second token with it, and no token lies in memory.
type Hash = [u8; 32];

/// See the module's documentation.
pub(super) struct Verified(Cache<Hash, Known>);

#[derive(Clone)]
struct Known {
    principal: Principal,
    issuer: Arc<str>,
    until: Instant,
}

impl Default for Verified {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(CAPACITY).time_to_live(LONGEST);
        // moka's own policy may refuse a newcomer.
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Verified {
    /// Whom `token` stands for and who issued it, if that was found out lately.
    pub(super) fn get(&self, token: &str) -> Option<(Principal, Arc<str>)> {
        // moka's clock is not tokio's.
        let known = self.0.get(&hash(token))?;
        (Instant::now() < known.until).then_some((known.principal, known.issuer))
    }

    /// Remembers whom `token` stands for and who issued it, which still lives so long.
    pub(super) fn insert(&self, token: &str, (principal, issuer): (Principal, Arc<str>), left: Duration) {
        let until = Instant::now() + left.min(LONGEST);
        self.0.insert(hash(token), Known { principal, issuer, until });
    }
}

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
