//! Signs the JWTs that the tenant accepts, as client assertion or as the request for a user's token.

use std::time::SystemTime;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Signs a JWT of type `typ` with `claims`, with RS256 and the key in `pem`.
///
/// # Errors
/// When the key cannot be read; the text says what is wrong and never quotes the key.
pub(super) fn sign(typ: &str, claims: &impl Serialize, pem: &SecretString) -> Result<SecretString, String> {
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| "the private key is not an RSA key in PEM form".to_owned())?;
    let header = Header { typ: Some(typ.to_owned()), ..Header::new(Algorithm::RS256) };
    jsonwebtoken::encode(&header, claims, &key)
        .map(SecretString::from)
        .map_err(|_| "the private key cannot sign".to_owned())
}

/// Returns a `jti`: 22 random characters.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn nonce() -> Result<String, String> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// Returns the Unix time in seconds, for `iat` and `exp`.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
