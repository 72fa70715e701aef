//! Tokens in Graph's answers. `/me/accounts` hands out those of the user's pages, and so does the field `access_token` of a page:
//! <https://developers.facebook.com/docs/facebook-login/guides/access-tokens#pagetokens>.

use std::ops::Range;

use memchr::memmem;

/// What tokens of Graph begin with, of users, pages and system users alike.
const STARTS: [&[u8]; 2] = [b"EAA", b"CAA"];

/// Bytes; tokens have 100 and more, and hardly anything else that begins so has half of that.
const SHORTEST: usize = 60;

const KEY: &[u8] = b"access_token";

/// Where tokens stand in `answer`: by the name of their field, and by their looks, since Graph gives a field another name
/// on request (`access_token.as(x)`).
pub(super) fn tokens(answer: &[u8]) -> Vec<Range<usize>> {
    let named = memmem::find_iter(answer, KEY).filter_map(|at| value(answer, at + KEY.len()));
    let alike = STARTS.iter().flat_map(|start| memmem::find_iter(answer, start)).filter_map(|at| {
        let is_start = at == 0 || !is_of_token(answer[at - 1]);
        let length = if is_start { length(&answer[at..]) } else { 0 };
        (length >= SHORTEST).then_some(at..at + length)
    });
    named.chain(alike).collect()
}

/// The value behind a key that ends at `at`: `": "..."` of JSON, or `=...` of a URL.
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

/// How much of `text` can be a token.
fn length(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_of_token(*byte)).unwrap_or(text.len())
}

/// Letters and digits, and what application tokens (`1|abc`) and escapes of it have.
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
