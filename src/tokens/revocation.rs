//! The end of an identity's tokens: at the provider, and here.

use std::{slice, sync::Arc};

use tokio::time::Instant;

use super::{
    IdentitySnapshot, Selected, StoredState, TokenError, TokenRequest, TokenStatus, Tokens,
    renewal::{Renewer, STORE_OTHERS, lease::Acquired, timing::RENEWAL_TIMEOUT},
};
use crate::{
    deadline::Stage,
    identity::StoredToken,
    provider::{Ends, Revocation, TokenPair},
    provider_client::{ProviderClient, ProviderError},
    store::Record,
};

/// Revocations under way at the same time, each for 20 s at a lease and as long at the provider, at most.
pub(super) const AT_ONCE: usize = 64;

/// What is stored after the provider was asked, and whether all of it went well.
type Outcome = (Arc<StoredState>, Result<(), TokenError>);

impl Tokens {
    /// Has the provider revoke an identity's tokens, those that were renewed here and that of the profile,
    /// and remembers never to use them again. Goes on when the caller leaves: what a provider was asked
    /// cannot be taken back, and must be known here. Revoking a dead token is no error.
    ///
    /// # Errors
    /// When the tokens are as they were, unless it says otherwise.
    ///
    /// # Panics
    /// When the revocation panicked.
    pub async fn revoke(self: &Arc<Self>, request: &TokenRequest<'_>) -> Result<Selected, TokenError> {
        let selected = self.select(request, None).await?;
        let identity = selected.identity();
        // Auth0 would give a token of its vault out again: that forgets an account only when the user
        // disconnects it.
        let unsupported = || TokenError::provider(identity, ProviderError::Unsupported);
        let token = identity.token.clone().ok_or_else(unsupported)?;
        let snapshot = self.snapshot(selected.clone(), token);
        let client = snapshot.client.clone().ok_or_else(unsupported)?;
        client.adapter.revocation().map_err(|lack| TokenError::provider(identity, client.lacks(lack)))?;
        self.note_newest(request, &snapshot).await;
        request.ctx.deadline().enter(Stage::Provider);
        let place = self.revoking.take(request.ctx.holder(), 1).map_err(TokenError::Overloaded)?;
        let tokens = Arc::clone(self);
        let task = self.renewer.under_way.spawn(async move {
            let _place = place;
            tokens.carry_out(&snapshot, &client).await
        });
        task.await.expect("a revocation does not panic")?;
        Ok(selected)
    }

    /// For the record: of a token that was renewed, the profile has a predecessor.
    async fn note_newest(&self, request: &TokenRequest<'_>, snapshot: &IdentitySnapshot) {
        let stored = self.load(snapshot).await.ok();
        let status = self.status(snapshot, stored.as_deref());
        let newest = status.map_or(&snapshot.token, |status| status.token());
        request.ctx.audit().uses(&newest.access);
    }

    async fn carry_out(
        &self,
        snapshot: &IdentitySnapshot,
        client: &ProviderClient,
    ) -> Result<(), TokenError> {
        let key = snapshot.selected.key();
        let kept = self.records.peek(key).map(|kept| kept.value);
        let lease = match self.renewer.acquire(&snapshot.selected, kept.as_ref(), |_| false).await? {
            Acquired::Leader(lease) => lease,
            Acquired::Follower(_) => return Err(TokenError::Late(Stage::Renewal)),
        };
        let (stored, outcome) = lease.during(self.renewer.revoke(snapshot, client, kept.as_ref())).await?;
        self.keep(key, stored);
        outcome
    }
}

impl Renewer {
    /// Under the lease: nobody else renews or revokes now.
    async fn revoke(
        &self,
        snapshot: &IdentitySnapshot,
        client: &ProviderClient,
        kept: Option<&Arc<StoredState>>,
    ) -> Result<Outcome, TokenError> {
        let key = snapshot.selected.key();
        let identity = snapshot.selected.identity();
        let stored = self.load(&snapshot.selected, kept).await?;
        let snapshot = self.newest_snapshot(snapshot).await.unwrap_or_else(|| snapshot.clone());
        let told = self.tell_provider(&snapshot, client, &stored).await;
        let told = told.map_err(|error| TokenError::provider(identity, error))?;
        let newest = stored.token().unwrap_or(&snapshot.token).access.fingerprint();
        let (provider, connection) = (&client.name, &key.connection);
        tracing::info!(provider, connection, token = %newest, "Revoked a token");

        let origin = snapshot.token.access.fingerprint();
        let change = |before: &Record| revoked(before, &snapshot.token);
        let swapped = self.swap(&snapshot.selected, &stored, change, |_| false, STORE_OTHERS).await;
        let remembered_here = |why| Ok((stored.remembered_here(change(&stored.record)), Err(why)));
        match swapped {
            Ok(stored) if stored.record.revoked && stored.record.descends_from == Some(origin) => {
                Ok((stored, told.map_err(|error| TokenError::provider(identity, error))))
            }
            Ok(_) => remembered_here(TokenError::Late(Stage::Renewal)),
            Err(error) => remembered_here(TokenError::Store(error)),
        }
    }

    /// Has the provider end the newest tokens and, where that does not end the grant, all others that are
    /// known.
    ///
    /// # Errors
    /// When the newest were not ended. Within the success, when others were not.
    async fn tell_provider(
        &self,
        snapshot: &IdentitySnapshot,
        client: &ProviderClient,
        stored: &StoredState,
    ) -> Result<Result<(), ProviderError>, ProviderError> {
        let deadline = Instant::now() + RENEWAL_TIMEOUT;
        let ends = client.adapter.revocation().map(Revocation::ends).map_err(|lack| client.lacks(lack))?;
        let held = all_held(snapshot, stored);
        let (newest, others) = held.split_first().expect("the profile's token is always held");
        client.revoke(*newest, deadline, &self.metrics).await?;
        let others = if ends == Ends::Grant { <&[TokenPair<'_>]>::default() } else { others };
        let mut told = Ok(());
        for held in others {
            told = told.and(client.revoke(*held, deadline, &self.metrics).await);
        }
        Ok(told)
    }
}

/// All tokens of an identity, the newest first. Revoking a token also revokes the refresh token it was
/// renewed from.
fn all_held<'a>(snapshot: &'a IdentitySnapshot, stored: &'a StoredState) -> Vec<TokenPair<'a>> {
    // Both are to end, so that it does not matter which is the newer one.
    let status = TokenStatus::of(snapshot, Some(stored), true);
    let refresh = status.ok().and_then(|status| status.refresh_token(false));
    let newest = status.map_or(&snapshot.token, |status| status.token());
    let mut all = vec![TokenPair { access: &newest.access, refresh }];
    let renewed =
        stored.token().map(|token| TokenPair { access: &token.access, refresh: token.refresh.as_ref() });
    let own = TokenPair { access: &snapshot.token.access, refresh: None };
    for held in renewed.iter().chain(slice::from_ref(&own)) {
        if held.access.fingerprint() != newest.access.fingerprint() {
            all.push(*held);
        }
    }
    all
}

/// What is to be remembered after `before`: that what the profile shows is of no use, nor what came of it. No
/// refresh token is kept, since its grant may have ended with it.
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
