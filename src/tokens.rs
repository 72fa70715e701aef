//! Tokens that stay alive: everything about finding, judging, renewing, replacing and ending a user's token.
//!
//! [`Tokens`] hides where a token may be (Auth0's profile, Token Vault, the store's record of what was
//! renewed here), every memory of a token that was refused, and the renewal, which is made once and only
//! once.
//!
//! Several providers kill a refresh token at use, and take a second use for theft: then all tokens of the
//! grant die. Auth0 cannot be told the new one. So a renewal is made once however many callers and replicas
//! want it, by three layers:
//!
//! 1. **One flight per identity in a process** ([`crate::cache`]): detached from the callers, with a limit of
//!    its own.
//! 2. **A lease in the store** across replicas: with an owner, kept while the work runs.
//! 3. **Compare-and-swap** on the stored generation, which is read again under the lease: who comes late with
//!    an old token finds the new one. Tokens are stored before anybody gets them.
//!
//! A failure is remembered with the identity, which then backs off; only the provider's own word ends a
//! grant.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use self::{
    error::{Owner, ProviderError, TokenError},
    get::LiveToken,
    inspection::NewestToken,
    replace::Replacement,
    request::TokenRequest,
    selected::{IdentitySnapshot, Selected},
    status::{Renewability, TokenStatus, Unusable},
    stored_state::StoredState,
    summary::{LastRenewalError, State, TokenSummary},
};
use self::{
    rejected::{Introspection, RejectedTokens},
    renewal::{Job, Renewer, Why},
    status::{Plan, Requirement},
};
use crate::{
    auth0::Auth0,
    cache::{Backoff, Cache, Loaded, Lookup},
    caller::Caller,
    identity::{IdentityKey, StoredToken},
    provider_client::Providers,
    shares::Shares,
    store::{Store, StoreError},
    telemetry::Metrics,
};

mod error;
mod get;
mod inspection;
mod introspection;
mod refusals;
mod rejected;
mod renewal;
mod replace;
mod request;
mod revocation;
mod selected;
mod status;
mod stored_state;
mod summary;
mod vault;

pub use renewal::timing;

/// The number of cached store records. About 4 KiB each as a rule.
const CAPACITY: u64 = 50_000;

/// How long a record that nobody asks for is kept in memory. Then its tokens are zeroed.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// How often a record in use is read again, in the background.
const RECHECK: Duration = Duration::from_secs(10);

/// Records older than this are re-read before use; the longest another replica's revocation can go unnoticed.
const STALE: Duration = Duration::from_secs(20);

/// How long the store is left alone about an identity after it failed.
const BACKOFF: Backoff<StoreError> =
    Backoff { first: Duration::from_millis(500), most: Duration::from_secs(5), least: |_| Duration::ZERO };

/// Work in the background that is under way at the same time: renewals ahead of need, and notes that a token
/// has ended. What finds no place is done when it is needed.
const AHEAD_AT_ONCE: usize = 32;

/// The tokens of all users. See the module's documentation.
pub struct Tokens {
    auth0: Arc<Auth0>,
    providers: Arc<Providers>,
    renewer: Arc<Renewer>,
    records: Cache<Arc<IdentityKey>, Arc<StoredState>, StoreError>,
    rejected: RejectedTokens,
    metrics: Arc<Metrics>,
    ahead: Arc<Semaphore>,
    revoking: Shares,
    /// Spreads the replicas' renewals ahead of need.
    jitter: RandomState,
}

