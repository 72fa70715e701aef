//! Tokens that were made up: by other algorithms, with other keys, and by what a careless verifier would
//! follow.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use idp_token_service::service::pb::ListIdentitiesRequest;
use idp_token_testkit::{
    World, assert_error,
    issuer::{Issuer, Key},
    people::{ADA, DONALD, google},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto::sign};
use serde_json::{Value, json};
use tonic::Code::Unauthenticated;

use super::{
    assert_refused,
    confusion::{but, part, tenant_key},
    list, list_with, user_claims, with, world_of,
};

/// A token of these parts with this signature.
fn token(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// A token whose claims are this text, well signed.
fn signed(key: &Key, claims: &str) -> String {
    let header = json!({ "alg": "ES256", "kid": key.id });
    let message = format!("{}.{}", part(&header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(message.as_bytes(), &key.private, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}

/// DER of a tag, with what is in it.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, content].concat()
}

/// The tenant's RSA key in the forms in which it lies about: PKCS #1 and X.509, each as DER and PEM.
fn forms(key: &Value) -> Vec<Vec<u8>> {
    let number = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        der(2, &[&[0][..], &bytes].concat())
    };
    let pkcs1 = der(0x30, &[number("n"), number("e")].concat());
    const RSA: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let spki = der(0x30, &[RSA, &der(3, &[&[0][..], &pkcs1].concat())].concat());
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"))
    };
    let (rsa, public) = (pem("RSA PUBLIC KEY", &pkcs1), pem("PUBLIC KEY", &spki));
    let ends = |text: String| {
        [text.clone().into_bytes(), format!("{text}\n").into_bytes(), text.replace('\n', "\r\n").into_bytes()]
    };
    [vec![pkcs1, spki], ends(rsa).to_vec(), ends(public).to_vec()].concat()
}

#[tokio::test]
async fn no_form_of_the_public_key_is_a_secret() {
    let world = World::configured(super::admit_end_users).await;
    let (claims, key) = (user_claims(&world), tenant_key(&world).await);
    let mut count = 0;
    for secret in forms(&key) {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: key["kid"].as_str().map(str::to_owned), ..Header::new(algorithm) };
            let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
            assert_refused(&world, list_with(&world, &token).await, "algorithm is not accepted");
            count += 1;
        }
    }
    assert_eq!(count, 24);
}

#[tokio::test]
async fn no_spelling_of_an_algorithm_takes_the_place_of_a_signature() {
    let world = World::configured(super::admit_end_users).await;
    let (claims, key) = (user_claims(&world), tenant_key(&world).await);
    let good = world.sandbox.sign(&claims);
    let signature = good.rsplit('.').next().unwrap();
    let none = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "nonE",
        " none",
        "none ",
        "none\0",
        "n\u{43e}ne",
        "\u{ff4e}one",
        "null",
        "",
    ];
    let others = [
        "rs256", "RS256 ", " RS256", "RS256\0", "RS-256", "HS256", "hs256", "HMAC", "RS1", "dir", "ES256K",
        "Ed25519",
    ];
    for alg in none.into_iter().chain(others) {
        for signature in ["", "AA", signature] {
            let token = token(&json!({ "alg": alg, "kid": key["kid"] }), &claims, signature);
            assert_refused(&world, list_with(&world, &token).await, "algorithm is not accepted");
        }
    }
    for alg in [Value::Null, json!(["none"]), json!({}), json!(0), json!(true)] {
        let token = token(&json!({ "alg": alg, "kid": key["kid"] }), &claims, signature);
        assert_refused(&world, list_with(&world, &token).await, "malformed");
    }
    let token = token(&json!({ "kid": key["kid"] }), &claims, "");
    assert_refused(&world, list_with(&world, &token).await, "malformed");
}

#[tokio::test]
async fn a_signature_of_another_curve_or_of_nothing_is_wrong() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    let claims = issuer.claims();
    let header = json!({ "alg": "ES256", "kid": "first" });
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let wrong = EncodingKey::from_ec_der(pair.as_ref());
    let message = format!("{}.{}", part(&header), part(&claims));
    let by_p384 = sign(message.as_bytes(), &wrong, Algorithm::ES384).unwrap();
    // `r` and `s` of zero, CVE-2022-21449; the order of the curve, which is zero too; and other lengths.
    const ORDER: &str = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
    let order = URL_SAFE_NO_PAD.decode(ORDER).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for signature in [
        by_p384.clone(),
        encode(&[0; 64]),
        encode(&[order.clone(), order.clone()].concat()),
        encode(&[[0; 32].to_vec(), order].concat()),
        encode(&[0xff; 64]),
        encode(&[0; 63]),
        encode(&[0; 96]),
        encode(&[0x30, 6, 2, 1, 0, 2, 1, 0]),
        encode(&[0x30, 6, 2, 1, 1, 2, 1, 1]),
        String::new(),
        "AA==".to_owned(),
        "!".to_owned(),
    ] {
        let token = format!("{message}.{signature}");
        assert_error(list_with(&world, &token).await, Unauthenticated, "CALLER_UNAUTHENTICATED");
    }
    let claimed = token(&json!({ "alg": "ES384", "kid": "first" }), &claims, &by_p384);
    assert_refused(&world, list_with(&world, &claimed).await, "algorithm is not accepted");
    assert_eq!(list_with(&world, &issuer.sign(&claims)).await.unwrap(), 3, "the rest of it was good");
}

