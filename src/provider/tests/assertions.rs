//! `private_key_jwt`, checked as the providers' servers do.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::*;
use crate::token::RefreshToken;

fn pem(tag: &str, der: &[u8]) -> String {
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", BASE64_STANDARD.encode(der))
}

/// A key with and without a certificate, and the means to verify its signatures.
fn key() -> (String, String, DecodingKey) {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key for the test");
    let private: Pkcs8V1Der<'_> = key.as_der().expect("the key can be written");
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("the key can be written");
    let alone = pem("PRIVATE KEY", private.as_ref());
    let with_certificate = format!("{}{alone}", pem("CERTIFICATE", b"der"));
    let public = DecodingKey::from_rsa_pem(pem("PUBLIC KEY", public.as_ref()).as_bytes());
    (alone, with_certificate, public.expect("the key can be read"))
}

fn settings(pem: String) -> Settings {
    Settings {
        client_id: Some("app".to_owned()),
        private_key: Some(Arc::new(Secret::fixed(pem))),
        token_url: "https://login.acme.example/token".parse().ok(),
        ..Settings::default()
    }
}

/// The form of a renewal, or the reason for its absence.
fn renewal(strategy: &str, settings: Settings) -> Result<Vec<(String, String)>, Unsendable> {
    let provider = build(strategy, settings).expect("there is such an adapter");
    let (access, refresh) = (token(), RefreshToken::new("r".to_owned()));
    let pair = TokenPair { access: &access, refresh: Some(&refresh) };
    let renewal = provider.renewal().expect("all is configured");
    let request = renewal.encode(pair, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))?;
    assert!(!request.headers().contains_key("authorization"));
    Ok(url::form_urlencoded::parse(request.body()).into_owned().collect())
}

fn assertion(form: &[(String, String)]) -> &str {
    let value = |wanted| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!(value("client_id"), Some("app"));
    assert_eq!(value("client_secret"), None);
    assert_eq!(
        value("client_assertion_type"),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    value("client_assertion").expect("the client must prove itself")
}

fn claims(assertion: &str, algorithm: Algorithm, key: &DecodingKey) -> Value {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["https://login.acme.example/token"]);
    validation.validate_exp = false; // the tests' present is not ours
    let decoded = jsonwebtoken::decode::<Value>(assertion, key, &validation);
    decoded.expect("the signature and the audience are right").claims
}

#[test]
fn an_assertion_is_for_the_token_endpoint_short_lived_and_used_once() {
    let (alone, _, public) = key();
    let forms = [(); 2].map(|()| renewal("oauth2", settings(alone.clone())).expect("the key is right"));
    let [first, second] = forms.each_ref().map(|form| claims(assertion(form), Algorithm::RS256, &public));
    assert_eq!((first["iss"].as_str(), first["sub"].as_str()), (Some("app"), Some("app")));
    assert_eq!((first["iat"].as_u64(), first["exp"].as_u64()), (Some(NOW), Some(NOW + 60)));
    assert!(first["jti"].as_str().is_some_and(|id| id.len() >= 16));
    assert_ne!(first["jti"], second["jti"]);
}

#[test]
fn microsoft_is_told_the_certificate() {
    let (alone, with_certificate, public) = key();
    let form = renewal("waad", settings(with_certificate)).expect("the key is right");
    claims(assertion(&form), Algorithm::PS256, &public);
    let header = jsonwebtoken::decode_header(assertion(&form)).expect("it has a header");
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"der");
    assert_eq!(header.x5t_s256, Some(BASE64_URL_SAFE_NO_PAD.encode(thumbprint)));

    let refused = renewal("waad", settings(alone)).expect_err("there is no certificate");
    assert_eq!(refused.to_string(), "the private key has no certificate beside it, which Microsoft wants");
}

#[test]
fn a_secret_wins_over_a_key_unless_the_method_is_named() {
    let (alone, _, _) = key();
    let both = Settings { client_secret: Some(Arc::new(Secret::fixed("s".to_owned()))), ..settings(alone) };
    let form = renewal("oauth2", both.clone()).expect("all is there");
    assert!(form.iter().any(|(name, value)| name == "client_secret" && value == "s"));
    let named = Settings { token_auth_method: Some(AuthMethod::PrivateKeyJwt), ..both };
    assertion(&renewal("oauth2", named).expect("the key is right"));
}
