//! The kinds of providers.

use super::value::Setting;
use crate::provider::{self, Kind};

/// A kind of provider, as Auth0 names it: one that there is an adapter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strategy(&'static str);

impl Strategy {
    /// Every strategy of this version.
    pub fn all() -> impl Iterator<Item = Self> {
        provider::strategies().map(Self)
    }

    /// Auth0's name, as in an identity's `provider`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|strategy| strategy.0 == name)
    }

    /// The kind of provider that it is.
    pub(super) fn kind(self) -> &'static Kind {
        provider::kind(self.0).expect("a strategy is one that there is an adapter for")
    }

    /// Whether `version` has the shape of the provider's versions.
    pub(super) fn check_version(self, version: &str) -> Result<(), String> {
        provider::check_api_version(self.0, version)
    }
}

impl Setting for Strategy {
    const EXPECTED: &'static str = "the name of a strategy, such as `github`";

    fn parse(text: &str) -> Result<Self, String> {
        let known = provider::strategies_in_words();
        Self::named(text).ok_or_else(|| format!("must be {known}: this version knows no others"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_found_by_its_name_and_named_in_what_is_expected() {
        let problem = Strategy::parse("GitHub").expect_err("names are in lower case");
        for strategy in Strategy::all() {
            assert_eq!(Strategy::named(strategy.as_str()), Some(strategy));
            assert!(problem.contains(&format!("`{}`", strategy.as_str())), "{problem}");
            assert!(strategy.kind().needs_nothing() || strategy.check_version("v1").is_err());
        }
    }
}
