//! `private_key_jwt`: the client proves itself with a signed assertion instead of a secret (RFC 7523).

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Auth0 advises a minute and refuses more than five
/// (<https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt>).
const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

/// An assertion for `audience`, signed with RS256 by the key in `pem`.
///
/// # Errors
/// When the key cannot be read; the text says what is wrong and never quotes the key.
pub(super) fn sign(client_id: &str, audience: &str, pem: &SecretString) -> Result<SecretString, String> {
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| "the private key is not an RSA key in PEM form".to_owned())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (iat, exp) = (now.as_secs(), (now + LIFETIME).as_secs());
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| "the system gives no random bytes".to_owned())?;
    let jti = URL_SAFE_NO_PAD.encode(random);
    let claims = Claims { iss: client_id, sub: client_id, aud: audience, jti, iat, exp };
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
        .map(SecretString::from)
        .map_err(|_| "the private key cannot sign".to_owned())
}
