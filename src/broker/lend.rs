//! GetIdentityToken.

use std::time::Duration;

use super::{Broker, LiveToken, live_token::Wanted};
use crate::{
    deadline::Deadline,
    error::Error,
    identity::Selector,
    policy::{GetIdentityToken, Permit},
    token::{Fingerprint, RefreshToken},
};

/// Which token is wanted.
#[derive(Clone, Debug)]
pub struct Lend {
    /// Of which identity.
    pub selector: Selector,
    /// How long it must live.
    pub min_validity: Duration,
    /// One that the provider has just refused.
    pub rejected: Option<Fingerprint>,
}

/// A token that is lent.
#[derive(Debug)]
pub struct Lent {
    /// The access token, and whose it is.
    pub live: LiveToken,
    /// The refresh token, where the permit includes it and there is one.
    pub refresh: Option<RefreshToken>,
}

impl Broker {
    /// A token of the permit's user that lives at least as long as asked for.
    ///
    /// # Errors
    /// When there is no such token, or Auth0 gives no usable answer.
    pub async fn lend(
        &self,
        permit: &Permit<GetIdentityToken>,
        lend: &Lend,
        deadline: &Deadline,
    ) -> Result<Lent, Error> {
        let wanted = Wanted::by(permit, &lend.selector, lend.min_validity);
        let wanted = Wanted { rejected: lend.rejected, ..wanted };
        let live = self.live_token(&wanted, deadline).await?;
        let refresh = live.token().refresh.clone().filter(|_| permit.action().refresh_token);
        Ok(Lent { live, refresh })
    }
}
