//! Token endpoints that carry a renewal out and spoil its answer, or do not carry it out.

use crate::*;

const HOST: &str = "login.crm.example";
const TOKEN: &str = "login.crm.example/oauth2/token";

/// What a fault does to a renewal.
type Spoil = fn(Fault) -> Fault;

fn refresh(actor: &Actor) -> String {
    actor.sandbox.refresh_token(FRANCES, "acme-crm").unwrap()
}

fn body(refresh: &str) -> String {
    format!(
        "client_id=crm-sandbox&client_secret=sandbox-crm-secret&grant_type=refresh_token&refresh_token={refresh}"
    )
}

async fn renew(actor: &Actor, refresh: &str) -> Answer {
    actor.form(TOKEN, &[], &body(refresh)).await
}

/// Whether the refresh token was used up, told by using it: ends the family if it was.
async fn is_spent(actor: &Actor, refresh: &str) -> bool {
    renew(actor, refresh).await.status == 400 && actor.sandbox.reuse().requests == 1
}

#[tokio::test]
async fn a_client_that_gives_up_while_the_answer_is_held_back_has_rotated_all_the_same() {
    let actor = Actor::new().await;
    let refresh = refresh(&actor);
    let fault = Fault::on(HOST).path("/oauth2/token").processed();
    actor.sandbox.faults().script(fault.delay(Duration::from_secs(3600)));
    let answer = renew(&actor, &refresh);
    tokio::pin!(answer);
    let look = format!("client_id=crm-sandbox&client_secret=sandbox-crm-secret&token={refresh}");
    let spent = async {
        while actor.answered("login.crm.example/oauth2/introspect", &[], &look).await.1["active"] == true {}
    };
    tokio::select! {
        _ = &mut answer => panic!("an answer that is held back for an hour came"),
        () = spent => {}
    }
    assert!(is_spent(&actor, &refresh).await);
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_slow_server_has_changed_nothing() {
    let actor = Actor::new().await;
    let refresh = refresh(&actor);
    actor.sandbox.faults().script(Fault::on(HOST).delay(Duration::from_secs(3600)));
    let answer = renew(&actor, &refresh);
    tokio::pin!(answer);
    let arrived = async {
        while actor.sandbox.faults().pending() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut answer => panic!("an answer that is due in an hour came"),
        () = arrived => {}
    }
    assert_eq!(renew(&actor, &refresh).await.status, 200);
}

#[tokio::test]
async fn each_way_to_lose_an_answer_leaves_the_grant_rotated() {
    let lost: [(&str, Spoil); 8] = [
        ("cut", |fault| fault.processed().cut()),
        ("cut body", |fault| fault.cut_body(10)),
        ("408", |fault| fault.processed().answer(408)),
        ("429", |fault| fault.processed().answer(429).header("retry-after", "1")),
        ("500", |fault| fault.processed().answer(500)),
        ("empty", |fault| fault.processed().empty()),
        ("garbage", |fault| fault.processed().garbage()),
        ("slow and cut", |fault| fault.processed().delay(Duration::from_millis(5)).cut()),
    ];
    for (name, fault) in lost {
        let actor = Actor::new().await;
        let refresh = refresh(&actor);
        actor.sandbox.faults().script(fault(Fault::on(HOST).path("/oauth2/token")));
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = actor.try_send(Method::POST, TOKEN, &headers, body(&refresh)).await;
        assert!(answer.is_err() || serde_json::from_slice::<Value>(&answer.unwrap().body).is_err(), "{name}");
        assert!(is_spent(&actor, &refresh).await, "{name}");
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_processed_leaves_the_grant_as_it_was() {
    let refused: [(&str, Spoil); 5] = [
        ("408", |fault| fault.answer(408)),
        ("429", |fault| fault.answer(429)),
        ("500", |fault| fault.answer(500)),
        ("invalid_grant", |fault| fault.answer(400).json(&json!({"error": "invalid_grant"}))),
        ("an error in a success", |fault| fault.json(&json!({"error": "bad_refresh_token"}))),
    ];
    for (name, fault) in refused {
        let actor = Actor::new().await;
        let refresh = refresh(&actor);
        actor.sandbox.faults().script(fault(Fault::on(HOST)));
        renew(&actor, &refresh).await;
        assert_eq!(renew(&actor, &refresh).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn fields_of_the_real_answer_are_changed_and_left_out() {
    let cases = [
        (json!({"expires_in": null}), "expires_in", None),
        (json!({"expires_in": "3600"}), "expires_in", Some(json!("3600"))),
        (json!({"expires_in": -1}), "expires_in", Some(json!(-1))),
        (json!({"expires_in": u64::MAX}), "expires_in", Some(json!(u64::MAX))),
        (json!({"refresh_token": null}), "refresh_token", None),
        (json!({"scope": "profile"}), "scope", Some(json!("profile"))),
        (json!({"new": {"deep": 1, "not": null}}), "new", Some(json!({"deep": 1}))),
    ];
    for (patch, field, expected) in cases {
        let actor = Actor::new().await;
        actor.sandbox.faults().script(Fault::on(HOST).amend(patch.clone()));
        let refresh = refresh(&actor);
        let answer = renew(&actor, &refresh).await;
        assert_eq!((answer.status, answer.json().get(field).cloned()), (200, expected), "{patch}");
        assert!(actor.sandbox.is_alive(text(&answer.json()["access_token"])), "{patch}");
        assert!(is_spent(&actor, &refresh).await, "{patch}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_not_amended() {
    let actor = Actor::new().await;
    actor.sandbox.faults().script(Fault::on("github.com").amend(json!({"error": "other"})));
    let form = actor.form("github.com/login/oauth/access_token", &[], "grant_type=x").await;
    assert!(form.body.starts_with(b"error=incorrect_client_credentials"));
}

#[tokio::test]
async fn an_amendment_is_scripted_over_http_and_shown_without_its_values() {
    let actor = Actor::new().await;
    let fault = json!({"host": HOST, "path": "/oauth2/token", "amend": {"refresh_token": "canary"}});
    assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await.status, 204);
    let shown = actor.send(Method::GET, "/sandbox/faults", &[], "").await.json();
    assert_eq!(shown[0]["effect"], "amend refresh_token");
    assert_eq!(renew(&actor, &refresh(&actor)).await.json()["refresh_token"], "canary");
    let both = json!({"amend": {}, "kind": "cut"});
    assert_eq!(actor.send(Method::POST, "/sandbox/faults", &[], both.to_string()).await.status, 400);
}

#[tokio::test]
async fn every_played_host_takes_faults_and_the_journal_hides_every_token() {
    let actor = Actor::new().await;
    for host in actor.sandbox.hosts().iter().filter(|host| !host.starts_with("*.")) {
        let fault = json!({"host": host, "after": 1, "kind": "cut"});
        assert_eq!(
            actor.send(Method::POST, "/sandbox/faults", &[], fault.to_string()).await.status,
            204,
            "{host}"
        );
    }
    actor.sandbox.faults().clear();
    let mut tokens = Vec::new();
    for (user, connection) in
        [(KEN, "bitbucket"), (RADIA, "acme-entra"), (HEDY, "windowslive"), (FRANCES, "acme-crm")]
    {
        tokens.push(actor.sandbox.access_token(user, connection).unwrap());
        tokens.push(actor.sandbox.refresh_token(user, connection).unwrap());
    }
    for token in &tokens {
        let url = format!("api.crm.example/strange/{token}");
        actor.send(Method::POST, &url, &[("x-leak", token)], json!({"odd": token}).to_string()).await;
    }
    let shown = actor.send(Method::GET, "/sandbox/journal", &[], "").await;
    let shown = String::from_utf8(shown.body.to_vec()).unwrap();
    assert!(tokens.iter().all(|token| !shown.contains(token.as_str())));
}
