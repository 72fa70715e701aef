//! What CallProvider does with tokens that a provider refuses, or surely would: once more with a newer one, and no more.

use std::time::Duration;

use idp_token_sandbox::{Entry, Fault, Seed};
use idp_token_service::service::pb::{CallProviderRequest, Identity, IdentitySelector, identity::State};
use idp_token_testkit::{
    World, assert_error, get,
    http::{Build, Read},
    metadata,
    people::{ADA, ALAN, EDSGER, MARGARET, MARY, at, facebook, github, google},
    post,
};
use tokio::task::JoinSet;
use tonic::Code;

/// A world whose service keeps Ada's profile, with her journal empty. Its providers have called tokens of
/// others active, so that they are believed when they do not know one of hers.
async fn warm() -> World {
    let world = World::start().await;
    for other in [github(MARGARET), facebook(MARY)] {
        assert!(world.inspect(other).await.unwrap().active);
    }
    world.lend(google(ADA)).await.unwrap();
    world.sandbox.journal().clear();
    world
}

/// Where GitHub and Facebook are asked about a token: at hosts of their APIs.
const QUESTIONS: [&str; 2] = ["/applications/", "/debug_token"];

fn is_question(entry: &Entry) -> bool {
    QUESTIONS.iter().any(|path| entry.path.contains(path))
}

/// How often a provider was asked whether a token is alive.
fn questions(world: &World, host: &str) -> usize {
    world.sandbox.journal().to(host).iter().filter(|entry| is_question(entry)).count()
}

/// The tokens that a provider was sent in calls, in their order.
fn tokens(world: &World, host: &str) -> Vec<String> {
    let token =
        |entry: &Entry| entry.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let sent = world.sandbox.journal().to(host);
    sent.iter().filter(|entry| !is_question(entry)).map(token).collect()
}

fn calls(world: &World, host: &str) -> usize {
    tokens(world, host).len()
}

fn token(world: &World, provider: &str) -> String {
    world.sandbox.access_token(ADA, provider).unwrap()
}

/// Each provider, with a way in which its tokens die, and a path.
type Death = fn(&World);

fn deaths() -> [(IdentitySelector, &'static str, &'static str, Death); 5] {
    let revoked: Death = |world| world.sandbox.revoke_token(ADA, "google-oauth2").unwrap();
    let expired: Death = |world| world.sandbox.expire_token(ADA, "github").unwrap();
    let removed: Death = |world| world.sandbox.revoke_token(ADA, "facebook").unwrap();
    let password: Death = |world| world.sandbox.change_password(ADA, "facebook").unwrap();
    let over: Death = |world| world.sandbox.expire_token(ADA, "facebook").unwrap();
    [
        (google(ADA), "www.googleapis.com", "/calendar/v3/users/me/calendarList", revoked),
        (github(ADA), "api.github.com", "/user", expired),
        (facebook(ADA), "graph.facebook.com", "/me", removed),
        (facebook(ADA), "graph.facebook.com", "/me", password),
        (facebook(ADA), "graph.facebook.com", "/me", over),
    ]
}

#[tokio::test]
async fn after_a_new_login_a_refused_token_is_replaced_and_the_call_succeeds() {
    for (identity, host, path, die) in deaths() {
        let world = warm().await;
        let old = token(&world, &identity.provider);
        die(&world);
        let new = world.sandbox.log_in(ADA, &identity.provider).unwrap();
        let answer = world.call(identity.clone(), get(path)).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (200, 2), "{host}");
        assert_eq!((&answer.report().diagnosis, answer.report().token_renewed), (&None, false));
        assert_eq!(tokens(&world, host), [old, new.clone()]);
        assert_eq!(world.sandbox.journal().profile_reads(), 1);

        let next = world.call(identity, get(path)).await.unwrap();
        assert_eq!(next.report().attempts, 1);
        assert_eq!(tokens(&world, host)[2..], [new], "the old one is forgotten");
        assert_eq!(world.sandbox.journal().profile_reads(), 1);
    }
}

#[tokio::test]
async fn without_a_new_login_only_the_user_can_help_and_the_provider_is_left_alone() {
    for (identity, host, path, die) in deaths() {
        let world = warm().await;
        die(&world);
        let outcome = world.call(identity.clone(), get(path)).await;
        let details = assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        assert_eq!(metadata(&details, "provider"), identity.provider);
        assert_eq!(metadata(&details, "connection"), identity.provider);
        assert!(details.help().unwrap().links[0].url.contains("/authorize?response_type=code"));
        assert_eq!((calls(&world, host), world.sandbox.journal().profile_reads()), (1, 1));

        for _ in 0..5 {
            let outcome = world.call(identity.clone(), get(path)).await;
            assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        }
        assert_eq!(calls(&world, host), 1, "a refused token is never sent again");
    }
}

