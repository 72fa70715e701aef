//! Every memory of a refused token that this process has, behind one question. What the store remembers besides is part of
//! the identity's record.
//!
//! A refusal is as wide as its evidence. The provider's own word, asked for, counts for everybody. A caller's report, or an
//! answer of 401 that the provider did not confirm, counts for the caller that met it: some answers of 401 are not about the
//! token, but tell of an endpoint that takes no user's token, or of an incident.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::policy::EvictionPolicy;
use tokio::time::Instant;

use crate::{
    cache::{Backoff, Cache, Loaded, Lookup},
    caller::{Caller, CallerId},
    token::Fingerprint,
};

/// The number of tokens about which a provider was asked, and of tokens that callers reported; about 200 bytes each. A refused
/// token leaves Auth0's profile at the user's next login, so the oldest entries are the least likely to matter.
const CAPACITY: u64 = 50_000;

/// How long a caller's report is believed, and how long the provider's word is kept. A token that is dead is refused
/// again, at the cost of one request; one that is not must not be lost until the user's next login, which for GitHub may be
/// never.
const BELIEVED: Duration = Duration::from_secs(15 * 60);

/// How long a provider's word answers for the present: an endpoint that refuses a living token costs one question a minute,
/// and a token that dies meanwhile may be handed out for so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The most callers whose reports of one token are remembered. The others are refused by the provider once more.
const MOST_CALLERS: usize = 64;

/// What a provider that is asked says of a token (RFC 7662's word for asking).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Introspection {
    /// It accepts the token.
    Active,
    /// It does not.
    Inactive,
    /// Nothing certain: it cannot be asked, does not answer, or may not know the token for another reason.
    Unknown,
}

/// A token that will not do for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// Since when. The first refusal counts, so that many callers who learn of it one after the other share one new read
    /// of the profile.
    pub(super) since: Instant,
    /// Whether the provider itself has said so, and not just an answer to a caller.
    pub(super) is_confirmed: bool,
}

/// See the module's documentation.
pub(super) struct RejectedTokens {
    /// What providers said, one question however many callers.
    words: Cache<Fingerprint, Introspection, Infallible>,
    reports: moka::sync::Cache<Fingerprint, Arc<Report>>,
}

/// That callers were refused with a token.
struct Report {
    since: Instant,
    callers: Mutex<Vec<CallerId>>,
}

impl Default for RejectedTokens {
    fn default() -> Self {
        let reports = moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(BELIEVED);
        Self {
            words: Cache::new(CAPACITY, BELIEVED, Backoff::NONE),
            reports: reports.eviction_policy(EvictionPolicy::lru()).build(),
        }
    }
}

impl RejectedTokens {
    /// Whether `token` will not do for `caller`, who reports it now or does not. What the store has known
    /// since `accepted`, that the token is not refused, takes an earlier word back: another replica has asked
    /// again.
    pub(super) fn rejection(
        &self,
        token: Fingerprint,
        caller: &Caller,
        is_reported: bool,
        accepted: Option<Instant>,
    ) -> Option<Rejection> {
        // Hardly any token is refused. A mere look costs a third of a read, of which moka keeps a record.
        if !is_reported && !self.words.contains(&token) && !self.reports.contains_key(&token) {
            return None;
        }
        let word = self.words.peek(&token);
        let counts = |word: &&Loaded<Introspection>| {
            word.value == Introspection::Inactive && accepted.is_none_or(|accepted| accepted <= word.began)
        };
        if let Some(word) = word.as_ref().filter(counts) {
            return Some(Rejection { since: word.began, is_confirmed: true });
        }
        if is_reported {
            // Only a token that is really at hand is remembered: reports of others cannot fill the memory.
            return Some(Rejection { since: self.report(token, caller).since, is_confirmed: false });
        }
        let report = self.reports.get(&token).filter(|report| !report.is_over())?;
        // The provider has said since then that the token is active.
        let is_refuted =
            word.is_some_and(|word| word.value == Introspection::Active && word.began >= report.since);
        let counts = !is_refuted && report.is_of(caller);
        counts.then_some(Rejection { since: report.since, is_confirmed: false })
    }

    /// What the provider says of `token`, asked with `ask` unless it was asked just now.
    pub(super) async fn introspect<F>(&self, token: Fingerprint, ask: impl FnOnce() -> F) -> Introspection
    where
        F: Future<Output = Introspection> + Send + 'static,
    {
        let load = |_: Option<&Introspection>, _| {
            let word = ask();
            async move { Ok(word.await) }
        };
        let Ok(Loaded { value, .. }) = self.words.get(&token, is_recent, load).await;
        value
    }

