//! GitHub.

use crate::*;

const APP: &str = "client_id=Iv1.sandboxgithub&client_secret=sandbox-github-secret";

#[tokio::test]
async fn every_answer_tells_scopes_and_quota() {
    let actor = Actor::new().await;
    let answer = actor.get_as(ADA, "github", "api.github.com/user").await;
    assert_eq!((answer.status, answer.json()["login"].as_str()), (200, Some("ada")));
    assert_eq!(answer.header("x-oauth-scopes"), "read:user, user:email, repo");
    assert_eq!(
        (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
        ("5000", "4999")
    );
}

#[tokio::test]
async fn a_request_needs_a_user_agent_a_known_version_and_a_live_token() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let plain = actor.send(Method::GET, "api.github.com/user", &[("authorization", &token)], "").await;
    assert!(plain.status == 403 && plain.body.starts_with(b"\r\nRequest forbidden by administrative rules."));
    let versioned =
        [("authorization", token.as_str()), ("user-agent", "t"), ("x-github-api-version", "1999-01-01")];
    assert_eq!(actor.send(Method::GET, "api.github.com/user", &versioned, "").await.status, 400);
    actor.sandbox.revoke_token(ADA, "github").unwrap();
    let dead = actor.get_as(ADA, "github", "api.github.com/user").await;
    assert_eq!((dead.status, dead.json()["message"].as_str()), (401, Some("Bad credentials")));
}

#[tokio::test]
async fn private_repositories_are_not_found_without_the_scope() {
    let actor = Actor::new().await;
    let notes = "api.github.com/repos/ada/notes";
    assert_eq!(actor.get_as(ADA, "github", notes).await.status, 200);
    actor.sandbox.set_scopes(ADA, "github", &["read:user"]).unwrap();
    let hidden = actor.get_as(ADA, "github", notes).await;
    assert_eq!((hidden.status, hidden.json()["message"].as_str()), (404, Some("Not Found")));
    assert_eq!(actor.get_as(ADA, "github", "api.github.com/repos/ada/hello-world").await.status, 200);
}

#[tokio::test]
async fn repositories_come_in_pages_with_links() {
    let actor = Actor::new().await;
    let first = actor.get_as(ADA, "github", "api.github.com/user/repos?per_page=2").await;
    let next = "<https://api.github.com/user/repos?per_page=2&page=2>; rel=\"next\"";
    assert!(first.header("link").starts_with(next), "{}", first.header("link"));
    let second = actor.get_as(ADA, "github", "api.github.com/user/repos?per_page=2&page=2").await;
    assert_eq!(second.json().as_array().unwrap().len(), 1);
    assert!(!second.header("link").contains("next"));
}

#[tokio::test]
async fn an_issue_is_created_and_listed() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let headers = [("authorization", token.as_str()), ("user-agent", "t")];
    let url = "api.github.com/repos/ada/notes/issues";
    let made = actor.send(Method::POST, url, &headers, json!({"title": "Bug"}).to_string()).await;
    assert_eq!((made.status, made.json()["number"].as_u64()), (201, Some(1)));
    assert_eq!(actor.get_as(ADA, "github", url).await.json()[0]["title"], "Bug");
    assert_eq!(actor.send(Method::POST, url, &headers, "{}").await.status, 422);
}

#[tokio::test]
async fn renamed_repositories_and_tarballs_redirect() {
    let actor = Actor::new().await;
    let moved = actor.get_as(ADA, "github", "api.github.com/repos/ada/difference-engine").await;
    assert_eq!(moved.status, 301);
    let there = moved.header("location").strip_prefix("https://").unwrap().to_owned();
    assert_eq!(actor.get_as(ADA, "github", &there).await.json()["name"], "engine");
    let tarball = actor.get_as(ADA, "github", "api.github.com/repos/ada/notes/tarball").await;
    assert!(tarball.header("location").starts_with("https://codeload.github.com/ada/notes/"));
    let there = tarball.header("location").strip_prefix("https://").unwrap().to_owned();
    assert_eq!(actor.send(Method::GET, &there, &[], "").await.body.len(), 4096);
}

#[tokio::test]
async fn used_up_quotas_differ_by_their_headers() {
    let actor = Actor::with(seed(|seed| seed.providers.github.requests_per_hour = 90)).await;
    let token = actor.bearer(ADA, "github");
    let headers = [("authorization", token.as_str()), ("user-agent", "t")];
    let url = "api.github.com/repos/ada/notes/issues";
    for _ in 0..80 {
        actor.send(Method::POST, url, &headers, json!({"title": "x"}).to_string()).await;
    }
    let secondary = actor.send(Method::POST, url, &headers, json!({"title": "x"}).to_string()).await;
    assert_eq!((secondary.status, secondary.header("retry-after")), (403, "60"));
    assert_eq!(secondary.header("x-ratelimit-remaining"), "9");
    for _ in 0..9 {
        actor.get_as(ADA, "github", "api.github.com/user").await;
    }
    let primary = actor.get_as(ADA, "github", "api.github.com/user").await;
    assert_eq!((primary.status, primary.header("x-ratelimit-remaining")), (403, "0"));
    actor.sandbox.advance(Duration::from_secs(3600));
    assert_eq!(actor.get_as(ADA, "github", "api.github.com/user").await.status, 200);
}

