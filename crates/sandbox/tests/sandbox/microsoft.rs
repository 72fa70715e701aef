//! Microsoft Graph and the token endpoints.

use crate::*;

const ME: &str = "graph.microsoft.com/v1.0/me";
const MESSAGES: &str = "graph.microsoft.com/v1.0/me/messages";
const APP: &str = "client_id=6731de76-14a6-49ae-97bc-6eba6914391e&client_secret=sandbox~microsoft~secret";
const ENTRA: &str = "acme-entra";
const LIVE: &str = "windowslive";

/// The endpoint of version 2 for a tenant.
fn v2(tenant: &str) -> String {
    format!("login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
}

async fn renew(actor: &Actor, url: &str, refresh: &str, more: &str) -> (u16, Value) {
    let body = format!("{APP}&grant_type=refresh_token&refresh_token={refresh}{more}");
    actor.answered(url, &[], &body).await
}

/// Renews Radia's work account with a scope.
async fn renew_for(actor: &Actor, scope: &str) -> (u16, Value) {
    let refresh = actor.sandbox.refresh_token(RADIA, ENTRA).unwrap();
    renew(actor, &v2("organizations"), &refresh, &format!("&scope={scope}")).await
}

async fn get_with(actor: &Actor, url: &str, token: &Value) -> Answer {
    let bearer = format!("Bearer {}", text(token));
    actor.send(Method::GET, url, &[("authorization", &bearer)], "").await
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, text(&answer.json()["error"]["code"]).to_owned())
}

#[tokio::test]
async fn graph_shows_the_user_and_messages_in_pages() {
    let actor = Actor::new().await;
    let me = actor.get_as(HEDY, LIVE, ME).await.json();
    assert_eq!((&me["id"], &me["displayName"]), (&json!("4f2a9c1d7e3b5a60"), &json!("Hedy Lamarr")));
    let mut url = format!("{MESSAGES}?$top=2");
    let mut count = 0;
    loop {
        let page = actor.get_as(HEDY, LIVE, &url).await.json();
        count += page["value"].as_array().unwrap().len();
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        url = next.strip_prefix("https://").unwrap().to_owned();
    }
    assert_eq!(count, 5);
}

#[tokio::test]
async fn graph_refuses_dead_foreign_and_absent_tokens_each_in_its_words() {
    let actor = Actor::new().await;
    let message = |answer: &Answer| text(&answer.json()["error"]["message"]).to_owned();
    let expired = actor.get_as(RADIA, ENTRA, ME).await;
    assert_eq!(code(&expired), (401, "InvalidAuthenticationToken".to_owned()));
    assert!(message(&expired).starts_with("Access token has expired"));
    assert!(expired.header("www-authenticate").starts_with("Bearer realm=\"\""));
    assert_eq!(message(&actor.send(Method::GET, ME, &[], "").await), "Access token is empty.");
    assert!(message(&actor.get_as(ADA, "github", ME).await).starts_with("CompactToken"));
}

#[tokio::test]
async fn a_missing_scope_has_the_code_of_its_service() {
    let actor = Actor::new().await;
    actor.sandbox.set_scopes(HEDY, LIVE, &["Mail.Read"]).unwrap();
    assert_eq!(code(&actor.get_as(HEDY, LIVE, ME).await), (403, "Authorization_RequestDenied".to_owned()));
    actor.sandbox.set_scopes(HEDY, LIVE, &["User.Read"]).unwrap();
    assert_eq!(code(&actor.get_as(HEDY, LIVE, MESSAGES).await), (403, "ErrorAccessDenied".to_owned()));
}

#[tokio::test]
async fn a_used_up_quota_says_how_long_to_wait() {
    let actor = Actor::with(seed(|seed| seed.providers.microsoft.requests_per_ten_minutes = 1)).await;
    assert_eq!(actor.get_as(HEDY, LIVE, ME).await.status, 200);
    let over = actor.get_as(HEDY, LIVE, ME).await;
    assert_eq!(code(&over), (429, "TooManyRequests".to_owned()));
    assert!((1..=600).contains(&over.header("retry-after").parse::<u64>().unwrap()));
}

#[tokio::test]
async fn each_renewal_brings_another_refresh_token_and_the_old_ones_stay_good() {
    let actor = Actor::new().await;
    let (status, first) = renew_for(&actor, "User.Read+Mail.Read+offline_access").await;
    assert_eq!((status, &first["expires_in"], &first["ext_expires_in"]), (200, &json!(4799), &json!(4799)));
    assert_eq!(first["scope"], "User.Read Mail.Read");
    assert_eq!(get_with(&actor, ME, &first["access_token"]).await.status, 200);
    let (_, second) = renew_for(&actor, "User.Read+offline_access").await;
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let again = text(&first["refresh_token"]);
    let third = renew(&actor, &v2("organizations"), again, "&scope=Mail.Read").await.1;
    assert_eq!(
        (&third["scope"], third.get("refresh_token")),
        (&json!("Mail.Read"), None),
        "it was not asked for"
    );
    assert_eq!(actor.sandbox.reuse(), Reuse::default());
}

#[tokio::test]
async fn default_means_all_that_was_granted_for_the_api() {
    let actor = Actor::new().await;
    let graph = renew_for(&actor, "https://graph.microsoft.com/.default").await.1;
    assert_eq!(graph["scope"], "openid profile email User.Read Mail.Read");
    let named = renew_for(&actor, "https://graph.microsoft.com/User.Read").await.1;
    assert_eq!(named["scope"], "User.Read");
}

