//! Bitbucket.

use crate::*;

const USER: &str = "api.bitbucket.org/2.0/user";
const TOKEN: &str = "bitbucket.org/site/oauth2/access_token";

async fn renew(actor: &Actor, refresh: &str) -> (u16, Value) {
    let header = basic("sandboxBitbucketKey", "sandbox-bitbucket-secret");
    let body = format!("grant_type=refresh_token&refresh_token={refresh}");
    actor.answered(TOKEN, &[("authorization", &header)], &body).await
}

#[tokio::test]
async fn the_user_is_told_with_scopes_and_limit() {
    let actor = Actor::new().await;
    let answer = actor.get_as(KEN, "bitbucket", USER).await;
    assert_eq!(
        (answer.status, &answer.json()["uuid"]),
        (200, &json!("{7b1e0f3c-52a4-4d0a-9f0e-1a2b3c4d5e6f}"))
    );
    assert_eq!(answer.header("x-oauth-scopes"), "account, email, repository");
    assert_eq!(
        (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-nearlimit")),
        ("1000", "false")
    );
}

#[tokio::test]
async fn repositories_come_in_pages_until_there_is_no_next() {
    let actor = Actor::new().await;
    let mut url = "api.bitbucket.org/2.0/repositories/ken?pagelen=2".to_owned();
    let mut names = Vec::new();
    loop {
        let page = actor.get_as(KEN, "bitbucket", &url).await.json();
        names.extend(page["values"].as_array().unwrap().iter().map(|one| text(&one["name"]).to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        url = next.strip_prefix("https://").unwrap().to_owned();
    }
    assert_eq!(names, ["unix", "plan9", "regex"]);
    let strange = actor.get_as(KEN, "bitbucket", "api.bitbucket.org/2.0/repositories/ada").await;
    assert_eq!((strange.status, &strange.json()["error"]["message"]), (404, &json!("Resource not found")));
}

#[tokio::test]
async fn a_token_is_refused_with_the_reason_and_is_not_looked_for_in_the_query() {
    let actor = Actor::new().await;
    let message = |answer: &Answer| text(&answer.json()["error"]["message"]).to_owned();
    let token = actor.sandbox.access_token(KEN, "bitbucket").unwrap();
    let by_query = actor.send(Method::GET, &format!("{USER}?access_token={token}"), &[], "").await;
    assert!(by_query.status == 401 && message(&by_query).starts_with("Token is invalid"));
    let foreign = [("authorization", actor.bearer(ADA, "github"))];
    let foreign = actor.send(Method::GET, USER, &[(foreign[0].0, &foreign[0].1)], "").await;
    assert!(foreign.status == 401 && message(&foreign).starts_with("Token is invalid"));
    actor.sandbox.advance(Duration::from_secs(301));
    let expired = actor.get_as(KEN, "bitbucket", USER).await;
    assert!(expired.status == 401 && message(&expired).starts_with("Access token expired."));
    actor.sandbox.log_in(KEN, "bitbucket").unwrap();
    assert_eq!(actor.get_as(KEN, "bitbucket", USER).await.status, 200);
}

#[tokio::test]
async fn a_missing_scope_is_named_and_writing_is_reading() {
    let actor = Actor::new().await;
    actor.sandbox.set_scopes(KEN, "bitbucket", &["repository:write"]).unwrap();
    let lacking = actor.get_as(KEN, "bitbucket", USER).await;
    let detail = json!({"granted": ["repository:write"], "required": ["account"]});
    assert_eq!((lacking.status, &lacking.json()["error"]["detail"]), (403, &detail));
    let repositories = actor.get_as(KEN, "bitbucket", "api.bitbucket.org/2.0/repositories/ken").await;
    assert_eq!(repositories.status, 200);
}

#[tokio::test]
async fn a_used_up_quota_is_plain_text_and_refills_with_the_hour() {
    let actor = Actor::with(seed(|seed| seed.providers.bitbucket.requests_per_hour = 1)).await;
    assert_eq!(actor.get_as(KEN, "bitbucket", USER).await.status, 200);
    let over = actor.get_as(KEN, "bitbucket", USER).await;
    assert!(over.status == 429 && over.body.starts_with(b"Rate limit"));
    actor.sandbox.advance(Duration::from_secs(3_600));
    actor.sandbox.log_in(KEN, "bitbucket").unwrap();
    assert_eq!(actor.get_as(KEN, "bitbucket", USER).await.status, 200);
}

#[tokio::test]
async fn a_renewal_replaces_the_refresh_token_and_reuse_is_refused_alone() {
    let actor = Actor::new().await;
    let access = actor.sandbox.access_token(KEN, "bitbucket").unwrap();
    let refresh = actor.sandbox.refresh_token(KEN, "bitbucket").unwrap();
    let (status, new) = renew(&actor, &refresh).await;
    assert_eq!((status, &new["expires_in"]), (200, &json!(7200)));
    assert_eq!((&new["scope"], &new["token_type"]), (&json!("account email repository"), &json!("bearer")));
    let dead = json!({"error": "invalid_request", "error_description": "Invalid refresh_token"});
    assert_eq!(renew(&actor, &refresh).await, (400, dead));
    assert!(actor.sandbox.is_alive(&access) && actor.sandbox.is_alive(text(&new["access_token"])));
    assert_eq!(actor.sandbox.reuse(), Reuse { requests: 1, families_revoked: 0 });
    assert_eq!(renew(&actor, text(&new["refresh_token"])).await.0, 200);
}

#[tokio::test]
async fn a_refresh_token_dies_after_three_months_without_use_or_with_the_grant() {
    let actor = Actor::new().await;
    actor.sandbox.advance(Duration::from_secs(89 * 86_400));
    let refresh = actor.sandbox.refresh_token(KEN, "bitbucket").unwrap();
    let new = renew(&actor, &refresh).await.1;
    actor.sandbox.advance(Duration::from_secs(89 * 86_400));
    let newer = renew(&actor, text(&new["refresh_token"])).await.1;
    actor.sandbox.advance(Duration::from_secs(91 * 86_400));
    assert_eq!(renew(&actor, text(&newer["refresh_token"])).await.0, 400);
    actor.sandbox.log_in(KEN, "bitbucket").unwrap();
    actor.sandbox.revoke_token(KEN, "bitbucket").unwrap();
    let revoked = actor.sandbox.refresh_token(KEN, "bitbucket").unwrap();
    assert_eq!(renew(&actor, &revoked).await.1["error_description"], "Invalid refresh_token");
}

#[tokio::test]
async fn a_token_request_is_refused_for_the_reason_it_fails() {
    let actor = Actor::new().await;
    let refresh = actor.sandbox.refresh_token(KEN, "bitbucket").unwrap();
    let right = basic("sandboxBitbucketKey", "sandbox-bitbucket-secret");
    let grant = format!("grant_type=refresh_token&refresh_token={refresh}");
    let posted = format!("{grant}&client_id=sandboxBitbucketKey&client_secret=sandbox-bitbucket-secret");
    let cases = [
        (basic("sandboxBitbucketKey", "wrong"), grant, "unauthorized_client"),
        (String::new(), posted, "unauthorized_client"),
        (right.clone(), String::new(), "invalid_request"),
        (right, "grant_type=password".to_owned(), "unsupported_grant_type"),
    ];
    for (header, body, error) in cases {
        let (status, answer) = actor.answered(TOKEN, &[("authorization", &header)], &body).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)));
    }
    assert_eq!(renew(&actor, &refresh).await.0, 200, "none of them used the refresh token");
}
