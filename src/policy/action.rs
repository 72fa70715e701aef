//! The permissions that callers can have, and those that each use case needs.

use crate::rpc::Rpc;

/// A permission in `allow`: an RPC by its name, or a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Call this RPC.
    Rpc(Rpc),
    /// Get refresh tokens with access tokens. No other permission implies this one.
    RefreshToken,
}

impl Permission {
    /// All permissions, RPCs first.
    pub fn all() -> impl Iterator<Item = Self> {
        Rpc::ALL.into_iter().map(Self::Rpc).chain([Self::RefreshToken])
    }

    /// The name in `allow`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc(rpc) => rpc.name(),
            Self::RefreshToken => "refresh-token",
        }
    }

    /// Returns the permission with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|permission| permission.name() == name)
    }

    /// Returns whether the permission shows tokens to its holder, so that end users can never have it.
    pub fn shows_tokens(self) -> bool {
        matches!(self, Self::Rpc(Rpc::GetIdentityToken) | Self::RefreshToken)
    }

    /// Returns whether the permission allows requests to be sent, so that its rules must say which.
    pub fn sends_requests(self) -> bool {
        matches!(self, Self::Rpc(Rpc::CallProvider | Rpc::StreamProvider))
    }

    /// What a caller without the permission may not do, as the end of a sentence.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::Rpc(Rpc::ListIdentities) => "to list these identities",
            Self::Rpc(Rpc::GetIdentityToken) => "to get this token",
            Self::Rpc(Rpc::CallProvider | Rpc::StreamProvider) => "to have this request sent",
            Self::Rpc(Rpc::InspectIdentityToken) => "to have this token inspected",
            Self::Rpc(Rpc::RevokeIdentityToken) => "to have this token revoked",
            Self::Rpc(Rpc::CreateConnectLink) => "to have links made for this connection",
            Self::RefreshToken => {
                "to get refresh tokens; let it use the access token, which is kept alive for it"
            }
        }
    }
}

/// An operation for one user: the type of its permit.
pub trait Action {
    /// The permissions that a single rule must give. The last one names the denial.
    fn needs(&self) -> &'static [Permission];
}

/// Lists the linked identities.
#[derive(Clone, Copy, Debug)]
pub struct ListIdentities;

/// Gets an access token.
#[derive(Clone, Copy, Debug)]
pub struct GetIdentityToken {
    /// Whether the refresh token is wanted too.
    pub refresh_token: bool,
}

/// Sends a request to a provider.
#[derive(Clone, Copy, Debug)]
pub struct CallProvider;

/// Inspects a token.
#[derive(Clone, Copy, Debug)]
pub struct InspectIdentityToken;

/// Revokes a token.
#[derive(Clone, Copy, Debug)]
pub struct RevokeIdentityToken;

impl Action for ListIdentities {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::Rpc(Rpc::ListIdentities)]
    }
}

impl Action for GetIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        if self.refresh_token {
            &[Permission::Rpc(Rpc::GetIdentityToken), Permission::RefreshToken]
        } else {
            &[Permission::Rpc(Rpc::GetIdentityToken)]
        }
    }
}

impl Action for CallProvider {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::Rpc(Rpc::CallProvider)]
    }
}

impl Action for InspectIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::Rpc(Rpc::InspectIdentityToken)]
    }
}

impl Action for RevokeIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::Rpc(Rpc::RevokeIdentityToken)]
    }
}
