//! A caller's JWT is believed only if a key of its issuer signed just these bytes, and then only for what its
//! claims say; and a plain good one is believed.
//!
//! The first line says who signs: `ec`, `ed` or `rsa`, keys of the issuer; `stranger`, a key that is not
//! among them; `hmac`, with a public key for a secret; or `none`. The second says what is done to the token
//! then: `replace`, `delete` or `insert`, where, and a letter; or nothing. The third is the header and the
//! rest are the claims, both in JSON, in which `NOW+60` is a time. A first line `raw` makes the rest a token
//! itself.

#![no_main]

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use idp_token_service::{authentication::Authentication, caller::Caller};
use idp_token_service_fuzz::{
    Lines,
    world::{self, AUDIENCE, TENANT},
};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let signer = lines.field();
    if signer == "raw" {
        let token = lines.rest();
        assert_eq!(WORLD.believes(token), None, "nobody signed {token}");
        return;
    }
    let change = lines.field();
    let header = times(&lines.field());
    let claims = times(lines.rest());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
    let signature = WORLD.sign(&signer, &message);
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    let sent = changed(&token, &change);
    let believed = WORLD.believes(&sent);
    if let Some(subject) = &believed {
        assert_eq!(sent, token, "the token was changed on the way");
        assert!(["ec", "ed", "rsa"].contains(&&*signer), "{signer} is no key of the issuer");
        supports(&header, &claims, &signer, subject);
    }
    if sent == token && is_plain(&header, &claims, &signer) {
        assert!(believed.is_some(), "a good token is refused: {header} {claims}");
    }
});

struct World {
    ec: EcdsaKeyPair,
    stranger: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
    runtime: Runtime,
    authentication: Authentication,
}

impl World {
    fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let ec = EcdsaKeyPair::generate(algorithm).expect("a key");
        let stranger = EcdsaKeyPair::generate(algorithm).expect("a key");
        let ed = Ed25519KeyPair::generate().expect("a key");
        let rsa = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let url = world::publish(key_set(&ec, &ed, &rsa).to_string());
        let rules =
            format!("[end_users]\naudience = '{AUDIENCE}'\nallow = ['ListIdentities']\nproviders = ['**']\n");
        let authentication = runtime.block_on(async { world::authentication(&url, &rules) });
        Self { ec, stranger, ed, rsa, random, runtime, authentication }
    }

    fn sign(&self, signer: &str, message: &str) -> Vec<u8> {
        let message = message.as_bytes();
        match signer {
            "ec" => self.ec.sign(&self.random, message).expect("a signature").as_ref().to_vec(),
            "stranger" => self.stranger.sign(&self.random, message).expect("a signature").as_ref().to_vec(),
            "ed" => self.ed.sign(message).as_ref().to_vec(),
            "rsa" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let done = self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature);
                done.expect("a signature");
                signature
            }
            "hmac" => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.ec.public_key().as_ref());
                hmac::sign(&key, message).as_ref().to_vec()
            }
            _ => Vec::new(),
        }
    }

    /// The user whom the token stands for, if it is believed.
    fn believes(&self, token: &str) -> Option<String> {
        let verified = self.authentication.verify(SecretString::from(token));
        match self.runtime.block_on(verified).map(|proven| proven.caller) {
            Ok(Caller::EndUser { subject, .. }) => Some(subject.as_str().to_owned()),
            Ok(other) => panic!("{other:?} is no end user"),
            Err(_) => None,
        }
    }
}

