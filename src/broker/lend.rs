//! GetIdentityToken.

use std::time::Duration;

use super::{Broker, LiveToken, live_token::Wanted};
use crate::{deadline::Deadline, error::Error, identity::Selector, policy::Permit, token::Fingerprint};

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

impl Broker {
    /// A token of the permit's user that lives at least as long as asked for.
    ///
    /// # Errors
    /// When there is no such token, or Auth0 gives no usable answer.
    pub async fn lend(&self, permit: &Permit, lend: &Lend, deadline: &Deadline) -> Result<LiveToken, Error> {
        let wanted = Wanted {
            user: permit.user(),
            selector: &lend.selector,
            min_validity: lend.min_validity,
            rejected: lend.rejected,
        };
        self.live_token(&wanted, deadline).await
    }
}
