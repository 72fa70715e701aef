//! An identity as callers see it.

use crate::{
    identity::UserId,
    tokens::{LiveToken, Selected, TokenSummary},
};

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
    /// What is known of its token.
    pub token: TokenSummary,
}

impl IdentityView {
    /// The identity, of whose token `token` is known.
    pub(super) fn new(selected: &Selected, token: TokenSummary) -> Self {
        let identity = selected.identity();
        Self {
            user: selected.user().clone(),
            provider: identity.provider.clone(),
            connection: identity.connection().to_owned(),
            account_id: identity.account_id().to_owned(),
            is_social: identity.is_social,
            token,
        }
    }
}

impl From<&LiveToken> for IdentityView {
    fn from(live: &LiveToken) -> Self {
        Self::new(live.selected(), live.summary)
    }
}
