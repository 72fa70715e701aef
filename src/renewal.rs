//! Tokens that stay alive: what is known of an identity besides Auth0's profile, and its renewal, once and only once.
//!
//! Several providers kill a refresh token at use, and take a second use for theft: then all tokens of the grant die.
//! Auth0 cannot be told the new one. So a renewal is made once however many callers and replicas want it, by three layers:
//!
//! 1. **One flight per identity in a process** ([`crate::cache`]): detached from the callers, with a limit of its own.
//! 2. **A lease in the store** across replicas: with an owner, kept while the work runs.
//! 3. **Compare-and-swap** on the stored generation, which is read again under the lease: who comes late with an old
//!    token finds the new one. Tokens are stored before anybody gets them.
//!
//! A failure is remembered with the identity, which then rests; only the provider's own word ends a grant.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;

use self::flight::{Job, Target, Why, Works};
pub use self::{
    client::ProviderClient,
    inquiry::Trouble,
    known::Known,
    revocation::RevocationError,
    standing::{Lifeless, Outlook, Standing, Wish},
};
use crate::{
    auth0::Auth0,
    cache::{Cache, Loaded, Rest, Use},
    identity::{IdentityKey, StoredToken, UserId},
    store::{Store, StoreError},
    telemetry::Metrics,
};

mod client;
mod exchange;
mod failure;
mod flight;
mod inquiry;
mod known;
mod lease;
mod refusal;
mod revocation;
mod standing;

/// Identities of which it is kept what the store knows. About 4 KiB each as a rule.
const CAPACITY: u64 = 50_000;

/// What nobody asks for is dropped from memory, and its tokens zeroed, after this time.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// What the store knows is looked up again this often, in the background.
const RECHECK: Duration = Duration::from_secs(10);

/// What was not asked for meanwhile is waited for: so long another replica's revocation may go unnoticed.
const STALE: Duration = Duration::from_secs(20);

/// After the store failed, it is not asked again at once for the same identity.
const REST: Rest<StoreError> =
    Rest { first: Duration::from_millis(500), most: Duration::from_secs(5), least: |_| Duration::ZERO };

/// Renewals ahead of need that are under way at the same time. Those that find no place are made when they are needed.
const AHEAD_AT_ONCE: usize = 32;

/// See the module's documentation.
pub struct Renewals {
    works: Arc<Works>,
    known: Cache<Arc<IdentityKey>, Arc<Known>, StoreError>,
    ahead: Arc<Semaphore>,
    revoking: Arc<Semaphore>,
    /// Spreads the replicas' renewals ahead of need.
    jitter: RandomState,
}

/// An identity whose tokens are wanted, as a profile shows it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Whose it is now.
    pub user: &'a UserId,
    /// Which one.
    pub key: &'a Arc<IdentityKey>,
    /// The token that the profile shows.
    pub profile: &'a Arc<StoredToken>,
    /// When that profile was read.
    pub read: Instant,
    /// Its provider, where there is an adapter.
    pub client: Option<&'a Arc<ProviderClient>>,
}

impl Renewals {
    /// Renewals that are remembered in `store`. Sends nothing yet. Needs a tokio runtime.
    pub fn new(store: Arc<Store>, auth0: Arc<Auth0>, metrics: Arc<Metrics>) -> Self {
        let holder = format!("{:08x}", fastrand::u32(..));
        tracing::info!(
            replica = holder,
            durable = store.is_durable(),
            "Renewed tokens are kept in the store"
        );
        let works = Works { store, auth0, metrics, holder, under_way: TaskTracker::new() };
        Self {
            works: Arc::new(works),
            known: Cache::new(CAPACITY, IDLE, REST),
            ahead: Arc::new(Semaphore::new(AHEAD_AT_ONCE)),
            revoking: Arc::new(Semaphore::new(revocation::AT_ONCE)),
            jitter: RandomState::new(),
        }
    }

    /// Whether what is renewed survives this process.
    pub fn is_durable(&self) -> bool {
        self.works.store.is_durable()
    }

