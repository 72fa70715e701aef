//! An issuer's public keys, as its JSON Web Key Set (RFC 7517) has them.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::{error::Refusal, token::Header};

/// Keys in one set. Issuers have two or three; a set of this size is something else.
const MOST_KEYS: usize = 100;

/// The keys that can verify signatures.
pub(super) struct KeySet(Vec<Key>);

/// One public key.
pub(super) struct Key {
    id: Option<String>,
    /// What may be signed with it: by its own type and `alg`, never by what a token says.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set. Keys that are not for signatures, or of a type that is not known here, are left out.
    ///
    /// # Errors
    /// When it is none, or no key is of use; says so in words.
    pub(super) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let document: Document = serde_json::from_slice(json).map_err(|_| "this is no JSON Web Key Set")?;
        if document.keys.len() > MOST_KEYS {
            return Err("the key set has more than 100 keys");
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::parse).collect();
        if keys.is_empty() { Err("the key set has no key that verifies signatures") } else { Ok(Self(keys)) }
    }

    /// The key that a token names; without a name the only one.
    pub(super) fn find(&self, header: &Header) -> Result<(&Key, Algorithm), Refusal> {
        // Symmetric algorithms have names, too, but no key has them.
        let algorithm: Algorithm = header.alg.parse().map_err(|_| Refusal::Algorithm)?;
        let named: Vec<_> = match (&header.kid, &*self.0) {
            (Some(id), keys) => keys.iter().filter(|key| key.id.as_ref() == Some(id)).collect(),
            (None, [only]) => vec![only],
            (None, _) => Vec::new(),
        };
        if named.is_empty() {
            return Err(Refusal::Key);
        }
        // Keys of different types may share a name: RFC 7517, section 4.5.
        let key = named.into_iter().find(|key| key.algorithms.contains(&algorithm));
        key.map(|key| (key, algorithm)).ok_or(Refusal::Algorithm)
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

    /// Whether `signature` is this key's for `message`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}

/// What the type of the key allows, narrowed to its `alg` where it has one. Nothing for a symmetric key.
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

    fn found(keys: &[Value], header: &Value) -> Result<Algorithm, Refusal> {
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
            (rsa(&json!({ "kid": "a", "alg": "RS256" })), "PS256", Err(Refusal::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "ES256", Err(Refusal::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "HS256", Err(Refusal::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "none", Err(Refusal::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "NONE", Err(Refusal::Algorithm)),
            (rsa(&json!({ "kid": "a" })), "", Err(Refusal::Algorithm)),
            (ec.clone(), "ES256", Ok(Algorithm::ES256)),
            (ec, "ES384", Err(Refusal::Algorithm)),
            (ed.clone(), "EdDSA", Ok(Algorithm::EdDSA)),
            (ed, "RS256", Err(Refusal::Algorithm)),
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
        assert_eq!(found(std::slice::from_ref(&a), &named), Err(Refusal::Key));
        assert_eq!(found(std::slice::from_ref(&nameless), &named), Err(Refusal::Key));
        assert_eq!(found(&[nameless], &unnamed), Ok(Algorithm::RS256));
        assert_eq!(found(&[a, b], &unnamed), Err(Refusal::Key));
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