#[tokio::test]
async fn nothing_is_fetched_from_where_a_token_points_to() {
    let (issuer, elsewhere) = (Issuer::start().await, Issuer::start().await);
    let world = world_of(&issuer).await;
    let claims = issuer.claims();
    let (url, own) = (format!("{}/jwks", elsewhere.url()), Key::new("first"));
    for (name, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", own.public.clone()),
        ("x5c", json!(["AAAA"])),
        ("kid", json!(url)),
        ("kid", json!("../../../dev/null")),
        ("kid", json!("/dev/null")),
        ("kid", json!("file:///etc/passwd")),
        ("kid", json!("first' OR '1'='1")),
        ("kid", json!("first'; DROP TABLE keys; --")),
        ("kid", json!("first\0")),
        ("kid", json!("FIRST")),
        ("kid", json!("$(id)")),
        ("kid", json!("k".repeat(5000))),
        ("kid", json!(["first"])),
        ("kid", json!({ "$ne": null })),
        ("crit", json!(["jku"])),
        ("zip", json!("DEF")),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "first" });
        header[name] = value;
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = sign(message.as_bytes(), &own.private, Algorithm::ES256).unwrap();
        let outcome = list_with(&world, &format!("{message}.{signature}")).await;
        assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
    }
    assert_eq!((elsewhere.fetches(), world.sandbox.journal().profile_reads()), (0, 0));
    assert!(issuer.fetches() <= 2, "all unknown keys together make one fetch more");
}

#[tokio::test]
async fn a_claim_that_is_there_twice_is_not_chosen_from() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    let claims = issuer.claims().to_string();
    let key = issuer.key();
    for twice in [
        "\"sub\":\"admin\"",
        "\"iss\":\"https://evil.example/\"",
        "\"aud\":\"x\"",
        "\"exp\":9999999999",
        "\"nbf\":1,\"nbf\":2",
    ] {
        for text in [
            claims.replacen('{', &format!("{{{twice},"), 1),
            format!("{},{twice}}}", &claims[..claims.len() - 1]),
        ] {
            assert_refused(&world, list_with(&world, &signed(&key, &text)).await, "malformed");
        }
    }
    assert_eq!(list_with(&world, &signed(&key, &claims)).await.unwrap(), 3, "the rest of it was good");
}

#[tokio::test]
async fn what_is_no_access_token_for_this_service_is_none_anywhere() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    let user = user_claims(&world);
    let good = world.sandbox.sign(&user);
    let id_token = but(&but(&user, "aud", json!("spa-client-id")), "nonce", json!("n"));
    let management = but(&but(&user, "aud", json!(world.sandbox.audience())), "sub", json!("abc@clients"));
    for (token, why) in [
        (world.sandbox.sign(&id_token), "audience"),
        (world.sandbox.sign(&but(&user, "nonce", json!("n"))), "not an access token"),
        (world.sandbox.sign(&management), "audience"),
        // An Auth0 refresh token, a Google one, an opaque access token, an encrypted one, and a token of a
        // provider.
        ("v1.MjAyNi1SZWZyZXNoVG9rZW4".to_owned(), "malformed"),
        ("1//0gRefreshToken".to_owned(), "malformed"),
        ("opaque-access-token".to_owned(), "malformed"),
        ("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aaaa.bbbb.cccc".to_owned(), "malformed"),
        (world.sandbox.access_token(ADA, "github").unwrap(), "malformed"),
        (format!("{good}.{good}"), "malformed"),
        (format!("{good}."), "malformed"),
        (good[..good.len() - 1].to_owned(), "signature"),
        (world.sandbox.sign(&but(&user, "pad", json!("x".repeat(6500)))), "malformed"),
    ] {
        assert_refused(&world, list_with(&world, &token).await, why);
    }
    // Nor is a good one where none belongs.
    let forwarded = format!("By=a;URI={good}");
    for (name, value) in [
        ("x-authorization", format!("Bearer {good}")),
        ("proxy-authorization", format!("Bearer {good}")),
        ("x-forwarded-authorization", format!("Bearer {good}")),
        ("x-access-token", good.clone()),
        ("token", good.clone()),
        ("cookie", format!("access_token={good}")),
        ("x-forwarded-client-cert", forwarded),
    ] {
        assert_refused(&world, list(&world, &[(name, &value)]).await, "did not prove who it is");
    }
    let message = ListIdentitiesRequest { user_id: good.clone(), ..Default::default() };
    let outcome = world.service.client().list_identities(with(message, &[])).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
    assert_eq!(list_with(&world, &good).await.unwrap(), 3, "where it belongs it is good");
}

#[tokio::test]
async fn a_good_token_is_good_for_its_own_user_alone() {
    let world = World::configured(super::admit_end_users).await;
    let token = super::bearer(&world.sandbox.sign(&user_claims(&world)));
    for user in [
        DONALD,
        "google-oauth2%7C108204268033311374519",
        &format!("{ADA}/"),
        &format!("{ADA}|x"),
        "auth0|nobody",
    ] {
        let message = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
        let outcome =
            world.service.client().list_identities(with(message, &[("authorization", &token)])).await;
        assert_error(outcome, tonic::Code::PermissionDenied, "CALLER_NOT_ALLOWED");
    }
    let message =
        idp_token_service::service::pb::InspectIdentityTokenRequest { identity: Some(google(DONALD)) };
    let outcome =
        world.service.client().inspect_identity_token(with(message, &[("authorization", &token)])).await;
    assert_error(outcome, tonic::Code::PermissionDenied, "CALLER_NOT_ALLOWED");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}
