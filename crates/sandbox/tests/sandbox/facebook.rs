//! Facebook.

use crate::*;

const ME: &str = "graph.facebook.com/v25.0/me";
const APP: &str = "client_id=1234567890123456&client_secret=sandbox-facebook-secret";

fn proof(token: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"sandbox-facebook-secret");
    let tag = aws_lc_rs::hmac::sign(&key, token.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(answer: &Answer) -> (u16, u64, u64) {
    let error = answer.json()["error"].clone();
    (answer.status, error["code"].as_u64().unwrap(), error["error_subcode"].as_u64().unwrap_or(0))
}

#[tokio::test]
async fn a_token_is_taken_from_the_header_or_the_query() {
    let actor = Actor::new().await;
    let by_header = actor.get_as(ADA, "facebook", &format!("{ME}?fields=id,email")).await;
    assert_eq!(by_header.json()["email"], "ada@sandbox.example");
    assert_eq!(by_header.header("facebook-api-version"), "v25.0");
    let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
    let url = format!("graph.facebook.com/me?access_token={token}");
    let by_query = actor.send(Method::GET, &url, &[], "").await;
    assert_eq!((by_query.status, by_query.header("facebook-api-version")), (200, "v20.0"));
    assert_eq!(code(&actor.get_as(ADA, "facebook", "graph.facebook.com/v99.0/me").await), (400, 2500, 0));
}

#[tokio::test]
async fn dead_tokens_differ_by_their_subcode() {
    let actor = Actor::new().await;
    actor.sandbox.expire_token(ADA, "facebook").unwrap();
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 463));
    actor.sandbox.log_in(ADA, "facebook").unwrap();
    actor.sandbox.change_password(ADA, "facebook").unwrap();
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 460));
    actor.sandbox.log_in(ADA, "facebook").unwrap();
    actor.sandbox.revoke_token(ADA, "facebook").unwrap();
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 190, 458));
    let unknown = actor.send(Method::GET, ME, &[("authorization", "Bearer EAAx")], "").await;
    assert_eq!(code(&unknown), (400, 190, 0));
}

#[tokio::test]
async fn the_next_page_repeats_the_token_in_its_address() {
    let actor = Actor::new().await;
    let first = actor.get_as(ADA, "facebook", "graph.facebook.com/v25.0/me/posts?limit=3").await.json();
    let next = first["paging"]["next"].as_str().unwrap();
    assert!(next.contains("access_token=EAA") && first["paging"]["cursors"]["after"].is_string());
    let second = actor.send(Method::GET, next.strip_prefix("https://").unwrap(), &[], "").await.json();
    assert_eq!((second["data"].as_array().unwrap().len(), second["paging"].get("next")), (1, None));
}

#[tokio::test]
async fn a_missing_permission_and_used_up_quotas_have_their_codes() {
    let actor = Actor::with(seed(|seed| seed.providers.facebook.calls_per_hour = 2)).await;
    actor.sandbox.set_scopes(ADA, "facebook", &["public_profile"]).unwrap();
    let posts = "graph.facebook.com/v25.0/me/posts";
    assert_eq!(code(&actor.get_as(ADA, "facebook", posts).await), (400, 10, 0));
    assert!(actor.get_as(ADA, "facebook", ME).await.header("x-app-usage").contains("call_count"));
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 17, 0));
    let actor = Actor::with(seed(|seed| seed.providers.facebook.app_calls_per_hour = 0)).await;
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 4, 0));
}

#[tokio::test]
async fn a_proof_is_verified_when_sent_and_demanded_when_required() {
    let actor = Actor::with(seed(|seed| seed.providers.facebook.require_appsecret_proof = true)).await;
    let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
    assert_eq!(code(&actor.get_as(ADA, "facebook", ME).await), (400, 100, 0));
    let wrong = format!("{ME}?appsecret_proof={}", proof("other"));
    assert_eq!(code(&actor.get_as(ADA, "facebook", &wrong).await), (400, 100, 0));
    let right = format!("{ME}?appsecret_proof={}", proof(&token));
    assert_eq!(actor.get_as(ADA, "facebook", &right).await.status, 200);
}

#[tokio::test]
async fn a_living_token_is_exchanged_and_a_dead_one_is_not() {
    let actor = Actor::new().await;
    let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
    let url = format!(
        "graph.facebook.com/v25.0/oauth/access_token?grant_type=fb_exchange_token&{APP}&fb_exchange_token={token}"
    );
    let new = actor.send(Method::GET, &url, &[], "").await.json();
    assert_eq!(new["expires_in"], 5_183_944);
    assert!(actor.sandbox.is_alive(&token) && actor.sandbox.is_alive(new["access_token"].as_str().unwrap()));
    actor.sandbox.expire_token(ADA, "facebook").unwrap();
    assert_eq!(code(&actor.send(Method::GET, &url, &[], "").await), (400, 190, 463));
}

#[tokio::test]
async fn inspection_tells_the_state_and_removal_ends_it() {
    let actor = Actor::new().await;
    let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
    let url = format!(
        "graph.facebook.com/debug_token?input_token={token}&access_token=1234567890123456|sandbox-facebook-secret"
    );
    let inspect = || actor.send(Method::GET, &url, &[], "");
    assert_eq!(inspect().await.json()["data"]["is_valid"], true);
    let bearer = actor.bearer(ADA, "facebook");
    let permissions = "graph.facebook.com/v25.0/10158222222222222/permissions";
    let removed = actor.send(Method::DELETE, permissions, &[("authorization", &bearer)], "").await;
    assert_eq!(removed.json()["success"], true);
    assert_eq!(inspect().await.json()["data"]["error"]["subcode"], 458);
}
