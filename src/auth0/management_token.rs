//! The Management API token: fetched once for all callers, and renewed before it expires.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use tokio::time::Instant;

use self::{
    fetch::{Fetch, Issued},
    sharing::Sharing,
    token::Token,
};
use super::error::{Auth0Error, LONGEST_WINDOW};
use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    config,
    store::Store,
    telemetry::Metrics,
    transport::Transport,
};

mod fetch;
mod sharing;
mod token;

/// Scopes that the client grant for the Management API must contain. Without the second, Auth0 answers 200
/// and silently omits the tokens.
pub const NEEDED_SCOPES: [&str; 2] = ["read:users", "read:user_idp_tokens"];

/// Back-off after a failed fetch, so that the next caller does not repeat it at once.
const BACKOFF: Backoff<Auth0Error> = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
    least: |error| error.is_transient().flatten().unwrap_or_default().min(LONGEST_WINDOW),
};

/// Share of a token's lifetime after which a new one is fetched: early enough to survive an outage of an hour
/// or two, and random so that replicas do not fetch together.
const RENEW_AT: std::ops::Range<f64> = 0.80..0.90;

/// A token is not used this shortly before its expiry, since the request might still be on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// A rejected token younger than this is not replaced: it may not be known everywhere yet, and a new one
/// would be just as young.
const YOUNG: Duration = Duration::from_secs(10);

/// A Management token in use.
pub(super) struct Grant {
    /// `Bearer ...`, marked as sensitive.
    pub(super) authorization: HeaderValue,
    scopes: String,
    /// `None` if that was before this machine started.
    issued: Option<Instant>,
    renew_at: Instant,
    expires: Instant,
    /// Generation of the token that replicas share; `None` for one that no other replica has.
    generation: Option<u64>,
    /// Whether it replaced a token that the Management API had refused.
    replaces_refused: bool,
}

impl Grant {
    /// Makes a grant of `token`, issued `age` ago.
    fn new(token: &Token, age: Duration, generation: Option<u64>) -> Self {
        let now = Instant::now();
        let share = RENEW_AT.start + (RENEW_AT.end - RENEW_AT.start) * fastrand::f64();
        Self {
            authorization: token.authorization.clone(),
            scopes: token.scope.clone(),
            issued: now.checked_sub(age),
            renew_at: now + token.lifetime.mul_f64(share).saturating_sub(age),
            expires: now + token.lifetime.saturating_sub(age),
            generation,
            replaces_refused: false,
        }
    }

    /// Returns how long a refusal may still be due to the token's youth; `None` if it cannot be.
    fn ripens_in(&self) -> Option<Duration> {
        let left = YOUNG.saturating_sub(self.issued?.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// Returns whether a new token should be on its way.
    fn is_due(&self) -> bool {
        Instant::now() >= self.renew_at.min(self.last_use())
    }

    fn last_use(&self) -> Instant {
        self.expires.checked_sub(MARGIN).unwrap_or(self.expires)
    }

    fn left(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }
}

impl Issued {
    fn grant(&self, generation: Option<u64>) -> Grant {
        Grant::new(&self.token, self.began.elapsed(), generation)
    }
}

/// Fetches and caches the Management token.
pub(super) struct ManagementToken {
    kept: Cache<(), Arc<Grant>, Auth0Error>,
    source: Arc<Source>,
}

/// The source of new tokens.
struct Source {
    fetch: Fetch,
    sharing: Option<Sharing>,
    metrics: Arc<Metrics>,
}

impl Source {
    /// Returns a token other than the one of generation `avoid`, which was refused or has grown old.
    async fn obtain(&self, avoid: Option<u64>, was_refused: bool) -> Result<Arc<Grant>, Auth0Error> {
        let mut grant = match &self.sharing {
            Some(sharing) => sharing.obtain(&self.fetch, avoid).await?,
            None => self.fetch.run().await?.grant(None),
        };
        let unix =
            (SystemTime::now() + grant.left()).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.management_token(unix.as_secs().try_into().unwrap_or(i64::MAX));
        grant.replaces_refused = was_refused;
        Ok(Arc::new(grant))
    }
}

impl ManagementToken {
    pub(super) fn new(
        settings: &config::Auth0,
        transport: Transport,
        store: &Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let fetch = Fetch::new(settings, transport, Arc::clone(&metrics));
        let source = Source { fetch, sharing: Sharing::new(settings, store), metrics };
        // One entry, which must not be dropped when idle: the next caller needs it.
        let kept = Cache::new(1, Duration::from_secs(30 * 24 * 3600), BACKOFF);
        Self { kept, source: Arc::new(source) }
    }

    /// Returns the current token or a new one; `refused` is a token that the Management API rejected.
    ///
    /// # Errors
    /// When no token can be had.
    pub(super) async fn get(
        &self,
        refused: Option<&Loaded<Arc<Grant>>>,
    ) -> Result<Loaded<Arc<Grant>>, Auth0Error> {
        if let Some((wait, grant)) = refused.and_then(|grant| Some((grant.value.ripens_in()?, &grant.value)))
        {
            return Err(refused_while_young(wait, grant.replaces_refused));
        }
        let judge = |kept: &Loaded<Arc<Grant>>| {
            let now = Instant::now();
            match refused {
                Some(refused) if kept.began <= refused.began => {
                    Lookup::MissSince(refused.began + Duration::from_nanos(1))
                }
                _ if now >= kept.value.last_use() => Lookup::Miss,
                _ if kept.value.is_due() => Lookup::HitAndRefresh,
                _ => Lookup::Hit,
            }
        };
        let source = Arc::clone(&self.source);
        // The cached token will not do, for whatever reason.
        let load = |kept: Option<&Arc<Grant>>, _| {
            let avoid = kept.and_then(|kept| kept.generation);
            let was_refused = refused.is_some();
            async move { source.obtain(avoid, was_refused).await }
        };
        self.kept.get(&(), judge, load).await
    }
}

/// The error for a refused young token. The first may not be known everywhere yet; a second in a row points
/// to a misconfiguration.
fn refused_while_young(wait: Duration, replaces_refused: bool) -> Auth0Error {
    if !replaces_refused {
        let detail = "it does not yet accept a Management token that it has just issued".to_owned();
        return Auth0Error::Unavailable { detail, retry_after: Some(wait) };
    }
    Auth0Error::misconfigured(
        "it does not accept a Management token that it has just issued; check `auth0.audience`, and that \
         `auth0.base_url` is the domain that issued the token",
    )
}

/// Returns the scopes that the Management token of `auth0` was granted.
///
/// # Errors
/// When there is no token.
pub async fn granted_scopes(auth0: &super::Auth0) -> Result<Vec<String>, Auth0Error> {
    let grant = auth0.management_token.get(None).await?;
    Ok(grant.value.scopes.split_whitespace().map(str::to_owned).collect())
}