#[tokio::test]
async fn a_token_that_a_provider_refused_is_neither_lent_nor_listed_as_good() {
    let world = warm().await;
    world.sandbox.revoke_token(ADA, "github").unwrap();
    assert!(world.lend(github(ADA)).await.is_ok(), "nobody knows yet");
    world.call(github(ADA), get("/user")).await.unwrap_err();
    let outcome = world.lend(github(ADA)).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    let states: Vec<_> = world.list(ADA).await.unwrap().iter().map(Identity::state).collect();
    assert_eq!(states, [State::Active, State::ReauthenticationRequired, State::Active]);
    assert_eq!(world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap().status_code, 200);
}

#[tokio::test]
async fn a_newer_token_that_is_refused_as_well_ends_the_call_at_two_requests() {
    let world = warm().await;
    let old = token(&world, "github");
    let new = world.sandbox.log_in(ADA, "github").unwrap();
    world.sandbox.revoke_token(ADA, "github").unwrap();
    for method in ["GET", "POST"] {
        let outcome = world.call(github(ADA), get("/user").method(method)).await;
        assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        assert_eq!(tokens(&world, "api.github.com"), [old.clone(), new.clone()]);
    }
}

#[tokio::test]
async fn even_a_provider_that_refuses_everything_is_asked_twice_at_most() {
    let world = warm().await;
    world.sandbox.faults().script(Fault::on("api.github.com").answer(401).always());
    world.sandbox.log_in(ADA, "github").unwrap();
    let vouched_for = CallProviderRequest { idempotent: true, ..post("/user", "{}").by(github(ADA)) };
    let outcome = world.call_with(vouched_for).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(calls(&world, "api.github.com"), 2);
}

