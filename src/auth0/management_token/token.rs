//! A Management token, and its serialised form for other replicas.

use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Scheme in front of the token in the header.
const SCHEME: &str = "Bearer ";

/// A Management token as Auth0 issued it.
pub(super) struct Token {
    /// `Bearer ...`, marked as sensitive.
    pub(super) authorization: HeaderValue,
    /// The granted scopes, separated by spaces.
    pub(super) scope: String,
    /// From issue to expiry.
    pub(super) lifetime: Duration,
}

#[derive(Serialize)]
struct Written<'a> {
    token: &'a str,
    scope: &'a str,
    lifetime_s: u64,
}

#[derive(Deserialize)]
struct Read {
    token: SecretString,
    scope: String,
    lifetime_s: u64,
}

impl Token {
    /// `None` if a header cannot hold the token.
    pub(super) fn new(token: &SecretString, scope: String, lifetime: Duration) -> Option<Self> {
        let mut authorization = HeaderValue::try_from(format!("{SCHEME}{}", token.expose_secret())).ok()?;
        authorization.set_sensitive(true);
        Some(Self { authorization, scope, lifetime })
    }

    fn value(&self) -> &str {
        let text = str::from_utf8(self.authorization.as_bytes()).expect("a header made of a text is one");
        text.strip_prefix(SCHEME).expect("the header was made with it")
    }

    /// Serialises the token for the store.
    pub(super) fn write(&self) -> SecretString {
        let lifetime_s = self.lifetime.as_secs();
        let written = Written { token: self.value(), scope: &self.scope, lifetime_s };
        serde_json::to_string(&written).expect("texts and a number can be written as JSON").into()
    }

    /// Parses what [`Self::write`] wrote; `None` for what another version wrote.
    pub(super) fn read(written: &SecretString) -> Option<Self> {
        let Read { token, scope, lifetime_s } = serde_json::from_str(written.expose_secret()).ok()?;
        Self::new(&token, scope, Duration::from_secs(lifetime_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_ours_is_none() {
        let day = Duration::from_secs(86_400);
        let token = Token::new(&"a.b-c".into(), "read:users".to_owned(), day).expect("a token");
        let read = Token::read(&token.write()).expect("it was just written");
        assert_eq!(read.authorization, "Bearer a.b-c");
        assert!(read.authorization.is_sensitive());
        assert_eq!((read.scope.as_str(), read.lifetime), ("read:users", day));
        for other in ["", "a.b-c", "{}", r#"{"token":"a\nb","scope":"","lifetime_s":1}"#] {
            assert!(Token::read(&other.into()).is_none(), "{other}");
        }
    }
}
