//! What is remembered of a renewal that failed, and when the next one may be tried.

use std::time::{Duration, SystemTime};

use crate::{
    store::{Failure, Record},
    token::Fingerprint,
};

/// The first backoff, doubling up to [`MOST`].
const FIRST: Duration = Duration::from_secs(5);

/// The longest backoff that the provider did not ask for.
const MOST: Duration = Duration::from_secs(5 * 60);

/// The longest backoff that a provider can ask for: its limits are by the hour at most.
pub(in crate::tokens) const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// A renewal that did not happen, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RenewalFailure {
    /// The grant is dead, by the provider's word.
    Dead {
        /// The provider's code.
        code: &'static str,
        /// The access token, where it is what the provider speaks of: then it is dead too.
        token: Option<Fingerprint>,
    },
    /// It may pass.
    Transient {
        /// A word for it.
        reason: &'static str,
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
}

impl RenewalFailure {
    /// `record`, with this remembered.
    pub(super) fn added_to(&self, mut record: Record) -> Record {
        record.failure = Some(self.after(record.failure.as_ref()));
        if let Self::Dead { token: Some(token), .. } = self {
            record.refuse(*token);
        }
        record
    }

    /// What to remember after `previous`, if that was a failure too. The provider's word stands: whoever
    /// slept through it does not know better.
    fn after(&self, previous: Option<&Failure>) -> Failure {
        let count = previous.map_or(0, |failure| failure.count).saturating_add(1);
        match (self, previous) {
            (Self::Transient { .. }, Some(dead)) if dead.permanent => dead.clone(),
            (Self::Dead { code, .. }, _) => Failure {
                count,
                retry_at: SystemTime::UNIX_EPOCH,
                reason: (*code).to_owned(),
                permanent: true,
            },
            (Self::Transient { reason, retry_after }, _) => Failure {
                count,
                retry_at: SystemTime::now() + backoff(count, *retry_after),
                reason: (*reason).to_owned(),
                permanent: false,
            },
        }
    }

    /// The word for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Dead { .. } => "grant_dead",
            Self::Transient { reason, .. } => reason,
        }
    }
}

/// Half to all of the nominal backoff, so that identities whose provider failed do not come back together.
fn backoff(count: u32, retry_after: Option<Duration>) -> Duration {
    let nominal = FIRST.saturating_mul(1 << count.saturating_sub(1).min(16)).min(MOST);
    let jittered = nominal.mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(retry_after.unwrap_or_default().min(LONGEST_BACKOFF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_double_from_5_s_to_5_min_and_heed_the_provider() {
        for (count, wish, least, most) in [
            (1, None, 2.5, 5.0),
            (2, None, 5.0, 10.0),
            (4, None, 20.0, 40.0),
            (7, None, 150.0, 300.0),
            (u32::MAX, None, 150.0, 300.0),
            (1, Some(60), 60.0, 60.0),
            (1, Some(1), 2.5, 5.0),
            (1, Some(86_400), 3600.0, 3600.0),
        ] {
            for _ in 0..100 {
                let backoff = backoff(count, wish.map(Duration::from_secs)).as_secs_f64();
                assert!((least..=most).contains(&backoff), "{count} {wish:?}: {backoff}");
            }
        }
    }

    #[test]
    fn only_the_providers_word_is_permanent_and_failures_are_counted() {
        let passing = RenewalFailure::Transient { reason: "unavailable", retry_after: None };
        let first = passing.after(None);
        let second = passing.after(Some(&first));
        assert_eq!((first.count, second.count, second.permanent), (1, 2, false));
        let dead = RenewalFailure::Dead { code: "invalid_grant", token: None }.after(Some(&second));
        assert_eq!((dead.count, dead.permanent, dead.reason.as_str()), (3, true, "invalid_grant"));
        assert_eq!(passing.after(Some(&dead)), dead);
    }

    #[test]
    fn an_access_token_that_the_provider_calls_dead_is_refused_from_then_on() {
        let token = Fingerprint::of("a");
        for (token, refused) in [(Some(token), vec![token]), (None, Vec::new())] {
            let record = RenewalFailure::Dead { code: "190", token }.added_to(Record::default());
            assert_eq!(
                (record.failure.is_some_and(|failure| failure.permanent), record.refused),
                (true, refused)
            );
        }
    }
}