#[tokio::test]
async fn a_post_takes_the_ladder_too_and_happens_once() {
    let world = warm().await;
    let old = token(&world, "github");
    world.sandbox.expire_token(ADA, "github").unwrap();
    let new = world.sandbox.log_in(ADA, "github").unwrap();
    let issue = post("/repos/ada/hello-world/issues", r#"{"title":"Tea"}"#);
    let answer = world.call(github(ADA), issue).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (201, 2));
    assert_eq!(tokens(&world, "api.github.com"), [old, new]);
    let mut sent = world.sandbox.journal().to("api.github.com");
    sent.retain(|entry| !is_question(entry));
    assert!(sent.iter().all(|entry| entry.body == r#"{"title":"Tea"}"#), "the body goes with it");
    let issues = world.call(github(ADA), get("/repos/ada/hello-world/issues")).await.unwrap();
    assert_eq!(issues.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_attempt_of_both_rungs_is_counted() {
    let world = warm().await;
    world.sandbox.expire_token(ADA, "github").unwrap();
    world.sandbox.log_in(ADA, "github").unwrap();
    let faults = world.sandbox.faults();
    let call = || Fault::on("api.github.com").path("/user").answer(503);
    faults.script(call());
    faults.script(call().after(2));
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    // 503, 401 with the old token; 503, 200 with the new one.
    assert_eq!((answer.status_code, answer.report().attempts), (200, 4));
    assert_eq!(calls(&world, "api.github.com"), 4);
}

/// Forty calls at once, and what became of them.
async fn forty(world: &World) -> Vec<Result<i32, tonic::Status>> {
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let mut client = world.service.client();
        let call = get("/user").by(github(ADA));
        calls.spawn(async move { Ok(client.call_provider(call).await?.into_inner().status_code) });
    }
    calls.join_all().await
}

/// A refusal outdates what was read before the first of them; all who learn of it later share the read that follows.
#[tokio::test]
async fn forty_callers_with_a_refused_token_share_one_read_and_all_get_the_new_one() {
    let world = warm().await;
    world.sandbox.expire_token(ADA, "github").unwrap();
    let new = world.sandbox.log_in(ADA, "github").unwrap();
    let answered = forty(&world).await;
    assert!(answered.iter().all(|outcome| matches!(outcome, Ok(200))), "{answered:?}");
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
    let sent = tokens(&world, "api.github.com");
    assert_eq!(sent.iter().filter(|token| **token == new).count(), 40);
    assert!(sent.len() <= 80, "nobody sends more than twice: {}", sent.len());
}

/// One cold read and one after the refusal. A third belongs to a machine so slow that the second is 5 s old by then.
#[tokio::test]
async fn forty_callers_whose_token_is_dead_cost_two_reads() {
    let world = World::start().await;
    world.sandbox.revoke_token(ADA, "github").unwrap();
    for outcome in forty(&world).await {
        assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
    let reads = world.sandbox.journal().profile_reads();
    assert!((2..=3).contains(&reads), "{reads} reads");
    assert!(calls(&world, "api.github.com") <= 40);
    assert_eq!(questions(&world, "api.github.com"), 1, "they share the question, too");
}

#[tokio::test]
async fn an_expired_token_is_never_sent_and_a_new_login_mends_it() {
    let world = World::configured(|config| config.auth0.profile_ttl = Duration::ZERO).await;
    let list = || get("/calendar/v3/users/me/calendarList");
    for request in [list(), post("/calendar/v3/calendars/primary/events", "{}")] {
        let outcome = world.call(google(EDSGER), request).await;
        assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
    assert_eq!(world.provider_calls("www.googleapis.com"), 0);
    world.sandbox.log_in(EDSGER, "google-oauth2").unwrap();
    assert_eq!(world.call(google(EDSGER), list()).await.unwrap().status_code, 200);
}

#[tokio::test]
async fn a_refused_token_is_forgotten_with_the_next_login() {
    let world = World::configured(|config| config.auth0.profile_ttl = Duration::ZERO).await;
    world.sandbox.revoke_token(ADA, "google-oauth2").unwrap();
    let userinfo = || get("/oauth2/v3/userinfo");
    world.call(google(ADA), userinfo()).await.unwrap_err();
    world.sandbox.log_in(ADA, "google-oauth2").unwrap();
    let answer = world.call(google(ADA), userinfo()).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (200, 1));
}

/// Alan's token has so many seconds left.
async fn with_left(seconds: u64) -> World {
    let sow = move |seed: &mut Seed| {
        let alan = seed.users.iter_mut().find(|user| user.id == ALAN).unwrap();
        alan.identities[0].logged_in = Duration::from_secs(3599 - seconds);
    };
    World::seeded(sow).await
}

#[tokio::test]
async fn a_token_with_less_than_ten_seconds_to_live_is_not_sent() {
    let world = with_left(8).await;
    let outcome = world.call(google(ALAN), get("/oauth2/v3/userinfo")).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(world.provider_calls("www.googleapis.com"), 0);
    let world = with_left(50).await;
    assert_eq!(world.call(google(ALAN), get("/oauth2/v3/userinfo")).await.unwrap().status_code, 200);
}

#[tokio::test]
async fn the_second_attempt_is_made_as_the_same_account_or_not_at_all() {
    let world = World::start().await;
    for unused in ["google-oauth2", "facebook"] {
        world.sandbox.forget_token(ADA, unused).unwrap();
    }
    let whichever = at(ADA, "");
    assert_eq!(world.call(whichever.clone(), get("/user")).await.unwrap().json()["login"], "ada");
    // GitHub's token dies, and by the next read another identity is the only one with a token.
    world.sandbox.expire_token(ADA, "github").unwrap();
    world.sandbox.forget_token(ADA, "github").unwrap();
    let googles = world.sandbox.log_in(ADA, "google-oauth2").unwrap();
    let outcome = world.call(whichever, get("/user")).await;
    assert!(!tokens(&world, "api.github.com").contains(&googles), "GitHub was sent the token of Google");
    let details = assert_error(outcome, Code::FailedPrecondition, "TOKEN_NOT_STORED");
    assert_eq!(metadata(&details, "provider"), "github");
    assert_eq!(calls(&world, "api.github.com"), 2);
}

#[tokio::test]
async fn a_401_that_no_other_token_would_mend_is_a_result() {
    let world = warm().await;
    let faults = world.sandbox.faults();
    let message = r#"{"message":"A JSON web token could not be decoded"}"#;
    faults.script(Fault::on("api.github.com").answer(401).body(message));
    let answer = world.call(github(ADA), get("/app")).await.unwrap();
    assert_eq!((answer.status_code, &*answer.body), (401, message.as_bytes()));
    assert_eq!((answer.report().attempts, &answer.report().diagnosis), (1, &None));
    assert_eq!(
        world.call(github(ADA), get("/user")).await.unwrap().status_code,
        200,
        "the token is as good as before"
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_a_good_token_locks_nobody_out() {
    let world = warm().await;
    let refusal = Fault::on("api.github.com").path("/odd").answer(401).body("not for users").always();
    world.sandbox.faults().script(refusal);
    for _ in 0..3 {
        let answer = world.call(github(ADA), get("/odd")).await.unwrap();
        assert_eq!((answer.status_code, &answer.body[..]), (401, &b"not for users"[..]));
        assert_eq!((answer.report().attempts, &answer.report().diagnosis), (1, &None));
        assert_eq!(answer.report().identity.as_ref().unwrap().state(), State::Active);
        world.lend(github(ADA)).await.expect("the token is as good as before");
        assert_eq!(world.call(github(ADA), get("/user")).await.unwrap().status_code, 200);
    }
    assert_eq!(questions(&world, "api.github.com"), 1, "the answer is remembered");
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "and Auth0 is not needed for it");
}

#[tokio::test]
async fn forty_callers_of_an_endpoint_that_refuses_a_good_token_share_one_question() {
    let world = warm().await;
    world.sandbox.faults().script(Fault::on("api.github.com").path("/user").answer(401).always());
    let answered = forty(&world).await;
    assert!(answered.iter().all(|outcome| matches!(outcome, Ok(401))), "{answered:?}");
    assert_eq!((questions(&world, "api.github.com"), calls(&world, "api.github.com")), (1, 40));
    world.lend(github(ADA)).await.expect("the token is as good as before");
}

#[tokio::test]
async fn a_token_that_died_after_it_was_found_alive_is_found_dead_a_minute_later() {
    let mut world = warm().await;
    world.sandbox.faults().script(Fault::on("api.github.com").path("/user").answer(401));
    assert_eq!(world.call(github(ADA), get("/user")).await.unwrap().status_code, 401);
    world.sandbox.revoke_token(ADA, "github").unwrap();
    world.pass(Duration::from_secs(61)).await;
    let outcome = world.call(github(ADA), get("/user")).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(questions(&world, "api.github.com"), 2);
}

#[tokio::test]
async fn a_renewed_token_that_is_refused_as_well_is_asked_about_and_the_answer_stands() {
    let mut world = warm().await;
    world.sandbox.expire_token(ADA, "google-oauth2").unwrap();
    world.sandbox.faults().script(Fault::on("www.googleapis.com").answer(401).always());
    let answer = world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts, answer.report().token_renewed), (401, 2, true));
    // By then another renewal would be allowed.
    world.pass(Duration::from_secs(31)).await;
    let answer = world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (401, 1), "no further renewal");
    let asked = world.sandbox.journal().to("oauth2.googleapis.com");
    let asked: Vec<_> = asked.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(
        asked,
        ["/tokeninfo", "/token", "/tokeninfo"],
        "nothing is renewed before the provider was asked"
    );
}

/// What nobody confirms counts for who met it. Here callers are not told apart, so that is this one call.
#[tokio::test]
async fn where_the_provider_cannot_be_asked_a_refusal_counts_for_who_met_it() {
    let world = World::configured(|config| {
        config.providers.get_mut("github").unwrap().settings.client_secret = None;
    })
    .await;
    world.sandbox.faults().script(Fault::on("api.github.com").answer(401));
    let outcome = world.call(github(ADA), get("/user")).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(world.call(github(ADA), get("/user")).await.unwrap().status_code, 200);
    world.lend(github(ADA)).await.expect("others do not suffer for a mistake");
    assert_eq!(questions(&world, "api.github.com"), 0);
}

#[tokio::test]
async fn while_auth0_is_down_a_refused_token_is_not_sent_again() {
    let world = warm().await;
    world.sandbox.revoke_token(ADA, "github").unwrap();
    world.sandbox.faults().script(Fault::on(world.sandbox.domain()).answer(503).always());
    for _ in 0..3 {
        let details =
            assert_error(world.call(github(ADA), get("/user")).await, Code::Unavailable, "AUTH0_UNAVAILABLE");
        assert!(details.retry_info().is_some());
    }
    assert_eq!(calls(&world, "api.github.com"), 1);
    assert_eq!(world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap().status_code, 200);
}
