//! The success of a token endpoint: RFC 6749, section 5.1, as providers write it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Deserializer};

use super::Tokens;
use crate::{
    provider::answer::{self, Loose, Words},
    token::{AccessToken, RefreshToken},
};

/// No provider's access tokens live longer; more is nonsense, and would overflow clocks.
const LONGEST_LIFE: i64 = 10 * 365 * 24 * 60 * 60;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    access_token: Usable,
    refresh_token: Usable,
    expires_in: Loose,
    scope: Words,
    /// Bitbucket's name for `scope` until May 2026.
    scopes: Words,
}

/// A token, if it is a text that a header can hold.
#[derive(Default)]
struct Usable(Option<String>);

impl<'de> Deserialize<'de> for Usable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Loose::Text(text) = Loose::deserialize(deserializer)? else { return Ok(Self(None)) };
        let usable = !text.is_empty() && HeaderValue::from_str(&text).is_ok();
        Ok(Self(usable.then_some(text)))
    }
}

/// The tokens in an answer; `None` if there is no access token. Nothing else in it is worth losing a token for that
/// may be the only live one: an odd lifetime, scope or refresh token counts as not there.
pub(in crate::provider) fn read_tokens(answer: &Response<Bytes>) -> Option<Tokens> {
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body: Body = answer::object(answer.body())?;
    let scope = if body.scope.0.is_empty() { body.scopes } else { body.scope };
    Some(Tokens {
        access: AccessToken::new(body.access_token.0?),
        refresh: body.refresh_token.0.map(RefreshToken::new),
        expires_in: body.expires_in.number().and_then(lifetime),
        scopes: scope.0,
    })
}

/// Zero and less is what some send who mean "for ever" or know nothing.
fn lifetime(seconds: i64) -> Option<Duration> {
    let seconds = Some(seconds).filter(|seconds| (1..=LONGEST_LIFE).contains(seconds))?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}
