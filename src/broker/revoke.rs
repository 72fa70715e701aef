//! RevokeIdentityToken.

use std::time::Duration;

use super::{Broker, Error, IdentityView};
use crate::{
    context::Authorized,
    identity::Selector,
    policy::{Permit, RevokeIdentityToken},
    rpc::Rpc,
    tokens::TokenRequest,
};

impl Broker {
    /// Revokes the tokens of an identity of the permit's user at the provider, and forgets them here; the
    /// identity as it is afterwards. Revoking a dead token is no error.
    ///
    /// # Errors
    /// When the provider did not do it, or it could not be remembered.
    pub async fn revoke(
        &self,
        call: &Authorized<'_, Permit<RevokeIdentityToken>>,
        selector: &Selector,
    ) -> Result<IdentityView, Error> {
        let request = TokenRequest::of(call, selector, Duration::ZERO);
        let revoked = self.tokens.revoke(&request).await;
        let selected = revoked.map_err(|error| self.error(error, Rpc::RevokeIdentityToken.name()))?;
        let summary = self.tokens.summary(call.ctx().caller(), &selected).await;
        Ok(IdentityView::new(&selected, summary))
    }
}
