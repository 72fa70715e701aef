//! RevokeIdentityToken.

use super::{Broker, IdentityView, found};
use crate::{
    deadline::{Deadline, Stage},
    error::Error,
    identity::Selector,
    policy::{Permit, RevokeIdentityToken},
    renewal::RevocationError,
};

const OPERATION: &str = "RevokeIdentityToken";

impl Broker {
    /// Revokes the tokens of an identity of the permit's user at the provider, and forgets them here; the identity as it
    /// is afterwards. Revoking a dead token is no error.
    ///
    /// # Errors
    /// When the provider did not do it, or it could not be remembered.
    pub async fn revoke(
        &self,
        permit: &Permit<RevokeIdentityToken>,
        selector: &Selector,
        deadline: &Deadline,
    ) -> Result<IdentityView, Error> {
        let found = self.find(permit, selector, None, deadline).await?;
        let identity = found.identity();
        if identity.token.is_none() {
            // Auth0 would give the token out again: its vault forgets an account only when the user disconnects it.
            let provider = Some(identity.provider.clone());
            return Err(Error::OperationUnsupported { provider, operation: OPERATION });
        }
        let client = &self.entry_for(identity, OPERATION)?.client;
        let unable = |trouble| found::error(identity, OPERATION, trouble);
        client.adapter.revocation().map_err(|lack| unable(client.lacks(lack)))?;
        // For the record: of a token that was renewed, the profile has a predecessor.
        let known = self.renewals.known(found.subject(None)).await.ok();
        let newest = known.as_ref().and_then(|known| found.standing(known).ok());
        permit.trail().uses(newest.as_ref().map_or(&found.token().access, |newest| &newest.token().access));
        deadline.enter(Stage::Provider);
        self.renewals.revoke(found.subject(Some(client))).await.map_err(|error| match error {
            RevocationError::Provider(trouble) => unable(trouble),
            RevocationError::Store(error) => Error::Store(error),
            RevocationError::Busy => Error::DeadlineExceeded(Stage::Renewal),
            RevocationError::Overloaded => Error::Overloaded,
        })?;
        Ok(self.view(found.user(), identity, found.read).await)
    }
}
