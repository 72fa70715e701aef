//! One renewal, from the lease to the store.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::{
    exchange::Outcome,
    lease::{Acquired, HeldLease},
    timing::{GRACE, RENEWAL_TIMEOUT},
};
use super::{
    IdentitySnapshot, Selected, StoredState, TokenStatus,
    status::{Plan, Requirement},
};
use crate::{
    auth0::{Acceptance, Auth0, Auth0Error},
    identity::{Profile, StoredToken},
    provider::{self, Renewal, TokenPair},
    provider_client::ProviderClient,
    shares::Holder,
    store::{Record, RenewedTokens, Store, StoreError, Swap},
    telemetry::Metrics,
    token::RefreshToken,
};

pub(super) mod exchange;
mod failure;
pub(super) mod lease;
pub mod timing;

pub(super) use failure::LONGEST_BACKOFF;
use failure::RenewalFailure;

/// How long a renewal waits for a newer profile. Without one it is made from what the caller saw: a login in
/// the last minute is unlikely, and renewing from the tokens of an earlier login does that one no harm.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(5);

/// The age up to which a profile is not read again, unless its token was refused since. Auth0's reads are
/// scarce, and after an idle hour the profile was read just now, and its token has ended.
const FRESH: Duration = Duration::from_secs(1);

/// How long to keep retrying to store rotated tokens. They are the only live copy.
const STORE_ROTATED: Duration = Duration::from_secs(10 * 60);

/// The same for all else, of which nothing is lost.
pub(super) const STORE_OTHERS: Duration = Duration::from_secs(5);

/// The pause between two tries; far less than [`GRACE`].
const STORE_EVERY: Duration = Duration::from_millis(250);

/// How long one try may take: a request that hangs must not use up [`GRACE`], nor the lease. It is safe to
/// repeat.
const STORE_TRY: Duration = Duration::from_secs(2);

/// How often the log says that something cannot be stored yet.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The least number of swaps that are lost before one is given up for want of time.
const MOST_LOST: u32 = 5;

/// The renewals of one process, and what they work with.
pub(super) struct Renewer {
    pub(super) store: Arc<Store>,
    pub(super) auth0: Arc<Auth0>,
    pub(super) metrics: Arc<Metrics>,
    /// The name of this replica.
    pub(super) holder: String,
    /// Work that outlives its callers and should not be cut off by the end of the process.
    pub(super) under_way: TaskTracker,
}

/// A renewal to be made, unless it turns out not to be needed.
pub(super) struct Job {
    snapshot: IdentitySnapshot,
    client: Arc<ProviderClient>,
    why: Why,
}

/// What a renewal is for.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// The newest token does not do.
    Needed(Requirement),
    /// It will end soon; `0.0..1.0` says how early this replica renews ahead.
    Ahead(f64),
}

impl Job {
    /// `None` without an adapter: then there is nobody to ask.
    pub(super) fn new(snapshot: &IdentitySnapshot, why: Why) -> Option<Self> {
        let client = Arc::clone(snapshot.client.as_ref()?);
        Some(Self { snapshot: snapshot.clone(), client, why })
    }

    fn selected(&self) -> &Selected {
        &self.snapshot.selected
    }

    /// Whether the caller's profile is as good as a new one.
    fn is_fresh(&self) -> bool {
        let is_refused = matches!(self.why, Why::Needed(Requirement { rejected: Some(_), .. }));
        !is_refused && self.snapshot.selected.read().elapsed() < FRESH
    }

    fn is_wanted(&self, status: &TokenStatus<'_>) -> bool {
        match &self.why {
            Why::Needed(requirement) => status.plan(requirement) == Ok(Plan::Renew),
            Why::Ahead(jitter) => status.is_due(|| *jitter),
        }
    }
}

impl Renewer {
    /// What the store knows of an identity.
    pub(super) async fn load(
        &self,
        identity: &Selected,
        kept: Option<&Arc<StoredState>>,
    ) -> Result<Arc<StoredState>, StoreError> {
        let began = Instant::now();
        let stored = self.store.load(identity.key(), identity.user()).await?;
        Ok(StoredState::after(kept, stored, began))
    }

    /// Carries out `job`, or without one finds out what the store knows of `identity`.
    pub(super) async fn renew_or_load(
        &self,
        job: Option<Job>,
        identity: &Selected,
        kept: Option<Arc<StoredState>>,
    ) -> Result<Arc<StoredState>, StoreError> {
        match job {
            Some(job) => self.renew(job, kept).await,
            None => self.load(identity, kept.as_ref()).await,
        }
    }

    /// Renews, or waits until another replica has.
    async fn renew(&self, job: Job, kept: Option<Arc<StoredState>>) -> Result<Arc<StoredState>, StoreError> {
        let _under_way = self.under_way.token();
        let is_news =
            |stored: &StoredState| kept.as_ref().is_none_or(|kept| kept.generation != stored.generation);
        match self.acquire(job.selected(), kept.as_ref(), is_news).await? {
            Acquired::Leader(lease) => lease.during(self.lead(&lease, &job, kept.clone())).await,
            Acquired::Follower(stored) => Ok(stored),
        }
    }

