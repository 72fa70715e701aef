//! Auth0 moves an identity with its tokens to another user when accounts are linked, and back when they are
//! unlinked. What is known of the account goes with it.

use std::time::Duration;

use idp_token_sandbox::Seed;
use idp_token_service::service::pb::{IdentitySelector, identity::State};
use idp_token_testkit::{
    World,
    database::Database,
    eventually,
    people::{ADA, DONALD, EDSGER, FRANCES, KEN, MARGARET, at, github, google},
};

use super::{HOUR, LINKED, MINUTE, SECOND, aged, assert_only_the_user_can_help, linked_user, requests};

/// The providers whose refresh tokens die at use: a user of each, the connection, and where new tokens come
/// from.
const ROTATING: [(&str, &str, &str, &str, &str); 3] = [
    (KEN, "bitbucket", "bitbucket", "bitbucket.org", "/site/oauth2"),
    (MARGARET, "github", "github", "github.com", "/login/oauth"),
    (FRANCES, "oauth2", "acme-crm", "login.crm.example", "/oauth2/token"),
];

/// A durable service that reads every profile anew.
async fn world(database: &Database, age: Duration) -> World {
    let sow = |seed: &mut Seed| {
        for (user, ..) in ROTATING {
            aged(seed, user, age, true);
        }
        seed.users.push(linked_user(age, false));
    };
    World::with(sow, |config| {
        database.configure(config);
        config.auth0.profile_ttl = Duration::ZERO;
    })
    .await
}

#[tokio::test]
async fn what_was_renewed_goes_with_an_identity_that_is_linked_to_another_user_and_unlinked_again() {
    let database = Database::new();
    let world = world(&database, 2 * HOUR).await;
    for (user, provider, connection, host, path) in ROTATING {
        let renewed = world.lend(at(user, provider)).await.unwrap().access_token;
        world.sandbox.link(DONALD, user, connection).unwrap();
        let later = world.replica(|config| database.configure(config)).await;
        assert_eq!(world.lend(at(DONALD, provider)).await.unwrap().access_token, renewed, "{provider}");
        assert_eq!(later.lend(at(DONALD, provider)).await.unwrap().access_token, renewed, "after a restart");
        world.sandbox.unlink(DONALD, connection).unwrap();
        assert_eq!(world.lend(at(user, provider)).await.unwrap().access_token, renewed, "{provider}");
        assert!(world.sandbox.is_alive(&renewed));
        assert_eq!(requests(&world, host, path), 1, "{provider}");
    }
    assert_eq!(world.sandbox.reuse().requests, 0);
}

#[tokio::test]
async fn what_was_renewed_while_linked_is_there_after_the_identity_is_unlinked() {
    let database = Database::new();
    let world = world(&database, 2 * HOUR).await;
    for (user, provider, connection, host, path) in ROTATING {
        world.sandbox.link(DONALD, user, connection).unwrap();
        let renewed = world.lend(at(DONALD, provider)).await.unwrap().access_token;
        world.sandbox.unlink(DONALD, connection).unwrap();
        let later = world.replica(|config| database.configure(config)).await;
        assert_eq!(later.lend(at(user, provider)).await.unwrap().access_token, renewed, "{provider}");
        assert_eq!(world.lend(at(user, provider)).await.unwrap().access_token, renewed, "{provider}");
        assert_eq!(requests(&world, host, path), 1, "{provider}");
    }
    assert_eq!(world.sandbox.reuse().requests, 0);
}

#[tokio::test]
async fn a_token_that_was_revoked_stays_revoked_whoever_has_the_identity() {
    let database = Database::new();
    let world = world(&database, 10 * MINUTE).await;
    for (user, provider, connection) in [(FRANCES, "oauth2", "acme-crm"), (MARGARET, "github", "github")] {
        world.revoke(at(user, provider)).await.unwrap();
        world.sandbox.journal().clear();
        world.sandbox.link(DONALD, user, connection).unwrap();
        assert_only_the_user_can_help(world.lend(at(DONALD, provider)).await);
        let later = world.replica(|config| database.configure(config)).await;
        assert_only_the_user_can_help(later.lend(at(DONALD, provider)).await);
        let linked = world.list(DONALD).await.unwrap().pop().unwrap();
        assert_eq!((linked.state(), linked.renewable), (State::ReauthenticationRequired, false));
        world.sandbox.unlink(DONALD, connection).unwrap();
        assert_only_the_user_can_help(world.lend(at(user, provider)).await);
        let hosts = ["login.crm.example", "github.com", "api.github.com", "api.crm.example"];
        assert!(hosts.iter().all(|host| world.provider_calls(host) == 0), "nobody is asked anything");

        let new = world.sandbox.log_in(user, connection).unwrap();
        assert_eq!(world.lend(at(user, provider)).await.unwrap().access_token, new, "{provider}");
    }
}

#[tokio::test]
async fn what_a_provider_refused_stays_refused_whoever_has_the_identity() {
    let database = Database::new();
    let world = world(&database, 10 * MINUTE).await;
    assert!(world.inspect(github(ADA)).await.unwrap().active);
    world.sandbox.revoke_token(ADA, "github").unwrap();
    assert!(!world.inspect(github(ADA)).await.unwrap().active);
    world.sandbox.link(DONALD, ADA, "github").unwrap();
    assert_only_the_user_can_help(world.lend(github(DONALD)).await);
    let later = world.replica(|config| database.configure(config)).await;
    assert_only_the_user_can_help(later.lend(github(DONALD)).await);
    world.sandbox.unlink(DONALD, "github").unwrap();
    assert_only_the_user_can_help(world.lend(github("github|583231")).await);
    assert!(world.lend(google(ADA)).await.is_ok(), "her other accounts are as they were");
}

/// The other user has logged in since, so that the end that is worked out from it lies ahead.
#[tokio::test]
async fn an_end_does_not_move_into_the_future_by_linking() {
    let database = Database::new();
    let mut world = world(&database, 50 * MINUTE).await;
    world.lend(google(LINKED)).await.expect("it lives for ten minutes more");
    world.pass(11 * MINUTE).await;
    world.sandbox.advance(11 * MINUTE);
    world.sandbox.log_in(LINKED, "github").unwrap();
    world.sandbox.link(DONALD, LINKED, "google-oauth2").unwrap();
    world.sandbox.link(DONALD, LINKED, "github").unwrap();
    world.sandbox.log_in(DONALD, "github").unwrap();
    assert_only_the_user_can_help(world.lend(google(DONALD)).await);

    // The same for one that was seen to be dead, after a restart.
    assert_only_the_user_can_help(world.lend(google(EDSGER)).await);
    eventually("the note that it has ended", async || {
        database.number("SELECT count(*) FROM idp_token_record").await >= 2
    })
    .await;
    world.sandbox.link(DONALD, EDSGER, "google-oauth2").unwrap();
    world.pass(SECOND).await;
    let later = world.replica(|config| database.configure(config)).await;
    let edsgers = IdentitySelector { account_id: "100000000000000000002".to_owned(), ..google(DONALD) };
    assert_only_the_user_can_help(later.lend(edsgers).await);
}
