//! A generic provider: RFC 6749, 6750, 7009, 7523, 7662.

use crate::*;

const TOKEN: &str = "login.crm.example/oauth2/token";
const REVOKE: &str = "login.crm.example/oauth2/revoke";
const INTROSPECT: &str = "login.crm.example/oauth2/introspect";
const ME: &str = "api.crm.example/v1/me";
const APP: &str = "client_id=crm-sandbox&client_secret=sandbox-crm-secret";
const CONNECTION: &str = "acme-crm";

async fn renew(actor: &Actor, refresh: &str, more: &str) -> (u16, Value) {
    let body = format!("{APP}&grant_type=refresh_token&refresh_token={refresh}{more}");
    actor.answered(TOKEN, &[], &body).await
}

async fn introspect(actor: &Actor, token: &str) -> Value {
    actor.answered(INTROSPECT, &[], &format!("{APP}&token={token}")).await.1
}

fn held(actor: &Actor) -> (String, String) {
    let access = actor.sandbox.access_token(FRANCES, CONNECTION).unwrap();
    (access, actor.sandbox.refresh_token(FRANCES, CONNECTION).unwrap())
}

#[tokio::test]
async fn a_profile_has_the_connections_identity_with_its_lifetime() {
    let actor = Actor::new().await;
    let identity = actor.profile(FRANCES).await.json()["identities"][0].clone();
    assert_eq!((&identity["connection"], &identity["provider"]), (&json!(CONNECTION), &json!("oauth2")));
    assert_eq!((&identity["expires_in"], &identity["user_id"]), (&json!(3600), &json!("acme-crm|501")));
    assert_eq!(identity["refresh_token"], held(&actor).1);
}

