//! The issuers' keys: rotated, missing, and asked for too often.

use std::time::Duration;

use idp_token_sandbox::Fault;
use idp_token_testkit::{
    World, assert_error,
    issuer::{Answer, Issuer, Key},
    metadata,
    people::ADA,
    retry_after,
};
use serde_json::json;
use tonic::Code::{self, Unauthenticated, Unavailable};

use super::{API, list_with, world_of};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_new_key_is_found_and_the_old_one_is_forgotten() {
    let issuer = Issuer::start().await;
    let world = world_of(&issuer).await;
    assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3);
    let old = issuer.token();
    issuer.rotate("second");
    assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3);
    assert_eq!(issuer.fetches(), 2);
    assert_error(list_with(&world, &old).await, Unauthenticated, "CALLER_UNAUTHENTICATED");
    assert_eq!(issuer.fetches(), 2, "no further one so soon");
}

#[tokio::test]
async fn the_tenants_new_key_is_found() {
    let world = World::configured(super::admit_end_users).await;
    for _ in 0..2 {
        let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
        assert_eq!(list_with(&world, &token).await.unwrap(), 3);
        world.sandbox.rotate_signing_key().unwrap();
    }
    assert_eq!(world.sandbox.journal().count(|entry| entry.path.ends_with("/jwks.json")), 2);
}

#[tokio::test]
async fn keys_that_nobody_knows_make_one_fetch_each_half_minute() {
    let issuer = Issuer::start().await;
    let mut world = world_of(&issuer).await;
    for round in 1..=2 {
        for number in 0..50 {
            let junk = Key::new(&format!("junk-{number}")).sign(&issuer.claims());
            assert_error(list_with(&world, &junk).await, Unauthenticated, "CALLER_UNAUTHENTICATED");
        }
        assert_eq!(issuer.fetches(), 1 + round);
        assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3, "others call on");
        world.pass(Duration::from_secs(31)).await;
    }
}

#[tokio::test]
async fn old_keys_serve_while_the_issuer_is_down_but_not_for_ever() {
    let issuer = Issuer::start().await;
    let mut world = world_of(&issuer).await;
    assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3);
    for answer in [Answer::Status(503, ""), Answer::Text("<html>".to_owned()), Answer::Nothing] {
        issuer.answers(answer);
        world.pass(11 * MINUTE).await;
        assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3);
    }
    // Whether a key exists that is not among the old ones, nobody knows now.
    issuer.answers(Answer::Status(503, ""));
    world.pass(11 * MINUTE).await;
    let unknown = Key::new("new").sign(&issuer.claims());
    assert_error(list_with(&world, &unknown).await, Unavailable, "PROVIDER_UNAVAILABLE");
    world.pass(6 * 60 * MINUTE).await;
    assert_error(list_with(&world, &issuer.token()).await, Unavailable, "PROVIDER_UNAVAILABLE");
    issuer.answers(Answer::Keys);
    world.pass(2 * MINUTE).await;
    assert_eq!(list_with(&world, &issuer.token()).await.unwrap(), 3, "it recovers");
}

#[tokio::test]
async fn without_keys_the_fault_is_not_the_callers() {
    let (issuer, elsewhere) = (Issuer::start().await, Issuer::start().await);
    let mut world = world_of(&issuer).await;
    let good = json!({ "keys": [] }).to_string();
    for answer in [
        Answer::Status(500, ""),
        Answer::Status(404, ""),
        Answer::Status(302, "/jwks"),
        Answer::Text("garbage".to_owned()),
        Answer::Text(good),
        Answer::Text(format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(1024 * 1024))),
    ] {
        issuer.answers(answer);
        let details =
            assert_error(list_with(&world, &issuer.token()).await, Unavailable, "PROVIDER_UNAVAILABLE");
        assert_eq!(retry_after(&details), Some(Duration::from_secs(1)));
        assert!(metadata(&details, "issuer").starts_with("http://127.0.0.1:"));
        world.pass(2 * MINUTE).await;
    }
    assert_eq!((issuer.fetches(), elsewhere.fetches()), (6, 0), "a redirect is not followed");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    // Users of the tenant have keys of their own.
    let user = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    assert_eq!(list_with(&world, &user).await.unwrap(), 3);
}

#[tokio::test]
async fn an_issuer_that_hangs_does_not_hold_a_call_beyond_its_deadline() {
    let issuer = Issuer::start().await;
    let world = World::configured(|config| {
        issuer.trust(config);
        // Not in `grpc-timeout`: the client too would watch over that, and be the first on a slow machine.
        config.default_deadline = Duration::from_secs(1);
    });
    let world = world.await;
    issuer.answers(Answer::Nothing);
    let outcome = list_with(&world, &issuer.token()).await;
    assert_error(outcome, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn without_the_tenants_keys_auth0_is_unavailable() {
    let world = World::configured(super::admit_end_users).await;
    let down = Fault::on(world.sandbox.domain()).path("/.well-known/").answer(503).always();
    world.sandbox.faults().script(down);
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    let details = assert_error(list_with(&world, &token).await, Unavailable, "AUTH0_UNAVAILABLE");
    assert_eq!(retry_after(&details), Some(Duration::from_secs(1)));
}
