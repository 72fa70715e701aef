//! The playground as it is served; tests/foreign has it in a browser.

use crate::*;

const AUDIENCE: &str = "https://idp-token.sandbox.example";
const SERVICE: &str = "http://127.0.0.1:50052";

async fn open() -> Actor {
    let actor = Actor::new().await;
    actor.sandbox.open_playground(SERVICE, AUDIENCE);
    actor
}

/// What a JWT says.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap())
        .unwrap()
}

async fn get(actor: &Actor, path: &str) -> Answer {
    actor.send(Method::GET, path, &[], "").await
}

#[tokio::test]
async fn the_page_may_load_its_own_files_and_talk_to_the_tenant_and_the_service_alone() {
    let actor = open().await;
    let page = get(&actor, "/playground").await;
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self' http://127.0.0.1:50052;"] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("{{"), "{html}");
    for (file, kind) in
        [("page.css", "text/css"), ("page.js", "text/javascript"), ("client.js", "text/javascript")]
    {
        let answer = get(&actor, &format!("/playground/{file}")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").starts_with(kind));
        assert!(html.contains(&format!("\"/playground/{file}\"")), "{html}");
    }
    assert_eq!(get(&actor, "/playground/other").await.status, 404);
}

#[tokio::test]
async fn there_is_no_page_before_it_is_opened_and_none_under_another_name() {
    let actor = Actor::new().await;
    assert_eq!(get(&actor, "/playground").await.status, 404);
    actor.sandbox.open_playground(SERVICE, AUDIENCE);
    let elsewhere = actor.send(Method::GET, "/playground", &[("host", "localhost:9000")], "").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (302, &*actor.sandbox.playground_url()));
}

#[tokio::test]
async fn what_the_page_shows_of_the_journal_begins_with_its_own_doing() {
    let actor = open().await;
    get(&actor, "/.well-known/jwks.json").await;
    let html = String::from_utf8(get(&actor, "/playground").await.body.to_vec()).unwrap();
    assert!(html.contains(r#"<meta name="journal" content="1">"#), "{html}");
    get(&actor, "/.well-known/openid-configuration").await;
    let newer = get(&actor, "/sandbox/journal?after=1").await.json();
    assert_eq!(newer.as_array().map(Vec::len), Some(1));
    assert_eq!(newer[0]["path"], "/.well-known/openid-configuration");
    assert_eq!(get(&actor, "/sandbox/journal?after=2").await.json(), json!([]));
    assert_eq!(get(&actor, "/sandbox/journal?after=soon").await.status, 400);
}

#[tokio::test]
async fn users_log_in_to_the_page_with_pkce_and_their_id_token_says_who_they_are() {
    let actor = open().await;
    let page = actor.sandbox.playground_url();
    let client = idp_token_sandbox::PLAYGROUND_CLIENT;
    let mary: String = url::form_urlencoded::byte_serialize(MARY.as_bytes()).collect();
    let before = actor.sandbox.access_token(MARY, "google-oauth2");
    let start = format!(
        "/authorize?response_type=code&client_id={client}&redirect_uri={page}&scope=openid%20profile%20email\
         &audience={AUDIENCE}&nonce=n1&state=s1&code_challenge_method=S256\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&sandbox_user={mary}"
    );
    let back = url::Url::parse(get(&actor, &start).await.header("location")).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = json!({
        "grant_type": "authorization_code", "client_id": client, "code": code, "redirect_uri": page,
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    });
    let tokens = actor.token(body).await.json();
    let claims = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["nonce"]), (&json!(MARY), &json!("n1")));
    assert_eq!((&claims["name"], &claims["email"]), (&json!("Mary Jackson"), &json!("mary@sandbox.example")));
    assert_eq!(
        actor.sandbox.access_token(MARY, "google-oauth2"),
        before,
        "a password brings no provider's token"
    );
}

#[tokio::test]
async fn every_access_token_of_an_account_can_be_let_expire() {
    let actor = Actor::new().await;
    let first = actor.sandbox.access_token(MARY, "google-oauth2").unwrap();
    let second = actor.sandbox.log_in_with_consent(MARY, "google-oauth2").unwrap();
    let path = format!("/sandbox/users/{}/google-oauth2/expire-all", MARY.replace('|', "%7C"));
    assert_eq!(actor.send(Method::POST, &path, &[], "").await.status, 204);
    assert!(!actor.sandbox.is_alive(&first) && !actor.sandbox.is_alive(&second));
}

#[tokio::test]
async fn whom_a_login_hints_at_comes_first() {
    let actor = open().await;
    let start = "/authorize?response_type=code&client_id=sandbox-login&redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fconnected";
    for (hint, first) in [("", "Mary Jackson"), ("&login_hint=grace%40sandbox.example", "Grace Hopper")] {
        let page = String::from_utf8(get(&actor, &format!("{start}{hint}")).await.body.to_vec()).unwrap();
        let (_, list) = page.split_once("<ul>").unwrap();
        assert!(list.split("</li>").next().unwrap().contains(first), "{page}");
        assert!(page.contains("github ×2"), "{page}");
    }
}
