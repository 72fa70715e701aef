//! A token endpoint's success answer: RFC 6749, section 5.1, as providers write it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::Tokens;
use crate::{
    provider::answer::Document,
    token::{AccessToken, RefreshToken, TokenType},
};

/// The longest plausible lifetime. No provider's access tokens live longer, and more would overflow clocks.
const LONGEST_LIFE: i64 = 10 * 365 * 24 * 60 * 60;

/// Returns the tokens in an answer; `None` if it has no access token. Nothing else may cost a token that may
/// be the only live one: an invalid lifetime, scope or refresh token counts as absent. The status is ignored,
/// since some providers answer 201.
pub(in crate::provider) fn read_tokens(answer: &Response<Bytes>) -> Option<Tokens> {
    if !answer.status().is_success() {
        return None;
    }
    let document = Document::read(answer.body());
    // The field's other name at Bitbucket until May 2026, and at Facebook and Stack Exchange.
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

/// Zero and less mean "for ever" or "unknown" at some providers.
fn lifetime(seconds: i64) -> Option<Duration> {
    let seconds = Some(seconds).filter(|seconds| (1..=LONGEST_LIFE).contains(seconds))?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}
