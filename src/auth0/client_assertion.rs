//! `private_key_jwt`: the client authenticates with a signed assertion instead of a secret (RFC 7523).

use secrecy::SecretString;
use serde::Serialize;

use super::jwt;

/// Lifetime of an assertion in seconds. Auth0 advises a minute and refuses more than five
/// (<https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt>).
const LIFETIME: u64 = 60;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

/// Makes an assertion for `audience`, signed with RS256 by the key in `pem`.
///
/// # Errors
/// When the key cannot be read; the text says what is wrong and never quotes the key.
pub(super) fn sign(client_id: &str, audience: &str, pem: &SecretString) -> Result<SecretString, String> {
    let iat = jwt::unix_now();
    let exp = iat + LIFETIME;
    let claims = Claims { iss: client_id, sub: client_id, aud: audience, jti: jwt::nonce()?, iat, exp };
    jwt::sign("JWT", &claims, pem)
}
