//! The contract's RPCs, as metrics, audit records, permissions and errors name them.

/// An RPC of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rpc {
    /// Lists a user's linked identities.
    ListIdentities,
    /// Returns an access token.
    GetIdentityToken,
    /// Sends a request to a provider.
    CallProvider,
    /// Sends a request with a streamed body to a provider.
    StreamProvider,
    /// Asks the provider about a token.
    InspectIdentityToken,
    /// Ends a token at the provider.
    RevokeIdentityToken,
    /// Creates a link through which a user grants access.
    CreateConnectLink,
}

impl Rpc {
    /// All RPCs, each at the index of its discriminant.
    pub const ALL: [Self; 7] = [
        Self::ListIdentities,
        Self::GetIdentityToken,
        Self::CallProvider,
        Self::StreamProvider,
        Self::InspectIdentityToken,
        Self::RevokeIdentityToken,
        Self::CreateConnectLink,
    ];

    /// The name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListIdentities => "ListIdentities",
            Self::GetIdentityToken => "GetIdentityToken",
            Self::CallProvider => "CallProvider",
            Self::StreamProvider => "StreamProvider",
            Self::InspectIdentityToken => "InspectIdentityToken",
            Self::RevokeIdentityToken => "RevokeIdentityToken",
            Self::CreateConnectLink => "CreateConnectLink",
        }
    }

    /// Returns the RPC with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rpc| rpc.name() == name)
    }

    /// The name in metrics and logs; `None` stands for everything else: health checks, reflection, unknown
    /// paths.
    pub fn label(rpc: Option<Self>) -> &'static str {
        rpc.map_or("other", Self::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpc_stands_at_the_index_of_its_discriminant() {
        for (index, rpc) in Rpc::ALL.into_iter().enumerate() {
            assert_eq!(rpc as usize, index, "{rpc:?}");
            assert_eq!(Rpc::named(rpc.name()), Some(rpc));
        }
    }
}