    /// Renews under the lease. Nobody else does so now, but somebody may just have.
    async fn lead(
        &self,
        lease: &HeldLease,
        job: &Job,
        kept: Option<Arc<StoredState>>,
    ) -> Result<Arc<StoredState>, StoreError> {
        let Ok(renewal) = job.client.adapter.renewal() else {
            return self.load(job.selected(), kept.as_ref()).await;
        };
        if lease.is_inherited() && renewal.rotates() {
            // A refresh token that dies at use must not be used while its successor is about to be stored.
            tokio::time::sleep(GRACE).await;
        }
        let deadline = Instant::now() + RENEWAL_TIMEOUT;
        let newest = if job.is_fresh() {
            Some(job.snapshot.clone())
        } else {
            self.newest_snapshot(&job.snapshot).await
        };
        let stored = self.load(job.selected(), kept.as_ref()).await?;
        let Some(snapshot) = newest else { return Ok(stored) };
        let Ok(status) = TokenStatus::of(&snapshot, Some(&stored), self.store.is_durable()) else {
            return Ok(stored);
        };
        if !job.is_wanted(&status) {
            return Ok(stored);
        }
        let refresh = status.refresh_token(renewal.rotates());
        let held = TokenPair { access: &status.token().access, refresh };
        let exchanged = exchange::renew(&job.client, renewal, held, lease, deadline).await?;
        let Some(outcome) = exchanged else { return self.load(job.selected(), None).await };
        self.record_outcome(job, &status, &outcome);
        let settlement =
            Settlement { identity: job.selected(), profile: &snapshot.token, refresh, stored: &stored };
        match outcome {
            Outcome::Renewed(tokens) => self.store_tokens(&settlement, renewal, tokens).await,
            Outcome::Failed(failure) => Ok(self.store_failure(&settlement, &failure).await),
        }
    }

    /// The identity as the profile shows it now, since the user may have logged in since; `None` if it holds
    /// no token any more. While Auth0 gives no profile, what the caller saw stands in.
    pub(super) async fn newest_snapshot(&self, seen: &IdentitySnapshot) -> Option<IdentitySnapshot> {
        let since = Instant::now();
        let judge = |_: &Profile, began| {
            if began >= since { Acceptance::Accept } else { Acceptance::Stale { since } }
        };
        // A renewal is for all who want the token.
        let read = self.auth0.profile(seen.selected.user(), Holder::ANYBODY, &judge);
        match tokio::time::timeout(PROFILE_TIMEOUT, read).await {
            Ok(Ok(profile)) => {
                let selected = seen.selected.same_in(&profile)?;
                let token = Arc::clone(selected.identity().token.as_ref()?);
                Some(IdentitySnapshot { selected, token, client: seen.client.clone() })
            }
            Ok(Err(Auth0Error::UserNotFound)) => None,
            Ok(Err(_)) | Err(_) => Some(seen.clone()),
        }
    }

    /// Tells the log and the metrics.
    fn record_outcome(&self, job: &Job, status: &TokenStatus<'_>, outcome: &Outcome) {
        let (provider, connection) = (&job.client.name, &job.selected().key().connection);
        let old = status.token().access.fingerprint();
        let ahead = matches!(job.why, Why::Ahead(_));
        match outcome {
            Outcome::Renewed(tokens) => {
                let expires_in_s = tokens.expires_in.map(|life| life.as_secs());
                let new = tokens.access.fingerprint();
                tracing::info!(provider, connection, %old, %new, expires_in_s, ahead, "Renewed a token");
                self.metrics.renewal(provider, "renewed");
            }
            Outcome::Failed(failure) => self.metrics.renewal(provider, failure.outcome()),
        }
    }

    /// Stores new tokens. Nobody gets them before.
    async fn store_tokens(
        &self,
        settlement: &Settlement<'_>,
        renewal: &dyn Renewal,
        tokens: provider::Tokens,
    ) -> Result<Arc<StoredState>, StoreError> {
        let patience = if renewal.rotates() { STORE_ROTATED } else { STORE_OTHERS };
        let obtained_at = SystemTime::now();
        let renewed = RenewedTokens {
            access: tokens.access,
            token_type: tokens.token_type,
            refresh: tokens.refresh.or_else(|| settlement.refresh.cloned()),
            obtained_at,
            expires_at: tokens.expires_in.and_then(|life| obtained_at.checked_add(life)),
            scopes: tokens.scopes,
        };
        let change = |before: &Record| {
            let mut record = settlement.in_lineage(before);
            let known_scopes = record.tokens.take().map(|tokens| tokens.scopes).unwrap_or_default();
            let scopes = if renewed.scopes.is_empty() { known_scopes } else { renewed.scopes.clone() };
            Record {
                tokens: Some(RenewedTokens { scopes, ..renewed.clone() }),
                spare: None,
                failure: None,
                ..record
            }
        };
        let is_overtaken = |current: &StoredState| !settlement.is_untouched(current);
        self.swap(settlement.identity, settlement.stored, change, is_overtaken, patience).await
    }

