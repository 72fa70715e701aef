//! The credentials, and the Management token that they buy.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::{ClientSeed, Fault, Seed};
use idp_token_service::{
    config::{ClientCredential, Config},
    secret::Secret,
};
use idp_token_testkit::{
    World, assert_error, eventually,
    keys::ClientKey,
    metadata,
    people::{ADA, ALAN, DONALD, EDSGER, GRACE, LESLIE},
    retry_after,
};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::Code::{FailedPrecondition, Unavailable};

const SECOND: Duration = Duration::from_secs(1);

/// A token that the Management API refuses is young for so long: a new one would not be better.
const YOUTH: Duration = Duration::from_secs(10);

fn client(config: &mut Config, id: &str, secret: &str) {
    config.auth0.client_id = id.to_owned();
    config.auth0.credential = ClientCredential::Secret(Arc::new(Secret::fixed(secret)));
}

fn a_minutes_tokens(seed: &mut Seed) {
    seed.management.token_lifetime = 60 * SECOND;
}

/// The message of AUTH0_MISCONFIGURED, which a call must end in.
async fn misconfigured(world: &World) -> String {
    let outcome = world.list(ADA).await;
    let message = outcome.as_ref().map_or_else(|status| status.message().to_owned(), |_| String::new());
    assert_error(outcome, FailedPrecondition, "AUTH0_MISCONFIGURED");
    message
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let world = World::configured(|config| client(config, "sandbox-blind", "sandbox-blind-secret")).await;
    let details = assert_error(world.list(ADA).await, FailedPrecondition, "AUTH0_MISCONFIGURED");
    assert_eq!(metadata(&details, "missing"), "read:user_idp_tokens");
    assert_eq!(details.precondition_failure().unwrap().violations[0].subject, "auth0");
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "such a token is not even used");
}

#[tokio::test]
async fn a_client_without_a_grant_and_one_with_a_wrong_secret_say_what_to_do() {
    let ungranted =
        World::configured(|config| client(config, "sandbox-ungranted", "sandbox-ungranted-secret")).await;
    assert!(misconfigured(&ungranted).await.contains("authorize it for the Auth0 Management API"));
    let wrong = World::configured(|config| client(config, "sandbox-service", "wrong")).await;
    assert!(misconfigured(&wrong).await.contains("the client secret or private key"));
}

#[tokio::test]
async fn a_rotated_secret_is_read_again_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "sandbox-service-secret\n").unwrap();
    let secret = Arc::new(Secret::from_file(&file).unwrap());
    let mut world = World::with(a_minutes_tokens, |config| {
        config.auth0.credential = ClientCredential::Secret(secret);
    })
    .await
    .ready()
    .await;

    world.sandbox.set_client_secret("sandbox-service", "the new one").unwrap();
    world.pass(60 * SECOND).await;
    misconfigured(&world).await;
    std::fs::write(&file, "the new one\n").unwrap();
    world.pass(SECOND).await;
    world.sandbox.journal().clear();
    world.list(ADA).await.unwrap();
    assert_eq!(world.sandbox.journal().token_requests(), 2, "the old secret once more, and the new one");
}

#[tokio::test]
async fn a_private_key_does_instead_of_a_secret() {
    let key = ClientKey::new();
    let keyed = ClientSeed {
        id: "sandbox-keyed".to_owned(),
        secret: None,
        public_key: Some(key.public_pem),
        ..Seed::sample().clients.remove(0)
    };
    let pem = Arc::new(Secret::fixed(key.private_pem));
    let mut world = World::with(
        |seed| {
            a_minutes_tokens(seed);
            seed.clients.push(keyed);
        },
        |config| {
            config.auth0.client_id = "sandbox-keyed".to_owned();
            config.auth0.credential = ClientCredential::PrivateKey(pem);
        },
    )
    .await;
    world.list(ADA).await.unwrap();
    world.pass(60 * SECOND).await;
    world.list(ADA).await.unwrap();
    // The sandbox takes each assertion once: two tokens are proof of two ids.
    let requests = world.sandbox.journal().entries();
    let bodies = requests.iter().filter(|entry| entry.path == "/oauth/token");
    let bodies: Vec<Value> = bodies.map(|entry| serde_json::from_slice(&entry.body).unwrap()).collect();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies.iter().all(|body| body["client_secret"].is_null() && body["client_assertion"].is_string())
    );
}

