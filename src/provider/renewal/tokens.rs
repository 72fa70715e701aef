//! The success of a token endpoint: RFC 6749, section 5.1, as providers write it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::Tokens;
use crate::{
    provider::answer::Document,
    token::{AccessToken, RefreshToken, TokenType},
};

/// No provider's access tokens live longer; more is nonsense, and would overflow clocks.
const LONGEST_LIFE: i64 = 10 * 365 * 24 * 60 * 60;

/// The tokens in an answer; `None` if there is no access token. Nothing else in it is worth losing a token
/// for that may be the only live one: an odd lifetime, scope or refresh token counts as not there. Nor is its
/// status: some answer 201.
pub(in crate::provider) fn read_tokens(answer: &Response<Bytes>) -> Option<Tokens> {
    if !answer.status().is_success() {
        return None;
    }
    let document = Document::read(answer.body());
    // Bitbucket's second name until May 2026, and Facebook's and Stack Exchange's.
    let mut scopes = ["scope", "scopes"].into_iter().map(|name| document.words(name));
    let mut lifetimes = ["expires_in", "expires"].into_iter().filter_map(|name| document.number(name));
    Some(Tokens {
        access: AccessToken::new(document.token("access_token")?.to_owned()),
        token_type: TokenType::named(document.text("token_type")),
        refresh: document.token("refresh_token").map(|token| RefreshToken::new(token.to_owned())),
        expires_in: lifetimes.find_map(lifetime),
        scopes: scopes.find(|scopes| !scopes.is_empty()).unwrap_or_default(),
    })
}

/// Zero and less is what some send who mean "for ever" or know nothing.
fn lifetime(seconds: i64) -> Option<Duration> {
    let seconds = Some(seconds).filter(|seconds| (1..=LONGEST_LIFE).contains(seconds))?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}
