//! The identities that a rule covers: strategies and connections, by name.

use std::fmt;

use crate::identity::Selector;

/// An entry of a rule's `providers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderName {
    /// `**`: every identity.
    All,
    /// A strategy, with all its connections.
    Strategy(String),
    /// A connection of a known strategy. A connection of this name with another strategy does not match.
    Connection {
        /// Its name.
        name: String,
        /// Its strategy.
        strategy: String,
    },
    /// A name that the configuration does not define: a strategy or a connection, such as `linkedin`.
    Name(String),
}

impl ProviderName {
    /// Returns whether some identity that `selector` can select matches. Exact if the selector names provider
    /// and connection.
    pub(super) fn may_cover(&self, selector: &Selector) -> bool {
        let is = |asked: &str, name: &str| asked.is_empty() || asked == name;
        let (provider, connection) = (&*selector.provider, &*selector.connection);
        match self {
            Self::All => true,
            Self::Strategy(strategy) => is(provider, strategy),
            Self::Connection { name, strategy } => is(connection, name) && is(provider, strategy),
            Self::Name(name) => is(provider, name) || is(connection, name),
        }
    }
}

/// The notation of the configuration.
impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "**",
            Self::Strategy(name) | Self::Connection { name, .. } | Self::Name(name) => name,
        })
    }
}
