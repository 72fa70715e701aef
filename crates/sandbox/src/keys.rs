//! The tenant's signing key: RS256, as Auth0 signs.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Value, json};

use super::error::SandboxError;
use super::secrets;

/// One RSA key of 2,048 bits and its name.
pub(crate) struct SigningKey {
    id: String,
    private: EncodingKey,
    public: DecodingKey,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, SandboxError> {
        Self::of(&KeyPair::generate(KeySize::Rsa2048).map_err(refused)?)
    }

    /// The key of a PKCS #8 PEM.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SandboxError> {
        let text: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(text).map_err(refused)?;
        Self::of(&KeyPair::from_pkcs8(&der).map_err(refused)?)
    }

    fn of(pair: &KeyPair) -> Result<Self, SandboxError> {
        let public = pair.public_key();
        let (modulus, exponent) =
            components(public.as_ref()).ok_or_else(|| refused("the public key is not an RSAPublicKey"))?;
        Ok(Self {
            id: secrets::fingerprint(&URL_SAFE_NO_PAD.encode(modulus))[7..].to_owned(),
            private: EncodingKey::from_rsa_pem(private_pem(pair)?.as_bytes()).map_err(refused)?,
            public: DecodingKey::from_rsa_raw_components(modulus, exponent),
            modulus: URL_SAFE_NO_PAD.encode(modulus),
            exponent: URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// Signs a set of claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.private).expect("a fresh RSA key signs any JSON")
    }

    /// What verifies its signatures.
    pub(crate) fn public(&self) -> &DecodingKey {
        &self.public
    }

    /// The set that `/.well-known/jwks.json` answers.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256",
            "kid": self.id, "n": self.modulus, "e": self.exponent,
        }]})
    }
}

/// A new RSA key as a PKCS #8 PEM.
pub(crate) fn new_pem() -> Result<String, SandboxError> {
    private_pem(&KeyPair::generate(KeySize::Rsa2048).map_err(refused)?)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refused(reason: impl ToString) -> SandboxError {
    SandboxError::Key(reason.to_string())
}

fn private_pem(pair: &KeyPair) -> Result<String, SandboxError> {
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map_err(refused)?;
    let text = STANDARD.encode(pkcs8.as_ref());
    let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str("-----END PRIVATE KEY-----\n");
    Ok(out)
}

/// Modulus and exponent of a DER `RSAPublicKey`: a sequence of two integers (RFC 8017, A.1.1).
fn components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    Some((unsigned(modulus), unsigned(exponent)))
}

/// The content of the DER element at the start, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let digits = usize::from(short & 0x7f);
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(digits)?;
        (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn unsigned(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}
