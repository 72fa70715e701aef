//! Tokens that are good for something else: each is refused, and nobody is asked about any user.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use idp_token_testkit::{
    World, assert_error,
    issuer::{AUDIENCE, Issuer, Key, now},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tonic::Code::Unauthenticated;

use super::{API, assert_refused, list, list_with, user_claims, with, world_of};

/// `claims` with one of them changed, or taken out by null.
pub(super) fn but(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

pub(super) fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The tenant's public key.
pub(super) async fn tenant_key(world: &World) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/.well-known/jwks.json", world.sandbox.url());
    let text = client.get(url).send().await.unwrap().text().await.unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["keys"][0].clone()
}

#[tokio::test]
async fn a_program_is_believed_about_nothing_but_what_its_issuer_signed_for_us() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let world = world_of(&issuer).await;
    let good = issuer.claims();
    for (claims, why) in [
        (but(&good, "aud", json!("another-service")), "another audience"),
        (but(&good, "aud", json!(["another-service", "third"])), "another audience"),
        (but(&good, "aud", json!(format!("{AUDIENCE}/"))), "another audience"),
        (but(&good, "aud", json!(API)), "another audience"),
        (but(&good, "aud", Value::Null), "another audience"),
        (but(&good, "iss", json!("https://evil.example/")), "issuer is not accepted"),
        (but(&good, "iss", json!([good["iss"], "x"])), "malformed"),
        (but(&good, "iss", Value::Null), "malformed"),
        (but(&good, "exp", json!(now() - 61)), "has expired"),
        (but(&good, "exp", Value::Null), "malformed"),
        (but(&good, "nbf", json!(now() + 120)), "not valid yet"),
        (but(&good, "iat", json!(now() + 120)), "not valid yet"),
        (but(&good, "sub", Value::Null), "malformed"),
        (but(&good, "sub", json!("")), "malformed"),
        (but(&good, "at_hash", json!("x")), "not an access token"),
        (but(&good, "events", json!({})), "not an access token"),
    ] {
        assert_refused(&world, list_with(&world, &issuer.sign(&claims)).await, why);
    }
    // The claims of one issuer with the signature of another, under the same name of the key.
    assert_refused(&world, list_with(&world, &other.sign(&good)).await, "signature is wrong");
    assert_refused(&world, list_with(&world, &other.token()).await, "issuer is not accepted");
    assert_eq!(list_with(&world, &issuer.sign(&good)).await.unwrap(), 3, "the rest of it was good");
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_verified() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    let (claims, key) = (user_claims(&world), tenant_key(&world).await);
    let kid = key["kid"].as_str().unwrap().to_owned();
    let modulus = key["n"].as_str().unwrap();

    for alg in ["none", "None", "NONE", ""] {
        for signature in ["", "c2ln"] {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": kid });
            let token = format!("{}.{}.{signature}", part(&header), part(&claims));
            assert_refused(&world, list_with(&world, &token).await, "algorithm is not accepted");
        }
    }
    // The public key, in every form that a program could take for a secret.
    let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap();
    for secret in [bytes.as_slice(), modulus.as_bytes(), key.to_string().as_bytes()] {
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        assert_refused(&world, list_with(&world, &token).await, "algorithm is not accepted");
    }
    // A key that the token brings along, under a name of the tenant's and under none.
    let own = Key::new(&kid);
    let jwk = serde_json::from_value(own.public.clone()).unwrap();
    let header = Header { jwk: Some(jwk), kid: Some(kid.clone()), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims, &own.private).unwrap();
    assert_refused(&world, list_with(&world, &token).await, "algorithm is not accepted");
    assert_refused(&world, list_with(&world, &Key::new("mine").sign(&claims)).await, "key is unknown");
    // A good token, its claims exchanged.
    let good = world.sandbox.sign(&claims);
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    parts[1] = part(&but(&claims, "sub", json!("auth0|507f1f77bcf86cd799439020")));
    assert_refused(&world, list_with(&world, &parts.join(".")).await, "signature is wrong");
    for (token, why) in [("junk", "malformed"), ("a.b.c", "malformed"), (&*"x".repeat(9000), "malformed")] {
        assert_refused(&world, list_with(&world, token).await, why);
    }
    assert_eq!(list_with(&world, &good).await.unwrap(), 3, "the rest of it was good");
}

#[tokio::test]
async fn programs_are_no_users_and_users_are_no_programs() {
    let issuer = Issuer::start().await;
    let world = World::configured(|config| {
        super::admit_end_users(config);
        issuer.trust(config);
        // The tenant's applications may call, too, for an API of their own.
        config.jwt_issuers[0].issuer = config.auth0.issuer();
        config.jwt_issuers[0].jwks_url = config.auth0.jwks_url();
    })
    .await;
    let user = user_claims(&world);
    for (claims, why) in [
        (but(&user, "sub", json!("abc123@clients")), "a program's where a user's is expected"),
        (but(&user, "gty", json!("client-credentials")), "a program's where a user's is expected"),
        (but(&user, "aud", json!(AUDIENCE)), "a user's where a program's is"),
        (but(&user, "nonce", json!("n")), "not an access token"),
        (but(&user, "iss", json!("https://idp-token.acme.example/")), "issuer is not accepted"),
        (but(&user, "aud", json!(world.sandbox.audience())), "another audience"),
    ] {
        assert_refused(&world, list_with(&world, &world.sandbox.sign(&claims)).await, why);
    }
    let application = but(&but(&user, "sub", json!("abc123@clients")), "aud", json!(AUDIENCE));
    assert_eq!(list_with(&world, &world.sandbox.sign(&application)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_bad_token_is_not_saved_by_a_good_certificate() {
    let issuer = Issuer::start().await;
    let world = World::configured(|config| {
        issuer.trust(config);
        config.trusted_peers = super::certificates::trusting("127.0.0.1");
    })
    .await;
    let certificate = ("x-forwarded-client-cert", super::certificates::FORWARDED);
    assert_eq!(list(&world, &[certificate]).await.unwrap(), 3);
    let headers = [certificate, ("authorization", "Bearer a.b.c")];
    let mut client = world.service.client();
    let message = idp_token_service::service::pb::ListIdentitiesRequest::default();
    let outcome = client.list_identities(with(message, &headers)).await;
    assert_error(outcome, Unauthenticated, "CALLER_UNAUTHENTICATED");
}
