//! `private_key_jwt`: the client authenticates with a signed assertion (RFC 7523, section 3).

use std::time::{Duration, SystemTime};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::provider::Unsendable;

/// The `client_assertion_type`.
pub(in crate::provider) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Lifetime of an assertion, which is used at once. Microsoft advises at most 5 to 10 minutes:
/// <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>
const LIFETIME: Duration = Duration::from_secs(60);

/// How assertions are signed.
#[derive(Clone, Debug, Default)]
pub(in crate::provider) struct Signing {
    /// The audience: the token endpoint.
    pub(in crate::provider) audience: String,
    /// Whether to name the key's certificate and sign with PS256, as Microsoft requires; otherwise RS256,
    /// which all servers accept.
    pub(in crate::provider) names_certificate: bool,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Returns an assertion of `client_id`, signed with the RSA key in `pem`, which may also hold the key's
/// certificate.
pub(in crate::provider) fn sign(
    client_id: &str,
    pem: &SecretString,
    signing: &Signing,
    now: SystemTime,
) -> Result<SecretString, Unsendable> {
    let pem = pem.expose_secret();
    let key = EncodingKey::from_rsa_pem(private_key(pem).as_bytes())
        .map_err(|_| Unsendable::Key("is no RSA key in PEM form"))?;
    let header = header(pem, signing)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (iat, exp) = (now.as_secs(), (now + LIFETIME).as_secs());
    let claims =
        Claims { iss: client_id, sub: client_id, aud: &signing.audience, jti: nonce()?, iat, nbf: iat, exp };
    let assertion = jsonwebtoken::encode(&header, &claims, &key);
    assertion.map(SecretString::from).map_err(|_| Unsendable::Key("cannot sign"))
}

fn header(pem: &str, signing: &Signing) -> Result<Header, Unsendable> {
    if !signing.names_certificate {
        return Ok(Header::new(Algorithm::RS256));
    }
    let certificate = certificate(pem);
    let certificate =
        certificate.ok_or(Unsendable::Key("has no certificate beside it, which Microsoft wants"))?;
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    Ok(Header { x5t_s256: Some(thumbprint), ..Header::new(Algorithm::PS256) })
}

/// Returns the private key in `pem`, which may also hold its certificate; all of `pem` if it has no key
/// block.
pub fn private_key(pem: &str) -> &str {
    block(pem, "PRIVATE KEY").unwrap_or(pem)
}

/// Returns whether `pem` holds a certificate.
pub fn has_certificate(pem: &str) -> bool {
    certificate(pem).is_some()
}

fn certificate(pem: &str) -> Option<Vec<u8>> {
    block(pem, "CERTIFICATE").and_then(der)
}

/// Returns the first PEM block whose label ends with `label`, including its delimiter lines.
fn block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let end = format!("{label}-----");
    let blocks = pem.match_indices("-----BEGIN ").filter_map(|(at, _)| pem.get(at..));
    let found = blocks
        .into_iter()
        .find(|block| block.lines().next().is_some_and(|line| line.trim_end().ends_with(&end)))?;
    let close = found.find("-----END ")?;
    let length = found[close..].find('\n').map_or(found.len(), |line| close + line);
    found.get(..length)
}

fn der(block: &str) -> Option<Vec<u8>> {
    let lines = block.lines().filter(|line| !line.starts_with("-----")).map(str::trim);
    BASE64_STANDARD.decode(lines.collect::<String>()).ok()
}

fn nonce() -> Result<String, Unsendable> {
    let mut random = [0; 16];
    rand::fill(&mut random)
        .map_err(|_| Unsendable::Key("cannot be used: the system gives no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
