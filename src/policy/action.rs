//! What callers can be allowed, and what each use case needs of it.

/// A word of `allow`: an RPC by its name, or what is a permission of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// See which identities are linked.
    ListIdentities,
    /// Get access tokens.
    GetIdentityToken,
    /// Have requests sent.
    CallProvider,
    /// Have requests sent with streamed bodies.
    StreamProvider,
    /// Have tokens inspected at their provider.
    InspectIdentityToken,
    /// Have tokens revoked at their provider.
    RevokeIdentityToken,
    /// Have links made at which a user grants access.
    CreateConnectLink,
    /// Get refresh tokens with access tokens. No other permission implies it.
    RefreshToken,
}

impl Permission {
    /// Every permission, RPCs first.
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

    /// As `allow` has it.
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

    /// The permission of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Whether a caller sees a token that has it: never an end user.
    pub fn shows_tokens(self) -> bool {
        matches!(self, Self::GetIdentityToken | Self::RefreshToken)
    }

    /// Whether requests are sent for a caller that has it, so that it must say which.
    pub fn sends_requests(self) -> bool {
        matches!(self, Self::CallProvider | Self::StreamProvider)
    }

    /// What the caller may not do without it, as the end of a sentence.
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

/// What is done for one user, with all that it needs: the type of its permit.
pub trait Action {
    /// The permissions that one rule must give together. The last names the refusal.
    fn needs(&self) -> &'static [Permission];
}

/// See which identities are linked.
#[derive(Clone, Copy, Debug)]
pub struct ListIdentities;

/// Get an access token.
#[derive(Clone, Copy, Debug)]
pub struct GetIdentityToken {
    /// And the refresh token.
    pub refresh_token: bool,
}

/// Have a request sent.
#[derive(Clone, Copy, Debug)]
pub struct CallProvider;

/// Have a token inspected.
#[derive(Clone, Copy, Debug)]
pub struct InspectIdentityToken;

/// Have a token revoked.
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