impl Tokens {
    /// Tokens of one tenant's users at `providers`; what is renewed is kept in `store`. Sends nothing yet.
    /// Needs a tokio runtime.
    pub fn new(
        auth0: Arc<Auth0>,
        providers: Arc<Providers>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let holder = format!("{:08x}", fastrand::u32(..));
        tracing::info!(
            replica = holder,
            durable = store.is_durable(),
            "Renewed tokens are kept in the store"
        );
        let renewer = Renewer {
            store,
            auth0: Arc::clone(&auth0),
            metrics: Arc::clone(&metrics),
            holder,
            under_way: TaskTracker::new(),
        };
        Arc::new(Self {
            auth0,
            providers,
            renewer: Arc::new(renewer),
            records: Cache::new(CAPACITY, IDLE, BACKOFF),
            rejected: RejectedTokens::default(),
            metrics,
            ahead: Arc::new(Semaphore::new(AHEAD_AT_ONCE)),
            revoking: Shares::new(revocation::AT_ONCE),
            jitter: RandomState::new(),
        })
    }

    /// What callers are told about the token of a selected identity, as it stands now. A store that fails is
    /// done without: then this is what the profile alone shows.
    pub async fn summary(self: &Arc<Self>, caller: &Caller, selected: &Selected) -> TokenSummary {
        let identity = selected.identity();
        let Some(token) = &identity.token else {
            // Whether the user has connected the account is not asked for a list: it would cost an exchange
            // for each.
            return if identity.in_vault { TokenSummary::of_vault(None) } else { TokenSummary::NONE };
        };
        let snapshot = self.snapshot(selected.clone(), Arc::clone(token));
        let stored = self.load_and_renew_ahead(&snapshot).await.ok();
        // A profile that may be older than what is stored is taken as it is: whoever needs the token makes
        // sure.
        let status = self.status(&snapshot, stored.as_deref()).or_else(|_| self.status(&snapshot, None));
        let summary = status.map_or(TokenSummary::NONE, |status| self.summary_of(caller, &status));
        if let Some(stored) = stored.filter(|_| summary.state == State::ReauthenticationRequired) {
            self.remember_end(&snapshot, &stored);
        }
        summary
    }

    /// What callers are told about the token of `status`.
    pub fn summary_of(&self, caller: &Caller, status: &TokenStatus<'_>) -> TokenSummary {
        let newest = status.token().access.fingerprint();
        status.summary(self.rejected.rejection(newest, caller, false, status.accepted_since()))
    }

    /// Waits until no renewal or revocation is under way: what a provider has issued is not lost because the
    /// process ends.
    pub async fn settled(&self) {
        self.renewer.under_way.close();
        self.renewer.under_way.wait().await;
    }

    /// Lets go of what nobody asked for lately.
    pub fn sweep(&self) {
        self.records.sweep();
    }

    /// Remembers that the profile's token has ended, where no renewal does so: whatever later moves the end
    /// that is worked out for it, it stays dead. In the background, since nobody waits for it.
    fn remember_end(self: &Arc<Self>, snapshot: &IdentitySnapshot, stored: &StoredState) {
        let token = snapshot.token.access.fingerprint();
        if !snapshot.token.has_ended() || stored.record.refused.contains(&token) {
            return;
        }
        let Ok(place) = Arc::clone(&self.ahead).try_acquire_owned() else { return };
        let (tokens, selected) = (Arc::clone(self), snapshot.selected.clone());
        self.renewer.under_way.spawn(async move {
            let _place = place;
            tokens.record(&selected, token, Introspection::Inactive).await;
        });
    }

    fn is_durable(&self) -> bool {
        self.renewer.store.is_durable()
    }

    fn snapshot(&self, selected: Selected, token: Arc<StoredToken>) -> IdentitySnapshot {
        let client = self.providers.of(selected.identity()).cloned();
        IdentitySnapshot { selected, token, client }
    }

