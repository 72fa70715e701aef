//! Google.

use crate::*;

const EVENTS: &str = "www.googleapis.com/calendar/v3/calendars/primary/events";

#[tokio::test]
async fn pages_of_events_end() {
    let actor = Actor::new().await;
    let first = actor.get_as(ADA, "google-oauth2", &format!("{EVENTS}?maxResults=3")).await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let next = format!("{EVENTS}?maxResults=3&pageToken={token}");
    let second = actor.get_as(ADA, "google-oauth2", &next).await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (3, 2));
    assert!(second.get("nextPageToken").is_none());
}

#[tokio::test]
async fn an_inserted_event_is_in_the_next_list() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "google-oauth2");
    let body = json!({"summary": "Tea"}).to_string();
    assert_eq!(actor.send(Method::POST, EVENTS, &[("authorization", &token)], body).await.status, 200);
    let list = actor.get_as(ADA, "google-oauth2", EVENTS).await.json();
    assert_eq!(list["items"][5]["summary"], "Tea");
}

#[tokio::test]
async fn a_missing_scope_is_named_in_the_header() {
    let actor = Actor::new().await;
    let answer = actor.get_as(ALAN, "google-oauth2", "gmail.googleapis.com/gmail/v1/users/me/messages").await;
    let detail = answer.json()["error"]["details"][0].clone();
    assert_eq!((answer.status, detail["reason"].as_str()), (403, Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT")));
    let header = answer.header("www-authenticate");
    assert!(header.contains("insufficient_scope") && header.contains("auth/gmail.readonly"), "{header}");
}

#[tokio::test]
async fn expired_revoked_and_foreign_tokens_are_unauthenticated() {
    let actor = Actor::new().await;
    assert_eq!(actor.get_as(EDSGER, "google-oauth2", EVENTS).await.status, 401);
    actor.sandbox.revoke_token(ADA, "google-oauth2").unwrap();
    let answer = actor.get_as(ADA, "google-oauth2", EVENTS).await;
    assert_eq!(answer.json()["error"]["status"], "UNAUTHENTICATED");
    assert_eq!(actor.get_as(GRACE, "github", EVENTS).await.status, 401);
}

#[tokio::test]
async fn a_disabled_service_and_a_used_up_quota_have_their_own_reasons() {
    let actor = Actor::with(seed(|seed| seed.providers.google.requests_per_minute = 2)).await;
    let off = actor.get_as(ADA, "google-oauth2", "sheets.googleapis.com/v4/spreadsheets/x").await;
    assert_eq!(off.json()["error"]["details"][0]["reason"], "SERVICE_DISABLED");
    let gmail = "gmail.googleapis.com/gmail/v1/users/me/messages";
    assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 200);
    assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 200);
    assert_eq!(actor.get_as(ADA, "google-oauth2", gmail).await.status, 429);
    let calendar = actor.get_as(ADA, "google-oauth2", EVENTS).await;
    assert_eq!(calendar.status, 403);
    assert_eq!(calendar.json()["error"]["errors"][0]["reason"], "userRateLimitExceeded");
}

#[tokio::test]
async fn uploaded_bytes_come_back_as_they_were() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "google-oauth2");
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let url = "www.googleapis.com/upload/drive/v3/files?uploadType=media";
    let headers = [("authorization", token.as_str()), ("content-type", "image/x-odd")];
    let file = actor.send(Method::POST, url, &headers, bytes.clone()).await.json();
    let url = format!("www.googleapis.com/drive/v3/files/{}?alt=media", file["id"].as_str().unwrap());
    let back = actor.get_as(ADA, "google-oauth2", &url).await;
    assert_eq!((back.body.to_vec(), back.header("content-type")), (bytes, "image/x-odd"));
    assert_eq!(actor.get_as(ALAN, "google-oauth2", &url).await.status, 403);
}

#[tokio::test]
async fn a_refresh_token_renews_again_and_again_until_revoked() {
    let actor = Actor::new().await;
    let refresh = actor.sandbox.refresh_token(BARBARA, "google-oauth2").unwrap();
    let app = "client_id=1007-sandbox.apps.googleusercontent.com&client_secret=GOCSPX-sandbox-google-secret";
    let body = format!("{app}&grant_type=refresh_token&refresh_token={refresh}");
    let renew = || actor.form("oauth2.googleapis.com/token", &[], &body);
    let (one, two) = (renew().await.json(), renew().await.json());
    assert!(one.get("refresh_token").is_none() && one["access_token"] != two["access_token"]);
    assert_eq!(one["expires_in"], 3599);
    let info =
        format!("oauth2.googleapis.com/tokeninfo?access_token={}", one["access_token"].as_str().unwrap());
    let info = actor.send(Method::GET, &info, &[], "").await.json();
    assert_eq!(info["sub"], "100000000000000000003");
    let revoke = actor.form("oauth2.googleapis.com/revoke", &[], &format!("token={refresh}")).await;
    assert_eq!(revoke.status, 200);
    let dead = renew().await;
    assert_eq!((dead.status, dead.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(!actor.sandbox.is_alive(two["access_token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_wrong_app_secret_renews_nothing() {
    let actor = Actor::new().await;
    let refresh = actor.sandbox.refresh_token(BARBARA, "google-oauth2").unwrap();
    let body = format!("client_id=x&client_secret=y&grant_type=refresh_token&refresh_token={refresh}");
    let answer = actor.form("oauth2.googleapis.com/token", &[], &body).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_client")));
}
