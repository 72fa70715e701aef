//! The permissions that callers can have, and those that each use case needs.

/// A permission in `allow`: an RPC by its name, or a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// List the linked identities.
    ListIdentities,
    /// Get access tokens.
    GetIdentityToken,
    /// Send requests to a provider.
    CallProvider,
    /// Send requests with streamed bodies to a provider.
    StreamProvider,
    /// Have tokens inspected by their provider.
    InspectIdentityToken,
    /// Have tokens revoked by their provider.
    RevokeIdentityToken,
    /// Create links through which a user grants access.
    CreateConnectLink,
    /// Get refresh tokens with access tokens. No other permission implies this one.
    RefreshToken,
}

impl Permission {
    /// All permissions, RPCs first.
    pub const ALL: [Self; 8] = [
        Self::ListIdentities,
        Self::GetIdentityToken,
        Self::CallProvider,
        Self::StreamProvider,
        Self::InspectIdentityToken,
        Self::RevokeIdentityToken,
        Self::CreateConnectLink,
        Self::RefreshToken,
    ];

    /// The name in `allow`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ListIdentities => "ListIdentities",
            Self::GetIdentityToken => "GetIdentityToken",
            Self::CallProvider => "CallProvider",
            Self::StreamProvider => "StreamProvider",
            Self::InspectIdentityToken => "InspectIdentityToken",
            Self::RevokeIdentityToken => "RevokeIdentityToken",
            Self::CreateConnectLink => "CreateConnectLink",
            Self::RefreshToken => "refresh-token",
        }
    }

    /// Returns the permission with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Returns whether the permission shows tokens to its holder, so that end users can never have it.
    pub fn shows_tokens(self) -> bool {
        matches!(self, Self::GetIdentityToken | Self::RefreshToken)
    }

    /// Returns whether the permission allows requests to be sent, so that its rules must say which.
    pub fn sends_requests(self) -> bool {
        matches!(self, Self::CallProvider | Self::StreamProvider)
    }

    /// What a caller without the permission may not do, as the end of a sentence.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::ListIdentities => "to list these identities",
            Self::GetIdentityToken => "to get this token",
            Self::CallProvider | Self::StreamProvider => "to have this request sent",
            Self::InspectIdentityToken => "to have this token inspected",
            Self::RevokeIdentityToken => "to have this token revoked",
            Self::CreateConnectLink => "to have links made for this connection",
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
        &[Permission::ListIdentities]
    }
}

impl Action for GetIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        if self.refresh_token {
            &[Permission::GetIdentityToken, Permission::RefreshToken]
        } else {
            &[Permission::GetIdentityToken]
        }
    }
}

impl Action for CallProvider {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::CallProvider]
    }
}

impl Action for InspectIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::InspectIdentityToken]
    }
}

impl Action for RevokeIdentityToken {
    fn needs(&self) -> &'static [Permission] {
        &[Permission::RevokeIdentityToken]
    }
}
