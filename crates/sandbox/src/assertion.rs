//! Client assertions, by which a client proves itself with a key (RFC 7523).

use std::time::SystemTime;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::clock::unix;

/// The only assertion type of RFC 7523.
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion may not be good for longer.
const LIFETIME: u64 = 300;

/// How far the clocks may differ.
const SKEW: u64 = 10;

/// An assertion may not be longer.
const BYTES: usize = 2048;

/// The claims of a client assertion.
#[derive(Deserialize)]
pub(crate) struct Assertion {
    pub(crate) iss: String,
    sub: String,
    exp: u64,
    pub(crate) jti: String,
}

/// Who an assertion says that it is from, which nothing proves yet.
pub(crate) fn claimed_issuer(assertion: &str) -> Option<String> {
    let unverified = jsonwebtoken::dangerous::insecure_decode::<Assertion>(assertion).ok()?;
    Some(unverified.claims.iss)
}

/// The claims of an assertion that the key signed for the audience, and that is good at that time. Whether
/// its `jti` is new is for the caller to see to.
pub(crate) fn verified(assertion: &str, pem: &str, audience: &str, now: SystemTime) -> Option<Assertion> {
    if assertion.len() > BYTES {
        return None;
    }
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.algorithms = vec![Algorithm::RS256, Algorithm::RS384, Algorithm::PS256];
    rules.set_audience(&[audience]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    // Against the time that is given, below.
    rules.validate_exp = false;
    let claims = jsonwebtoken::decode::<Assertion>(assertion, &key, &rules).ok()?.claims;
    let now = unix(now);
    let timely = now <= claims.exp + SKEW && claims.exp <= now + LIFETIME + SKEW;
    let named = claims.iss == claims.sub && !claims.jti.is_empty() && claims.jti.len() <= 64;
    (timely && named).then_some(claims)
}
