//! A short-lived cache of profiles, each read once for all callers, and kept longer while Auth0 is slow or
//! down.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Acceptance, Auth0Error, Judge,
    ends::Ends,
    limiter::{Asks, Urgency},
    users::Users,
};
use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    identity::{Identity, Profile, UserId},
    shares::Holder,
    telemetry::{Metrics, metrics::ProfileSource},
};

/// Maximum number of profiles, usually of about 4 KiB each: 200 MiB.
const CAPACITY: u64 = 50_000;

/// A profile that nobody asks for is dropped, and its tokens zeroed, after this time. Also the longest that a
/// profile is used while Auth0 is down.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// How long Auth0 may take to deliver a newer profile before a cached one that will do is used: callers'
/// deadlines are often a second or two.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long Auth0's answer that a user does not exist is believed.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);

/// How long a profile that will not do is cached at first. Short, since the user may just be logging in; not
/// zero, since callers retry. It doubles while reads bring the same tokens, so that a few users without a
/// live token cannot use up Auth0's rate limit.
const RECHECK: Duration = Duration::from_secs(5);

/// The cache of profiles.
pub(super) struct Profiles {
    kept: Cache<UserId, Kept, Auth0Error>,
    reader: Arc<Reader>,
    ttl: Duration,
    metrics: Arc<Metrics>,
}

/// What is known about a user.
#[derive(Clone)]
struct Kept {
    /// `None` if Auth0 does not know the user.
    profile: Option<Arc<Profile>>,
    /// How many consecutive reads brought the same tokens.
    unchanged: u32,
}

/// Reads users, and tracks whether Auth0 is healthy.
struct Reader {
    users: Users,
    ends: Ends,
    /// Whether the last read failed in a way that may pass.
    in_trouble: AtomicBool,
}

impl Profiles {
    pub(super) fn new(users: Users, ttl: Duration, metrics: Arc<Metrics>) -> Self {
        let kept = Cache::new(CAPACITY, IDLE, Backoff::NONE);
        let reader = Arc::new(Reader { users, ends: Ends::default(), in_trouble: AtomicBool::new(false) });
        Self { kept, reader, ttl, metrics }
    }

