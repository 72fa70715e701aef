//! The tenant: tokens, profiles, limits, logins.

use crate::*;

#[tokio::test]
async fn client_credentials_come_as_json_form_or_basic() {
    let actor = Actor::new().await;
    let answer = actor.token(actor.credentials("sandbox-service")).await;
    assert_eq!(
        (answer.status, answer.json()["scope"].as_str()),
        (200, Some("read:users read:user_idp_tokens"))
    );
    assert_eq!(answer.json()["expires_in"], 86_400);
    let form = format!("grant_type=client_credentials&audience={}", actor.sandbox.audience());
    let post = format!("{form}&client_id=sandbox-service&client_secret=sandbox-service-secret");
    assert_eq!(actor.form("/oauth/token", &[], &post).await.status, 200);
    let basic = basic("sandbox-service", "sandbox-service-secret");
    assert_eq!(actor.form("/oauth/token", &[("authorization", &basic)], &form).await.status, 200);
    assert_eq!(actor.sandbox.journal().token_requests(), 3);
}

#[tokio::test]
async fn a_token_request_is_refused_for_the_reason_it_fails() {
    let actor = Actor::new().await;
    let with = |name: &str, value: &str| {
        let mut body = actor.credentials("sandbox-service");
        body[name] = json!(value);
        body
    };
    let cases = [
        (with("client_secret", "wrong"), 401, "access_denied"),
        (with("client_id", "nobody"), 401, "access_denied"),
        (with("audience", "https://nowhere.example"), 403, "access_denied"),
        (with("grant_type", "password"), 403, "unauthorized_client"),
        (actor.credentials("sandbox-ungranted"), 403, "access_denied"),
    ];
    for (body, status, error) in cases {
        let answer = actor.token(body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)));
        assert!(answer.json()["error_description"].is_string());
    }
}

#[tokio::test]
async fn a_rotated_client_secret_is_void_at_once() {
    let actor = Actor::new().await;
    actor.sandbox.set_client_secret("sandbox-service", "new").unwrap();
    let mut body = actor.credentials("sandbox-service");
    assert_eq!(actor.token(body.clone()).await.status, 401);
    body["client_secret"] = json!("new");
    assert_eq!(actor.token(body).await.status, 200);
}

