//! Who may do what. Denies by default; what it allows, it allows with a [`Permit`], without which no use case runs.

use std::sync::Arc;

use secrecy::SecretString;

use crate::identity::{ConnectionName, UserId};

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Whoever reaches the port: where the configuration asks nobody to prove anything.
    Anonymous,
    /// A program, by its certificate or by a token of a configured issuer.
    Service {
        /// The URI or DNS name in its certificate, or the `sub` of its token.
        id: String,
    },
    /// A user of the tenant, in a browser or an app, by an access token of the tenant.
    EndUser {
        /// The `sub` of the token: the only user that this caller may act for.
        subject: UserId,
        /// The token itself, which Token Vault takes as proof.
        token: Arc<SecretString>,
    },
}

/// What a caller wants to do: for a user, save for links, which are about none.
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
    /// Have a link made at which some user can grant access.
    CreateConnectLink,
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

/// Leave to make links for one connection. Only [`Policy::authorize_link`] makes it.
#[derive(Debug)]
pub struct LinkPermit {
    connection: ConnectionName,
}

impl LinkPermit {
    /// For which connection.
    pub fn connection(&self) -> &ConnectionName {
        &self.connection
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
    pub fn authorize(&self, caller: &Caller, user: UserId, action: Action) -> Result<Permit, Denied> {
        if matches!(caller, Caller::EndUser { subject, .. } if *subject != user) {
            return Err(Denied { what: "to act for another user" });
        }
        self.decide(caller, action).map(|()| Permit { user })
    }

    /// Decides whether `caller` may have links made that lead to a login with `connection`.
    ///
    /// # Errors
    /// When it may not.
    pub fn authorize_link(&self, caller: &Caller, connection: ConnectionName) -> Result<LinkPermit, Denied> {
        self.decide(caller, Action::CreateConnectLink).map(|()| LinkPermit { connection })
    }

    fn decide(&self, caller: &Caller, action: Action) -> Result<(), Denied> {
        match (caller, action) {
            // Whatever the rules say: what is in a browser or an app can be taken from there.
            (Caller::EndUser { .. }, Action::GetIdentityToken { .. }) => {
                Err(Denied { what: "to see a provider's token; let it use CallProvider" })
            }
            (_, Action::GetIdentityToken { refresh_token: true }) => Err(Denied {
                what: "to get refresh tokens; let it use the access token, which is kept alive for it",
            }),
            (
                Caller::Anonymous | Caller::Service { .. } | Caller::EndUser { .. },
                Action::ListIdentities
                | Action::GetIdentityToken { .. }
                | Action::CallProvider
                | Action::CreateConnectLink,
            ) => Ok(()),
        }
    }
}
