//! `/authorize` and the codes that it ends with.

use crate::*;

const START: &str = "/authorize?response_type=code&client_id=sandbox-login&state=s1&scope=openid\
                     &redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fconnected\
                     &audience=https%3A%2F%2Fidp-token.sandbox.example\
                     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636, appendix B
const CHOICE: &str = "&sandbox_user=google-oauth2%7C100000000000000000004";

async fn code(actor: &Actor, more: &str) -> String {
    let answer = actor.send(Method::GET, &format!("{START}{CHOICE}{more}"), &[], "").await;
    let back = url::Url::parse(answer.header("location")).unwrap();
    assert_eq!((answer.status, back.path()), (302, "/connected"));
    assert!(back.query_pairs().any(|pair| pair == ("state".into(), "s1".into())));
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

async fn exchange(actor: &Actor, code: &str, verifier: &str) -> Answer {
    let body = json!({
        "grant_type": "authorization_code", "client_id": "sandbox-login", "code": code,
        "redirect_uri": "http://127.0.0.1:3000/connected", "code_verifier": verifier,
    });
    actor.token(body).await
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_only_with_its_verifier() {
    let actor = Actor::new().await;
    let wrong = exchange(&actor, &code(&actor, "").await, "wrong").await;
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (403, Some("invalid_grant")));
    let code = code(&actor, "").await;
    let tokens = exchange(&actor, &code, VERIFIER).await;
    assert_eq!((tokens.status, tokens.json()["expires_in"].as_u64()), (200, Some(7200)));
    assert!(tokens.json()["id_token"].is_string());
    assert_eq!(exchange(&actor, &code, VERIFIER).await.status, 403);
}

#[tokio::test]
async fn connection_scopes_widen_the_grant_and_consent_brings_a_refresh_token() {
    let actor = Actor::new().await;
    let events = "www.googleapis.com/calendar/v3/calendars/primary/events";
    assert_eq!(actor.get_as(ALAN, "google-oauth2", events).await.status, 403);
    let more = "&connection=google-oauth2&prompt=consent&access_type=offline\
                &connection_scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcalendar.readonly";
    code(&actor, more).await;
    assert_eq!(actor.get_as(ALAN, "google-oauth2", events).await.status, 200);
    assert!(actor.sandbox.refresh_token(ALAN, "google-oauth2").is_some());
}

#[tokio::test]
async fn google_sends_no_refresh_token_without_the_consent_screen() {
    let actor = Actor::new().await;
    for more in ["&access_type=offline", "&prompt=consent"] {
        code(&actor, &format!("&connection=google-oauth2{more}")).await;
        assert_eq!(actor.sandbox.refresh_token(ALAN, "google-oauth2"), None, "{more}");
    }
}

#[tokio::test]
async fn a_github_login_with_offline_access_brings_an_expiring_token_and_one_to_renew_it_with() {
    let actor = Actor::new().await;
    let ada = "&sandbox_user=google-oauth2%7C108204268033311374519&connection=github";
    let log_in = async |more: &str| {
        let start = format!("{START}{ada}{more}");
        assert_eq!(actor.send(Method::GET, &start, &[], "").await.status, 302);
        actor.sandbox.refresh_token(ADA, "github")
    };
    assert_eq!(log_in("").await, None);
    assert!(log_in("&connection_scope=offline_access%2Cgist").await.is_some());
    let scopes = actor.get_as(ADA, "github", "api.github.com/user").await;
    assert_eq!(scopes.header("x-oauth-scopes"), "read:user, user:email, repo, gist");
    actor.sandbox.advance(Duration::from_secs(28_801));
    assert_eq!(actor.get_as(ADA, "github", "api.github.com/user").await.status, 401);
}

#[tokio::test]
async fn the_page_offers_users_and_sends_nobody_to_a_strange_address() {
    let actor = Actor::new().await;
    let page = actor.send(Method::GET, &format!("{START}&connection=github"), &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("Grace Hopper") && !text.contains("Alan Turing"));
    let strange = START.replace("connected", "connected%2Felsewhere");
    let refused = actor.send(Method::GET, &format!("{strange}{CHOICE}"), &[], "").await;
    assert_eq!((refused.status, refused.header("location")), (403, ""));
    let silent = actor.send(Method::GET, &format!("{START}&prompt=none"), &[], "").await;
    assert!(silent.header("location").contains("error=login_required"));
}

#[tokio::test]
async fn a_login_on_the_page_or_over_http_brings_new_tokens_at_every_provider() {
    let actor = Actor::new().await;
    let people = [
        (KEN, "bitbucket", "api.bitbucket.org/2.0/user"),
        (RADIA, "acme-entra", "graph.microsoft.com/v1.0/me"),
        (HEDY, "windowslive", "graph.microsoft.com/v1.0/me"),
        (FRANCES, "acme-crm", "api.crm.example/v1/me"),
    ];
    for (user, connection, me) in people {
        let id: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
        for (method, url) in [
            (Method::GET, format!("{START}&sandbox_user={id}&connection={connection}")),
            (Method::POST, format!("/sandbox/users/{id}/{connection}/log-in")),
        ] {
            let before = actor.sandbox.refresh_token(user, connection);
            actor.sandbox.advance(Duration::from_secs(7_200));
            assert_eq!(actor.get_as(user, connection, me).await.status, 401, "{user}");
            actor.send(method, &url, &[], "").await;
            assert_eq!(actor.get_as(user, connection, me).await.status, 200, "{user}");
            assert_ne!(actor.sandbox.refresh_token(user, connection), before, "{user}");
        }
    }
}
