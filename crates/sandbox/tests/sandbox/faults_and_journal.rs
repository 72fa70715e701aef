//! Scripted faults, the journal, and steering over HTTP.

use crate::*;

const USER: &str = "api.github.com/user";

#[tokio::test]
async fn the_second_answer_is_the_scripted_one() {
    let actor = Actor::new().await;
    let fault = Fault::on("api.github.com").path("/user").after(1).answer(429).header("retry-after", "3");
    actor.sandbox.faults().script(fault);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(actor.get_as(ADA, "github", USER).await.status);
    }
    assert_eq!((statuses, actor.sandbox.faults().pending()), (vec![200, 429, 200], 0));
    let journal: Vec<_> = actor.sandbox.journal().to("api.github.com").iter().map(|one| one.status).collect();
    assert_eq!(journal[1].unwrap(), 429);
}

#[tokio::test]
async fn connections_break_before_the_answer_or_within_it() {
    let actor = Actor::new().await;
    let token = actor.bearer(ADA, "github");
    let headers = [("authorization", token.as_str()), ("user-agent", "t")];
    let get = || actor.try_send(Method::GET, USER, &headers, "");
    actor.sandbox.faults().script(Fault::on("api.github.com").cut());
    assert!(get().await.err().unwrap().is_request());
    actor.sandbox.faults().script(Fault::on("api.github.com").cut_body(10));
    let error = get().await.err().unwrap();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(get().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_hung_request_is_in_the_journal_and_holds_up_no_other() {
    let actor = Actor::new().await;
    actor.sandbox.faults().script(Fault::on("api.github.com").hang());
    let hung = actor.get_as(ADA, "github", USER);
    tokio::pin!(hung);
    let other = async {
        while actor.sandbox.journal().to("api.github.com").is_empty() {
            tokio::task::yield_now().await;
        }
        actor.get_as(ADA, "facebook", "graph.facebook.com/v25.0/me").await.status
    };
    tokio::select! {
        _ = &mut hung => panic!("a hung request was answered"),
        status = other => assert_eq!(status, 200),
    }
    assert!(actor.sandbox.journal().to("api.github.com")[0].status.is_none());
}

#[tokio::test]
async fn a_processed_fault_loses_the_answer_but_not_the_effect() {
    let actor = Actor::new().await;
    let old = actor.sandbox.access_token(MARGARET, "github").unwrap();
    let refresh = actor.sandbox.refresh_token(MARGARET, "github").unwrap();
    actor.sandbox.faults().script(Fault::on("github.com").processed().answer(504));
    let body = format!(
        "client_id=Iv1.sandboxgithub&client_secret=sandbox-github-secret&grant_type=refresh_token\
         &refresh_token={refresh}"
    );
    assert_eq!(actor.form("github.com/login/oauth/access_token", &[], &body).await.status, 504);
    assert!(!actor.sandbox.is_alive(&old));
}

#[tokio::test]
async fn garbage_empty_bodies_and_delays_happen_on_the_tenant_too() {
    let actor = Actor::new().await;
    let domain = actor.sandbox.domain().to_owned();
    actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").garbage());
    actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").after(1).empty());
    let delay = Duration::from_millis(30);
    actor.sandbox.faults().script(Fault::on(&domain).path("/oauth").after(2).delay(delay));
    let ask = || actor.token(actor.credentials("sandbox-service"));
    assert!(ask().await.body.starts_with(b"<!doctype html>"));
    assert!(ask().await.body.is_empty());
    let started = std::time::Instant::now();
    assert!(ask().await.status == 200 && started.elapsed() >= delay);
}

#[tokio::test]
async fn the_journal_shows_what_arrived_to_tests_and_hides_secrets_from_others() {
    let actor = Actor::new().await;
    actor.profile(ADA).await;
    let token = actor.sandbox.access_token(ADA, "facebook").unwrap();
    let url = format!("graph.facebook.com/v25.0/me?access_token={token}&fields=id");
    actor.send(Method::GET, &url, &[], "").await;
    let entries = actor.sandbox.journal().entries();
    assert!(entries[2].query.as_ref().unwrap().contains(&token));
    assert_eq!(actor.sandbox.journal().profile_reads(), 1);
    let shown = actor.send(Method::GET, "/sandbox/journal", &[], "").await;
    let text = String::from_utf8(shown.body.to_vec()).unwrap();
    assert!(!text.contains(&token) && !text.contains("sandbox-service-secret") && !text.contains("eyJ"));
    assert!(
        text.contains("access_token=sha256:")
            && text.contains("Bearer sha256:")
            && text.contains("fields=id")
    );
    assert_eq!(actor.send(Method::DELETE, "/sandbox/journal", &[], "").await.status, 204);
    assert_eq!(actor.sandbox.journal().count(|_| true), 0);
}

#[tokio::test]
async fn a_token_in_a_strange_place_is_hidden_too() {
    let actor = Actor::new().await;
    let token = actor.sandbox.access_token(ADA, "google-oauth2").unwrap();
    let refresh = actor.sandbox.refresh_token(ADA, "google-oauth2").unwrap();
    let url = format!("www.googleapis.com/strange/{refresh}?q={token}");
    actor.send(Method::POST, &url, &[("x-leak", &token)], format!("free text with {token}")).await;
    actor.send(Method::POST, &url, &[], json!({"deep": [{"odd": refresh}]}).to_string()).await;
    let shown = actor.send(Method::GET, "/sandbox/journal", &[], "").await;
    let text = String::from_utf8(shown.body.to_vec()).unwrap();
    assert!(!text.contains(&token) && !text.contains(&refresh));
    assert!(text.contains("/strange/sha256:") && text.contains("x-leak"));
}

#[tokio::test]
async fn people_steer_the_sandbox_over_http() {
    let actor = Actor::new().await;
    let fault = json!({"host": "api.github.com", "answer": {"status": 503, "headers": {"retry-after": "1"}}});
    assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await.status, 204);
    assert_eq!(actor.get_as(ADA, "github", USER).await.header("retry-after"), "1");
    assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], "{\"hots\": 1}").await.status, 400);
    let url = "/sandbox/users/google-oauth2%7C108204268033311374519/github/revoke";
    assert_eq!(actor.send(Method::POST, url, &[], "").await.status, 204);
    assert_eq!(actor.get_as(ADA, "github", USER).await.status, 401);
    let users = actor.send(Method::GET, "/sandbox/users", &[], "").await;
    let text = String::from_utf8(users.body.to_vec()).unwrap();
    assert!(text.contains("revoked") && !text.contains("gho_") && !text.contains("ya29."));
    assert_eq!(actor.send(Method::POST, "/sandbox/clock/1h", &[], "").await.status, 204);
    assert_eq!(actor.get_as(ADA, "google-oauth2", "www.googleapis.com/oauth2/v3/userinfo").await.status, 401);
}

