//! Words that look like a provider's secret, masked: callers put tokens where they do not belong.
//!
//! This is a net below the rope: a token that is known to be used is concealed before (see [`super::AuditScope::uses`]), and a
//! secret that has no mark of its own is not seen here.

use std::borrow::Cow;

/// How such words begin.
///
/// Google: access tokens, refresh tokens and client secrets as <https://developers.google.com/identity/protocols/oauth2>
/// shows them. GitHub: <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>. Facebook: access
/// tokens. And every JWT, which begins with `{"` in base64url.
const MARKS: [&str; 12] = [
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

/// A shorter word is none.
const SHORTEST: usize = 16;

/// `text` with `***` in the place of what follows a mark.
pub(super) fn secrets(text: &str) -> Cow<'_, str> {
    // Nothing of the kind is the rule.
    if text.len() < SHORTEST || !MARKS.iter().any(|mark| text.contains(mark)) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let is_inside =
            masked.ends_with(|before: char| before.is_ascii_alphanumeric()) && !ends_encoded(&masked);
        match MARKS.iter().find(|mark| !is_inside && rest.starts_with(**mark) && word(rest, mark) >= SHORTEST)
        {
            Some(mark) => {
                masked.push_str(mark);
                masked.push_str("***");
                rest = &rest[word(rest, mark)..];
            }
            None => {
                masked.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    Cow::Owned(masked)
}

/// Whether the last letter of `text` is the end of a percent-encoding, and no letter.
fn ends_encoded(text: &str) -> bool {
    let Some([b'%', digits @ ..]) = text.as_bytes().last_chunk::<3>() else { return false };
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// The length of the word that `text` begins with, behind its mark.
fn word(text: &str, mark: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+=".contains(&byte);
    mark.len() + text[mark.len()..].bytes().take_while(|byte| is_part(*byte)).count()
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
