//! The kinds of providers.

use super::value::Setting;
use crate::provider::{self, Kind};

/// A kind of provider that there is an adapter for, by Auth0's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strategy(&'static str);

impl Strategy {
    /// Returns every strategy of this version.
    pub fn all() -> impl Iterator<Item = Self> {
        provider::strategies().map(Self)
    }

    /// Returns Auth0's name, as in an identity's `provider`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Returns the strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|strategy| strategy.0 == name)
    }

    /// Returns the adapter's description of the provider.
    pub(super) fn kind(self) -> &'static Kind {
        provider::kind(self.0).expect("a strategy is one that there is an adapter for")
    }

    /// Checks that `version` has the form of the provider's versions.
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