    /// Remembers what the provider was found to say.
    pub(super) fn told(&self, token: Fingerprint, word: Introspection, began: Instant) {
        self.words.put(&token, Loaded { value: word, began });
    }

    fn report(&self, token: Fingerprint, caller: &Caller) -> Arc<Report> {
        let new = || Arc::new(Report { since: Instant::now(), callers: Mutex::default() });
        let report = self.reports.entry(token).or_insert_with_if(new, |old| old.is_over()).into_value();
        report.add(caller);
        report
    }
}

fn is_recent(kept: &Loaded<Introspection>) -> Lookup {
    if kept.began.elapsed() < ASK_AGAIN { Lookup::Hit } else { Lookup::Miss }
}

impl Report {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= BELIEVED
    }

    /// Where callers are not told apart, a report counts for the call that makes it and no other.
    fn add(&self, caller: &Caller) {
        if matches!(caller, Caller::Anonymous) {
            return;
        }
        let id = caller.id();
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() < MOST_CALLERS && !callers.contains(&id) {
            callers.push(id);
        }
    }

    fn is_of(&self, caller: &Caller) -> bool {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).contains(&caller.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "token";

    fn service(id: &str) -> Caller {
        Caller::Service { id: id.to_owned() }
    }

    async fn asked(rejected: &RejectedTokens, word: Introspection) -> Introspection {
        rejected.introspect(Fingerprint::of(TOKEN), || async move { word }).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_as_wide_as_its_evidence() {
        let (rejected, token) = (RejectedTokens::default(), Fingerprint::of(TOKEN));
        let (calendar, mail) = (service("calendar"), service("mail"));
        let of = |caller: &Caller| rejected.rejection(token, caller, false, None);
        assert_eq!((of(&calendar), of(&mail)), (None, None));

        let reported = rejected.rejection(token, &calendar, true, None).expect("it was just reported");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((of(&calendar), of(&mail), of(&Caller::Anonymous)), (Some(reported), None, None));
        assert!(!reported.is_confirmed);

        asked(&rejected, Introspection::Inactive).await;
        assert!([&calendar, &mail, &Caller::Anonymous].iter().all(|c| of(c).is_some_and(|r| r.is_confirmed)));
        tokio::time::advance(ASK_AGAIN).await;
        asked(&rejected, Introspection::Active).await;
        assert_eq!((of(&calendar), of(&mail)), (None, None), "the provider takes a refusal back");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_told_apart_reports_for_one_call_only() {
        let (rejected, token) = (RejectedTokens::default(), Fingerprint::of(TOKEN));
        let of = |is_reported| rejected.rejection(token, &Caller::Anonymous, is_reported, None);
        let first = of(true).expect("it was just reported");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((of(false), of(true)), (None, Some(first)), "the first refusal counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_is_believed_for_a_quarter_of_an_hour() {
        let (rejected, token, calendar) =
            (RejectedTokens::default(), Fingerprint::of(TOKEN), service("calendar"));
        let of = |is_reported| rejected.rejection(token, &calendar, is_reported, None);
        let first = of(true).expect("it was just reported");
        tokio::time::advance(BELIEVED - Duration::from_secs(1)).await;
        assert_eq!((of(false), of(true)), (Some(first), Some(first)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(of(false), None);
        assert!(of(true).is_some_and(|second| second.since > first.since));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_replica_heard_later_takes_a_refusal_back() {
        let (rejected, token) = (RejectedTokens::default(), Fingerprint::of(TOKEN));
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        asked(&rejected, Introspection::Inactive).await;
        let of = |accepted| rejected.rejection(token, &Caller::Anonymous, false, accepted);
        assert!(of(None).is_some() && of(Some(before)).is_some());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(of(Some(Instant::now())), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_is_asked_once_a_minute_about_a_token() {
        let rejected = RejectedTokens::default();
        assert_eq!(asked(&rejected, Introspection::Active).await, Introspection::Active);
        assert_eq!(asked(&rejected, Introspection::Inactive).await, Introspection::Active);
        tokio::time::advance(ASK_AGAIN).await;
        assert_eq!(asked(&rejected, Introspection::Inactive).await, Introspection::Inactive);
    }
}