#[tokio::test]
async fn a_refused_management_token_is_replaced_once_for_all_who_hold_it() {
    let mut world = World::start().await.ready().await;
    world.sandbox.rotate_signing_key().unwrap();
    world.pass(YOUTH).await;
    let mut reads = JoinSet::new();
    for user in [ADA, ALAN, EDSGER, GRACE, LESLIE] {
        let mut client = world.service.client();
        let request = idp_token_service::service::pb::ListIdentitiesRequest {
            user_id: user.to_owned(),
            ..Default::default()
        };
        reads.spawn(async move { client.list_identities(request).await.is_ok() });
    }
    assert_eq!(reads.join_all().await, [true; 5]);
    let journal = world.sandbox.journal();
    assert_eq!((journal.token_requests(), journal.profile_reads()), (1, 10));
}

#[tokio::test]
async fn a_management_token_that_is_not_known_everywhere_yet_is_waited_for() {
    let mut world = World::start().await.ready().await;
    world.pass(YOUTH).await;
    world
        .sandbox
        .faults()
        .script(Fault::on(world.sandbox.domain()).path("/api/v2/users/").times(3).answer(401));
    // The old one is replaced, and the new one is refused as well: that tells of a mistake.
    misconfigured(&world).await;

    let world = World::start().await;
    world
        .sandbox
        .faults()
        .script(Fault::on(world.sandbox.domain()).path("/api/v2/users/").times(3).answer(401));
    for _ in 0..3 {
        let details = assert_error(world.list(ADA).await, Unavailable, "AUTH0_UNAVAILABLE");
        let wait = retry_after(&details).expect("it is worth another try");
        assert!(wait > SECOND && wait <= YOUTH, "{wait:?}");
    }
    world.list(ADA).await.expect("it is known by now");
    assert_eq!(world.sandbox.journal().token_requests(), 1, "and the same as before");
}

#[tokio::test]
async fn a_management_token_that_stays_refused_makes_no_storm() {
    let mut world = World::start().await.ready().await;
    let refusal = Fault::on(world.sandbox.domain()).path("/api/v2/users/").always().answer(401);
    world.sandbox.faults().script(refusal);
    world.pass(YOUTH).await;
    assert!(misconfigured(&world).await.contains("a new Management token either"));
    for _ in 0..6 {
        assert!(misconfigured(&world).await.contains("that it has just issued"));
    }
    assert_eq!(world.sandbox.journal().token_requests(), 1);
    assert_eq!(world.sandbox.journal().profile_reads(), 8, "two for the first call, one for each other");
    world.pass(YOUTH).await;
    misconfigured(&world).await;
    assert_eq!(world.sandbox.journal().token_requests(), 2, "it may have passed");
}

#[tokio::test]
async fn the_rest_after_failed_token_requests_grows_and_ends() {
    let mut world = World::with(a_minutes_tokens, |_| {}).await.ready().await;
    world.pass(60 * SECOND).await;
    world
        .sandbox
        .faults()
        .script(Fault::on(world.sandbox.domain()).path("/oauth/token").always().answer(401));
    for _ in 0..120 {
        misconfigured(&world).await;
        world.pass(SECOND / 2).await;
    }
    // 1, 2, 4, 8, 16 and 32 s, each of them or half of it: a minute has room for six to seven.
    let requests = world.sandbox.journal().token_requests();
    assert!((6..=8).contains(&requests), "{requests} requests in a minute with two calls a second");
    world.sandbox.faults().clear();
    world.pass(60 * SECOND).await;
    world.list(ADA).await.unwrap();
}

#[tokio::test]
async fn auth0_is_left_alone_for_as_long_as_it_asks() {
    let mut world = World::with(a_minutes_tokens, |_| {}).await.ready().await;
    world.pass(60 * SECOND).await;
    let throttled = Fault::on(world.sandbox.domain()).path("/oauth/token").answer(429);
    world.sandbox.faults().script(throttled.header("retry-after", "30"));
    for _ in 0..25 {
        assert!(world.list(ADA).await.is_err());
        world.pass(SECOND).await;
    }
    assert_eq!(world.sandbox.journal().token_requests(), 1);
    world.pass(6 * SECOND).await;
    world.list(ADA).await.unwrap();
}

#[tokio::test]
async fn a_new_management_token_is_fetched_while_the_old_one_still_serves() {
    let mut world = World::seeded(|seed| seed.management.token_lifetime = 1000 * SECOND).await.ready().await;
    world.sandbox.faults().script(Fault::on(world.sandbox.domain()).path("/oauth/token").always().hang());
    world.pass(790 * SECOND).await;
    world.list(ADA).await.unwrap();
    assert_eq!(world.sandbox.journal().token_requests(), 0, "not before four fifths of its life");
    world.pass(111 * SECOND).await;
    for user in [ALAN, EDSGER, GRACE] {
        world.list(user).await.unwrap();
    }
    let journal = world.sandbox.journal();
    eventually("a renewal ahead of time", async || journal.token_requests() > 0).await;
    world.list(DONALD).await.unwrap();
    assert_eq!(journal.token_requests(), 1, "and nobody waited for it");
}
