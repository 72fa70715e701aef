//! The name of a key, in the file and in the environment.

/// The path of a key or table from the top of the file: `auth0.domain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath {
    /// As the operator writes it: `providers.github.hosts`.
    pub(super) written: String,
    /// As the documentation writes it: `providers.NAME.hosts`.
    pub(super) pattern: String,
}

impl KeyPath {
    /// Returns the path of the key `name` in this table.
    pub(super) fn child(&self, name: &str) -> Self {
        self.named_child(name, name)
    }

    /// Returns the path of a key whose name the operator chooses; the documentation calls it `placeholder`.
    pub(super) fn named_child(&self, name: &str, placeholder: &str) -> Self {
        Self { written: join(&self.written, name), pattern: join(&self.pattern, placeholder) }
    }

    /// Returns the environment variable that sets this key.
    pub(super) fn variable(&self) -> String {
        variable(&self.written)
    }
}

/// Returns the variable of a key: `AUTH0_` and its name in `[auth0]`, else `IDP_TOKEN_` and its whole path.
pub(super) fn variable(path: &str) -> String {
    let whole = if path.starts_with("auth0.") { path.to_owned() } else { format!("idp_token.{path}") };
    whole.replace(['.', '-'], "_").to_ascii_uppercase()
}

fn join(parent: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let quoted = name.is_empty() || !name.chars().all(bare);
    let name = if quoted { format!("{name:?}") } else { name.to_owned() };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_variable_by_rule() {
        for (path, expected) in [
            ("listen", "IDP_TOKEN_LISTEN"),
            ("auth0.domain", "AUTH0_DOMAIN"),
            ("auth0.client_secret_file", "AUTH0_CLIENT_SECRET_FILE"),
            ("providers.google-oauth2.api_version", "IDP_TOKEN_PROVIDERS_GOOGLE_OAUTH2_API_VERSION"),
        ] {
            assert_eq!(variable(path), expected);
        }
    }

    #[test]
    fn names_that_toml_must_quote_are_quoted() {
        let path = KeyPath::default().child("hosts").child("a.b").child("new\nline");
        assert_eq!(path.written, r#"hosts."a.b"."new\nline""#);
    }
}
