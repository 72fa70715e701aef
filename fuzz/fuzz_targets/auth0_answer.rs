//! Auth0's answers: nobody gets the tokens of another user, failures that pass are not taken for refusals,
//! and no message repeats what was answered.
//!
//! The lines: `profile`, `vault` or `user` (a vault opened on the word of the end user), the status, then
//! headers, `name: value`, up to an empty line. The rest is the body; the user is `google-oauth2|1119`.

#![no_main]

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use idp_token_service::{
    auth0::{Auth0Error, VaultError},
    fuzzing::{profile, vault_token},
    identity::{Profile, UserId},
};
use idp_token_service_fuzz::{CANARY, Lines, assert_hidden, headers};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const USER: &str = "google-oauth2|1119";

/// Auth0's own windows are no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let kind = lines.field();
    let Ok(status) = lines.field().parse::<StatusCode>() else { return };
    let headers = headers(&lines.block());
    let mut answer = Response::new(Bytes::from(lines.rest().to_owned()));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    match &*kind {
        "profile" => a_profile_is_read(&answer),
        _ => a_vault_is_read(&answer, kind == "user"),
    }
});

fn a_profile_is_read(answer: &Response<Bytes>) {
    let user = UserId::parse(USER.to_owned(), "user_id").expect("a user id");
    let vault = BTreeSet::from(["acme".to_owned()]);
    match profile(answer, &user, &vault) {
        Ok(profile) => is_as_written(&profile, answer),
        Err(None) => assert_eq!(answer.status(), StatusCode::UNAUTHORIZED),
        Err(Some(error)) => is_fair(&error, answer),
    }
}

fn is_as_written(profile: &Profile, answer: &Response<Bytes>) {
    assert_eq!(answer.status(), StatusCode::OK);
    let body: Value = match serde_json::from_slice(answer.body()) {
        Ok(body) => body,
        // JSON, all the same; a number that nobody asks for costs nobody a profile.
        Err(error) if error.to_string().starts_with("number out of range") => return,
        Err(error) => panic!("a profile was read from what is no JSON: {error}"),
    };
    // serde takes an array for a struct: its items, in the order of the fields.
    if !body.is_object() {
        return;
    }
    assert_eq!((body["user_id"].as_str(), profile.user_id.as_str()), (Some(USER), USER));
    let identities = body["identities"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(identities.len(), profile.identities.len());
    let shown = format!("{profile:?}");
    for (written, read) in
        identities.iter().zip(&profile.identities).filter(|(written, _)| written.is_object())
    {
        // The token of an account without a name could be taken for another's, and is left out.
        let is_named = !read.connection().is_empty() && !read.account_id().is_empty();
        let token = written["access_token"].as_str().filter(|token| is_named && !token.is_empty());
        assert_eq!(token, read.token.as_ref().map(|token| token.access.expose()));
        assert_eq!(written["connection"].as_str().unwrap_or_default() == "acme", read.in_vault);
        let text = str::from_utf8(answer.body()).unwrap_or_default();
        let is_secret = |token: &str| token.len() >= 12 && text.matches(token).count() == 1;
        assert!(token.is_none_or(|token| !is_secret(token) || !shown.contains(token)), "{shown}");
    }
}

/// An operator is not woken, and nobody is told that a user does not exist, because a server fails.
fn is_fair(error: &Auth0Error, answer: &Response<Bytes>) {
    assert!(!error.to_string().contains(CANARY), "{error}");
    assert_hidden(error, CANARY);
    let status = answer.status();
    let fails = status.is_server_error() || [408, 429].contains(&status.as_u16());
    match error {
        Auth0Error::UserNotFound | Auth0Error::Misconfigured { .. } => {
            assert!(status.is_client_error() && !fails, "{error} by {status}");
            assert!(!answer.body().trim_ascii_start().starts_with(b"<"), "{error} by a page");
        }
        Auth0Error::RateLimited { retry_after } => {
            assert!(fails && (Duration::from_millis(100)..=LONGEST_WAIT).contains(retry_after), "{error}");
        }
        Auth0Error::Unavailable { retry_after, .. } => {
            assert!(retry_after.is_none_or(|wait| wait <= LONGEST_WAIT), "{error}");
        }
    }
}

fn a_vault_is_read(answer: &Response<Bytes>, by_end_user: bool) {
    match vault_token(answer, "google-oauth2", by_end_user) {
        Ok(token) => {
            assert!(answer.status() == StatusCode::OK && !token.access.expose().is_empty());
            // Scopes and the type are no secrets.
            let is_shown = format!("{:?} {:?}", token.scopes, token.token_type).contains(CANARY);
            if !is_shown {
                assert_hidden(&token, CANARY);
            }
        }
        Err(error) => {
            assert!(!error.to_string().contains(CANARY), "{error}");
            assert_hidden(&error, CANARY);
            let is_passing = matches!(
                &error,
                VaultError::Auth0(Auth0Error::RateLimited { .. } | Auth0Error::Unavailable { .. })
            );
            assert!(is_passing || answer.status().is_client_error(), "{error} by {}", answer.status());
        }
    }
}
