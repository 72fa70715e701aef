//! A pattern means what a matcher that tries every way says it means, and a `*` never reaches beyond its
//! segment, however often a server decodes.
//!
//! The first line is a pattern, the second a text.

#![no_main]

use idp_token_service::policy::{PATTERN_LIMIT, Pattern, RequestPattern};
use idp_token_service_fuzz::{Lines, decoded};
use libfuzzer_sys::fuzz_target;

/// Trying every way takes time that grows with every letter.
const LONGEST: usize = 40;

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let (pattern, text) = (lines.field(), lines.field());
    if let Ok(request) = RequestPattern::parse(&pattern) {
        assert_eq!(request.to_string(), pattern);
        assert!(request.path().is_none_or(|path| path.as_str().starts_with('/')));
    }
    let Ok(parsed) = Pattern::parse(&pattern) else { return };
    assert!(!pattern.is_empty() && pattern.len() <= PATTERN_LIMIT && parsed.as_str() == pattern);
    let matches = parsed.matches(&text);
    if pattern == text && !pattern.contains('*') {
        assert!(matches);
    }
    if pattern.len() <= LONGEST && text.len() <= LONGEST {
        let (pattern, texts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), text.split('/').collect());
        assert_eq!(matches, is_meant(&pattern, &texts));
    }
    if matches && !pattern.contains("**") {
        assert_eq!(hidden(&pattern), hidden(&text), "a server may see another depth");
    }
});

/// Tries everything.
fn is_meant(pattern: &[&str], texts: &[&str]) -> bool {
    match pattern.split_first() {
        None => texts.is_empty(),
        Some((&"**", rest)) => (1..=texts.len()).any(|taken| is_meant(rest, &texts[taken..])),
        Some((segment, rest)) => texts
            .split_first()
            .is_some_and(|(text, others)| is_segment_meant(segment, text) && is_meant(rest, others)),
    }
}

fn is_segment_meant(pattern: &str, text: &str) -> bool {
    (pattern != "*" || !text.is_empty())
        && hidden(pattern) == hidden(text)
        && are_letters_meant(pattern.as_bytes(), text.as_bytes())
}

fn are_letters_meant(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|taken| are_letters_meant(rest, &text[taken..])),
        Some((letter, rest)) => text
            .split_first()
            .is_some_and(|(found, others)| found == letter && are_letters_meant(rest, others)),
    }
}

/// Slashes and backslashes that come to light when `text` is decoded as often as that changes anything.
fn hidden(text: &str) -> usize {
    slashes(decoded(text).last().expect("the text itself")) - slashes(text.as_bytes())
}

fn slashes(text: &[u8]) -> usize {
    text.iter().filter(|byte| b"/\\".contains(byte)).count()
}
