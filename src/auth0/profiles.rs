//! Profiles kept for a short time, read once however many callers, and kept longer while Auth0 is slow or down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Acceptance, Auth0Error, Judge, ends::Ends, limiter::Urgency, users::Users};
use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    identity::{Identity, Profile, UserId},
    telemetry::{Metrics, metrics::ProfileSource},
};

/// About 4 KiB each as a rule: 200 MiB.
const CAPACITY: u64 = 50_000;

/// A profile that nobody asks for is dropped, and its tokens zeroed, after this time. Also the longest that one is
/// used while Auth0 is down.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// A kept profile that serves is not withheld for longer than this while Auth0 is slow to bring a newer one: callers'
/// deadlines are often a second or two.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long Auth0's word that there is no such user is believed.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);

/// How long a profile that does not serve is believed at first. Short, since the user may just be logging in; not
/// zero, since callers retry. It doubles while reads bring the same tokens, so that a few users without a living token
/// cannot use up Auth0's limit.
const RECHECK: Duration = Duration::from_secs(5);

/// Keeps profiles.
pub(super) struct Profiles {
    kept: Cache<UserId, Kept, Auth0Error>,
    reader: Arc<Reader>,
    ttl: Duration,
    metrics: Arc<Metrics>,
}

/// What is known of a user.
#[derive(Clone)]
struct Kept {
    /// `None` if Auth0 does not know them.
    profile: Option<Arc<Profile>>,
    /// How many reads in a row brought the same tokens as the one before.
    unchanged: u32,
}

/// Reads users, and notices whether Auth0 is well.
struct Reader {
    users: Users,
    ends: Ends,
    /// The last read failed in a way that may pass.
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
        judge: Judge<'_>,
    ) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let mut source = ProfileSource::Cache;
        let look_up = |kept: &Loaded<Kept>| self.look_up(kept, judge);
        let read = self.kept.get(user, look_up, |kept, verdict| {
            source =
                if verdict == Lookup::HitAndRefresh { ProfileSource::Stale } else { ProfileSource::Auth0 };
            self.read(user, kept.cloned(), verdict)
        });
        let outcome = tokio::select! {
            biased;
            outcome = read => outcome,
            // The read goes on, and whoever comes after it gets what it brings.
            Some(kept) = self.stale_while_slow(user, judge) => {
                self.metrics.profile(ProfileSource::Stale);
                return kept.known();
            }
        };
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

    /// A read for whoever waits for it; it goes first in the queue if a call has met a refused token.
    fn read(
        &self,
        user: &UserId,
        previous: Option<Kept>,
        why: Lookup,
    ) -> impl Future<Output = Result<Kept, Auth0Error>> + Send + 'static {
        let urgency = if matches!(why, Lookup::MissSince(_)) { Urgency::Urgent } else { Urgency::Cold };
        let (reader, user) = (Arc::clone(&self.reader), user.clone());
        async move {
            let outcome = reader.users.read(&user, urgency).await;
            let in_trouble = outcome.as_ref().is_err_and(|error| error.is_transient().is_some());
            reader.in_trouble.store(in_trouble, Ordering::Relaxed);
            let mut profile = outcome?;
            if let Some(profile) = &mut profile {
                reader.ends.extend_none(profile);
            }
            Ok(Kept::after(previous.as_ref(), profile))
        }
    }

    /// While Auth0 gives no answer, a profile that serves goes on serving.
    fn stale(&self, user: &UserId, judge: Judge<'_>) -> Option<Loaded<Kept>> {
        let kept = self.kept.peek(user)?;
        let serves = judge(kept.value.profile.as_deref()?, kept.began) == Acceptance::Accept;
        (serves && kept.began.elapsed() < IDLE).then_some(kept)
    }

    async fn stale_while_slow(&self, user: &UserId, judge: Judge<'_>) -> Option<Loaded<Kept>> {
        tokio::time::sleep(PATIENCE).await;
        self.stale(user, judge)
    }

    /// Lets go of what nobody asked for lately.
    pub(super) fn sweep(&self) {
        self.kept.sweep();
    }
}

impl Kept {
    /// What is known after a read brought `profile`.
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
