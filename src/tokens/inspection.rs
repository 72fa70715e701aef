//! What a provider says of an identity's newest token, for whoever wants to know. Renews nothing.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    IdentitySnapshot, Selected, StoredState, TokenError, TokenRequest, TokenStatus, Tokens,
    rejected::Introspection,
};
use crate::{
    auth0::Acceptance,
    deadline::Stage,
    identity::Profile,
    provider_client::{ProviderError, Told},
    shares::Overload,
};

/// Profiles that one search for the newest token reads at most: another one as long as the last is older than
/// what the store knows.
const MOST_READS: usize = 3;

/// An identity whose newest token is known.
pub struct NewestToken {
    snapshot: IdentitySnapshot,
    stored: Arc<StoredState>,
    durable: bool,
}

impl NewestToken {
    /// Whose it is.
    pub fn selected(&self) -> &Selected {
        &self.snapshot.selected
    }

    /// Where the token stands.
    pub fn status(&self) -> TokenStatus<'_> {
        TokenStatus::of(&self.snapshot, Some(&self.stored), self.durable)
            .expect("it was judged when it was found")
    }
}

impl Tokens {
    /// The newest token of an identity, and what the provider says of it.
    ///
    /// # Errors
    /// When no single identity is meant, or the provider does not tell.
    pub async fn inspect(
        self: &Arc<Self>,
        request: &TokenRequest<'_>,
    ) -> Result<(NewestToken, Told), TokenError> {
        let newest = self.newest(request, None).await?;
        let asked = Instant::now();
        let told = self.ask(request, &newest).await?;
        if !matches!(told, Told::Active(_))
            && let Some(later) = Box::pin(self.after_a_login(request, &newest, asked)).await
        {
            let told = Box::pin(self.ask(request, &later)).await?;
            return Ok((later, told));
        }
        Ok((newest, told))
    }

    /// The identity that is meant, in a profile that was read at `since` or later.
    pub(super) async fn select(
        &self,
        request: &TokenRequest<'_>,
        since: Option<Instant>,
    ) -> Result<Selected, TokenError> {
        let judge = |profile: &Profile, began: Instant| match since.filter(|since| began < *since) {
            Some(since) => Acceptance::Stale { since },
            None if request.select(profile).is_ok() => Acceptance::Accept,
            None => Acceptance::Insufficient,
        };
        let profile = self.read(request, judge).await?;
        let selected = request.selected(&profile)?;
        request.ctx.audit().found(selected.identity());
        Ok(selected)
    }

    async fn newest(
        &self,
        request: &TokenRequest<'_>,
        mut since: Option<Instant>,
    ) -> Result<NewestToken, TokenError> {
        for _ in 0..MOST_READS {
            let selected = self.select(request, since).await?;
            let token = match selected.identity().token.clone() {
                Some(token) => token,
                None => self.vault_token(request, selected.clone()).await?.token,
            };
            let snapshot = self.snapshot(selected, token);
            let stored = self.load(&snapshot).await?;
            match self.status(&snapshot, Some(&stored)) {
                Ok(status) => {
                    request.ctx.audit().uses(&status.token().access);
                    return Ok(NewestToken { snapshot, stored, durable: self.is_durable() });
                }
                Err(stale) => since = Some(stale.since),
            }
        }
        // Others kept writing meanwhile.
        Err(TokenError::Overloaded(Overload::Exhausted))
    }

    /// The identity as Auth0 has it now, where that shows another token than the one that the provider,
    /// `asked` about it, did not call active.
    async fn after_a_login(
        &self,
        request: &TokenRequest<'_>,
        dead: &NewestToken,
        asked: Instant,
    ) -> Option<NewestToken> {
        let token = dead.status().token().access.fingerprint();
        let since = self.rejection(request, &dead.status()).map_or(asked, |it| it.since);
        let same = dead.selected().identity().selector();
        let request = TokenRequest { selector: &same, ..*request };
        let later = self.newest(&request, Some(since)).await.ok()?;
        let is_another = later.status().token().access.fingerprint() != token;
        is_another.then_some(later)
    }

    /// Asks, and remembers the answer.
    async fn ask(&self, request: &TokenRequest<'_>, newest: &NewestToken) -> Result<Told, TokenError> {
        let (identity, deadline) = (newest.selected().identity(), request.ctx.deadline());
        let error = |error| TokenError::provider(identity, error);
        let client = newest.snapshot.client.as_ref().ok_or_else(|| error(ProviderError::Unsupported))?;
        let _place = client.places.take(request.ctx.holder(), 1).map_err(TokenError::Overloaded)?;
        deadline.enter(Stage::Provider);
        let (token, began) = (newest.status().token(), Instant::now());
        let told = client.inspect(&token.access, deadline.at(), &self.metrics).await;
        let mut told = told.map_err(|cause| {
            if Instant::now() >= deadline.at() { TokenError::Late(Stage::Provider) } else { error(cause) }
        })?;
        let (fingerprint, word) = (token.access.fingerprint(), told.word());
        self.rejected.told(fingerprint, word, began);
        // What has ended is never handed out again in any case.
        if word == Introspection::Active || !token.has_ended() {
            self.record(newest.selected(), fingerprint, word).await;
        }
        // Scopes are the one text of the provider's that is passed on.
        let own = [&token.access, &newest.snapshot.token.access];
        if let Told::Active(inspected) = &mut told {
            inspected.scopes.retain(|scope| !own.iter().any(|own| scope.contains(own.expose())));
        }
        Ok(told)
    }
}

impl Told {
    pub(super) fn word(&self) -> Introspection {
        match self {
            Self::Active(_) => Introspection::Active,
            Self::Inactive => Introspection::Inactive,
            Self::NotKnown { .. } => Introspection::NotKnown,
        }
    }
}