#[tokio::test]
async fn an_assertion_is_good_once_and_for_five_minutes() {
    let (private, public) = rsa_pair();
    let actor = Actor::with(seed(|seed| {
        seed.clients[0].secret = None;
        seed.clients[0].public_key = Some(public);
    }))
    .await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let sign = |audience: &str, jti: &str, exp: u64| {
        let claims = json!({"iss": "sandbox-service", "sub": "sandbox-service", "aud": audience, "jti": jti, "exp": exp});
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let issuer = actor.sandbox.issuer();
    let good = sign(&issuer, "one", now + 60);
    let cases = [
        (good.clone(), 200),
        (good, 401),
        (sign(&issuer, "two", now + 3600), 401),
        (sign(&issuer, "three", now - 60), 401),
        (sign("https://elsewhere.example/", "four", now + 60), 401),
        (sign(&issuer, "five", now + 60), 200),
    ];
    for (assertion, status) in cases {
        let answer = actor.token(json!({
            "grant_type": "client_credentials", "audience": actor.sandbox.audience(),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }));
        assert_eq!(answer.await.status, status);
    }
    let by_secret = actor.token(actor.credentials("sandbox-service")).await;
    assert_eq!(by_secret.status, 401);
}

#[tokio::test]
async fn a_profile_shows_the_tokens_of_all_linked_accounts() {
    let actor = Actor::new().await;
    let profile = actor.profile(ADA).await;
    assert_eq!((profile.status, profile.json()["user_id"].as_str()), (200, Some(ADA)));
    let identities = profile.json()["identities"].clone();
    assert_eq!(identities[0]["expires_in"], 3599);
    assert_eq!(identities[0]["access_token"], actor.sandbox.access_token(ADA, "google-oauth2").unwrap());
    assert!(identities[0]["refresh_token"].as_str().unwrap().starts_with("1//"));
    assert_eq!(identities[0]["profileData"], Value::Null);
    assert_eq!(identities[1]["user_id"], 583_231);
    assert_eq!(identities[1]["expires_in"], Value::Null);
    assert_eq!(identities[1]["profileData"]["nickname"], "ada");
    assert!(identities[2]["access_token"].as_str().unwrap().starts_with("EAA"));
}

#[tokio::test]
async fn without_the_second_scope_tokens_are_left_out_in_silence() {
    let actor = Actor::new().await;
    let profile = actor.profile_as("sandbox-blind", ADA).await;
    assert_eq!(profile.status, 200);
    let google = profile.json()["identities"][0].clone();
    assert_eq!(google["connection"], "google-oauth2");
    assert!(google.get("access_token").is_none() && google.get("refresh_token").is_none());
}

#[tokio::test]
async fn ids_with_escapes_and_slashes_are_decoded_exactly_once() {
    let actor = Actor::new().await;
    assert_eq!(actor.profile(SIWE).await.json()["user_id"], SIWE);
    assert_eq!(actor.profile(SLASHES).await.json()["user_id"], SLASHES);
    let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
    let once_too_few = format!("/api/v2/users/{}", SIWE.replace('|', "%7C"));
    assert_eq!(actor.send(Method::GET, &once_too_few, &[("authorization", &token)], "").await.status, 404);
    let double = "/api/v2/users/google-oauth2%257C108204268033311374519";
    assert_eq!(actor.send(Method::GET, double, &[("authorization", &token)], "").await.status, 400);
}

#[tokio::test]
async fn fields_choose_what_a_profile_shows() {
    let actor = Actor::new().await;
    let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
    let path =
        "/api/v2/users/google-oauth2%7C108204268033311374519?fields=user_id,identities&include_fields=";
    let only = actor.send(Method::GET, &format!("{path}true"), &[("authorization", &token)], "").await;
    assert_eq!(only.json().as_object().unwrap().len(), 2);
    let others = actor.send(Method::GET, &format!("{path}false"), &[("authorization", &token)], "").await;
    assert!(others.json().get("identities").is_none() && others.json()["email"].is_string());
    let odd = actor.send(Method::GET, &format!("{path}maybe"), &[("authorization", &token)], "").await;
    assert_eq!((odd.status, odd.json()["errorCode"].as_str()), (400, Some("invalid_query_string")));
}

#[tokio::test]
async fn the_management_api_says_what_is_wrong_with_a_token() {
    let actor = Actor::new().await;
    let claims = |audience: String, exp: u64, scope: &str| json!({"iss": actor.sandbox.issuer(), "sub": "x@clients", "aud": audience, "exp": exp, "scope": scope});
    let future = 4_000_000_000;
    let sign = |claims: Value| format!("Bearer {}", actor.sandbox.sign(&claims));
    let here = actor.sandbox.audience();
    let cases = [
        (sign(claims(here.clone(), 1, "read:users")), 401, "Expired token"),
        (sign(claims("https://other.example".into(), future, "read:users")), 401, "Bad audience"),
        (sign(claims(here, future, "read:clients")), 403, "Insufficient scope, expected any of: read:users,"),
        ("Bearer opaque".into(), 400, "Bad HTTP authentication header format"),
        ("Bearer a.b.c".into(), 401, "Invalid token"),
    ];
    for (token, status, message) in cases {
        let answer = actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
        assert_eq!(answer.status, status, "{message}");
        assert!(answer.json()["message"].as_str().unwrap().starts_with(message), "{}", answer.json());
    }
    assert_eq!(actor.send(Method::GET, "/api/v2/users/a%7Cb", &[], "").await.status, 401);
}

#[tokio::test]
async fn a_token_without_audience_opens_nothing() {
    let actor = Actor::new().await;
    let mut body = actor.credentials("sandbox-service");
    body.as_object_mut().unwrap().remove("audience");
    let answer = actor.token(body).await;
    let token = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
    assert!(!token.contains('.'));
    let read = actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
    assert_eq!(read.status, 400);
}

#[tokio::test]
async fn a_token_expires_and_dies_with_its_key() {
    let actor = Actor::new().await;
    let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
    let headers = [("authorization", token.as_str())];
    let read = || actor.send(Method::GET, "/api/v2/users/a%7Cb", &headers, "");
    assert_eq!(read().await.status, 404);
    actor.sandbox.rotate_signing_key().unwrap();
    assert_eq!(read().await.json()["message"], "Invalid signature received for JSON Web Token validation");
    let token = format!("Bearer {}", actor.management_token("sandbox-service").await);
    actor.sandbox.advance(Duration::from_secs(86_401));
    let late = actor.send(Method::GET, "/api/v2/users/a%7Cb", &[("authorization", &token)], "").await;
    assert_eq!(late.status, 401);
}

#[tokio::test]
async fn an_empty_bucket_answers_429_and_refills() {
    let actor = Actor::with(seed(|seed| {
        seed.management.requests_per_second = 0.1;
        seed.management.burst = 2;
    }))
    .await;
    let first = actor.profile(ADA).await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
    assert_eq!(actor.profile(ADA).await.status, 200);
    let third = actor.profile(ADA).await;
    assert_eq!((third.status, third.json()["errorCode"].as_str()), (429, Some("too_many_requests")));
    assert!(third.header("x-ratelimit-reset").parse::<u64>().unwrap() > 1_700_000_000);
    actor.sandbox.advance(Duration::from_secs(11));
    assert_eq!(actor.profile(ADA).await.status, 200);
}

#[tokio::test]
async fn an_unknown_user_and_a_bad_id_differ() {
    let actor = Actor::new().await;
    let absent = actor.profile("auth0|nobody").await;
    assert_eq!((absent.status, absent.json()["errorCode"].as_str()), (404, Some("inexistent_user")));
    let bad = actor.profile("nobody").await;
    assert_eq!((bad.status, bad.json()["errorCode"].as_str()), (400, Some("invalid_uri")));
}

#[tokio::test]
async fn the_key_set_verifies_a_user_token() {
    let actor = Actor::new().await;
    let audience = "https://idp-token.sandbox.example";
    let token = actor.sandbox.end_user_token(ADA, audience, &["read"]).unwrap();
    let jwks = actor.send(Method::GET, "/.well-known/jwks.json", &[], "").await.json();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).unwrap();
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[actor.sandbox.issuer()]);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap().claims;
    assert_eq!(claims["sub"], ADA);
}