#[tokio::test]
async fn a_fault_that_cannot_happen_is_refused_with_the_reason() {
    let actor = Actor::new().await;
    for (fault, part) in [
        (json!({}), "nothing would happen"),
        (json!({"processed": true}), "nothing would happen"),
        (json!({"host": "api.gihub.com", "kind": "cut"}), "nobody plays the host"),
        (json!({"answer": {"status": 99}}), "from 100 to 599"),
        (json!({"answer": {"status": 600}}), "from 100 to 599"),
        (json!({"answer": {"status": 200, "headers": {"a b": "c"}}}), "HTTP forbids"),
        (json!({"answer": {"status": 200}, "kind": "cut"}), "answer and kind contradict"),
        (json!({"kind": "hang", "cut_body": 3}), "kind and cut_body contradict"),
        (json!({"kind": "cut", "times": 2, "always": true}), "times and always contradict"),
        (json!({"kind": "cut", "times": 0}), "`times` must be 1 or more"),
        (json!({"kind": "explode"}), "`garbage`"),
        (json!({"delay": "soon"}), "like \\\"3s\\\""),
    ] {
        let answer = actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 400 && text.contains(part), "{fault}: {text}");
    }
    assert_eq!(actor.sandbox.faults().pending(), 0);
}

#[tokio::test]
async fn the_faults_that_wait_are_shown() {
    let actor = Actor::new().await;
    let fault = json!({"host": "api.github.com", "path": "/user", "times": 2, "answer": {"status": 503}});
    actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await;
    actor.get_as(ADA, "github", USER).await;
    let shown = actor.send(Method::GET, "/sandbox/faults", &[], "").await.json();
    let first = &shown[0];
    assert_eq!((&first["host"], &first["effect"]), (&json!("api.github.com"), &json!("answer 503")));
    assert_eq!((&first["times"], &first["happened"]), (&json!(2), &json!(1)));
    actor.get_as(ADA, "github", USER).await;
    let shown = actor.send(Method::GET, "/sandbox/faults", &[], "").await;
    assert_eq!(shown.json(), json!([]), "what is over waits no more");
}

#[tokio::test]
async fn people_read_the_journal_and_the_users_line_by_line() {
    let actor = Actor::new().await;
    actor.profile(ADA).await;
    for page in ["/sandbox/journal", "/sandbox/users", "/sandbox/faults"] {
        let answer = actor.send(Method::GET, page, &[], "").await;
        assert!(answer.body.ends_with(b"]\n"), "{page}");
    }
    let users = actor.send(Method::GET, "/sandbox/users", &[], "").await;
    assert!(String::from_utf8(users.body.to_vec()).unwrap().lines().count() > 50);
}

#[tokio::test]
async fn an_unknown_action_is_answered_with_those_that_there_are() {
    let actor = Actor::new().await;
    let answer = actor.send(Method::POST, "/sandbox/users/a/github/explode", &[], "").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(answer.status == 404 && text.contains("log-in, consent, expire, expire-all, revoke"), "{text}");
}

#[tokio::test]
async fn a_dropped_sandbox_listens_no_more() {
    let actor = Actor::new().await;
    let address = actor.sandbox.address();
    drop(actor);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
