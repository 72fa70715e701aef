//! The kinds of providers.

use super::value::Setting;

/// A kind of provider, as Auth0 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// `google-oauth2`, Google accounts.
    GoogleOauth2,
    /// `google-apps`, Google Workspace.
    GoogleApps,
    /// `github`
    Github,
    /// `facebook`
    Facebook,
}

impl Strategy {
    /// Every strategy of this version.
    pub const ALL: [Self; 4] = [Self::GoogleOauth2, Self::GoogleApps, Self::Github, Self::Facebook];

    /// Auth0's name, as in an identity's `provider`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GoogleOauth2 => "google-oauth2",
            Self::GoogleApps => "google-apps",
            Self::Github => "github",
            Self::Facebook => "facebook",
        }
    }

    /// The strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == name)
    }

    /// Whether `version` has the shape of the provider's versions.
    pub(super) fn check_version(self, version: &str) -> Result<(), String> {
        match self {
            Self::GoogleOauth2 | Self::GoogleApps => {
                Err("is not for Google, whose versions are part of each path; remove it".to_owned())
            }
            Self::Github => {
                is_date(version).then_some(()).ok_or_else(|| "must be a date such as `2022-11-28`".to_owned())
            }
            Self::Facebook => {
                is_graph_version(version).then_some(()).ok_or_else(|| "must be like `v25.0`".to_owned())
            }
        }
    }
}

/// `YYYY-MM-DD`
fn is_date(text: &str) -> bool {
    let number = |from, to| text.get(from..to).and_then(|digits: &str| digits.parse::<u32>().ok());
    let shape = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    shape
        && number(5, 7).is_some_and(|month| (1..=12).contains(&month))
        && number(8, 10).is_some_and(|day| (1..=31).contains(&day))
}

/// `vNN.N`
fn is_graph_version(text: &str) -> bool {
    let digits =
        |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(major, minor)| digits(major, 3) && digits(minor, 2))
}

impl Setting for Strategy {
    const EXPECTED: &'static str = "`google-oauth2`, `google-apps`, `github` or `facebook`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| format!("must be {}: this version knows no others", Self::EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_shape_that_its_provider_wants() {
        let facebook = [
            ("v25.0", true),
            ("v3.12", true),
            ("v25", false),
            ("v25.", false),
            ("v25.x", false),
            ("V25.0", false),
        ];
        let github = [
            ("2022-11-28", true),
            ("2022-00-28", false),
            ("2022-13-28", false),
            ("2022-11-32", false),
            ("2022-11-00", false),
            ("22-11-28", false),
            ("2022-11-2\u{e9}", false),
            ("", false),
        ];
        for (version, right) in facebook {
            assert_eq!(Strategy::Facebook.check_version(version).is_ok(), right, "{version}");
        }
        for (version, right) in github {
            assert_eq!(Strategy::Github.check_version(version).is_ok(), right, "{version}");
        }
    }

    #[test]
    fn every_strategy_is_found_by_its_name_and_named_in_what_is_expected() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::named(strategy.as_str()), Some(strategy));
            assert!(Strategy::EXPECTED.contains(&format!("`{}`", strategy.as_str())));
        }
        assert_eq!(Strategy::named("GitHub"), None);
    }
}
