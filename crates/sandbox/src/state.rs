//! Everything that the sandbox remembers.

pub(crate) mod account;
pub(crate) mod clients;
mod fate;
pub(crate) mod grants;
pub(crate) mod things;
pub(crate) mod users;
pub(crate) mod vault;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use account::Account;
use clients::Client;
use grants::Grants;
use things::Things;
use users::Users;
use vault::Vault;

use super::clock::Clock;
use super::error::SandboxError;
use super::faults::Faults;
use super::journal::Journal;
use super::keys::SigningKey;
use super::limits::{Bucket, Standing, Window};
use super::playground::Playground;
use super::seed::{ApiSeed, ManagementSeed, ProvidersSeed, Seed};

/// What all handlers share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) domain: String,
    pub(crate) management: ManagementSeed,
    pub(crate) apis: Vec<ApiSeed>,
    pub(crate) providers: ProvidersSeed,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// The page, once there is a service for it.
    pub(crate) playground: OnceLock<Playground>,
    keys: Mutex<SigningKey>,
    state: Mutex<State>,
}

/// What changes while the sandbox runs.
pub(crate) struct State {
    pub(crate) clients: Vec<Client>,
    pub(crate) users: Users,
    pub(crate) grants: Grants,
    pub(crate) things: Things,
    pub(crate) vault: Vault,
    pub(crate) bucket: Bucket,
    /// `jti` of every client assertion seen: each is good once.
    pub(crate) assertions: HashSet<(String, String)>,
    /// Authorization codes not yet exchanged.
    pub(crate) codes: HashMap<String, clients::Code>,
    windows: HashMap<Account, Window>,
    app_window: Window,
}

impl World {
    /// Sows the seed.
    pub(crate) fn new(seed: Seed) -> Result<Self, SandboxError> {
        let clock = Clock::default();
        let now = clock.now();
        let key = seed.signing_key.as_deref().map_or_else(SigningKey::generate, SigningKey::from_pem)?;
        let mut state = State {
            clients: seed.clients.into_iter().map(Client::new).collect(),
            users: Users::default(),
            grants: Grants::default(),
            things: Things::new(seed.repositories),
            vault: Vault::default(),
            bucket: Bucket::new(seed.management.requests_per_second, seed.management.burst, now),
            assertions: HashSet::new(),
            codes: HashMap::new(),
            windows: HashMap::new(),
            app_window: Window::new(seed.providers.facebook.app_calls_per_hour, HOUR, now),
        };
        for user in seed.users {
            state.add_user(user, &seed.providers, now);
        }
        Ok(Self {
            clock,
            management: seed.management,
            apis: seed.apis,
            providers: seed.providers,
            journal: Journal::default(),
            faults: Faults::new(),
            playground: OnceLock::new(),
            keys: Mutex::new(key),
            state: Mutex::new(state),
            domain: seed.domain,
        })
    }

    /// The changing part, locked; no handler awaits while it holds it.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The tenant's signing key, locked.
    pub(crate) fn key(&self) -> MutexGuard<'_, SigningKey> {
        lock(&self.keys)
    }

    /// `iss` of the tenant's tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("https://{}/", self.domain)
    }

    /// The Management API's audience.
    pub(crate) fn audience(&self) -> String {
        format!("https://{}/api/v2/", self.domain)
    }

    /// How long a token for the audience lives; `None` where the tenant does not know the audience.
    pub(crate) fn lifetime_for(&self, audience: &str) -> Option<Duration> {
        if audience == self.audience() {
            return Some(self.management.token_lifetime);
        }
        self.apis.iter().find(|api| api.audience == audience).map(|api| api.token_lifetime)
    }

    /// Counts a request of an account against its own quota.
    pub(crate) fn count(&self, account: &Account, limit: u64, span: Duration) -> Standing {
        let now = self.clock.now();
        let mut state = self.state();
        let window = state.windows.entry(account.clone()).or_insert_with(|| Window::new(limit, span, now));
        window.take(now)
    }

    /// Counts a request against the whole Facebook app's quota.
    pub(crate) fn count_app(&self) -> Standing {
        self.state().app_window.take(self.clock.now())
    }
}

/// The span of GitHub's and Facebook's quotas.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Locks; a panic of another handler does not make the state unusable, since no change is left half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
