//! Profiles kept for a short time, read once however many callers, and kept longer while Auth0 is down.

use std::{sync::Arc, time::Duration};

use super::{Auth0Error, Fit, Need, RECHECK, users::Users};
use crate::{
    cache::{Cache, Loaded, Rest, Use},
    identity::{Profile, UserId},
    telemetry::{Metrics, metrics::ProfileSource},
};

/// About 4 KiB each: 400 MiB at the most.
const CAPACITY: u64 = 100_000;

/// A profile that nobody asks for is dropped, and its tokens zeroed, after this time. Also the longest that one is
/// used while Auth0 is down.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// A kept profile that serves is not withheld for longer than this while Auth0 is slow to bring a newer one: callers'
/// deadlines are often a second or two.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long Auth0's word that there is no such user is believed.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);

/// Keeps profiles. `None` is a user whom Auth0 does not know.
pub(super) struct Profiles {
    kept: Cache<UserId, Option<Arc<Profile>>, Auth0Error>,
    users: Arc<Users>,
    ttl: Duration,
    metrics: Arc<Metrics>,
}

impl Profiles {
    pub(super) fn new(users: Users, ttl: Duration, metrics: Arc<Metrics>) -> Self {
        let kept = Cache::new(CAPACITY, IDLE, Rest::NONE);
        Self { kept, users: Arc::new(users), ttl, metrics }
    }

    /// See [`super::Auth0::profile`].
    pub(super) async fn get(
        &self,
        user: &UserId,
        need: Need<'_>,
    ) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let mut source = ProfileSource::Cache;
        let judge = |kept: &Loaded<Option<Arc<Profile>>>| self.judge(kept, &need);
        let load = || {
            source = ProfileSource::Auth0;
            let (users, user) = (Arc::clone(&self.users), user.clone());
            async move { users.read(&user, need.urgency).await.map(|profile| profile.map(Arc::new)) }
        };
        let read = self.kept.get(user.clone(), judge, load);
        let outcome = tokio::select! {
            biased;
            outcome = read => outcome,
            // The read goes on, and whoever comes after it gets what it brings.
            Some(kept) = self.stale_while_slow(user, &need) => {
                self.metrics.profile(ProfileSource::Stale);
                return kept.known();
            }
        };
        let outcome = match outcome {
            Err(error) if error.is_transient().is_some() => {
                self.stale(user, &need).ok_or(error).inspect(|_| {
                    source = ProfileSource::Stale;
                })
            }
            outcome => outcome,
        };
        self.metrics.profile(source);
        outcome?.known()
    }

    fn judge(&self, kept: &Loaded<Option<Arc<Profile>>>, need: &Need<'_>) -> Use {
        let fit = kept.value.as_deref().map(|profile| (need.fit)(profile, kept.began));
        let ttl = match fit {
            None => UNKNOWN_TTL,
            Some(Fit::Serves) => self.ttl,
            Some(Fit::Lacks) => self.ttl.min(RECHECK),
            Some(Fit::Outdated { since }) => return Use::ReloadSince(since),
        };
        if kept.began.elapsed() < ttl { Use::Take } else { Use::Reload }
    }

    /// While Auth0 gives no answer, a profile that serves goes on serving.
    fn stale(&self, user: &UserId, need: &Need<'_>) -> Option<Loaded<Option<Arc<Profile>>>> {
        let kept = self.kept.peek(user)?;
        let serves = (need.fit)(kept.value.as_deref()?, kept.began) == Fit::Serves;
        (serves && kept.began.elapsed() < IDLE).then_some(kept)
    }

    async fn stale_while_slow(&self, user: &UserId, need: &Need<'_>) -> Option<Loaded<Option<Arc<Profile>>>> {
        tokio::time::sleep(PATIENCE).await;
        self.stale(user, need)
    }

    /// Lets go of what nobody asked for lately.
    pub(super) fn sweep(&self) {
        self.kept.sweep();
    }
}

impl Loaded<Option<Arc<Profile>>> {
    fn known(self) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        let Self { value, began } = self;
        value.map(|value| Loaded { value, began }).ok_or(Auth0Error::UserNotFound)
    }
}