    fn status<'a>(
        &self,
        snapshot: &'a IdentitySnapshot,
        stored: Option<&'a StoredState>,
    ) -> Result<TokenStatus<'a>, status::StaleProfile> {
        TokenStatus::of(snapshot, stored, self.is_durable())
    }

    /// What the store knows of an identity, kept or looked up.
    ///
    /// # Errors
    /// When nothing is kept, and the store does not tell.
    async fn load(&self, snapshot: &IdentitySnapshot) -> Result<Arc<StoredState>, StoreError> {
        self.look_up(snapshot, |_| false).await
    }

    /// The same. Where the token ends soon, this starts its renewal.
    async fn load_and_renew_ahead(
        &self,
        snapshot: &IdentitySnapshot,
    ) -> Result<Arc<StoredState>, StoreError> {
        self.look_up(snapshot, |stored| self.is_due(snapshot, stored)).await
    }

    async fn look_up(
        &self,
        snapshot: &IdentitySnapshot,
        is_due: impl Fn(&StoredState) -> bool,
    ) -> Result<Arc<StoredState>, StoreError> {
        let key = snapshot.selected.key();
        let judge = |kept: &Loaded<Arc<StoredState>>| {
            let age = kept.began.elapsed();
            if age >= STALE {
                return Lookup::Miss;
            }
            if age >= RECHECK || is_due(&kept.value) { Lookup::HitAndRefresh } else { Lookup::Hit }
        };
        let load = |kept: Option<&Arc<StoredState>>, verdict| {
            let (renewer, selected) = (Arc::clone(&self.renewer), snapshot.selected.clone());
            let kept = kept.cloned();
            // Whoever waits wants to know what is stored; the next call starts the renewal.
            let nobody_waits = verdict == Lookup::HitAndRefresh;
            let is_due = nobody_waits && kept.as_deref().is_some_and(&is_due);
            let job = if is_due { Job::new(snapshot, Why::Ahead(self.jitter(key))) } else { None };
            let ahead = job.and_then(|job| Some((job, Arc::clone(&self.ahead).try_acquire_owned().ok()?)));
            async move {
                let (job, _place) = ahead.unzip();
                renewer.renew_or_load(job, &selected, kept).await
            }
        };
        match self.records.get(key, judge, load).await {
            Ok(loaded) => Ok(loaded.value),
            // A store that fails does not make what it said before untrue.
            Err(error) => self.records.peek(key).map(|kept| kept.value).ok_or(error),
        }
    }

    /// Renews the tokens of an identity, or waits for whoever is doing so. Whether the requirement is met
    /// then is for the caller to judge.
    ///
    /// # Errors
    /// When the store fails: without it a renewal would not be safe.
    async fn renew(
        &self,
        snapshot: &IdentitySnapshot,
        requirement: Requirement,
    ) -> Result<Arc<StoredState>, StoreError> {
        let key = snapshot.selected.key();
        let judge = |kept: &Loaded<Arc<StoredState>>| {
            let status = self.status(snapshot, Some(&kept.value));
            // Whoever came just before may have renewed it already.
            let is_wanted = status.is_ok_and(|status| status.plan(&requirement) == Ok(Plan::Renew));
            if is_wanted { Lookup::Miss } else { Lookup::Hit }
        };
        let load = |kept: Option<&Arc<StoredState>>, _| {
            let (renewer, selected) = (Arc::clone(&self.renewer), snapshot.selected.clone());
            let kept = kept.cloned();
            let job = Job::new(snapshot, Why::Needed(requirement));
            async move { renewer.renew_or_load(job, &selected, kept).await }
        };
        self.records.get(key, judge, load).await.map(|loaded| loaded.value)
    }

    /// Keeps what was stored otherwise than by a renewal.
    fn keep(&self, key: &Arc<IdentityKey>, stored: Arc<StoredState>) {
        let began = stored.since;
        self.records.put(key, Loaded { value: stored, began });
    }

    /// Whether a renewal ahead of need should be made.
    fn is_due(&self, snapshot: &IdentitySnapshot, stored: &StoredState) -> bool {
        let status = self.status(snapshot, Some(stored));
        status.is_ok_and(|status| status.is_due(|| self.jitter(snapshot.selected.key().as_ref())))
    }

    /// Between 0 and 1, the same for an identity as long as this process lives.
    fn jitter(&self, key: &IdentityKey) -> f64 {
        let hash = self.jitter.hash_one(key) >> 32;
        u32::try_from(hash).map_or(0.0, f64::from) / f64::from(u32::MAX)
    }
}
