//! The end of an identity's tokens: at the provider, and here.

use std::{slice, sync::Arc};

use tokio::time::Instant;

use super::{
    Known, Renewals, Standing, Subject, Trouble,
    flight::{RENEWAL_TIMEOUT, STORE_OTHERS, Target, Works},
    lease::{self, Turn},
};
use crate::{
    cache::Loaded,
    identity::StoredToken,
    provider::{Ends, Held, Revocation},
    store::{Record, StoreError},
};

/// Revocations under way at the same time, each for 20 s at a lease and as long at the provider, at most.
pub(super) const AT_ONCE: usize = 64;

/// Why an identity's tokens were not revoked, or not all of them.
#[derive(Clone, Debug)]
pub enum RevocationError {
    /// Too many revocations at once.
    Overloaded,
    /// Another replica has worked on this identity for too long.
    Busy,
    /// The provider did not do it.
    Provider(Trouble),
    /// The store gave no answer. If the provider was asked before, trying again finds the token dead.
    Store(StoreError),
}

impl From<StoreError> for RevocationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is known after the provider was asked, and whether all of it went well.
type Outcome = (Arc<Known>, Result<(), RevocationError>);

impl Renewals {
    /// Has the provider revoke an identity's tokens, those that were renewed here and that of the profile, and
    /// remembers never to use them again. Goes on when the caller leaves: what a provider was asked cannot be taken back,
    /// and must be known here.
    ///
    /// # Errors
    /// See [`RevocationError`]. The tokens are as they were, unless it says otherwise.
    ///
    /// # Panics
    /// When the revocation panicked.
    pub async fn revoke(self: &Arc<Self>, subject: Subject<'_>) -> Result<(), RevocationError> {
        let target = Target::of(subject).ok_or(RevocationError::Provider(Trouble::Unsupported))?;
        let place =
            Arc::clone(&self.revoking).try_acquire_owned().map_err(|_| RevocationError::Overloaded)?;
        let renewals = Arc::clone(self);
        let task = self.works.under_way.spawn(async move {
            let _place = place;
            renewals.carry_out(&target).await
        });
        task.await.expect("a revocation does not panic")
    }

    async fn carry_out(&self, target: &Target) -> Result<(), RevocationError> {
        let kept = self.known.peek(&target.key).map(|kept| kept.value);
        let lease = match self.works.turn(target, kept.as_ref(), |_| false).await? {
            Turn::Ours(lease) => lease,
            Turn::Others(_) => return Err(RevocationError::Busy),
        };
        let work = self.works.revoke(target, kept.as_ref());
        let (known, outcome) = lease::holding(&self.works.store, lease, work).await?;
        let began = known.since;
        self.known.put(&target.key, Loaded { value: known, began });
        outcome
    }
}

impl Works {
    /// Under the lease: nobody else renews or revokes now.
    async fn revoke(&self, target: &Target, kept: Option<&Arc<Known>>) -> Result<Outcome, RevocationError> {
        let known = self.look(&target.user, &target.key, kept).await?;
        let newest = self.newest_profile(target).await;
        let profile = newest.map_or_else(|| Arc::clone(&target.profile), |(token, _)| token);
        let told = self.tell_provider(target, &profile, &known).await?;
        let newest = known.token().unwrap_or(&profile).access.fingerprint();
        let (provider, connection) = (&target.client.name, &target.key.connection);
        tracing::info!(provider, connection, token = %newest, "Revoked a token");

        let origin = profile.access.fingerprint();
        let change = |before: &Record| revoked(before, &profile);
        let stored = self.swap(&target.user, &target.key, &known, change, |_| false, STORE_OTHERS).await;
        let forgotten = |why| {
            let known = Known::new(known.generation, change(&known.record), Instant::now());
            Ok((Arc::new(known), Err(why)))
        };
        match stored {
            Ok(known) if known.record.revoked && known.record.descends_from == Some(origin) => {
                Ok((known, told.map_err(RevocationError::Provider)))
            }
            // It is remembered by this replica alone.
            Ok(_) => forgotten(RevocationError::Busy),
            Err(error) => forgotten(RevocationError::Store(error)),
        }
    }

    /// Has the provider end the newest tokens and, where that does not end the grant, all others that are known.
    ///
    /// # Errors
    /// When the newest were not ended. Within the success, when others were not.
    async fn tell_provider(
        &self,
        target: &Target,
        profile: &Arc<StoredToken>,
        known: &Known,
    ) -> Result<Result<(), Trouble>, RevocationError> {
        let client = &target.client;
        let deadline = Instant::now() + RENEWAL_TIMEOUT;
        let ends = client.adapter.revocation().map(Revocation::ends);
        let ends = ends.map_err(|lack| RevocationError::Provider(client.lacks(lack)))?;
        let held = all_held(profile, known);
        let (newest, others) = held.split_first().expect("the profile's token is always held");
        let newest = client.revoke(*newest, deadline, &self.metrics).await;
        newest.map_err(RevocationError::Provider)?;
        let others = if ends == Ends::Grant { <&[Held<'_>]>::default() } else { others };
        let mut told = Ok(());
        for held in others {
            told = told.and(client.revoke(*held, deadline, &self.metrics).await);
        }
        Ok(told)
    }
}

/// All tokens of an identity, the newest first. Refresh tokens that were renewed from go with those that came of them.
fn all_held<'a>(profile: &'a Arc<StoredToken>, known: &'a Known) -> Vec<Held<'a>> {
    // Both are to end, so that it does not matter which is the newer one.
    let standing = Standing::of(profile, Instant::now(), Some(known));
    let refresh = standing.ok().and_then(|standing| standing.refresh(false));
    let newest = standing.map_or(profile, |standing| standing.token());
    let mut all = vec![Held { access: &newest.access, refresh }];
    let renewed = known.token().map(|token| Held { access: &token.access, refresh: token.refresh.as_ref() });
    let own = Held { access: &profile.access, refresh: None };
    for held in renewed.iter().chain(slice::from_ref(&own)) {
        if held.access.fingerprint() != newest.access.fingerprint() {
            all.push(*held);
        }
    }
    all
}

/// What is to be remembered after `before`: that what the profile shows is of no use, nor what came of it. No refresh token
/// is kept, since its grant may have ended with it.
fn revoked(before: &Record, profile: &StoredToken) -> Record {
    let origin = profile.access.fingerprint();
    let mut record = Record {
        revoked: true,
        descends_from: Some(origin),
        refused: before.refused.clone(),
        ..Record::default()
    };
    let renewed = before.tokens.as_ref().map(|tokens| tokens.access.fingerprint());
    for token in renewed.into_iter().chain([origin]) {
        record.refuse(token);
    }
    record
}
