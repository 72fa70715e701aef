//! Identifies a call's caller from its connection and headers.
//!
//! A bearer token takes precedence over a certificate: behind a proxy, many callers share one connection. The
//! token is judged by itself: an invalid one fails the call, however good the certificate is.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use secrecy::SecretString;

use crate::{
    authentication::{Authenticated, Authentication, AuthenticationError, CredentialRejection},
    caller::{Caller, Peer, Proof},
};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// What is known about a caller without waiting.
pub(super) enum Identified {
    /// The caller.
    Caller(Authenticated),
    /// A bearer token that was not verified recently.
    Bearer(SecretString),
}

/// Returns the caller, or the token that identifies it.
///
/// # Errors
/// When a required proof is missing, or one is not valid.
pub(super) fn identify(
    authentication: &Authentication,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Identified, AuthenticationError> {
    if !authentication.is_required() {
        return Ok(Identified::Caller(Authenticated { caller: Caller::Anonymous, proof: Proof::None }));
    }
    if authentication.takes_tokens()
        && let Some(token) = bearer(headers)?
    {
        let remembered = authentication.remembered(&token);
        return Ok(remembered.map_or(Identified::Bearer(token), Identified::Caller));
    }
    let forwarded = headers.get_all(FORWARDED).into_iter().map(|value| value.to_str().ok());
    let peer = extensions.get::<Arc<Peer>>().ok_or(AuthenticationError::Missing)?;
    let caller = authentication.by_certificate(peer, forwarded)?;
    caller.map(Identified::Caller).ok_or(AuthenticationError::Missing)
}

/// Reads the token of `authorization: Bearer TOKEN` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, CredentialRejection> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => token(value).map(Some).ok_or(CredentialRejection::Authorization),
        (Some(_), Some(_)) => Err(CredentialRejection::Authorization),
    }
}

fn token(value: &HeaderValue) -> Option<SecretString> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    // Neither a list of credentials nor a token with white space is valid.
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    (scheme.eq_ignore_ascii_case("bearer") && is_one).then(|| token.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn found(values: &[&'static str]) -> Result<Option<String>, CredentialRejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer(&headers).map(|token| token.map(|token| token.expose_secret().to_owned()))
    }

    #[test]
    fn exactly_one_bearer_token_is_taken() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c"] {
            assert_eq!(found(&[value]), Ok(Some("a.b.c".to_owned())), "{value}");
        }
        assert_eq!(found(&[]), Ok(None));
        for values in [
            &["Bearer"][..],
            &["Bearer "],
            &["a.b.c"],
            &["Basic YTpi"],
            &["Bearer a b"],
            &["Bearer a.b.c, Bearer d.e.f"],
            &["Bearer a.b.c", "Bearer a.b.c"],
            &["Bearer a.b.c", ""],
        ] {
            assert_eq!(found(values), Err(CredentialRejection::Authorization), "{values:?}");
        }
    }
}
