//! SharePoint Online.

use crate::*;

const WEB: &str = "acme.sharepoint.com/_api/web";
const TOKEN: &str = "login.microsoftonline.com/organizations/oauth2/v2.0/token";

/// A token of Radia's for an API.
async fn token_for(actor: &Actor, scope: &str) -> String {
    let refresh = actor.sandbox.refresh_token(RADIA, "acme-entra").unwrap();
    let body = format!(
        "client_id=6731de76-14a6-49ae-97bc-6eba6914391e&client_secret=sandbox~microsoft~secret\
         &grant_type=refresh_token&refresh_token={refresh}&scope={scope}"
    );
    let (status, answer) = actor.answered(TOKEN, &[], &body).await;
    assert_eq!(status, 200, "{answer}");
    format!("Bearer {}", text(&answer["access_token"]))
}

async fn get(actor: &Actor, url: &str, token: &str, accept: &str) -> Answer {
    actor.send(Method::GET, url, &[("authorization", token), ("accept", accept)], "").await
}

const SCOPE: &str = "https://acme.sharepoint.com/.default";
const JSON: &str = "application/json;odata=nometadata";

#[tokio::test]
async fn a_token_from_the_refresh_token_of_a_work_account_opens_the_site() {
    let actor = Actor::new().await;
    let token = token_for(&actor, SCOPE).await;
    let web = get(&actor, WEB, &token, JSON).await;
    assert_eq!((web.status, &web.json()["Title"]), (200, &json!("Acme")));
    let verbose = get(&actor, WEB, &token, "application/json;odata=verbose").await;
    assert_eq!(verbose.json()["d"]["Title"], "Acme");
    let plain = get(&actor, WEB, &token, "*/*").await;
    assert!(plain.header("content-type").starts_with("application/atom+xml"));
}

#[tokio::test]
async fn lists_come_in_pages_in_both_dialects() {
    let actor = Actor::new().await;
    let token = token_for(&actor, SCOPE).await;
    let first = get(&actor, "acme.sharepoint.com/_api/web/lists?$top=2", &token, JSON).await.json();
    let next = text(&first["odata.nextLink"]).strip_prefix("https://").unwrap().to_owned();
    let second = get(&actor, &next, &token, JSON).await.json();
    assert_eq!((&second["value"][0]["Title"], second.get("odata.nextLink")), (&json!("Tasks"), None));
    let accept = "application/json;odata=verbose";
    let verbose = get(&actor, "acme.sharepoint.com/_api/web/lists?$top=2", &token, accept).await.json();
    assert!(verbose["d"]["__next"].is_string() && verbose["d"]["results"].is_array());
}

#[tokio::test]
async fn a_token_for_graph_is_refused_there_and_the_other_way_round() {
    let actor = Actor::new().await;
    let (graph, site) = (token_for(&actor, "User.Read").await, token_for(&actor, SCOPE).await);
    let refused = get(&actor, WEB, &graph, JSON).await;
    assert!(refused.status == 401 && refused.header("x-ms-diagnostics").contains("Invalid audience"));
    assert_eq!(refused.json(), json!({}));
    let refused = get(&actor, "graph.microsoft.com/v1.0/me", &site, JSON).await;
    assert_eq!(refused.status, 401);
    let message = refused.json()["error"]["message"].clone();
    assert_eq!(message, "Access token validation failure. Invalid audience.");
}

#[tokio::test]
async fn an_expired_token_a_missing_scope_and_another_organisation_are_refused() {
    let actor = Actor::new().await;
    let token = token_for(&actor, SCOPE).await;
    assert_eq!(get(&actor, "other.sharepoint.com/_api/web", &token, JSON).await.status, 404);
    actor.sandbox.set_scopes(RADIA, "acme-entra", &["https://acme.sharepoint.com/MyFiles.Read"]).unwrap();
    let denied = get(&actor, WEB, &token, JSON).await;
    assert!(denied.status == 403 && denied.json()["odata.error"]["code"].is_string());
    actor.sandbox.advance(Duration::from_secs(4_800));
    let expired = get(&actor, WEB, &token, JSON).await;
    assert!(expired.status == 401 && expired.header("x-ms-diagnostics").contains("expired"));
    assert!(expired.header("www-authenticate").starts_with("Bearer realm="));
}

#[tokio::test]
async fn a_throttle_is_scripted_over_http_as_for_any_host() {
    let actor = Actor::new().await;
    let token = token_for(&actor, SCOPE).await;
    let fault =
        json!({"host": "acme.sharepoint.com", "answer": {"status": 429, "headers": {"retry-after": "120"}}});
    assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await.status, 204);
    let throttled = get(&actor, WEB, &token, JSON).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "120"));
    assert_eq!(get(&actor, WEB, &token, JSON).await.status, 200);
}
