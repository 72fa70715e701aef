//! One renewal, from the lease to the store.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    Known, ProviderClient, Standing, Subject, Wish,
    exchange::{self, Outcome},
    failure::Setback,
    lease::{self, Turn},
};
use crate::{
    auth0::{Auth0, Auth0Error, Fit, Need},
    identity::{IdentityKey, Profile, StoredToken, UserId},
    provider::{self, Held, Renewal},
    store::{Record, RenewedTokens, Store, StoreError, Swap},
    telemetry::Metrics,
    token::RefreshToken,
};

/// A renewal may take this long, from the lease to the provider's answer.
pub(super) const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A profile that takes longer than this is done without: a login in the last minute is unlikely, and renewing from the
/// tokens of the one before does it no harm.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(5);

/// A profile that was read so lately is not read again, unless its token was refused since: Auth0's reads are scarce, and
/// whoever was idle for an hour comes with a profile that was read just now and a token that has ended.
const FRESH: Duration = Duration::from_secs(1);

/// How long tokens that could not be stored are tried to be: those that rotated are the only live ones in the world.
const STORE_ROTATED: Duration = Duration::from_secs(10 * 60);

/// The same for all else, of which nothing is lost.
pub(super) const STORE_OTHERS: Duration = Duration::from_secs(5);

/// Between two tries; far less than [`lease::GRACE`].
const STORE_EVERY: Duration = Duration::from_millis(250);

/// Swaps that are tried again because something else about the identity was written meanwhile.
const MOST_SWAPS: u32 = 5;

/// What every flight works with.
pub(super) struct Works {
    pub(super) store: Arc<Store>,
    pub(super) auth0: Arc<Auth0>,
    pub(super) metrics: Arc<Metrics>,
    /// The name of this replica.
    pub(super) holder: String,
    /// Renewals under way, which outlive their callers and should not be cut off by the end of the process.
    pub(super) under_way: TaskTracker,
}

/// A [`Subject`] whose provider can be asked, for work that outlives its caller.
pub(super) struct Target {
    pub(super) user: UserId,
    pub(super) key: Arc<IdentityKey>,
    pub(super) client: Arc<ProviderClient>,
    /// The profile's token, as the caller saw it.
    pub(super) profile: Arc<StoredToken>,
    /// When that was read.
    pub(super) read: Instant,
}

impl Target {
    /// `None` without an adapter: then there is nobody to ask.
    pub(super) fn of(subject: Subject<'_>) -> Option<Self> {
        Some(Self {
            user: subject.user.clone(),
            key: Arc::clone(subject.key),
            client: Arc::clone(subject.client?),
            profile: Arc::clone(subject.profile),
            read: subject.read,
        })
    }
}

/// A renewal to be made, unless it turns out not to be needed.
pub(super) struct Job {
    pub(super) target: Target,
    pub(super) why: Why,
}

/// What a renewal is for.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// The newest token does not do.
    Needed(Wish),
    /// It will end soon; `0.0..1.0` says how early this replica renews ahead.
    Ahead(f64),
}

impl Job {
    /// Whether the caller's profile is as good as a new one.
    fn is_fresh(&self) -> bool {
        let is_refused = matches!(self.why, Why::Needed(Wish { rejected: Some(_), .. }));
        !is_refused && self.target.read.elapsed() < FRESH
    }
}

impl Works {
    /// What the store knows of an identity.
    pub(super) async fn look(
        &self,
        user: &UserId,
        key: &IdentityKey,
        kept: Option<&Arc<Known>>,
    ) -> Result<Arc<Known>, StoreError> {
        let began = Instant::now();
        let stored = self.store.load(key, user).await?;
        Ok(Known::after(kept, stored, began))
    }

    /// Renews, or waits until another replica has.
    pub(super) async fn renew(&self, job: Job, kept: Option<Arc<Known>>) -> Result<Arc<Known>, StoreError> {
        let _under_way = self.under_way.token();
        let is_news = |known: &Known| kept.as_ref().is_none_or(|kept| kept.generation != known.generation);
        match self.turn(&job.target, kept.as_ref(), is_news).await? {
            Turn::Ours(lease) => {
                let work = self.after_grace(lease.is_inherited(), &job, kept.clone());
                lease::holding(&self.store, lease, work).await
            }
            Turn::Others(known) => Ok(known),
        }
    }