#[tokio::test]
async fn the_api_tells_who_calls_and_lists_things_in_pages() {
    let actor = Actor::new().await;
    let me = actor.get_as(FRANCES, CONNECTION, ME).await.json();
    assert_eq!((&me["id"], &me["email"]), (&json!("501"), &json!("frances@sandbox.example")));
    let mut url = "api.crm.example/v1/things".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = actor.get_as(FRANCES, CONNECTION, &url).await;
        ids.extend(page.json()["items"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()));
        let link = page.header("link").to_owned();
        let Some((next, _)) = link.split_once('>') else { break };
        url = next.strip_prefix("<https://").unwrap().to_owned();
    }
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn the_challenge_tells_a_dead_token_from_a_missing_scope_and_from_none() {
    let actor = Actor::new().await;
    let none = actor.send(Method::GET, ME, &[], "").await;
    assert_eq!((none.status, none.header("www-authenticate")), (401, "Bearer realm=\"acme-crm\""));
    actor.sandbox.set_scopes(FRANCES, CONNECTION, &["things.read"]).unwrap();
    let lacking = actor.get_as(FRANCES, CONNECTION, ME).await;
    let challenge = "Bearer realm=\"acme-crm\", error=\"insufficient_scope\", scope=\"profile\"";
    assert_eq!((lacking.status, lacking.header("www-authenticate")), (403, challenge));
    actor.sandbox.advance(Duration::from_secs(301));
    for token in [actor.bearer(FRANCES, CONNECTION), actor.bearer(ADA, "github"), "Bearer x".to_owned()] {
        let dead = actor.send(Method::GET, ME, &[("authorization", &token)], "").await;
        let challenge = dead.header("www-authenticate").to_owned();
        assert!(dead.status == 401 && challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}

#[tokio::test]
async fn a_used_up_quota_says_how_long_it_lasts() {
    let actor = Actor::with(seed(|seed| seed.providers.generic[0].requests_per_minute = 1)).await;
    assert_eq!(actor.get_as(FRANCES, CONNECTION, ME).await.status, 200);
    let over = actor.get_as(FRANCES, CONNECTION, ME).await;
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!(over.status == 429 && (1..=60).contains(&wait));
}

#[tokio::test]
async fn a_renewal_rotates_and_leaves_older_access_tokens_alive() {
    let actor = Actor::new().await;
    let (access, refresh) = held(&actor);
    let (status, new) = renew(&actor, &refresh, "").await;
    assert_eq!((status, &new["expires_in"]), (200, &json!(3600)));
    assert_eq!((&new["scope"], &new["token_type"]), (&json!("profile things.read"), &json!("Bearer")));
    assert_ne!(text(&new["refresh_token"]), refresh);
    assert!(actor.sandbox.is_alive(&access) && actor.sandbox.is_alive(text(&new["access_token"])));
    assert_eq!(renew(&actor, text(&new["refresh_token"]), "").await.0, 200);
    assert_eq!(actor.sandbox.reuse(), Reuse::default());
}

#[tokio::test]
async fn a_reused_refresh_token_kills_its_family_once_and_no_other() {
    let actor = Actor::new().await;
    let (access, refresh) = held(&actor);
    let other = actor.sandbox.log_in(FRANCES, CONNECTION).unwrap();
    let new = renew(&actor, &refresh, "").await.1;
    let (status, refused) = renew(&actor, &refresh, "").await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    for dead in [&access, text(&new["access_token"])] {
        assert!(!actor.sandbox.is_alive(dead));
    }
    assert_eq!(renew(&actor, text(&new["refresh_token"]), "").await.1["error"], "invalid_grant");
    assert!(actor.sandbox.is_alive(&other));
    renew(&actor, &refresh, "").await;
    assert_eq!(actor.sandbox.reuse(), Reuse { requests: 2, families_revoked: 1 });
    let shown = actor.send(Method::GET, "/sandbox/reuse", &[], "").await.json();
    assert_eq!(shown, json!({"requests": 2, "families_revoked": 1}));
}

#[tokio::test]
async fn a_connection_that_does_not_rotate_sends_no_refresh_token_and_takes_the_old_again() {
    let actor = Actor::with(seed(|seed| seed.providers.generic[0].rotates = false)).await;
    let (_, refresh) = held(&actor);
    for _ in 0..2 {
        let (status, new) = renew(&actor, &refresh, "").await;
        assert_eq!((status, new.get("refresh_token")), (200, None));
    }
    assert_eq!(actor.sandbox.reuse(), Reuse::default());
}

#[tokio::test]
async fn a_lifetime_that_is_not_told_passes_all_the_same() {
    let actor = Actor::with(seed(|seed| seed.providers.generic[0].tells_lifetime = false)).await;
    assert_eq!(actor.profile(FRANCES).await.json()["identities"][0].get("expires_in"), None);
    let new = renew(&actor, &held(&actor).1, "").await.1;
    assert_eq!(new.get("expires_in"), None);
    actor.sandbox.advance(Duration::from_secs(3_599));
    assert!(actor.sandbox.is_alive(text(&new["access_token"])));
    actor.sandbox.advance(Duration::from_secs(2));
    assert!(!actor.sandbox.is_alive(text(&new["access_token"])));
}

#[tokio::test]
async fn fewer_scopes_may_be_asked_for_and_a_refused_wish_spends_nothing() {
    let actor = Actor::new().await;
    let (_, refresh) = held(&actor);
    let (status, refused) = renew(&actor, &refresh, "&scope=profile+admin").await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_scope")));
    let narrow = renew(&actor, &refresh, "&scope=profile").await.1;
    assert_eq!(narrow["scope"], "profile");
    let wide = renew(&actor, text(&narrow["refresh_token"]), "").await.1;
    assert_eq!(wide["scope"], "profile things.read");
}

#[tokio::test]
async fn a_token_request_is_refused_for_the_reason_it_fails() {
    let actor = Actor::new().await;
    let (_, refresh) = held(&actor);
    let cases = [
        ("client_id=crm-sandbox&client_secret=x&grant_type=refresh_token".to_owned(), 401, "invalid_client"),
        (format!("grant_type=refresh_token&refresh_token={refresh}"), 401, "invalid_client"),
        (APP.to_owned(), 400, "invalid_request"),
        (format!("{APP}&grant_type=refresh_token"), 400, "invalid_request"),
        (format!("{APP}&grant_type=password"), 400, "unsupported_grant_type"),
        (format!("{APP}&grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant"),
    ];
    for (body, status, error) in cases {
        let (found, answer) = actor.answered(TOKEN, &[], &body).await;
        assert_eq!((found, &answer["error"]), (status, &json!(error)));
    }
    let wrong = basic("crm-sandbox", "wrong");
    let answer = actor.form(TOKEN, &[("authorization", &wrong)], "grant_type=refresh_token").await;
    assert!(answer.status == 401 && answer.header("www-authenticate").starts_with("Basic"));
}

#[tokio::test]
async fn the_client_proves_itself_in_the_header_as_well() {
    let actor = Actor::new().await;
    let header = basic("crm-sandbox", "sandbox-crm-secret");
    let body = format!("grant_type=refresh_token&refresh_token={}", held(&actor).1);
    assert_eq!(actor.answered(TOKEN, &[("authorization", &header)], &body).await.0, 200);
}

#[tokio::test]
async fn an_assertion_is_good_once_for_the_token_endpoint_and_by_the_true_time() {
    let (private, public) = rsa_pair();
    let actor = Actor::with(seed(|seed| {
        seed.providers.generic[0].client_secret = None;
        seed.providers.generic[0].public_key = Some(public);
    }))
    .await;
    actor.sandbox.advance(Duration::from_secs(7_200));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let sign = |issuer: &str, audience: &str, jti: &str, exp: u64| {
        let claims = json!({"iss": issuer, "sub": issuer, "aud": audience, "jti": jti, "exp": exp});
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
        jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key)
            .unwrap()
    };
    let endpoint = "https://login.crm.example/oauth2/token";
    let good = sign("crm-sandbox", endpoint, "one", now + 60);
    let forged = format!("{}x", sign("crm-sandbox", endpoint, "two", now + 60));
    let cases = [
        (good.clone(), 200),
        (good, 401),
        (forged, 401),
        (sign("someone", endpoint, "three", now + 60), 401),
        (sign("crm-sandbox", "https://login.crm.example/", "four", now + 60), 401),
        (sign("crm-sandbox", endpoint, "five", now - 60), 401),
        (sign("crm-sandbox", endpoint, "six", now + 3600), 401),
    ];
    let refresh = held(&actor).1;
    for (assertion, status) in cases {
        let body = format!(
            "grant_type=refresh_token&refresh_token={refresh}&client_assertion={assertion}\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        );
        assert_eq!(actor.answered(TOKEN, &[], &body).await.0, status);
    }
}

#[tokio::test]
async fn inspection_tells_the_living_from_the_dead_and_spends_nothing() {
    let actor = Actor::new().await;
    let (access, refresh) = held(&actor);
    let found = introspect(&actor, &access).await;
    assert_eq!((&found["active"], &found["sub"]), (&json!(true), &json!("501")));
    assert_eq!(found["scope"], "profile things.read");
    assert_eq!(found["exp"].as_u64().unwrap() - found["iat"].as_u64().unwrap(), 3600);
    assert_eq!(introspect(&actor, &refresh).await["token_type"], "refresh_token");
    assert_eq!(renew(&actor, &refresh, "").await.0, 200);
    for dead in [refresh, "unknown".to_owned(), actor.sandbox.access_token(ADA, "github").unwrap()] {
        assert_eq!(introspect(&actor, &dead).await, json!({"active": false}));
    }
    assert_eq!(actor.sandbox.reuse(), Reuse::default(), "looking is no use");
    assert_eq!(actor.answered(INTROSPECT, &[], "token=x").await.1["error"], "invalid_client");
    actor.sandbox.advance(Duration::from_secs(301));
    assert_eq!(introspect(&actor, &access).await, json!({"active": false}));
}

#[tokio::test]
async fn revocation_of_an_access_token_ends_it_alone_and_of_a_refresh_token_all() {
    let actor = Actor::new().await;
    let (access, refresh) = held(&actor);
    let new = renew(&actor, &refresh, "").await.1;
    let revoke = |token: String| {
        let actor = &actor;
        async move { actor.form(REVOKE, &[], &format!("{APP}&token={token}")).await.status }
    };
    assert_eq!(revoke(access.clone()).await, 200);
    assert!(!actor.sandbox.is_alive(&access) && actor.sandbox.is_alive(text(&new["access_token"])));
    assert_eq!(revoke(text(&new["refresh_token"]).to_owned()).await, 200);
    assert!(!actor.sandbox.is_alive(text(&new["access_token"])));
    assert_eq!(renew(&actor, text(&new["refresh_token"]), "").await.1["error"], "invalid_grant");
    assert_eq!(revoke("unknown".to_owned()).await, 200);
    assert_eq!(actor.answered(REVOKE, &[], APP).await.1["error"], "invalid_request");
    assert_eq!(actor.answered(REVOKE, &[], "token=x").await.0, 401);
}

#[tokio::test]
async fn a_login_brings_new_tokens() {
    let actor = Actor::new().await;
    let before = held(&actor);
    actor.sandbox.advance(Duration::from_secs(7_200));
    actor.sandbox.log_in(FRANCES, CONNECTION).unwrap();
    let after = held(&actor);
    assert!(before.0 != after.0 && before.1 != after.1);
    assert_eq!(actor.get_as(FRANCES, CONNECTION, ME).await.status, 200);
}

#[tokio::test]
async fn a_seed_with_a_host_that_somebody_has_names_it() {
    let table = |connection: &str, api: &str, auth: &str| {
        format!(
            "[[providers.generic]]\nconnection = '{connection}'\napi_host = '{api}'\nauth_host = '{auth}'\nclient_id = 'x'\n"
        )
    };
    for (text, part) in [
        (table("a", "api.github.com", "a.example"), "\"api.github.com\""),
        (table("a", "a.example", "x.sharepoint.com"), "\"x.sharepoint.com\""),
        (table("a", "https://a.example", "a.example"), "\"https://a.example\""),
        (table("a", "a.example", "a.example") + &table("b", "a.example", "b.example"), "\"a.example\""),
        (table("a", "a.example", "b.example") + &table("a", "c.example", "d.example"), "`connection` \"a\""),
    ] {
        let error = Seed::from_toml(&text).err().unwrap().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(Seed::from_toml(&table("a", "a.example", "a.example")).is_ok(), "one host for both");
}