    /// Stores a failure. One that cannot be stored is remembered by this replica alone.
    async fn store_failure(&self, settlement: &Settlement<'_>, failure: &RenewalFailure) -> Arc<StoredState> {
        let change = |before: &Record| {
            let mut record = failure.added_to(settlement.in_lineage(before));
            // A later login of another identity moves the end that is worked out, but not the token's.
            if settlement.profile.has_ended() {
                record.refuse(settlement.profile.access.fingerprint());
            }
            record
        };
        let is_overtaken = |current: &StoredState| !settlement.is_untouched(current);
        match self.swap(settlement.identity, settlement.stored, change, is_overtaken, STORE_OTHERS).await {
            Ok(stored) => stored,
            Err(_) => settlement.stored.remembered_here(change(&settlement.stored.record)),
        }
    }

    /// Swaps what is stored, as `stored`, until that is done, or until what another replica stored meanwhile
    /// says that this `is_overtaken`: then that counts. Every failure of the store is tried again for as long
    /// as `patience` lasts, whatever it is: a password that is refused now may be mended in a minute.
    pub(super) async fn swap(
        &self,
        identity: &Selected,
        stored: &StoredState,
        change: impl Fn(&Record) -> Record,
        is_overtaken: impl Fn(&StoredState) -> bool,
        patience: Duration,
    ) -> Result<Arc<StoredState>, StoreError> {
        let give_up = Instant::now() + patience;
        let (mut generation, mut record) = (stored.generation, change(&stored.record));
        let (mut lost, mut complaint) = (0, Complaint::default());
        loop {
            match in_time(self.store.swap(identity.key(), identity.user(), generation, &record)).await {
                Ok(Swap::Done(generation)) => {
                    let stored = StoredState::new(Some(stored), generation, record, Instant::now());
                    return Ok(Arc::new(stored));
                }
                Ok(Swap::Lost(current)) => {
                    lost += 1;
                    let current = StoredState::after(None, current.map(|current| *current), Instant::now());
                    if is_overtaken(&current) || lost >= MOST_LOST && Instant::now() >= give_up {
                        let connection = &identity.key().connection;
                        tracing::warn!(connection, "Using what another replica has stored meanwhile");
                        return Ok(current);
                    }
                    (generation, record) = (current.generation, change(&current.record));
                }
                Err(error) => {
                    let left = give_up.saturating_duration_since(Instant::now());
                    complaint.tell(identity, &error, left);
                    if left.is_zero() {
                        return Err(error);
                    }
                    tokio::time::sleep(STORE_EVERY).await;
                }
            }
        }
    }
}

/// A complaint in the log about what cannot be stored, made every [`TELL_EVERY`].
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    fn tell(&mut self, identity: &Selected, error: &StoreError, left: Duration) {
        let is_new = self.last.is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if !is_new && !left.is_zero() {
            return;
        }
        self.last = Some(Instant::now());
        let (connection, left_s) = (&identity.key().connection, left.as_secs());
        tracing::error!(%error, connection, left_s, "Cannot store what became of a token, and keeps trying");
    }
}

/// One try of what is tried again.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable { detail: format!("it takes more than {} s", STORE_TRY.as_secs()) };
    tokio::time::timeout(STORE_TRY, asked).await.unwrap_or_else(|_| Err(late()))
}

/// A renewal whose outcome is known and has to be stored.
struct Settlement<'a> {
    identity: &'a Selected,
    profile: &'a StoredToken,
    /// What was renewed from.
    refresh: Option<&'a RefreshToken>,
    /// What was stored when it began.
    stored: &'a StoredState,
}

impl Settlement<'_> {
    /// `before`, as far as it is about the login that the profile shows.
    fn in_lineage(&self, before: &Record) -> Record {
        let origin = Some(self.profile.access.fingerprint());
        if before.descends_from == origin {
            return before.clone();
        }
        // The profile's own refresh token is where it always was; one of an earlier login is nowhere else.
        let spare = if self.profile.refresh.is_none() { self.refresh.cloned() } else { None };
        Record { descends_from: origin, spare, refused: before.refused.clone(), ..Record::default() }
    }

    /// Whether the tokens that were renewed from are still what is stored.
    fn is_untouched(&self, current: &StoredState) -> bool {
        let token = |stored: &StoredState| stored.token().map(|token| token.access.fingerprint());
        !current.record.revoked && token(current) == token(self.stored)
    }
}
