//! Token endpoints' answers, JSON and forms: a token is taken exactly as it stands there, whatever is odd
//! about the rest, and shown nowhere; no page and no other text holds one.
//!
//! The first line is a strategy; the rest is the body of a 200.

#![no_main]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use idp_token_service::{
    provider::{RenewalVerdict, Tokens},
    token::RefreshToken,
};
use idp_token_service_fuzz::{Lines, adapters::adapter};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// The longest that any token is said to live.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let Ok(renewal) = adapter(&lines.field()).renewal() else { return };
    let text = lines.rest();
    let mut answer = Response::new(Bytes::from(text.to_owned()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let read = renewal.read(&answer, SystemTime::UNIX_EPOCH);
    let body = serde_json::from_str::<Map<String, Value>>(text).ok().filter(|_| !has_twins(text));
    match (&read, body) {
        (RenewalVerdict::Renewed(tokens), Some(body)) => is_as_written(tokens, &body, text),
        (RenewalVerdict::Renewed(tokens), None) => is_in(tokens, text),
        (_, Some(body)) => assert_eq!(written(&body, "access_token"), None, "{text}"),
        (_, None) => {}
    }
});

/// The token of this name, if there is one that a header can hold.
fn written<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = body.get(name)?.as_str()?;
    let is_usable = !text.is_empty() && !text.contains('\u{fffd}') && HeaderValue::from_str(text).is_ok();
    is_usable.then_some(text)
}

fn is_as_written(tokens: &Tokens, body: &Map<String, Value>, text: &str) {
    let (access, refresh) = (tokens.access.expose(), tokens.refresh.as_ref().map(RefreshToken::expose));
    assert_eq!(Some(access), written(body, "access_token"));
    assert_eq!(refresh, written(body, "refresh_token"));
    is_sound(tokens, text);
}

/// A form, or JSON that this reader is too strict for: then a token stands there letter by letter, unless
/// letters are encoded.
fn is_in(tokens: &Tokens, text: &str) {
    let start = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    assert!(start.starts_with(|letter: char| letter == '{'
        || letter.is_ascii_alphanumeric()
        || "_-.".contains(letter)));
    let is_there = |token: &str| text.contains(token) || text.contains(['\\', '%', '+']);
    assert!(is_there(tokens.access.expose()), "{text}");
    assert!(tokens.refresh.as_ref().is_none_or(|token| is_there(token.expose())), "{text}");
    is_sound(tokens, text);
}

fn is_sound(tokens: &Tokens, text: &str) {
    let (access, refresh) = (tokens.access.expose(), tokens.refresh.as_ref().map(RefreshToken::expose));
    let is_usable = |token: &str| !token.is_empty() && HeaderValue::from_str(token).is_ok();
    assert!(is_usable(access) && refresh.is_none_or(is_usable), "{text}");
    assert!(tokens.expires_in.is_none_or(|life| !life.is_zero() && life <= LONGEST_LIFE), "{tokens:?}");
    assert!(tokens.scopes.iter().all(|scope| !scope.is_empty() && !scope.contains([' ', ','])), "{tokens:?}");
    // A token that is short, or stands elsewhere too, is no secret that could be told apart.
    let is_secret = |token: &str| token.len() >= 12 && text.matches(token).count() == 1;
    let shown = format!("{tokens:?}");
    assert!(!is_secret(access) || !shown.contains(access), "{shown}");
    assert!(refresh.is_none_or(|token| !is_secret(token) || !shown.contains(token)), "{shown}");
}

/// Whether a field may stand there twice: then the last counts that is usable, and `Map` takes the last.
fn has_twins(text: &str) -> bool {
    let names = ["\"access_token\"", "\"refresh_token\"", "\"expires_in\"", "\"scope\"", "\"scopes\"", "\\u"];
    names.iter().any(|name| text.matches(name).count() > 1) || text.contains("\\u")
}
