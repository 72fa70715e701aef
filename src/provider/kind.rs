//! What must be known of a kind of provider before there is an adapter.

use std::sync::Arc;

use super::Provider;
use crate::secret::Secret;

/// A kind of provider: the Auth0 strategies that speak its dialect, and how an adapter is made.
pub struct Kind {
    /// Auth0's names, as in an identity's `provider`.
    pub(super) strategies: &'static [&'static str],
    /// Who says which hosts are called.
    pub(super) hosts: HostRule,
    /// Whether unrelated providers share the strategy, so that settings are for one connection only.
    pub(super) is_shared: bool,
    /// Whether a text has the shape of the API's versions, or what to write instead.
    pub(super) check_version: fn(&str) -> Result<(), String>,
    /// The adapter.
    pub(super) build: fn(Settings) -> Box<dyn Provider>,
}

/// Who says which hosts are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The adapter; they are the same for everybody.
    Fixed,
    /// The adapter, unless the operator names others: a sovereign cloud, a tenant.
    Default,
    /// The operator, since nobody else knows.
    Required,
}

impl Kind {
    /// Who says which hosts are called.
    pub fn hosts(&self) -> HostRule {
        self.hosts
    }

    /// Whether unrelated providers share the strategy, so that settings must be for one connection.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether an adapter can be made without any setting.
    pub fn needs_nothing(&self) -> bool {
        self.hosts != HostRule::Required && !self.is_shared
    }
}

/// What an operator may set for a provider.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The API hosts, the default first, in lower case; `*.` and a domain means all directly below it.
    /// Only for a [`Kind`] whose hosts are not fixed.
    pub hosts: Vec<String>,
    /// The secret of the application that the tokens were issued to; Facebook wants proof of it.
    pub client_secret: Option<Arc<Secret>>,
    /// The version of the provider's API, where it has one: see [`super::check_api_version`].
    pub api_version: Option<String>,
}

/// For APIs that have no version to choose.
pub(super) fn no_version(_: &str) -> Result<(), String> {
    Err("must be left out: this provider's API has no version to choose".to_owned())
}

/// `names` in words: "`a`, `b` or `c`".
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_sentence_has_them() {
        for (names, expected) in [
            (&[][..], ""),
            (&["a"], "`a`"),
            (&["a", "b"], "`a` or `b`"),
            (&["a", "b", "c"], "`a`, `b` or `c`"),
        ] {
            assert_eq!(listed(names), expected);
        }
    }
}