#[tokio::test]
async fn without_a_scope_the_token_has_others_than_were_granted() {
    let actor = Actor::new().await;
    let refresh = actor.sandbox.refresh_token(RADIA, ENTRA).unwrap();
    let new = renew(&actor, &v2("organizations"), &refresh, "").await.1;
    assert_eq!(new["scope"], "openid profile email User.Read");
    let denied = get_with(&actor, MESSAGES, &new["access_token"]).await;
    assert_eq!(code(&denied), (403, "ErrorAccessDenied".to_owned()));
}

#[tokio::test]
async fn version_1_takes_a_resource_and_writes_numbers_as_text() {
    let actor = Actor::new().await;
    let url = "login.microsoftonline.com/common/oauth2/token";
    let refresh = actor.sandbox.refresh_token(RADIA, ENTRA).unwrap();
    let new = renew(&actor, url, &refresh, "&resource=https%3A%2F%2Fgraph.microsoft.com%2F").await.1;
    assert_eq!(
        (&new["resource"], &new["expires_in"]),
        (&json!("https://graph.microsoft.com"), &json!("4799"))
    );
    assert!(new["expires_on"].is_string() && new["refresh_token"].is_string());
    assert_eq!(get_with(&actor, MESSAGES, &new["access_token"]).await.status, 200);
    assert_eq!(renew(&actor, url, &refresh, "").await.1["resource"], "https://graph.microsoft.com");
    let gone = renew(&actor, url, &refresh, "&resource=https%3A%2F%2Fgraph.windows.net").await.1;
    assert_eq!(gone["error_codes"], json!([500_011]));
}

#[tokio::test]
async fn accounts_are_served_where_they_belong() {
    let actor = Actor::new().await;
    let work = actor.sandbox.refresh_token(RADIA, ENTRA).unwrap();
    let personal = actor.sandbox.refresh_token(HEDY, LIVE).unwrap();
    let tenant = "5e1b9c52-3f0a-4e9c-9d0b-6f2c1a7d8e90";
    let cases = [
        ("organizations", 200, 400),
        ("common", 200, 200),
        ("consumers", 400, 200),
        (tenant, 200, 400),
        ("acme.onmicrosoft.com", 200, 400),
        ("other.onmicrosoft.com", 400, 400),
    ];
    for (tenant, at_work, at_home) in cases {
        let url = v2(tenant);
        let ask = |token| renew(&actor, &url, token, "&scope=User.Read");
        assert_eq!((ask(&work).await.0, ask(&personal).await.0), (at_work, at_home), "{tenant}");
    }
}

#[tokio::test]
async fn commas_between_scopes_work_for_personal_accounts_alone() {
    let actor = Actor::new().await;
    let personal = actor.sandbox.refresh_token(HEDY, LIVE).unwrap();
    let new = renew(&actor, &v2("consumers"), &personal, "&scope=User.Read,Mail.Read").await.1;
    assert_eq!(new["scope"], "User.Read Mail.Read");
    let (status, refused) = renew_for(&actor, "User.Read,Mail.Read").await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn a_token_request_is_refused_with_its_number() {
    let actor = Actor::new().await;
    let refresh = actor.sandbox.refresh_token(RADIA, ENTRA).unwrap();
    let grant = format!("grant_type=refresh_token&refresh_token={refresh}&scope=");
    let wrong = APP.replace("secret=sandbox", "secret=wrong");
    let cases = [
        (format!("{wrong}&{grant}User.Read"), 401, "invalid_client", 7_000_215, None),
        (format!("client_id=x&client_secret=y&{grant}"), 400, "unauthorized_client", 700_016, None),
        (format!("{APP}&grant_type=refresh_token"), 400, "invalid_request", 900_144, None),
        (format!("{APP}&grant_type=password"), 400, "unsupported_grant_type", 70_003, None),
        (format!("{APP}&grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant", 9_002_313, None),
        (format!("{APP}&{grant}Calendars.Read"), 400, "invalid_grant", 65_001, Some("consent_required")),
        (
            format!("{APP}&{grant}User.Read+https://acme.sharepoint.com/x"),
            400,
            "invalid_request",
            28_000,
            None,
        ),
        (format!("{APP}&{grant}https://elsewhere.example/x"), 400, "invalid_resource", 500_011, None),
        (
            format!("{APP}&{grant}https://graph.microsoft.com/.default+User.Read"),
            400,
            "invalid_scope",
            70_011,
            None,
        ),
    ];
    for (body, status, error, number, suberror) in cases {
        let (found, answer) = actor.answered(&v2("organizations"), &[], &body).await;
        assert_eq!((found, &answer["error"]), (status, &json!(error)), "{number}");
        assert_eq!((&answer["error_codes"], answer["suberror"].as_str()), (&json!([number]), suberror));
        assert!(text(&answer["error_description"]).starts_with(&format!("AADSTS{number}: ")));
    }
}

#[tokio::test]
async fn a_dead_refresh_token_says_what_it_died_of() {
    let actor = Actor::new().await;
    let ask = async || renew_for(&actor, "User.Read").await.1;
    actor.sandbox.revoke_token(RADIA, ENTRA).unwrap();
    assert_eq!(ask().await["suberror"], "consent_required");
    actor.sandbox.log_in(RADIA, ENTRA).unwrap();
    actor.sandbox.change_password(RADIA, ENTRA).unwrap();
    let revoked = ask().await;
    assert_eq!((&revoked["error_codes"], &revoked["suberror"]), (&json!([50_173]), &json!("bad_token")));
    actor.sandbox.log_in(RADIA, ENTRA).unwrap();
    assert_eq!(actor.get_as(RADIA, ENTRA, ME).await.status, 200, "a login brings new tokens");
    actor.sandbox.advance(Duration::from_secs(91 * 86_400));
    assert_eq!(ask().await["error_codes"], json!([700_082]));
}
