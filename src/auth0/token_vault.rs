//! Auth0 Token Vault: tokens of connections whose profiles hold none, each exchanged once for all callers.
//!
//! Auth0 returns the token it has until that expires and then renews it by itself: asking earlier brings the
//! same token.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{Acceptance, Auth0Error, Judge, error::LONGEST_WINDOW};
use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    config,
    identity::{StoredToken, UserId},
    telemetry::Metrics,
    token::Fingerprint,
    transport::Transport,
};

mod answer;
mod error;
mod exchange;

pub use error::VaultError;

pub(super) use exchange::Account;

use exchange::Exchange;

/// Maximum number of tokens, of about 2 KiB each: 100 MiB.
const CAPACITY: u64 = 50_000;

/// A token that nobody asks for is dropped, and zeroed, after this time.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The vault is asked again after this time, however long the token lives: the user may have disconnected the
/// account.
const LONGEST_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long a token is kept if Auth0 does not say how long it lives.
const UNKNOWN_LIFE: Duration = Duration::from_secs(60);

/// A token is not used this shortly before its expiry, since the request might still be on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// How soon the vault is asked again about a token that will not do. It doubles while the vault returns the
/// same token.
const RECHECK: Duration = Duration::from_secs(5);

/// Minimum time between two exchanges for one account, even if the token is about to expire.
const LEAST_KEPT: Duration = Duration::from_secs(1);

/// Back-off after a failed exchange, so that the next caller does not repeat it at once. Short, since the
/// user may just be connecting the account.
const BACKOFF: Backoff<VaultError> = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(10),
    least: |error| error.is_transient().flatten().unwrap_or_default().min(LONGEST_WINDOW),
};

/// Exposes [`answer::judge`]; see [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn vault_token_in(
    answer: &http::Response<bytes::Bytes>,
    connection: &str,
    by_end_user: bool,
) -> Result<StoredToken, VaultError> {
    answer::judge(answer, connection, by_end_user, std::time::SystemTime::now())
}

/// On whose authority a token is requested. A token obtained on one's is never given to the other.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// This service's own, as a privileged worker that needs only the user's id.
    Worker,
    /// An end user's: the Auth0 access token with which they call. The caller must have checked that it is
    /// valid and belongs to the user in question. The application must be the Custom API Client of the
    /// token's audience.
    EndUser(&'a SecretString),
}

/// Exchanges tokens and caches them.
pub(super) struct TokenVault {
    connections: BTreeSet<String>,
    kept: Cache<Key, Kept, VaultError>,
    exchange: Arc<Exchange>,
}

/// What a token was obtained for. An end user's is for whoever presents the same access token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    user: UserId,
    connection: String,
    account_id: String,
    end_user: Option<Fingerprint>,
}

#[derive(Clone)]
struct Kept {
    token: Arc<StoredToken>,
    /// How long it lived when it came, or is assumed to live.
    life: Duration,
    /// How many consecutive exchanges brought the same token.
    unchanged: u32,
}

impl TokenVault {
    pub(super) fn new(
        settings: &config::Auth0,
        vault: &config::TokenVault,
        transport: Transport,
        metrics: Arc<Metrics>,
    ) -> Self {
        let exchange = Exchange::new(settings, Arc::clone(&vault.private_key), transport, metrics);
        Self {
            connections: vault.connections.clone(),
            kept: Cache::new(CAPACITY, IDLE, BACKOFF),
            exchange: Arc::new(exchange),
        }
    }

    pub(super) fn has(&self, connection: &str) -> bool {
        self.connections.contains(connection)
    }

    /// See [`super::Auth0::vault_token`].
    pub(super) async fn get(
        &self,
        account: Account,
        subject: Subject<'_>,
        judge: Judge<'_, StoredToken>,
    ) -> Result<Loaded<Arc<StoredToken>>, VaultError> {
        let key = Key::of(&account, subject);
        let look_up = |kept: &Loaded<Kept>| look_up(kept, judge);
        let outcome = self.kept.get(&key, look_up, |previous, _| {
            let (exchange, previous) = (Arc::clone(&self.exchange), previous.cloned());
            let token = match subject {
                Subject::Worker => None,
                Subject::EndUser(token) => Some(token.clone()),
            };
            async move {
                let token = exchange.run(&account, token.as_ref()).await?;
                Ok(Kept::after(previous.as_ref(), token))
            }
        });
        let outcome = match outcome.await {
            Err(error) if error.is_transient().is_some() => self.stale(&key, judge).ok_or(error),
            outcome => outcome,
        };
        outcome.map(|Loaded { value, began }| Loaded { value: value.token, began })
    }

    /// Returns a cached token that will do, while Auth0 gives no answer.
    fn stale(&self, key: &Key, judge: Judge<'_, StoredToken>) -> Option<Loaded<Kept>> {
        let kept = self.kept.peek(key)?;
        (judge(&kept.value.token, kept.began) == Acceptance::Accept).then_some(kept)
    }

    /// Drops tokens that nobody has asked for recently.
    pub(super) fn sweep(&self) {
        self.kept.sweep();
    }
}

/// Judges a cached token: one that will do is good until shortly before its expiry; another may have been
/// replaced in the vault.
fn look_up(kept: &Loaded<Kept>, judge: Judge<'_, StoredToken>) -> Lookup {
    let Kept { token, life, unchanged } = &kept.value;
    let ttl = match judge(token, kept.began) {
        Acceptance::Stale { since } => return Lookup::MissSince(since),
        Acceptance::Accept => life.saturating_sub(MARGIN).min(LONGEST_KEPT),
        Acceptance::Insufficient => RECHECK.saturating_mul(1 << (*unchanged).min(8)).min(*life),
    };
    if kept.began.elapsed() < ttl.max(LEAST_KEPT) { Lookup::Hit } else { Lookup::Miss }
}

impl Key {
    fn of(account: &Account, subject: Subject<'_>) -> Self {
        Self {
            user: account.user.clone(),
            connection: account.connection.clone(),
            account_id: account.account_id.clone(),
            end_user: match subject {
                Subject::Worker => None,
                Subject::EndUser(token) => Some(Fingerprint::of(token.expose_secret())),
            },
        }
    }
}

impl Kept {
    /// Combines what was known with the token that an exchange brought.
    fn after(previous: Option<&Self>, token: StoredToken) -> Self {
        let is_same = |previous: &&Self| previous.token.access.fingerprint() == token.access.fingerprint();
        let unchanged = previous.filter(is_same).map_or(0, |previous| previous.unchanged.saturating_add(1));
        let life = token.expiry.map_or(UNKNOWN_LIFE, |expiry| expiry.remaining());
        Self { token: Arc::new(token), life, unchanged }
    }
}

/// The error for a connection that the vault is not configured for.
pub(super) fn closed(connection: &str) -> VaultError {
    let listed = "is not listed in `auth0.token_vault.connections`";
    Auth0Error::misconfigured(format!("the connection `{connection}` {listed}")).into()
}