#[tokio::test]
async fn a_narrowed_client_is_refused_with_its_next_token() {
    let actor = Actor::new().await;
    let old = format!("Bearer {}", actor.management_token("sandbox-service").await);
    actor.sandbox.set_tenant_scopes("sandbox-service", &["read:clients"]).unwrap();
    let refused = actor.profile(ADA).await;
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (403, Some("insufficient_scope")));
    let path = "/api/v2/users/google-oauth2%7C108204268033311374519";
    assert_eq!(actor.send(Method::GET, path, &[("authorization", &old)], "").await.status, 200);
}

#[tokio::test]
async fn accounts_that_share_a_connection_are_told_apart_by_their_id() {
    let actor = Actor::new().await;
    let (home, work) = ("github|2000001", "github|2000002");
    actor.sandbox.revoke_token(GRACE, work).unwrap();
    assert_eq!(actor.get_as(GRACE, work, "api.github.com/user").await.status, 401);
    assert_eq!(actor.get_as(GRACE, home, "api.github.com/user").await.json()["login"], "grace");
    assert!(actor.sandbox.revoke_token(GRACE, "facebook").is_err());
    actor.sandbox.forget_token(GRACE, home).unwrap();
    assert!(actor.profile(GRACE).await.json()["identities"][0].get("access_token").is_none());
}

