//! Why there is no token, or why one was not inspected or revoked.

use std::time::Duration;

use super::{Selected, Unusable, status::Blocker};
pub use crate::provider_client::ProviderError;
use crate::{
    auth0::{Auth0Error, VaultError},
    deadline::Stage,
    identity::{Identity, SelectError},
    shares::Overload,
    store::StoreError,
    token::TokenType,
};

/// Whose token an error is about: "google-oauth2 token of connection acme-mail".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider} token of connection {connection}")]
pub struct Owner {
    /// The Auth0 strategy.
    pub provider: String,
    /// The Auth0 connection.
    pub connection: String,
}

impl Owner {
    /// The provider and the connection of an identity.
    pub fn of(identity: &Identity) -> Self {
        Self { provider: identity.provider.clone(), connection: identity.connection().to_owned() }
    }
}

/// Why there is no token, or why one was not inspected or revoked.
#[derive(Clone, Debug)]
pub enum TokenError {
    /// No single identity could be chosen.
    Select(SelectError),
    /// Auth0 gave no usable answer.
    Auth0(Auth0Error),
    /// Token Vault gave no token.
    Vault {
        /// Whose.
        owner: Owner,
        /// Why.
        cause: VaultError,
    },
    /// Only the user can get another token.
    Unusable {
        /// Of which identity.
        selected: Selected,
        /// What is wrong with the token at hand.
        why: Unusable,
    },
    /// A renewal failed in a way that may pass. The grant is kept.
    RenewalFailed {
        /// Whose.
        owner: Owner,
        /// A word for it.
        reason: String,
        /// How long until the next try.
        retry_after: Duration,
    },
    /// A renewal would help, if the operator had set these keys, given by their full names.
    NotConfigured {
        /// Whose.
        owner: Owner,
        /// The keys.
        missing: Vec<String>,
    },
    /// The provider's refresh tokens die at use, and the store would lose the new ones with this process.
    NotDurable(Owner),
    /// The token is no bearer token, and would be of no use as one.
    NotBearer {
        /// Whose.
        owner: Owner,
        /// What it is.
        token_type: TokenType,
    },
    /// No token of this provider lives as long as is asked for.
    NeverSoLong {
        /// Whose.
        owner: Owner,
        /// How long was asked for.
        min_validity: Duration,
        /// How long they live.
        lifetime: Duration,
    },
    /// The provider did not do what it was asked, or did not tell.
    Provider {
        /// Which.
        owner: Owner,
        /// Why.
        cause: ProviderError,
    },
    /// The store gave no answer, and going on would not be safe.
    Store(StoreError),
    /// Too much of this at once, or others kept changing the token meanwhile.
    Overloaded(Overload),
    /// This took too long.
    Late(Stage),
}

impl TokenError {
    /// The error for `selected` where nothing can be done for a token that must live for `min_validity`.
    pub(super) fn blocked(selected: &Selected, min_validity: Duration, blocker: Blocker) -> Self {
        let owner = Owner::of(selected.identity());
        match blocker {
            Blocker::Unusable(why) => Self::Unusable { selected: selected.clone(), why },
            Blocker::BackingOff { reason, left } => Self::RenewalFailed { owner, reason, retry_after: left },
            Blocker::NotConfigured { missing } => Self::NotConfigured { owner, missing },
            Blocker::NotDurable => Self::NotDurable(owner),
            Blocker::NotBearer(token_type) => Self::NotBearer { owner, token_type },
            Blocker::NeverSoLong { lifetime } => Self::NeverSoLong { owner, min_validity, lifetime },
        }
    }

    pub(super) fn provider(identity: &Identity, cause: ProviderError) -> Self {
        Self::Provider { owner: Owner::of(identity), cause }
    }
}

impl From<SelectError> for TokenError {
    fn from(error: SelectError) -> Self {
        Self::Select(error)
    }
}

impl From<Auth0Error> for TokenError {
    fn from(error: Auth0Error) -> Self {
        Self::Auth0(error)
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