    /// A refresh token that dies at use must not be used while its successor is about to be stored.
    async fn after_grace(
        &self,
        is_inherited: bool,
        job: &Job,
        kept: Option<Arc<Known>>,
    ) -> Result<Arc<Known>, StoreError> {
        let rotates = job.target.client.adapter.renewal().is_ok_and(Renewal::rotates);
        if is_inherited && rotates {
            tokio::time::sleep(lease::GRACE).await;
        }
        self.alone(job, kept).await
    }

    /// Under the lease: nobody else renews now, but somebody may just have.
    async fn alone(&self, job: &Job, kept: Option<Arc<Known>>) -> Result<Arc<Known>, StoreError> {
        let deadline = Instant::now() + RENEWAL_TIMEOUT;
        let newest = if job.is_fresh() {
            Some((Arc::clone(&job.target.profile), job.target.read))
        } else {
            self.newest_profile(&job.target).await
        };
        // The last thing before the provider is asked: a process that was asleep until now may have lost the lease, and
        // with it the right to use what was stored before.
        let known = self.look(&job.target.user, &job.target.key, kept.as_ref()).await?;
        let Some((profile, read)) = newest else { return Ok(known) };
        let Ok(standing) = Standing::of(&profile, read, Some(&known)) else { return Ok(known) };
        if !self.is_wanted(job, &standing) {
            return Ok(known);
        }
        let Ok(renewal) = job.target.client.adapter.renewal() else { return Ok(known) };
        let refresh = standing.refresh(renewal.rotates());
        let held = Held { access: &standing.token().access, refresh };
        let outcome = exchange::renew(&job.target.client, renewal, held, deadline).await;
        self.tell(job, &standing, &outcome);
        let settling = Settling { target: &job.target, profile: &profile, refresh, known: &known };
        match outcome {
            Outcome::Renewed(tokens) => self.store_tokens(&settling, renewal, tokens).await,
            Outcome::Failed(setback) => Ok(self.store_failure(&settling, &setback).await),
        }
    }

    /// The profile's token of this identity now, since the user may have logged in since, and when it was read. `None` if
    /// there is none any more. What the caller saw stands in for a profile that Auth0 does not give.
    pub(super) async fn newest_profile(&self, target: &Target) -> Option<(Arc<StoredToken>, Instant)> {
        let since = Instant::now();
        let fit = |_: &Profile, began| if began >= since { Fit::Serves } else { Fit::Outdated { since } };
        let read = self.auth0.profile(&target.user, Need { fit: &fit });
        match tokio::time::timeout(PROFILE_TIMEOUT, read).await {
            Ok(Ok(profile)) => {
                let mut identities = profile.value.identities.iter();
                let token = identities.find(|identity| identity.key == target.key)?.token.clone()?;
                Some((token, profile.began))
            }
            Ok(Err(Auth0Error::UserNotFound)) => None,
            Ok(Err(_)) | Err(_) => Some((Arc::clone(&target.profile), target.read)),
        }
    }

    fn is_wanted(&self, job: &Job, standing: &Standing<'_>) -> bool {
        let durable = self.store.is_durable();
        match job.why {
            Why::Needed(wish) => {
                standing.outlook(&wish, Some(&job.target.client), durable) == super::Outlook::Renewable
            }
            Why::Ahead(jitter) => standing.is_due(&job.target.client, durable, || jitter),
        }
    }

    /// The log and the metrics.
    fn tell(&self, job: &Job, standing: &Standing<'_>, outcome: &Outcome) {
        let (provider, connection) = (&job.target.client.name, &job.target.key.connection);
        let old = standing.token().access.fingerprint();
        let ahead = matches!(job.why, Why::Ahead(_));
        match outcome {
            Outcome::Renewed(tokens) => {
                let expires_in_s = tokens.expires_in.map(|life| life.as_secs());
                let new = tokens.access.fingerprint();
                tracing::info!(provider, connection, %old, %new, expires_in_s, ahead, "Renewed a token");
                self.metrics.renewal(provider, "renewed");
            }
            Outcome::Failed(setback) => self.metrics.renewal(provider, setback.outcome()),
        }
    }

