//! Token endpoints' answers: a token is taken exactly as it stands there, whatever is odd about the rest, and shown nowhere.
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
    let body = serde_json::from_str::<Map<String, Value>>(text);
    match (&read, body) {
        (RenewalVerdict::Renewed(tokens), Ok(body)) => is_as_written(tokens, &body, text),
        // JSON, all the same; a number that nobody asks for costs nobody a token.
        (RenewalVerdict::Renewed(_), Err(error)) if error.to_string().starts_with("number out of range") => {}
        (RenewalVerdict::Renewed(_), Err(_)) => panic!("a token was read from {text}"),
        (_, Ok(body)) if !has_twins(text) => assert_eq!(written(&body, "access_token"), None, "{text}"),
        _ => {}
    }
});

/// The token of this name, if there is one that a header can hold.
fn written<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = body.get(name)?.as_str()?;
    let is_usable = !text.is_empty() && HeaderValue::from_str(text).is_ok();
    is_usable.then_some(text)
}

fn is_as_written(tokens: &Tokens, body: &Map<String, Value>, text: &str) {
    let (access, refresh) = (tokens.access.expose(), tokens.refresh.as_ref().map(RefreshToken::expose));
    assert_eq!(Some(access), written(body, "access_token"));
    assert_eq!(refresh, written(body, "refresh_token"));
    assert!(tokens.expires_in.is_none_or(|life| !life.is_zero() && life <= LONGEST_LIFE), "{tokens:?}");
    assert!(tokens.scopes.iter().all(|scope| !scope.is_empty() && !scope.contains([' ', ','])), "{tokens:?}");
    // A token that is short, or stands elsewhere too, is no secret that could be told apart.
    let is_secret = |token: &str| token.len() >= 12 && text.matches(token).count() == 1;
    let shown = format!("{tokens:?}");
    assert!(!is_secret(access) || !shown.contains(access), "{shown}");
    assert!(refresh.is_none_or(|token| !is_secret(token) || !shown.contains(token)), "{shown}");
}

/// Whether a field may stand there twice: then the whole is refused, and `Map` takes the last.
fn has_twins(text: &str) -> bool {
    let names = ["\"access_token\"", "\"refresh_token\"", "\"expires_in\"", "\"scope\"", "\"scopes\"", "\\u"];
    names.iter().any(|name| text.matches(name).count() > 1) || text.contains("\\u")
}