#[tokio::test]
async fn raw_contents_have_any_size_with_and_without_a_length() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let headers = [
        ("authorization", token.as_str()),
        ("user-agent", "t"),
        ("accept", "application/vnd.github.raw+json"),
    ];
    let get = |name: &str| {
        let url = format!("api.github.com/repos/ada/hello-world/contents/{name}");
        let actor = &actor;
        async move { actor.send(Method::GET, &url, &headers, "").await }
    };
    let (sized, chunked) = (get("5000000.bin").await, get("5000000.chunked").await);
    assert_eq!((sized.header("content-length"), chunked.header("content-length")), ("5000000", ""));
    assert!(sized.body.len() == 5_000_000 && sized.body == chunked.body);
}

#[tokio::test]
async fn compression_and_entity_tags_are_given_to_those_who_ask() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let ask = |name: &'static str, value: String| {
        let (actor, token) = (&actor, &token);
        async move {
            let headers = [("authorization", token.as_str()), ("user-agent", "t"), (name, value.as_str())];
            actor.send(Method::GET, "api.github.com/user", &headers, "").await
        }
    };
    let packed = ask("accept-encoding", "gzip".into()).await;
    assert!(packed.header("content-encoding") == "gzip" && packed.body.starts_with(&[0x1f, 0x8b]));
    let again = ask("if-none-match", packed.header("etag").into()).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn the_eleventh_login_ends_the_oldest_token() {
    let actor = Actor::new().await;
    let oldest = actor.sandbox.access_token(GRACE, "github").unwrap();
    for _ in 0..9 {
        actor.sandbox.log_in(GRACE, "github").unwrap();
    }
    assert!(actor.sandbox.is_alive(&oldest));
    actor.sandbox.log_in(GRACE, "github").unwrap();
    assert!(!actor.sandbox.is_alive(&oldest));
}

#[tokio::test]
async fn rotation_kills_the_old_pair_and_reuse_kills_the_family() {
    let actor = Actor::new().await;
    let old_access = actor.sandbox.access_token(MARGARET, "github").unwrap();
    let old_refresh = actor.sandbox.refresh_token(MARGARET, "github").unwrap();
    let renew = |token: String| {
        let (actor, body) = (&actor, format!("{APP}&grant_type=refresh_token&refresh_token={token}"));
        async move {
            let json = [("accept", "application/json")];
            actor.form("github.com/login/oauth/access_token", &json, &body).await.json()
        }
    };
    let new = renew(old_refresh.clone()).await;
    let new_access = new["access_token"].as_str().unwrap().to_owned();
    assert!(!actor.sandbox.is_alive(&old_access) && actor.sandbox.is_alive(&new_access));
    assert_eq!(new["expires_in"], 28_800);
    assert_eq!(renew(old_refresh).await["error"], "bad_refresh_token");
    assert!(!actor.sandbox.is_alive(&new_access));
    let refresh = new["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(renew(refresh).await["error"], "bad_refresh_token");
}

#[tokio::test]
async fn the_app_inspects_and_revokes_tokens() {
    let actor = Actor::new().await;
    let token = actor.sandbox.access_token(ADA, "github").unwrap();
    let basic = basic("Iv1.sandboxgithub", "sandbox-github-secret");
    let url = "api.github.com/applications/Iv1.sandboxgithub/token";
    let body = json!({"access_token": token}).to_string();
    let headers = [("authorization", basic.as_str())];
    let ask = |method| actor.send(method, url, &headers, body.clone());
    assert_eq!(ask(Method::POST).await.json()["user"]["id"], 583_231);
    assert_eq!(ask(Method::DELETE).await.status, 204);
    assert!(!actor.sandbox.is_alive(&token));
    assert_eq!(ask(Method::POST).await.status, 404);
}

#[tokio::test]
async fn uploads_go_to_their_own_host_and_come_back() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let headers =
        [("authorization", token.as_str()), ("user-agent", "t"), ("content-type", "application/zip")];
    let url = "uploads.github.com/repos/ada/notes/releases/1/assets?name=a.zip";
    let made = actor.send(Method::POST, url, &headers, vec![0_u8, 255, 10, 13]).await.json();
    let there = made["url"].as_str().unwrap().strip_prefix("https://").unwrap();
    assert_eq!(actor.get_as(ADA, "github", there).await.body.as_ref(), [0, 255, 10, 13]);
}
