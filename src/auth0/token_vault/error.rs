//! What can go wrong with Token Vault.

use std::time::Duration;

use crate::auth0::Auth0Error;

/// Why the vault gives no token. Cloned to every caller that shares an exchange.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// The user has no account of that connection in the vault, or Auth0 can no longer renew its token there.
    /// Only the user can fix it.
    #[error(
        "the user has no connected account in Token Vault for that connection: send the user through the connect flow"
    )]
    NotConnected,
    /// Auth0 does not accept the end user's access token. Another one may help.
    #[error(
        "Auth0 takes no exchange for the caller's access token: it has ended, or the application of `auth0.client_id` \
         is not the Custom API Client of its audience"
    )]
    SubjectRefused,
    /// The tenant demands a second factor, which no exchange can provide. Only an operator can fix it.
    #[error(
        "the tenant's MFA policy keeps Token Vault shut: set it to \"Never\" under Security > Multi-factor Authentication, \
         and demand a second factor in an Action where one is needed"
    )]
    MfaPolicy,
    /// Auth0 throttles, is unavailable, answers nonsense, or refuses this service, in which case the text
    /// says what to change.
    #[error(transparent)]
    Auth0(#[from] Auth0Error),
}

impl VaultError {
    /// Returns how long the other side asks to wait before the exchange is repeated; `None` if it must not be
    /// repeated.
    pub(super) fn is_transient(&self) -> Option<Option<Duration>> {
        match self {
            Self::Auth0(error) => error.is_transient(),
            Self::NotConnected | Self::SubjectRefused | Self::MfaPolicy => None,
        }
    }

    /// Returns the outcome label for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::SubjectRefused => "subject_refused",
            Self::MfaPolicy => "mfa_policy",
            Self::Auth0(error) => error.outcome(),
        }
    }
}