    /// Nobody gets the tokens before they are stored.
    async fn store_tokens(
        &self,
        settling: &Settling<'_>,
        renewal: &dyn Renewal,
        tokens: provider::Tokens,
    ) -> Result<Arc<Known>, StoreError> {
        let patience = if renewal.rotates() { STORE_ROTATED } else { STORE_OTHERS };
        let obtained_at = SystemTime::now();
        let renewed = RenewedTokens {
            access: tokens.access,
            refresh: tokens.refresh.or_else(|| settling.refresh.cloned()),
            obtained_at,
            expires_at: tokens.expires_in.and_then(|life| obtained_at.checked_add(life)),
            scopes: tokens.scopes,
        };
        let change = |before: &Record| {
            let mut record = settling.in_lineage(before);
            let known_scopes = record.tokens.take().map(|tokens| tokens.scopes).unwrap_or_default();
            let scopes = if renewed.scopes.is_empty() { known_scopes } else { renewed.scopes.clone() };
            Record {
                tokens: Some(RenewedTokens { scopes, ..renewed.clone() }),
                spare: None,
                failure: None,
                ..record
            }
        };
        let is_overtaken = |current: &Known| !settling.is_untouched(current);
        self.swap(&settling.target.user, &settling.target.key, settling.known, change, is_overtaken, patience)
            .await
    }

    /// A failure that cannot be stored is remembered by this replica alone.
    async fn store_failure(&self, settling: &Settling<'_>, setback: &Setback) -> Arc<Known> {
        let change = |before: &Record| setback.added_to(settling.in_lineage(before));
        let is_overtaken = |current: &Known| !settling.is_untouched(current);
        match self
            .swap(
                &settling.target.user,
                &settling.target.key,
                settling.known,
                change,
                is_overtaken,
                STORE_OTHERS,
            )
            .await
        {
            Ok(known) => known,
            Err(_) => {
                let record = change(&settling.known.record);
                Arc::new(Known::new(settling.known.generation, record, Instant::now()))
            }
        }
    }

    /// Swaps what is stored, as `known`, until it is done, or until what another stored meanwhile says that this `is
    /// overtaken`: then that counts.
    pub(super) async fn swap(
        &self,
        user: &UserId,
        key: &IdentityKey,
        known: &Known,
        change: impl Fn(&Record) -> Record,
        is_overtaken: impl Fn(&Known) -> bool,
        patience: Duration,
    ) -> Result<Arc<Known>, StoreError> {
        let give_up = Instant::now() + patience;
        let (mut generation, mut record) = (known.generation, change(&known.record));
        let mut swaps = 0;
        loop {
            match self.store.swap(key, user, generation, &record).await {
                Ok(Swap::Done(generation)) => {
                    return Ok(Arc::new(Known::new(generation, record, Instant::now())));
                }
                Ok(Swap::Lost(current)) => {
                    swaps += 1;
                    let current = Known::after(None, current.map(|current| *current), Instant::now());
                    if swaps >= MOST_SWAPS || is_overtaken(&current) {
                        let connection = &key.connection;
                        tracing::warn!(
                            connection,
                            "Another replica has stored tokens meanwhile; using those"
                        );
                        return Ok(current);
                    }
                    (generation, record) = (current.generation, change(&current.record));
                }
                Err(error @ StoreError::Unavailable { .. }) if Instant::now() < give_up => {
                    tracing::warn!(%error, "Cannot store what became of a token yet");
                    tokio::time::sleep(STORE_EVERY).await;
                }
                Err(error) => {
                    tracing::error!(%error, "Cannot store what became of a token");
                    return Err(error);
                }
            }
        }
    }
}

/// A renewal whose outcome is known.
struct Settling<'a> {
    target: &'a Target,
    profile: &'a StoredToken,
    /// What was renewed from.
    refresh: Option<&'a RefreshToken>,
    /// What was stored when it began.
    known: &'a Known,
}

impl Settling<'_> {
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
    fn is_untouched(&self, current: &Known) -> bool {
        let token = |known: &Known| known.token().map(|token| token.access.fingerprint());
        !current.record.revoked && token(current) == token(self.known)
    }
}
