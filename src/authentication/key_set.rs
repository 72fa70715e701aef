//! An issuer's public keys, parsed from its JSON Web Key Set (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::{error::CredentialRejection, token::Header};

/// Maximum number of keys. Issuers have two or three; a larger set is something else.
const MOST_KEYS: usize = 100;

/// The keys that can verify signatures.
pub(super) struct KeySet(Vec<Key>);

/// One public key.
pub(super) struct Key {
    id: Option<String>,
    /// Algorithms that the key's own type and `alg` allow, never those that a token names.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Parses a key set. Keys that are not for signatures, or of an unknown type, are skipped.
    ///
    /// # Errors
    /// When it is not a key set or has no usable key; the text says which.
    pub(super) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let document: Document = serde_json::from_slice(json).map_err(|_| "this is no JSON Web Key Set")?;
        if document.keys.len() > MOST_KEYS {
            return Err("the key set has more than 100 keys");
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::parse).collect();
        if keys.is_empty() { Err("the key set has no key that verifies signatures") } else { Ok(Self(keys)) }
    }

    /// Finds the key that a token names, or the only key if it names none.
    pub(super) fn find(&self, header: &Header) -> Result<(&Key, Algorithm), CredentialRejection> {
        // Symmetric algorithms parse, too, but no key allows them.
        let algorithm: Algorithm = header.alg.parse().map_err(|_| CredentialRejection::Algorithm)?;
        let named: Vec<_> = match (&header.kid, &*self.0) {
            (Some(id), keys) => keys.iter().filter(|key| key.id.as_ref() == Some(id)).collect(),
            (None, [only]) => vec![only],
            (None, _) => Vec::new(),
        };
        if named.is_empty() {
            return Err(CredentialRejection::Key);
        }
        // Keys of different types may share a name: RFC 7517, section 4.5.
        let key = named.into_iter().find(|key| key.algorithms.contains(&algorithm));
        key.map(|key| (key, algorithm)).ok_or(CredentialRejection::Algorithm)
    }
}

impl Key {
    fn parse(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
        let operations = jwk.common.key_operations.as_ref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_for_signatures || !verifies {
            return None;
        }
        let algorithms = algorithms(&jwk);
        if algorithms.is_empty() {
            return None;
        }
        Some(Self { id: jwk.common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(&jwk).ok()? })
    }

    /// Returns whether this key made `signature` for `message`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}

/// Returns the algorithms that the type of the key allows, or only its `alg` if it has one. None for a
/// symmetric key.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let by_type: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[EdDSA],
        _ => &[],
    };
    let own = jwk.common.key_algorithm;
    let fits = |one: &&Algorithm| own.is_none_or(|own| own == KeyAlgorithm::from(**one));
    by_type.iter().filter(fits).copied().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(more: &Value) -> Value {
        let mut key = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
        key.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        key
    }

    fn found(keys: &[Value], header: &Value) -> Result<Algorithm, CredentialRejection> {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set");
        let header = serde_json::from_value(header.clone()).expect("a header");
        set.find(&header).map(|(_, algorithm)| algorithm)
    }

    #[test]
    fn the_key_decides_how_a_token_may_be_signed() {
        let point = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": point, "y": point, "kid": "a" });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": point, "kid": "a" });
        for (key, alg, expected) in [
            (rsa(&json!({ "kid": "a" })), "RS256", Ok(Algorithm::RS256)),
            (rsa(&json!({ "kid": "a" })), "PS256", Ok(Algorithm::PS256)),
            (rsa(&json!({ "kid": "a", "alg": "RS256" })), "PS256", Err(CredentialRejection::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "ES256", Err(CredentialRejection::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "HS256", Err(CredentialRejection::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "none", Err(CredentialRejection::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "NONE", Err(CredentialRejection::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "", Err(CredentialRejection::Algorithm)),
            (ec.clone(), "ES256", Ok(Algorithm::ES256)),
            (ec, "ES384", Err(CredentialRejection::Algorithm)),
            (ed.clone(), "EdDSA", Ok(Algorithm::EdDSA)),
            (ed, "RS256", Err(CredentialRejection::Algorithm)),
        ] {
            assert_eq!(
                found(std::slice::from_ref(&key), &json!({ "alg": alg, "kid": "a" })),
                expected,
                "{key} {alg}"
            );
        }
    }

    #[test]
    fn a_token_names_its_key_where_there_are_several() {
        let (a, b, nameless) = (rsa(&json!({ "kid": "a" })), rsa(&json!({ "kid": "b" })), rsa(&json!({})));
        let (named, unnamed) = (json!({ "alg": "RS256", "kid": "b" }), json!({ "alg": "RS256" }));
        assert_eq!(found(&[a.clone(), b.clone()], &named), Ok(Algorithm::RS256));
        assert_eq!(found(std::slice::from_ref(&a), &named), Err(CredentialRejection::Key));
        assert_eq!(found(std::slice::from_ref(&nameless), &named), Err(CredentialRejection::Key));
        assert_eq!(found(&[nameless], &unnamed), Ok(Algorithm::RS256));
        assert_eq!(found(&[a, b], &unnamed), Err(CredentialRejection::Key));
    }

    #[test]
    fn what_verifies_no_signature_is_no_key() {
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a" });
        let none: [Vec<Value>; 7] = [
            vec![],
            vec![secret],
            vec![rsa(&json!({ "use": "enc" }))],
            vec![rsa(&json!({ "key_ops": ["sign"] }))],
            vec![rsa(&json!({ "alg": "RSA-OAEP" }))],
            vec![json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" })],
            vec![json!(5), json!({ "kty": "new" })],
        ];
        for keys in none {
            assert!(KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).is_err(), "{keys:?}");
        }
        let many = vec![rsa(&json!({})); MOST_KEYS + 1];
        assert!(KeySet::parse(json!({ "keys": many }).to_string().as_bytes()).is_err());
        for text in ["", "[]", "{}", "<html>"] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