    /// What the store knows of an identity, kept or looked up. Where its token ends soon, this starts its renewal.
    ///
    /// # Errors
    /// When nothing is kept, and the store does not tell.
    pub async fn known(&self, subject: Subject<'_>) -> Result<Arc<Known>, StoreError> {
        let judge = |kept: &Loaded<Arc<Known>>| {
            let age = kept.began.elapsed();
            if age >= STALE {
                return Use::Reload;
            }
            if age >= RECHECK || self.is_due(subject, &kept.value) { Use::TakeAndReload } else { Use::Take }
        };
        let load = |kept: Option<&Arc<Known>>, verdict| {
            let (works, kept) = (Arc::clone(&self.works), kept.cloned());
            let (user, key) = (subject.user.clone(), Arc::clone(subject.key));
            // Whoever waits wants to know what is stored; the next call starts the renewal.
            let nobody_waits = verdict == Use::TakeAndReload;
            let is_due = nobody_waits && kept.as_ref().is_some_and(|kept| self.is_due(subject, kept));
            let target = if is_due { Target::of(subject) } else { None };
            let job = target.map(|target| Job { target, why: Why::Ahead(self.jitter(subject)) });
            let ahead = job.and_then(|job| Some((job, Arc::clone(&self.ahead).try_acquire_owned().ok()?)));
            async move {
                match ahead {
                    Some((job, _place)) => works.renew(job, kept).await,
                    None => works.look(&user, &key, kept.as_ref()).await,
                }
            }
        };
        match self.known.get(subject.key, judge, load).await {
            Ok(loaded) => Ok(loaded.value),
            // A store that fails does not make what it said before untrue.
            Err(error) => self.known.peek(subject.key).map(|kept| kept.value).ok_or(error),
        }
    }

    /// Renews the tokens of an identity for `wish`, or waits for whoever is doing so. Whether the wish is fulfilled is
    /// for the caller to judge.
    ///
    /// # Errors
    /// When the store fails: without it a renewal would not be safe.
    pub async fn renew(&self, subject: Subject<'_>, wish: Wish) -> Result<Arc<Known>, StoreError> {
        let judge = |kept: &Loaded<Arc<Known>>| {
            let standing = Standing::of(subject.profile, subject.read, Some(&kept.value));
            let outlook = standing
                .map(|standing| standing.outlook(&wish, subject.client.map(|c| &**c), self.is_durable()));
            // Whoever came just before may have renewed it already.
            if outlook == Ok(Outlook::Renewable) { Use::Reload } else { Use::Take }
        };
        let load = |kept: Option<&Arc<Known>>, _| {
            let (works, kept) = (Arc::clone(&self.works), kept.cloned());
            let (user, key) = (subject.user.clone(), Arc::clone(subject.key));
            let job = Target::of(subject).map(|target| Job { target, why: Why::Needed(wish) });
            async move {
                match job {
                    Some(job) => works.renew(job, kept).await,
                    None => works.look(&user, &key, kept.as_ref()).await,
                }
            }
        };
        self.known.get(subject.key, judge, load).await.map(|loaded| loaded.value)
    }

    /// Waits until no renewal or revocation is under way: what a provider has issued is not lost because the process ends.
    pub async fn settled(&self) {
        self.works.under_way.close();
        self.works.under_way.wait().await;
    }

    /// Lets go of what nobody asked for lately.
    pub fn sweep(&self) {
        self.known.sweep();
    }

    /// Whether a renewal ahead of need should be made.
    fn is_due(&self, subject: Subject<'_>, known: &Known) -> bool {
        let standing = Standing::of(subject.profile, subject.read, Some(known));
        let (Ok(standing), Some(client)) = (standing, subject.client) else { return false };
        standing.is_due(client, self.is_durable(), || self.jitter(subject))
    }

    /// Between 0 and 1, the same for an identity as long as this process lives.
    fn jitter(&self, subject: Subject<'_>) -> f64 {
        let hash = self.jitter.hash_one(subject.key) >> 32;
        u32::try_from(hash).map_or(0.0, f64::from) / f64::from(u32::MAX)
    }
}
