//! A JSON Web Key Set, whatever is in it, verifies our token only if our key is in it.
//!
//! The input is the set; `OUR_KEY` stands for the members of our key.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use idp_token_service::fuzzing::is_signed;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static OURS: LazyLock<Ours> = LazyLock::new(Ours::new);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let set = text.replace("OUR_KEY", &OURS.members);
    let is_signed = is_signed(set.as_bytes(), &OURS.token);
    assert!(!is_signed || text.contains("OUR_KEY"), "a stranger's key verifies our token: {set}");
    if is_plain(text) {
        assert!(is_signed, "our key does not verify our token: {set}");
    }
});

struct Ours {
    members: String,
    token: String,
}

impl Ours {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = key.public_key().as_ref();
        let members =
            json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) });
        let part = |part: Value| encode(part.to_string().as_bytes());
        let message =
            format!("{}.{}", part(json!({ "alg": "ES256", "kid": "a" })), part(json!({ "iss": "i" })));
        let signature = key.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        Self {
            members: members.to_string().trim_matches(['{', '}']).to_owned(),
            token: format!("{message}.{}", encode(signature.as_ref())),
        }
    }
}

/// Whether our key is in the set with its name, first of that name, and nothing about it says that it is of
/// no use.
fn is_plain(text: &str) -> bool {
    let Some(more) = text.strip_prefix(r#"{"keys":[{OUR_KEY,"kid":"a"}"#) else { return false };
    let Some(others) = more.strip_suffix("]}") else { return false };
    let all = serde_json::from_str::<Vec<Value>>(&format!("[null{others}]"));
    !others.contains("OUR_KEY") && all.is_ok_and(|all| all.len() < 100)
}
