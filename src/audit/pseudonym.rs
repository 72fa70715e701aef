//! Pseudonyms of users, which only the holder of the key can compute.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::{Engine, prelude::BASE64_STANDARD};

/// The key that pseudonyms are made with. The same id under the same key always gives the same pseudonym.
pub struct UserIdKey(Key);

/// The error for a text that is not a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be base64 of at least 32 bytes, as `openssl rand -base64 32` makes it")]
pub struct MalformedKey;

impl UserIdKey {
    /// Minimum length in bytes: that of the digest (RFC 2104, section 3).
    const SHORTEST: usize = 32;

    /// Parses a base64 key.
    ///
    /// # Errors
    /// When `text` is not base64 or decodes to fewer than 32 bytes.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let bytes = BASE64_STANDARD.decode(text).map(zeroize::Zeroizing::new).map_err(|_| MalformedKey)?;
        let is_long_enough = bytes.len() >= Self::SHORTEST;
        is_long_enough.then(|| Self(Key::new(HMAC_SHA256, &bytes))).ok_or(MalformedKey)
    }

    /// Returns the HMAC-SHA-256 of `id` in hexadecimal digits, prefixed with the algorithm's name.
    pub(super) fn pseudonym(&self, id: &str) -> String {
        let tag = sign(&self.0, id.as_bytes());
        let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
        ["hmac-sha256:".to_owned()].into_iter().chain(hex).collect()
    }
}

impl fmt::Debug for UserIdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserIdKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_what_openssl_makes_of_the_id() {
        // printf %s 'auth0|1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101... (32 bytes)
        let key = UserIdKey::parse(&BASE64_STANDARD.encode([1; 32])).expect("a key");
        let expected = "hmac-sha256:901224411f37e78bb82c3a65ae32766e8c641cb0722dfe1358ba569ef83c5a7e";
        assert_eq!(key.pseudonym("auth0|1"), expected);
        assert_ne!(key.pseudonym("auth0|2"), expected);
    }

    #[test]
    fn a_short_or_unreadable_key_is_refused_and_none_is_shown() {
        for text in
            ["", "c2hvcnQ=", "not base64 at all, but long enough to be one", &BASE64_STANDARD.encode([1; 31])]
        {
            assert_eq!(UserIdKey::parse(text).err(), Some(MalformedKey), "{text}");
        }
        let key = UserIdKey::parse(&BASE64_STANDARD.encode([1; 64])).expect("a key");
        assert_eq!(format!("{key:?}"), "UserIdKey { .. }");
    }
}
