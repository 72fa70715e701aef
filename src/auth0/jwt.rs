//! Signing: what the tenant takes as proof, of the application or of a request for a user.

use std::time::SystemTime;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// A JWT of `typ` with `claims`, signed with RS256 by the key in `pem`.
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

/// A `jti`: 22 characters that never come again.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn nonce() -> Result<String, String> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// Seconds since 1970, for `iat` and `exp`.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
