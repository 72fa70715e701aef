//! Facebook has no refresh tokens: a token that lives is exchanged for a newer one, and a dead one never is.

use std::time::Duration;

use idp_token_sandbox::{Seed, TokenSeed};
use idp_token_service::service::pb::{ErrorReason, GetIdentityTokenRequest, identity::State};
use idp_token_testkit::{
    World,
    database::Database,
    eventually, get,
    people::{ADA, facebook},
};

use super::{HOUR, MINUTE, assert_only_the_user_can_help, requests, user};

const GRAPH: &str = "graph.facebook.com";

/// Ada's token of Facebook is so old, and lives for an hour.
async fn world(database: &Database, age: Duration) -> World {
    let sow = |seed: &mut Seed| {
        let identity = &mut user(seed, ADA).identities[2];
        (identity.logged_in, identity.expires_in) = (age, Some(HOUR));
        identity.access_token = Some(TokenSeed::Made(true));
        // The last of her logins counts for all.
        for other in &mut user(seed, ADA).identities[..2] {
            other.logged_in = 3 * HOUR;
        }
    };
    World::with(sow, |config| database.configure(config)).await
}

/// How often a token was to be exchanged.
fn exchanges(world: &World) -> usize {
    let entries = world.sandbox.journal().to(GRAPH);
    entries.iter().filter(|entry| entry.path.ends_with("/oauth/access_token")).count()
}

#[tokio::test]
async fn a_dead_token_is_never_sent_to_be_exchanged() {
    for is_seen_alive in [false, true] {
        let database = Database::new();
        let mut world = world(&database, if is_seen_alive { 50 * MINUTE } else { 2 * HOUR }).await;
        if is_seen_alive {
            // One call alone: the next would start an exchange.
            world.lend(facebook(ADA)).await.unwrap();
            world.pass(11 * MINUTE).await;
        }
        assert_left_alone(&world).await;
        // It would wait for a renewal that is under way.
        world.service.begin_to_stop();
        world.service.stopped().await;
        assert_eq!((exchanges(&world), requests(&world, GRAPH, "/")), (0, 0));
    }
}

async fn assert_left_alone(world: &World) {
    let long = prost_types::Duration { seconds: 3600, nanos: 0 };
    let long = GetIdentityTokenRequest {
        identity: Some(facebook(ADA)),
        min_validity: Some(long),
        ..Default::default()
    };
    for _ in 0..5 {
        assert_only_the_user_can_help(world.lend(facebook(ADA)).await);
        assert_only_the_user_can_help(world.lend_with(long.clone()).await);
        assert_only_the_user_can_help(world.call(facebook(ADA), get("/me")).await);
        let listed = world.list(ADA).await.unwrap().remove(2);
        assert_eq!((listed.state(), listed.renewable), (State::ReauthenticationRequired, false));
        assert_eq!(listed.last_renewal_error(), ErrorReason::Unspecified, "no renewal was tried");
    }
}

#[tokio::test]
async fn a_living_token_is_exchanged_before_it_ends() {
    let database = Database::new();
    let world = world(&database, 50 * MINUTE).await;
    let old = world.sandbox.access_token(ADA, "facebook").unwrap();
    let is_another = async || world.lend(facebook(ADA)).await.is_ok_and(|lent| lent.access_token != old);
    eventually("the new token", is_another).await;
    assert_eq!(exchanges(&world), 1);
}
