//! Tokens out of Token Vault, for identities whose profile has none.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Broker, live_token::Wanted};
use crate::{
    auth0::{Fit, Need, Subject},
    error::Error,
    identity::{Identity, StoredToken},
    renewal::Lifeless,
};

impl Broker {
    /// A token of `identity` that lives as long as is wanted; on the word of the end user who calls, if one does.
    ///
    /// # Errors
    /// When the vault gives none, or none that will do: it renews a token only when that has ended.
    pub(super) async fn vault_token(
        &self,
        identity: &Identity,
        wanted: &Wanted<'_>,
    ) -> Result<Arc<StoredToken>, Error> {
        let fit = |token: &StoredToken, began: Instant| match self.unfit_for(token, wanted) {
            None => Fit::Serves,
            Some((_, Some(since))) if began < since => Fit::Outdated { since },
            Some(_) => Fit::Lacks,
        };
        let subject = wanted.end_user.map_or(Subject::Worker, Subject::EndUser);
        let (user, connection, account_id) = (wanted.user, identity.connection(), identity.account_id());
        let ask = async || {
            let need = Need { fit: &fit };
            let token = self.auth0.vault_token(user, connection, account_id, subject, need).await;
            token.map_err(|cause| Error::Vault {
                provider: identity.provider.clone(),
                connection: connection.to_owned(),
                cause,
            })
        };
        let mut loaded = ask().await?;
        // A first exchange may be one that was under way before the token was refused: then one more tells.
        if matches!(fit(&loaded.value, loaded.began), Fit::Outdated { .. }) {
            loaded = ask().await?;
        }
        match self.unfit_for(&loaded.value, wanted) {
            None => Ok(loaded.value),
            Some((lifeless, _)) => Err(self.reauthentication(identity, lifeless)),
        }
    }

    /// Why a token of the vault will not do, and since when it is refused if it is.
    fn unfit_for(&self, token: &StoredToken, wanted: &Wanted<'_>) -> Option<(Lifeless, Option<Instant>)> {
        if let Some(since) = self.refusals.since(token.access.fingerprint(), wanted.rejected) {
            return Some((Lifeless::Refused, Some(since)));
        }
        Some((Lifeless::by_time(token.expiry, wanted.min_validity)?, None))
    }
}
