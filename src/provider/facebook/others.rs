//! Tokens in Graph's answers. `/me/accounts` returns those of the user's pages, and so does a page's
//! `access_token` field:
//! <https://developers.facebook.com/docs/facebook-login/guides/access-tokens#pagetokens>.

use std::ops::Range;

use memchr::memmem;

/// The prefix of all Graph tokens: of users, pages and system users.
const STARTS: [&[u8]; 2] = [b"EAA", b"CAA"];

/// In bytes. Tokens have 100 or more; hardly anything else with this prefix is half as long.
const SHORTEST: usize = 60;

const KEY: &[u8] = b"access_token";

/// Returns where tokens stand in `answer`. They are found by field name and by their form, since Graph
/// renames a field on request (`access_token.as(x)`).
pub(super) fn tokens(answer: &[u8]) -> Vec<Range<usize>> {
    let named = memmem::find_iter(answer, KEY).filter_map(|at| value(answer, at + KEY.len()));
    let alike = STARTS.iter().flat_map(|start| memmem::find_iter(answer, start)).filter_map(|at| {
        let is_start = at == 0 || !is_of_token(answer[at - 1]);
        let length = if is_start { length(&answer[at..]) } else { 0 };
        (length >= SHORTEST).then_some(at..at + length)
    });
    named.chain(alike).collect()
}

/// The value after a key that ends at `at`: `": "..."` in JSON, or `=...` in a URL.
fn value(answer: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = answer.get(at..)?;
    if rest.starts_with(b"=") {
        return Some(at + 1..at + 1 + length(&rest[1..]));
    }
    let rest = rest.strip_prefix(b"\\").unwrap_or(rest).strip_prefix(b"\"")?.trim_ascii_start();
    let rest = rest.strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\\").unwrap_or(rest).strip_prefix(b"\"")?;
    let start = answer.len() - rest.len();
    Some(start..start + length(rest))
}

/// The length of the prefix of `text` that can be a token.
fn length(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_of_token(*byte)).unwrap_or(text.len())
}

/// Letters and digits, and the characters of application tokens (`1|abc`) and their escapes.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"|%-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_name_and_by_looks_and_nothing_else_is() {
        let long = format!("EAA{}", "Bz9".repeat(40));
        for (answer, expected) in [
            (r#"{"access_token":"abc","id":"1"}"#.to_owned(), vec!["abc"]),
            (r#"{ "access_token" : "1|a-b_c" }"#.to_owned(), vec!["1|a-b_c"]),
            (r#"{"s":"{\"access_token\":\"abc\"}"}"#.to_owned(), vec!["abc"]),
            (r#""https://graph.facebook.com/x?access_token=a%7Cb&limit=1""#.to_owned(), vec!["a%7Cb"]),
            (format!(r#"{{"x":"{long}","y":"{long}"}}"#), vec![&*long, &*long]),
            (format!(r#"{{"access_token":"{long}"}}"#), vec![&*long, &*long]),
            (r#"{"access_token":null,"x":"EAAB"}"#.to_owned(), vec![]),
            (format!(r#"{{"x":"Q{long}"}}"#), vec![]),
            ("access_token".to_owned(), vec![]),
            (r#""access_token":""#.to_owned(), vec![""]),
            (String::new(), vec![]),
        ] {
            let found: Vec<_> = tokens(answer.as_bytes()).into_iter().map(|range| &answer[range]).collect();
            assert_eq!(found, expected, "{answer}");
        }
    }
}
