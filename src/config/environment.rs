//! The environment variables that configure the service.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

/// Prefixes of the service's variables.
const PREFIXES: [&str; 2] = ["AUTH0_", "IDP_TOKEN_"];

/// A set of environment variables. Passed in, so that tests need no process environment.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Returns the variables of this process that may concern the service.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// Returns whether no variable is set that may concern the service.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of a variable; an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// Returns the names of all variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Returns `RUST_LOG`, which overrides `log_level` in every command.
#[expect(clippy::disallowed_methods, reason = "no key of the configuration")]
pub fn log_directives() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty())
}

/// Keeps variables that begin with `AUTH0_` or `IDP_TOKEN_` and are not empty.
impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let ours = |(name, value): &(String, OsString)| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !value.is_empty()
        };
        Self(variables.filter(ours).collect())
    }
}

/// Shows only names: the values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_or_not_ours_is_not_there() {
        let environment =
            Environment::from_iter([("AUTH0_DOMAIN", ""), ("HOME", "/"), ("IDP_TOKEN_LISTEN", "x")]);
        assert_eq!(environment.names().collect::<Vec<_>>(), ["IDP_TOKEN_LISTEN"]);
        assert_eq!(environment.get("AUTH0_DOMAIN"), None);
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::from_iter([("AUTH0_CLIENT_SECRET", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"AUTH0_CLIENT_SECRET"}"#);
    }
}
