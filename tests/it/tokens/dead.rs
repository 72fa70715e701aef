//! Every way in which somebody might be lent a token that is known to be dead.

use std::time::Duration;

use idp_token_sandbox::Seed;
use idp_token_service::service::pb::{IdentitySelector, identity::State};
use idp_token_testkit::{
    World,
    database::Database,
    eventually, get,
    people::{ADA, DONALD, FRANCES, at, github, google},
};

use super::{HOUR, LINKED, MINUTE, SECOND, assert_only_the_user_can_help, linked_user, requests, user};

/// How a token has died, so that the service knows it.
type Death = (&'static str, &'static str, &'static str, &'static str);

const DEATHS: [Death; 3] = [
    // A user, the provider, the connection, and a path at the provider.
    (FRANCES, "oauth2", "acme-crm", "/v1/me"),
    (ADA, "github", "github", "/user"),
    (LINKED, "google-oauth2", "google-oauth2", "/oauth2/v3/userinfo"),
];

/// The same identity, by every selector that means it.
fn selectors(identity: &IdentitySelector, connection: &str, account: &str) -> Vec<IdentitySelector> {
    let account = IdentitySelector { account_id: account.to_owned(), ..identity.clone() };
    let connection = IdentitySelector { connection: connection.to_owned(), ..identity.clone() };
    let bare = IdentitySelector { provider: String::new(), ..connection.clone() };
    vec![identity.clone(), account, connection, bare]
}

async fn world(database: &Database) -> World {
    let sow = |seed: &mut Seed| {
        user(seed, FRANCES).identities[0].logged_in = 10 * MINUTE;
        seed.users.push(linked_user(2 * HOUR, false));
    };
    World::with(sow, |config| {
        database.configure(config);
        config.auth0.profile_ttl = SECOND;
    })
    .await
}

/// Revoked here, refused by the provider, and ended.
async fn die(world: &World) {
    world.revoke(at(FRANCES, "oauth2")).await.unwrap();
    assert!(world.inspect(github(ADA)).await.unwrap().active);
    world.sandbox.revoke_token(ADA, "github").unwrap();
    assert!(!world.inspect(github(ADA)).await.unwrap().active);
    assert_only_the_user_can_help(world.lend(google(LINKED)).await);
}

async fn assert_dead(world: &World, (holder, provider, connection, path): Death) {
    let is_meant = |one: &idp_token_service::service::pb::Identity| one.connection == connection;
    let listed = world.list(holder).await.unwrap().into_iter().find(is_meant).unwrap();
    assert_eq!((listed.state(), listed.renewable), (State::ReauthenticationRequired, false), "{connection}");
    for identity in selectors(&at(holder, provider), connection, &listed.account_id) {
        assert_only_the_user_can_help(world.lend(identity.clone()).await);
        // Without a provider nobody could say beforehand whose path it is.
        if !identity.provider.is_empty() {
            assert_only_the_user_can_help(world.call(identity, get(path)).await);
        }
    }
}

#[tokio::test]
async fn a_dead_token_is_lent_in_no_way() {
    let database = Database::new();
    let mut world = world(&database).await;
    die(&world).await;
    let is_noted = async || database.number("SELECT count(*) FROM idp_token_record").await == 3;
    eventually("what is known of the three", is_noted).await;
    world.sandbox.journal().clear();
    for idle in [Duration::ZERO, 2 * SECOND, 61 * SECOND, 16 * MINUTE] {
        world.pass(idle).await;
        for death in DEATHS {
            assert_dead(&world, death).await;
        }
    }
    for (holder, _, connection, _) in DEATHS {
        world.sandbox.link(DONALD, holder, connection).unwrap();
    }
    world.pass(2 * SECOND).await;
    for (_, provider, connection, path) in DEATHS {
        assert_dead(&world, (DONALD, provider, connection, path)).await;
    }
    world.service = world.replica(|config| database.configure(config)).await;
    for (_, provider, connection, path) in DEATHS {
        assert_only_the_user_can_help(world.service.lend(at(DONALD, provider)).await);
        assert_dead(&world, (DONALD, provider, connection, path)).await;
    }
    for host in ["api.crm.example", "login.crm.example", "github.com", "www.googleapis.com"] {
        assert_eq!(requests(&world, host, "/"), 0, "{host}");
    }
    assert_eq!(requests(&world, "api.github.com", "/user"), 0);
}
