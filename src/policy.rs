//! Who may do what. Denies by default; what it allows, it allows with a [`Permit`], without which no use case runs.

use crate::identity::UserId;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever reaches the port: on loopback, or where the configuration says `insecure`.
    Anonymous,
}

/// What a caller wants to do for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See which identities are linked.
    ListIdentities,
    /// Get an access token.
    GetIdentityToken {
        /// And the refresh token, which is a permission of its own.
        refresh_token: bool,
    },
    /// Have a request sent.
    CallProvider,
}

/// Leave to do one thing for one user. Only [`Policy::authorize`] makes it.
#[derive(Debug)]
pub struct Permit {
    user: UserId,
}

impl Permit {
    /// For whom.
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

/// The policy says no. Says nothing of what exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy does not allow this caller {what}")]
pub struct Denied {
    what: &'static str,
}

/// The rules. Without any, every caller may do everything, save get a refresh token: that is never implied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy;

impl Policy {
    /// Decides whether `caller` may do `action` for `user`.
    ///
    /// # Errors
    /// When it may not.
    pub fn authorize(&self, caller: Caller, user: UserId, action: Action) -> Result<Permit, Denied> {
        match (caller, action) {
            (Caller::Anonymous, Action::GetIdentityToken { refresh_token: true }) => Err(Denied {
                what: "to get refresh tokens; let it use the access token, which is kept alive for it",
            }),
            (
                Caller::Anonymous,
                Action::ListIdentities | Action::GetIdentityToken { .. } | Action::CallProvider,
            ) => Ok(Permit { user }),
        }
    }
}
