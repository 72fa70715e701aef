//! Tokens out of Token Vault, for identities whose profile has none.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    LiveToken, Owner, Selected, TokenError, TokenRequest, Tokens, Unusable, rejected::Rejection,
    status::Blocker,
};
use crate::{
    auth0::{Acceptance, Subject},
    identity::StoredToken,
    token::TokenType,
};

impl Tokens {
    /// A token of `selected` that meets the request; on the word of the end user who calls, if one does.
    ///
    /// # Errors
    /// When the vault gives none, or none that will do: it renews a token only when that has ended.
    pub(super) async fn vault_token(
        &self,
        request: &TokenRequest<'_>,
        selected: Selected,
    ) -> Result<LiveToken, TokenError> {
        let judge = |token: &StoredToken, began: Instant| match self.unusable_in_vault(token, request) {
            None if token.token_type == TokenType::Bearer => Acceptance::Accept,
            None => Acceptance::Insufficient,
            Some((_, Some(Rejection { since, .. }))) if began < since => Acceptance::Stale { since },
            Some(_) => Acceptance::Insufficient,
        };
        let subject = request.ctx.caller().access_token().map_or(Subject::Worker, Subject::EndUser);
        let identity = selected.identity();
        let ask = async || {
            let (user, connection, account) = (selected.user(), identity.connection(), identity.account_id());
            let token = self.auth0.vault_token(user, connection, account, subject, &judge).await;
            token.map_err(|cause| TokenError::Vault { owner: Owner::of(identity), cause })
        };
        let mut loaded = ask().await?;
        // A first exchange may be one that was under way before the token was refused: then one more tells.
        if matches!(judge(&loaded.value, loaded.began), Acceptance::Stale { .. }) {
            loaded = ask().await?;
        }
        let token_type = &loaded.value.token_type;
        if *token_type != TokenType::Bearer {
            return Err(TokenError::blocked(
                &selected,
                request.min_validity,
                Blocker::NotBearer(token_type.clone()),
            ));
        }
        match self.unusable_in_vault(&loaded.value, request) {
            Some((why, _)) => Err(TokenError::Unusable { selected, why }),
            None => Ok(LiveToken::of_vault(selected, Arc::clone(&loaded.value))),
        }
    }

    /// Why a token of the vault will not do, with its refusal if that is the reason.
    fn unusable_in_vault(
        &self,
        token: &StoredToken,
        request: &TokenRequest<'_>,
    ) -> Option<(Unusable, Option<Rejection>)> {
        let fingerprint = token.access.fingerprint();
        let is_reported = request.rejected == Some(fingerprint);
        let rejection = self.rejected.rejection(fingerprint, request.ctx.caller(), is_reported, None);
        if rejection.is_some() {
            return Some((Unusable::Refused, rejection));
        }
        Some((Unusable::by_time(token.expiry, request.min_validity)?, None))
    }
}
