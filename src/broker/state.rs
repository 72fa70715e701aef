//! What callers are told about an identity.

use std::time::Duration;

use super::{Broker, LiveToken};
use crate::{
    identity::{Identity, UserId},
    token::{Expiry, Freshness},
};

/// Whether the service can act for an identity now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A token is at hand.
    Active,
    /// The user must log in through the provider again.
    ReauthenticationRequired,
    /// Auth0 holds no token.
    NoToken,
}

/// An identity without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityView {
    /// Whose it is.
    pub user: UserId,
    /// The Auth0 strategy.
    pub provider: String,
    /// The Auth0 connection.
    pub connection: String,
    /// The provider's own id of the account.
    pub account_id: String,
    /// Whether Auth0 counts the connection as social.
    pub is_social: bool,
    /// Whether it can be used.
    pub state: State,
    /// When its token ends, as far as is known.
    pub expiry: Option<Expiry>,
}

impl IdentityView {
    fn new(user: &UserId, identity: &Identity, state: State) -> Self {
        Self {
            user: user.clone(),
            provider: identity.provider.clone(),
            connection: identity.connection.clone(),
            account_id: identity.account_id.clone(),
            is_social: identity.is_social,
            state,
            expiry: identity.token.as_ref().and_then(|token| token.expiry),
        }
    }
}

impl LiveToken {
    /// Describes the token's identity, which is active: that was judged when the token was chosen.
    pub fn view(&self) -> IdentityView {
        IdentityView::new(self.user(), self.selected().identity, State::Active)
    }
}

impl Broker {
    /// Describes `identity` as it stands now.
    pub fn view(&self, user: &UserId, identity: &Identity) -> IdentityView {
        IdentityView::new(user, identity, self.state(identity))
    }

    fn state(&self, identity: &Identity) -> State {
        let Some(token) = &identity.token else { return State::NoToken };
        let refused = self.refusals.since(token.access.fingerprint(), None).is_some();
        match Freshness::of(token.expiry, Duration::ZERO) {
            Freshness::Live if !refused => State::Active,
            _ => State::ReauthenticationRequired,
        }
    }
}