fn key_set(ec: &EcdsaKeyPair, ed: &Ed25519KeyPair, rsa: &RsaKeyPair) -> Value {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = ec.public_key().as_ref();
    let (n, e) = {
        let public = rsa.public_key();
        (
            public.modulus().big_endian_without_leading_zero().to_vec(),
            public.exponent().big_endian_without_leading_zero().to_vec(),
        )
    };
    json!({ "keys": [
        { "kid": "ec", "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
        { "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": encode(ed.public_key().as_ref()) },
        { "kid": "rsa", "kty": "RSA", "n": encode(&n), "e": encode(&e), "alg": "RS256", "use": "sig" },
    ]})
}

/// `text` with times for `NOW+60` and `NOW-60`.
fn times(text: &str) -> String {
    let now = now();
    let mut parts = text.split("NOW");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(1..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let offset = part.get(..=digits).and_then(|offset| offset.parse::<i64>().ok());
        match offset.and_then(|offset| now.checked_add(offset)) {
            Some(time) => written += &format!("{time}{}", &part[digits + 1..]),
            None => written += &format!("NOW{part}"),
        }
    }
    written
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(now.as_secs()).expect("a clock before the end of time")
}

fn changed(token: &str, change: &str) -> String {
    let mut words = change.split(' ');
    let (what, at, letter) = (words.next(), words.next(), words.next());
    let Some(at) = at.and_then(|at| at.parse::<usize>().ok()) else { return token.to_owned() };
    let mut letters: Vec<char> = token.chars().collect();
    let at = at % letters.len();
    let letter = letter.and_then(|letter| letter.chars().next()).unwrap_or('A');
    match what {
        Some("replace") => letters[at] = letter,
        Some("delete") => drop(letters.remove(at)),
        Some("insert") => letters.insert(at, letter),
        _ => {}
    }
    letters.into_iter().collect()
}

/// What a token that is believed must say, read without any of the service's code.
fn supports(header: &str, claims: &str, signer: &str, subject: &str) {
    let header: Value = serde_json::from_str(header).expect("a header");
    let claims: Value = serde_json::from_str(claims).expect("claims");
    let algorithm = match signer {
        "ec" => "ES256",
        "ed" => "EdDSA",
        _ => "RS256",
    };
    assert_eq!(header["alg"], algorithm);
    assert_eq!(header["kid"], signer, "with several keys a token must name its own");
    assert!(header["crit"].is_null(), "{header}");
    assert_eq!(claims["iss"], TENANT);
    assert_eq!(claims["sub"], subject);
    let is_ours = |audience: &Value| *audience == AUDIENCE;
    assert!(is_ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|all| all.iter().any(is_ours)));
    let now = now() as f64;
    assert!(claims["exp"].as_f64().is_some_and(|end| end > now - 62.0), "{claims}");
    assert!(["nbf", "iat"].iter().all(|name| claims[name].as_f64().is_none_or(|from| from < now + 62.0)));
    assert!(
        ["nonce", "at_hash", "c_hash", "events"].iter().all(|name| claims.get(name).is_none()),
        "{claims}"
    );
    assert!(!subject.ends_with("@clients"), "{subject}");
}

/// Whether nothing in a token could be held against it.
fn is_plain(header: &str, claims: &str, signer: &str) -> bool {
    let is_good = |claims: &str| {
        let claims: Value = serde_json::from_str(claims).ok()?;
        let claims = claims.as_object()?;
        let is_known = |name: &str| ["iss", "sub", "aud", "exp"].contains(&name);
        let end = claims.get("exp")?.as_i64()?;
        let subject = claims.get("sub")?.as_str()?;
        let is_user = subject.strip_prefix("google-oauth2|")?.bytes().all(|byte| byte.is_ascii_digit());
        let is_in_time = (now() + 5..now() + 100_000).contains(&end);
        let is_ours = *claims.get("iss")? == TENANT && *claims.get("aud")? == AUDIENCE;
        Some(claims.keys().all(|name| is_known(name)) && is_user && is_in_time && is_ours)
    };
    let algorithm = match signer {
        "ec" => "ES256",
        "ed" => "EdDSA",
        "rsa" => "RS256",
        _ => return false,
    };
    let is_expected = |header: &str| {
        serde_json::from_str::<Value>(header)
            .is_ok_and(|header| header == json!({ "alg": algorithm, "kid": signer }))
    };
    // A key that stands twice is refused, though `Value` takes its last value.
    let has_twins = |json: &str, names: &[&str]| names.iter().any(|name| json.matches(name).count() > 1);
    claims.len() + header.len() < 1024
        && !has_twins(header, &["\"alg\"", "\"kid\"", "\\u"])
        && !has_twins(claims, &["\"iss\"", "\"sub\"", "\"aud\"", "\"exp\"", "\\u"])
        && is_expected(header)
        && is_good(claims) == Some(true)
}
