//! Another token in the place of one that a provider refused in an answer.

use std::sync::Arc;

use super::{LiveToken, Plan, TokenError, TokenRequest, Tokens, rejected::Introspection};

/// What came of a refusal.
pub enum Replacement {
    /// This token is another one.
    Another(LiveToken),
    /// The provider says that the token is active: the refusal was not about the token.
    StillActive,
}

impl Tokens {
    /// Another token than `live`, which the provider has just refused. Whoever comes late with an old token
    /// gets the newer one; then the provider is asked, once for all callers, and only what is not active is
    /// replaced.
    ///
    /// # Errors
    /// When there is no other token.
    pub async fn replace(
        self: &Arc<Self>,
        live: &LiveToken,
        request: &TokenRequest<'_>,
    ) -> Result<Replacement, TokenError> {
        // The new profile may offer another identity to the same selector: another account, or another
        // provider's token.
        let same = live.identity().selector();
        let request = TokenRequest { selector: &same, rejected: Some(live.fingerprint()), ..*request };
        if let Some(newer) = self.newer(live, &request).await {
            return Ok(Replacement::Another(newer));
        }
        if self.says_active(live).await {
            return Ok(Replacement::StillActive);
        }
        self.get(&request).await.map(Replacement::Another)
    }

    /// Whether the provider, asked about a token that it refused, says that it is active.
    pub async fn says_active(self: &Arc<Self>, live: &LiveToken) -> bool {
        let Some(client) = self.providers.of(live.identity()) else { return false };
        self.introspect(client, &live.selected, &live.token.access).await == Introspection::Active
    }

    /// A token that is newer than `live` and known already.
    async fn newer(&self, live: &LiveToken, request: &TokenRequest<'_>) -> Option<LiveToken> {
        let profile = self.profile(request, None).await.ok()?;
        let selected = request.selected(&profile).ok()?;
        let token = selected.identity().token.clone()?;
        let snapshot = self.snapshot(selected, token);
        let stored = self.load(&snapshot).await.ok()?;
        let status = self.status(&snapshot, Some(&stored)).ok()?;
        if status.token().access.fingerprint() == live.fingerprint() {
            return None;
        }
        let requirement = request.requirement(&status, self.rejection(request, &status));
        (status.plan(&requirement) == Ok(Plan::Use)).then(|| {
            request.ctx.audit().uses(&status.token().access);
            LiveToken::of(&snapshot, &status)
        })
    }
}
