//! What callers are told about an identity's token.

use crate::{store::Failure, token::Expiry};

/// Whether the service can act for an identity now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A token is at hand, or can be renewed without the user.
    Active,
    /// The user must log in through the provider again.
    ReauthenticationRequired,
    /// Auth0 holds no token, or none that is a bearer token.
    NoToken,
}

/// How the last renewal failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRenewalError {
    /// In a way that may pass; the grant is kept.
    Transient,
    /// The provider says that the grant has ended.
    GrantDead,
}

impl From<&Failure> for LastRenewalError {
    fn from(failure: &Failure) -> Self {
        if failure.permanent { Self::GrantDead } else { Self::Transient }
    }
}

/// What callers are told about an identity's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSummary {
    /// Whether it can be used.
    pub state: State,
    /// Whether it can be renewed without the user.
    pub renewable: bool,
    /// When it ends, as far as is known.
    pub expiry: Option<Expiry>,
    /// How the last renewal failed, if it did.
    pub last_renewal_error: Option<LastRenewalError>,
}

impl TokenSummary {
    /// Of an identity without a token.
    pub(super) const NONE: Self =
        Self { state: State::NoToken, renewable: false, expiry: None, last_renewal_error: None };

    /// Of an identity whose tokens Auth0 itself renews.
    pub(super) fn of_vault(expiry: Option<Expiry>) -> Self {
        Self { state: State::Active, renewable: true, expiry, last_renewal_error: None }
    }
}
