//! Masks words that look like a provider's secret, since callers put tokens where they do not belong.
//!
//! A safety net: tokens that a call is known to use are concealed earlier (see [`super::AuditScope::uses`]),
//! and a secret without a known prefix is not recognised here.

use std::borrow::Cow;

/// Prefixes of secrets.
///
/// Google: access tokens, refresh tokens and client secrets as in
/// <https://developers.google.com/identity/protocols/oauth2>. GitHub:
/// <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>. Facebook: access
/// tokens. JWTs: all begin with `{"` in base64url.
const PREFIXES: [&str; 12] = [
    "ya29.",
    "1//",
    "1%2F%2F",
    "GOCSPX-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "EAA",
    "eyJ",
];

/// Minimum length of a secret in bytes; shorter words are kept.
const SHORTEST: usize = 16;

/// Returns `text` with `***` in place of what follows a prefix.
pub(super) fn secrets(text: &str) -> Cow<'_, str> {
    // Almost every text contains nothing of the kind.
    if text.len() < SHORTEST || !PREFIXES.iter().any(|prefix| text.contains(prefix)) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let is_inside =
            masked.ends_with(|before: char| before.is_ascii_alphanumeric()) && !ends_encoded(&masked);
        match PREFIXES
            .iter()
            .find(|prefix| !is_inside && rest.starts_with(**prefix) && word(rest, prefix) >= SHORTEST)
        {
            Some(prefix) => {
                masked.push_str(prefix);
                masked.push_str("***");
                rest = &rest[word(rest, prefix)..];
            }
            None => {
                masked.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    Cow::Owned(masked)
}

/// Returns whether `text` ends in a percent-encoded byte rather than in a letter of its own.
fn ends_encoded(text: &str) -> bool {
    let Some([b'%', digits @ ..]) = text.as_bytes().last_chunk::<3>() else { return false };
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// Returns the length of the word at the beginning of `text`, including its prefix `prefix`.
fn word(text: &str, prefix: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=".contains(&byte);
    prefix.len() + text[prefix.len()..].bytes().take_while(|byte| is_part(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token_is_masked_and_nothing_else() {
        for (text, expected) in [
            ("/user", "/user"),
            ("google-oauth2|108204268033311374519", "google-oauth2|108204268033311374519"),
            ("/applications/gho_16C7e42F292c6912E7710c838347Ae178B4a/x", "/applications/gho_***/x"),
            ("/t/ya29.a0AfH6SMBx-1_2.3/u", "/t/ya29.***/u"),
            ("/1%2F%2F0gabcdefghijklm", "/1%2F%2F***"),
            ("1//0gabcdefghijklmnop", "1//***"),
            ("EAABwzLixnjYBO1234567890", "EAA***"),
            ("/EAA/eyJ/gho_short", "/EAA/eyJ/gho_short"),
            ("/x%2Fya29.a0AfH6SMBx-1_2.3", "/x%2Fya29.***"),
            ("/a%3DeyJhbGciOiJIUzI1NiJ9", "/a%3DeyJ***"),
            ("%2fgho_16C7e42F292c6912E7710c838347Ae178B4a", "%2fgho_***"),
            ("/beyJhbGciOiJIUzI1NiJ9", "/beyJhbGciOiJIUzI1NiJ9"),
            ("a=eyJhbGciOiJIUzI1NiJ9.e30.c2ln&b", "a=eyJ***&b"),
            ("/ü/ghp_16C7e42F292c6912E7710c838347Ae178B4a", "/ü/ghp_***"),
        ] {
            assert_eq!(secrets(text), expected);
        }
    }
}