    /// See [`super::Auth0::profile`].
    pub(super) async fn get(
        &self,
        user: &UserId,
        holder: Holder,
        judge: Judge<'_>,
    ) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let mut is_own = false;
        match self.attempt(user, holder, judge, &mut is_own).await {
            // Another caller's share was used up: that is no answer to this one.
            Err(Auth0Error::RateLimited { .. }) if !is_own => {
                Box::pin(self.attempt(user, holder, judge, &mut is_own)).await
            }
            outcome => outcome,
        }
    }

    /// Sets `is_own` if the read is this caller's own.
    async fn attempt(
        &self,
        user: &UserId,
        holder: Holder,
        judge: Judge<'_>,
        is_own: &mut bool,
    ) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let mut source = ProfileSource::Cache;
        let (is_urgent, began) = (AtomicBool::new(false), AtomicBool::new(false));
        let asks = || {
            let urgency = if is_urgent.load(Ordering::Relaxed) { Urgency::Urgent } else { Urgency::Cold };
            Asks { holder, urgency }
        };
        let look_up = |kept: &Loaded<Kept>| {
            let verdict = self.look_up(kept, judge);
            is_urgent.store(matches!(verdict, Lookup::MissSince(_)), Ordering::Relaxed);
            verdict
        };
        let read = self.kept.get(user, look_up, |kept, verdict| {
            source =
                if verdict == Lookup::HitAndRefresh { ProfileSource::Stale } else { ProfileSource::Auth0 };
            began.store(true, Ordering::Relaxed);
            self.read(user, asks(), kept.cloned())
        });
        let join = async {
            if !began.load(Ordering::Relaxed) {
                self.reader.users.join(user, asks());
            }
            std::future::pending::<Infallible>().await
        };
        let outcome = tokio::select! {
            biased;
            outcome = read => outcome,
            // Polled once the read has turned out to be under way.
            never = join => match never {},
            // The read continues, and later callers get its result.
            Some(kept) = self.stale_while_slow(user, judge) => {
                self.metrics.profile(ProfileSource::Stale);
                return kept.known();
            }
        };
        *is_own = began.into_inner();
        let outcome = match outcome {
            Err(error) if error.is_transient().is_some() => {
                self.stale(user, judge).ok_or(error).inspect(|_| {
                    source = ProfileSource::Stale;
                })
            }
            outcome => outcome,
        };
        self.metrics.profile(source);
        outcome?.known()
    }

    fn look_up(&self, kept: &Loaded<Kept>, judge: Judge<'_>) -> Lookup {
        let fit = kept.value.profile.as_deref().map(|profile| judge(profile, kept.began));
        let ttl = match fit {
            None => UNKNOWN_TTL,
            Some(Acceptance::Accept) => self.ttl,
            Some(Acceptance::Insufficient) => {
                RECHECK.saturating_mul(1 << kept.value.unchanged.min(8)).min(self.ttl)
            }
            Some(Acceptance::Stale { since }) => return Lookup::MissSince(since),
        };
        let age = kept.began.elapsed();
        if age < ttl {
            return Lookup::Hit;
        }
        let in_trouble = self.reader.in_trouble.load(Ordering::Relaxed);
        if in_trouble && age < IDLE && fit == Some(Acceptance::Accept) {
            Lookup::HitAndRefresh
        } else {
            Lookup::Miss
        }
    }

    /// Starts a read, which goes first in the queue if the call has met a refused token.
    fn read(
        &self,
        user: &UserId,
        asks: Asks,
        previous: Option<Kept>,
    ) -> impl Future<Output = Result<Kept, Auth0Error>> + Send + 'static {
        let (reader, user) = (Arc::clone(&self.reader), user.clone());
        async move {
            let outcome = reader.users.read(&user, asks).await;
            let in_trouble = outcome.as_ref().is_err_and(|error| error.is_transient().is_some());
            reader.in_trouble.store(in_trouble, Ordering::Relaxed);
            let mut profile = outcome?;
            if let Some(profile) = &mut profile {
                reader.ends.extend_none(profile);
            }
            Ok(Kept::after(previous.as_ref(), profile))
        }
    }

    /// Returns a cached profile that will do, while Auth0 gives no answer.
    fn stale(&self, user: &UserId, judge: Judge<'_>) -> Option<Loaded<Kept>> {
        let kept = self.kept.peek(user)?;
        let serves = judge(kept.value.profile.as_deref()?, kept.began) == Acceptance::Accept;
        (serves && kept.began.elapsed() < IDLE).then_some(kept)
    }

    async fn stale_while_slow(&self, user: &UserId, judge: Judge<'_>) -> Option<Loaded<Kept>> {
        tokio::time::sleep(PATIENCE).await;
        self.stale(user, judge)
    }

    /// Drops profiles that nobody has asked for recently.
    pub(super) fn sweep(&self) {
        self.kept.sweep();
    }
}

impl Kept {
    /// Combines what was known with the profile that a read brought.
    fn after(previous: Option<&Self>, profile: Option<Profile>) -> Self {
        let unchanged = match (previous, &profile) {
            (Some(Self { profile: Some(old), unchanged }), Some(new)) if has_same_tokens(old, new) => {
                unchanged + 1
            }
            _ => 0,
        };
        Self { profile: profile.map(Arc::new), unchanged }
    }
}

fn has_same_tokens(old: &Profile, new: &Profile) -> bool {
    let tokens =
        |profile: &Profile| -> Vec<_> { profile.identities.iter().map(Identity::fingerprint).collect() };
    tokens(old) == tokens(new)
}

impl Loaded<Kept> {
    fn known(self) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let Self { value, began } = self;
        value.profile.map(|value| Loaded { value, began }).ok_or(Auth0Error::UserNotFound)
    }
}
