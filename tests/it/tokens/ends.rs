//! A token that was once known to be dead stays dead: a login with another identity moves `last_login`, from
//! which the end of a token is worked out, but not the token.

use idp_token_sandbox::{Fault, IdentitySeed, Seed, TokenSeed, UserSeed};
use idp_token_service::{config::Config, service::pb::identity::State};
use idp_token_testkit::{
    World,
    database::Database,
    eventually,
    people::{github, google},
};

use super::{HOUR, LINKED, MINUTE, SECOND, assert_only_the_user_can_help, linked_user, requests};

const GOOGLE: &str = "oauth2.googleapis.com";

fn briefly(config: &mut Config) {
    config.auth0.profile_ttl = SECOND;
}

/// A user who logged in with Google and GitHub three hours ago; Google's token is an hour's.
async fn world(database: &Database, refreshes: bool) -> World {
    let sow = |seed: &mut Seed| seed.users.push(linked_user(3 * HOUR, refreshes));
    World::with(sow, |config| {
        database.configure(config);
        briefly(config);
    })
    .await
}

/// A login with GitHub, and time for the service to see it.
async fn log_in_elsewhere(world: &mut World) {
    let new = world.sandbox.log_in(LINKED, "github").unwrap();
    world.pass(2 * SECOND).await;
    assert_eq!(world.lend(github(LINKED)).await.unwrap().access_token, new, "that one is lent");
}

async fn assert_dead(world: &World) {
    for _ in 0..2 {
        assert_only_the_user_can_help(world.lend(google(LINKED)).await);
        let listed = world.list(LINKED).await.unwrap();
        assert_eq!((listed[0].state(), listed[1].state()), (State::ReauthenticationRequired, State::Active));
    }
}

async fn noted(database: &Database) {
    let is_noted = async || database.number("SELECT count(*) FROM idp_token_record").await == 1;
    eventually("the note that it has ended", is_noted).await;
}

#[tokio::test]
async fn a_login_with_another_identity_brings_no_dead_token_back() {
    let database = Database::new();
    let mut world = world(&database, false).await;
    assert_only_the_user_can_help(world.lend(google(LINKED)).await);
    log_in_elsewhere(&mut world).await;
    assert_dead(&world).await;

    let new = world.sandbox.log_in(LINKED, "google-oauth2").unwrap();
    world.pass(6 * SECOND).await;
    assert_eq!(world.lend(google(LINKED)).await.unwrap().access_token, new, "a new token is as good as any");
    assert_eq!(world.list(LINKED).await.unwrap()[0].state(), State::Active);
}

#[tokio::test]
async fn nor_after_the_profile_was_forgotten() {
    let database = Database::new();
    let mut world = world(&database, false).await;
    assert_only_the_user_can_help(world.lend(google(LINKED)).await);
    noted(&database).await;
    world.pass(11 * MINUTE).await;
    log_in_elsewhere(&mut world).await;
    assert_dead(&world).await;
}

#[tokio::test]
async fn nor_after_a_restart_whether_it_was_lent_or_listed() {
    for listed in [false, true] {
        let database = Database::new();
        let mut world = world(&database, false).await;
        if listed {
            world.list(LINKED).await.unwrap();
        } else {
            assert_only_the_user_can_help(world.lend(google(LINKED)).await);
        }
        noted(&database).await;
        world.sandbox.log_in(LINKED, "github").unwrap();
        world.service = world
            .replica(|config| {
                database.configure(config);
                briefly(config);
            })
            .await;
        assert_dead(&world).await;
    }
}

/// It was alive when it was last seen, but its end was known.
#[tokio::test]
async fn nor_where_it_ended_unseen() {
    let sow = |seed: &mut Seed| seed.users.push(linked_user(50 * MINUTE, false));
    let mut world = World::with(sow, briefly).await;
    world.lend(google(LINKED)).await.expect("it lives for ten minutes more");
    world.pass(11 * MINUTE).await;
    world.sandbox.advance(11 * MINUTE);
    log_in_elsewhere(&mut world).await;
    assert_dead(&world).await;
}

/// Auth0 shows the same token with another lifetime, or with none.
#[tokio::test]
async fn nor_where_auth0_says_something_else_about_its_lifetime() {
    const TOKEN: &str = "ya29.the-same";
    let of_google = |lifetime| {
        let user = linked_user(2 * HOUR, false);
        let [google, github] = <[IdentitySeed; 2]>::try_from(user.identities).ok().unwrap();
        let access_token = Some(TokenSeed::Written(TOKEN.to_owned()));
        let google = IdentitySeed { expires_in: lifetime, access_token, ..google };
        UserSeed { identities: vec![google, github], ..linked_user(2 * HOUR, false) }
    };
    for later in [None, Some(10 * HOUR)] {
        let first = of_google(Some(HOUR));
        let mut world = World::with(|seed| seed.users.push(first), briefly).await;
        assert_only_the_user_can_help(world.lend(google(LINKED)).await);
        world.sandbox.add_user(of_google(later));
        log_in_elsewhere(&mut world).await;
        assert_dead(&world).await;
    }
}

/// Its refresh token is dead as well, by the provider's word.
#[tokio::test]
async fn nor_where_its_renewal_failed_for_good() {
    let database = Database::new();
    let mut world = world(&database, true).await;
    world.sandbox.revoke_token(LINKED, "google-oauth2").unwrap();
    assert_only_the_user_can_help(world.lend(google(LINKED)).await);
    log_in_elsewhere(&mut world).await;
    assert_dead(&world).await;
    assert_eq!(requests(&world, GOOGLE, "/token"), 1, "what the provider said is remembered");
    let later = world.replica(|config| database.configure(config)).await;
    assert_only_the_user_can_help(later.lend(google(LINKED)).await);

    let new = world.sandbox.log_in_with_consent(LINKED, "google-oauth2").unwrap();
    world.pass(6 * SECOND).await;
    assert_eq!(world.lend(google(LINKED)).await.unwrap().access_token, new);
}

/// A renewal that failed in a way that may pass leaves a dead token dead as well, and renewable.
#[tokio::test]
async fn nor_while_its_renewal_fails() {
    let database = Database::new();
    let mut world = world(&database, true).await;
    world.sandbox.faults().script(Fault::on(GOOGLE).path("/token").answer(503).always());
    world.lend(google(LINKED)).await.unwrap_err();
    log_in_elsewhere(&mut world).await;
    world.lend(google(LINKED)).await.expect_err("the token at hand is dead");
    world.sandbox.faults().clear();
    world.pass(6 * MINUTE).await;
    // What was under way while the time passed may have taken it for a slow answer of the store.
    eventually("a new token", async || {
        world.lend(google(LINKED)).await.is_ok_and(|lent| world.sandbox.is_alive(&lent.access_token))
    })
    .await;
}
