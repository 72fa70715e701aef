//! Whose tokens a rule is about: strategies and connections, by name.

use std::fmt;

use crate::identity::Selector;

/// One of a rule's `providers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderName {
    /// `**`: every identity.
    All,
    /// A strategy, with all its connections.
    Strategy(String),
    /// A connection of a known strategy. One of the same name that has another strategy is not meant.
    Connection {
        /// Its name.
        name: String,
        /// Its strategy.
        strategy: String,
    },
    /// What the configuration knows nothing else about: a strategy or a connection, such as `linkedin`.
    Name(String),
}

impl ProviderName {
    /// Whether some identity that `selector` means can be one of these. With provider and connection in it, this is
    /// exact.
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

/// As it was written.
impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "**",
            Self::Strategy(name) | Self::Connection { name, .. } | Self::Name(name) => name,
        })
    }
}
