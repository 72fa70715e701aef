//! Checks files that should hold an RSA private key.

use aws_lc_rs::signature::RsaKeyPair;
use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use zeroize::Zeroizing;

const REMEDY: &str = "`private_key_jwt` takes an RSA private key of 2048 bits or more, without a passphrase";

/// Says what is wrong with `pem`, to complete a sentence after "names"; `None` for a key that signs RS256.
pub(super) fn fault(pem: &str) -> Option<String> {
    if signs(pem) {
        return None;
    }
    let Some(label) = label(pem) else {
        return Some(
            "a file that is not PEM: it must begin with `-----BEGIN PRIVATE KEY-----` or \
             `-----BEGIN RSA PRIVATE KEY-----`"
                .to_owned(),
        );
    };
    Some(format!("a file that holds {}; {REMEDY}", content(label, pem)))
}

/// Returns whether the key can sign: parsing alone accepts public keys and certificates as private keys.
fn signs(pem: &str) -> bool {
    let claims = serde_json::json!({});
    EncodingKey::from_rsa_pem(pem.as_bytes())
        .is_ok_and(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).is_ok())
}

/// Returns `PRIVATE KEY` of `-----BEGIN PRIVATE KEY-----`.
fn label(pem: &str) -> Option<&str> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    rest.split_once("-----").map(|(label, _)| label)
}

/// Describes, with an article, what a file with that label holds. The label itself is not quoted.
fn content(label: &str, pem: &str) -> &'static str {
    match label {
        "PRIVATE KEY" => pkcs8(&der(pem)),
        "RSA PRIVATE KEY" => rsa(&RsaKeyPair::from_der(&der(pem))),
        "EC PRIVATE KEY" => "an EC key",
        "ENCRYPTED PRIVATE KEY" => "a key that is encrypted with a passphrase",
        "OPENSSH PRIVATE KEY" => "a key in OpenSSH's own format",
        label if label.ends_with("PUBLIC KEY") => "a public key",
        label if label.ends_with("CERTIFICATE") => "a certificate",
        _ => "something else than a private key",
    }
}

fn pkcs8(der: &[u8]) -> &'static str {
    /// The object identifier 1.2.840.10045.2.1, `id-ecPublicKey` (RFC 5480), which is near the beginning.
    const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let head = &der[..der.len().min(32)];
    if memchr::memmem::find(head, EC).is_some() {
        return "an EC key";
    }
    rsa(&RsaKeyPair::from_pkcs8(der))
}

fn rsa(key: &Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> &'static str {
    match key {
        Err(error) if error.to_string() == "TooSmall" => "an RSA key of fewer than 2048 bits",
        _ => "a private key that is cut off, damaged, or of another kind",
    }
}

/// Returns the bytes of the first block; empty if it is not base64.
fn der(pem: &str) -> Zeroizing<Vec<u8>> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN ")).skip(1);
    let text: Zeroizing<String> =
        Zeroizing::new(lines.take_while(|line| !line.starts_with('-')).map(str::trim).collect());
    Zeroizing::new(BASE64_STANDARD.decode(text.as_bytes()).unwrap_or_default())
}