#[tokio::test]
async fn an_identity_moves_with_its_tokens_when_it_is_linked_and_back_when_it_is_unlinked() {
    let actor = Actor::new().await;
    let identities = async |user: &str| actor.profile(user).await.json()["identities"].clone();
    let frances = identities(FRANCES).await[0].clone();
    assert!(frances["access_token"].is_string() && frances["refresh_token"].is_string());
    actor.sandbox.link(EDSGER, FRANCES, "acme-crm").unwrap();
    let linked = identities(EDSGER).await[1].clone();
    for member in ["connection", "user_id", "access_token", "refresh_token", "expires_in"] {
        assert_eq!(linked[member], frances[member], "{member}");
    }
    assert_eq!(actor.profile(FRANCES).await.status, 404, "a user without identities is gone");
    assert_eq!(actor.get_as(EDSGER, "acme-crm", "api.crm.example/v1/me").await.status, 200);
    actor.sandbox.unlink(EDSGER, "acme-crm").unwrap();
    assert_eq!(identities(FRANCES).await[0], frances);
    assert_eq!(identities(EDSGER).await.as_array().unwrap().len(), 1);

    let encoded = |user: &str| user.replace('|', "%7C");
    for (path, status) in [
        (format!("{}/acme-crm/link-to/{}", encoded(FRANCES), encoded(ADA)), 204),
        (format!("{}/acme-crm/link-to/{}", encoded(ADA), encoded(ADA)), 404),
        (format!("{}/acme-crm/link-to/nobody", encoded(ADA)), 404),
        (format!("{}/acme-crm/unlink", encoded(ADA)), 204),
        (format!("{}/acme-crm/unlink", encoded(ADA)), 404),
    ] {
        let answer = actor.send(Method::POST, &format!("/sandbox/users/{path}"), &[], "").await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(identities(FRANCES).await[0], frances);
}

#[tokio::test]
async fn a_login_replaces_the_token_and_moves_last_login() {
    let actor = Actor::new().await;
    let before = actor.profile(EDSGER).await.json();
    let token = actor.sandbox.log_in(EDSGER, "google-oauth2").unwrap();
    let after = actor.profile(EDSGER).await.json();
    assert_eq!(after["identities"][0]["access_token"], token);
    assert_ne!(before["identities"][0]["access_token"], token);
    assert!(after["last_login"].as_str() > before["last_login"].as_str());
}

#[tokio::test]
async fn an_ordinary_google_login_leaves_no_refresh_token_and_a_consent_brings_one() {
    let actor = Actor::new().await;
    actor.sandbox.log_in(BARBARA, "google-oauth2").unwrap();
    assert_eq!(actor.sandbox.refresh_token(BARBARA, "google-oauth2"), None);
    actor.sandbox.log_in_with_consent(BARBARA, "google-oauth2").unwrap();
    assert!(actor.sandbox.refresh_token(BARBARA, "google-oauth2").is_some());
}

#[tokio::test]
async fn a_seed_names_the_key_it_does_not_know() {
    let error = Seed::from_toml("[[users]]\nid = \"a|b\"\nnam = \"x\"").err().unwrap().to_string();
    assert!(error.contains("nam") && error.contains("line 3"), "{error}");
    let error = Seed::from_toml("[management]\ntoken_lifetime = \"soon\"").err().unwrap().to_string();
    assert!(error.contains("soon"), "{error}");
}

#[tokio::test]
async fn a_seed_that_cannot_work_names_what_to_change() {
    let user = |more: &str| format!("[[users]]\nid = 'a|b'\nname = 'A'\nemail = 'a@b.example'\n{more}");
    let identity = "[[users.identities]]\nconnection = 'acme'\nuser_id = '1'\n";
    let (plain, odd) = (user("identities = []\n"), user(identity));
    for (text, part) in [
        (format!("{plain}{plain}"), "two `[[users]]` have the `id` \"a|b\""),
        ("[[clients]]\nid = 'a'\n[[clients]]\nid = 'a'\n".to_owned(), "two `[[clients]]`"),
        (odd, "the connection \"acme\" of \"a|b\" needs its `provider`"),
        (
            "[management]\nrequests_per_second = 0.0".to_owned(),
            "`management.requests_per_second` must be more",
        ),
        ("[management]\nburst = 0".to_owned(), "`management.burst` must be more"),
        ("domain = 'https://a.example'".to_owned(), "`domain` must be a host name"),
        ("domain = 'A.example'".to_owned(), "`domain` must be a host name"),
    ] {
        let error = Seed::from_toml(&text).err().unwrap().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}
