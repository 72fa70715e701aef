//! How long a profile is kept, what is served while Auth0 is down, and who waits for whom.

use std::time::Duration;

use idp_token_sandbox::{Fault, IdentitySeed, Seed, UserSeed};
use idp_token_service::service::pb::{GetIdentityTokenRequest, GetIdentityTokenResponse, IdentitySelector};
use idp_token_testkit::{
    World, assert_error, eventually, metadata,
    people::{ADA, ALAN, DONALD, github, google},
    within,
};
use tonic::{
    Code::{DeadlineExceeded, NotFound, Unavailable},
    Status,
};

const SECOND: Duration = Duration::from_secs(1);
const NEWCOMER: &str = "google-oauth2|100000000000000000077";

/// Any read of a profile.
fn reads(world: &World) -> Fault {
    Fault::on(world.sandbox.domain()).path("/api/v2/users/")
}

/// A read of Ada's profile.
fn adas(world: &World) -> Fault {
    Fault::on(world.sandbox.domain()).path("/api/v2/users/google-oauth2%7C1082")
}

/// A call that is under way while the test goes on.
fn lending(
    world: &World,
    identity: IdentitySelector,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<GetIdentityTokenResponse, Status>> {
    let mut client = world.service.client();
    let request = GetIdentityTokenRequest { identity: Some(identity), ..Default::default() };
    tokio::spawn(async move {
        client.get_identity_token(within(deadline, request)).await.map(tonic::Response::into_inner)
    })
}

async fn one_read_is_under_way(world: &World) {
    let journal = world.sandbox.journal();
    eventually("a read of a profile", async || journal.profile_reads() > 0).await;
}

/// A user like Ada, with those of her identities.
fn newcomer(connections: &[&str]) -> UserSeed {
    let ada = Seed::sample().users.remove(0);
    let chosen = |identity: &IdentitySeed| connections.contains(&&*identity.connection);
    UserSeed {
        id: NEWCOMER.to_owned(),
        identities: ada.identities.into_iter().filter(chosen).collect(),
        ..ada
    }
}

#[tokio::test]
async fn a_profile_is_kept_for_its_time_and_then_read_again() {
    let mut world = World::start().await;
    world.lend(google(ADA)).await.unwrap();
    world.sandbox.journal().clear();
    world.pass(50 * SECOND).await;
    world.lend(google(ADA)).await.unwrap();
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
    world.pass(10 * SECOND).await;
    world.lend(google(ADA)).await.unwrap();
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn while_auth0_is_down_a_profile_serves_beyond_its_time_but_not_for_ever() {
    for fault in [|fault: Fault| fault.answer(503), Fault::hang, Fault::cut, |fault: Fault| fault.answer(429)]
    {
        let mut world = World::start().await;
        let lent = world.lend(google(ADA)).await.unwrap();
        world.sandbox.faults().script(fault(reads(&world).always()));
        world.pass(60 * SECOND).await;
        let stale = lending(&world, google(ADA), 10 * SECOND).await.unwrap().unwrap();
        assert_eq!(stale.fingerprint, lent.fingerprint);
        world.pass(9 * 60 * SECOND).await;
        assert!(lending(&world, google(ADA), SECOND).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_token_that_died_meanwhile_is_not_served_even_while_auth0_is_down() {
    let mut world = World::seeded(|seed| {
        let alan = seed.users.iter_mut().find(|user| user.id == ALAN).unwrap();
        alan.identities[0].logged_in = Duration::ZERO;
        alan.identities[0].expires_in = Some(100 * SECOND);
    })
    .await;
    let lend = async |world: &World, seconds| {
        let min_validity = Some(prost_types::Duration { seconds, nanos: 0 });
        world
            .lend_with(GetIdentityTokenRequest {
                identity: Some(google(ALAN)),
                min_validity,
                ..Default::default()
            })
            .await
    };
    lend(&world, 60).await.unwrap();
    world.sandbox.faults().script(reads(&world).always().answer(503));
    world.pass(70 * SECOND).await;
    assert_error(lend(&world, 60).await, Unavailable, "AUTH0_UNAVAILABLE");
    lend(&world, 1).await.unwrap();
    world.pass(30 * SECOND).await;
    assert_error(lend(&world, 0).await, Unavailable, "AUTH0_UNAVAILABLE");
}

#[tokio::test]
async fn one_users_silent_profile_holds_up_nobody_else() {
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(adas(&world).hang());
    let stuck = lending(&world, google(ADA), 30 * SECOND);
    one_read_is_under_way(&world).await;
    for user in [ALAN, DONALD] {
        world.list(user).await.unwrap();
    }
    assert!(!stuck.is_finished());
}

#[tokio::test]
async fn callers_who_share_a_read_keep_their_own_deadlines() {
    // The hurried one has the server's own default: with a deadline of its own, its clock might end the call
    // first.
    let mut world = World::configured(|config| config.default_deadline = SECOND).await.ready().await;
    world.sandbox.faults().script(adas(&world).hang());
    let patient = lending(&world, google(ADA), 30 * SECOND);
    one_read_is_under_way(&world).await;
    let hurried = world.lend(google(ADA)).await;
    let details = assert_error(hurried, DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&details, "stage"), "auth0");
    assert_eq!(world.sandbox.journal().profile_reads(), 1, "they share it");
    // An attempt ends by itself, and the next one has luck.
    world.pass(6 * SECOND).await;
    assert!(patient.await.unwrap().is_ok());
    assert_eq!(world.sandbox.journal().profile_reads(), 2);
}

#[tokio::test]
async fn who_leaves_cancels_nothing_for_the_others() {
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(adas(&world).delay(SECOND / 2));
    let first = lending(&world, google(ADA), 30 * SECOND);
    one_read_is_under_way(&world).await;
    first.abort();
    world.lend(google(ADA)).await.unwrap();
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn a_new_user_is_seen_soon_after_the_first_look() {
    let mut world = World::start().await.ready().await;
    assert_error(world.list(NEWCOMER).await, NotFound, "USER_NOT_FOUND");
    world.sandbox.add_user(newcomer(&["google-oauth2"]));
    world.pass(5 * SECOND).await;
    assert_error(world.list(NEWCOMER).await, NotFound, "USER_NOT_FOUND");
    assert_eq!(world.sandbox.journal().profile_reads(), 1, "remembered for ten seconds");
    world.pass(5 * SECOND).await;
    assert_eq!(world.list(NEWCOMER).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_account_linked_after_a_miss_is_seen_within_five_seconds() {
    let mut world = World::start().await.ready().await;
    world.sandbox.add_user(newcomer(&["google-oauth2"]));
    assert_error(world.lend(github(NEWCOMER)).await, NotFound, "IDENTITY_NOT_LINKED");
    world.sandbox.add_user(newcomer(&["google-oauth2", "github"]));
    assert_error(world.lend(github(NEWCOMER)).await, NotFound, "IDENTITY_NOT_LINKED");
    assert_eq!(world.sandbox.journal().profile_reads(), 1, "callers retry; Auth0 does not feel it");
    world.pass(5 * SECOND).await;
    world.lend(github(NEWCOMER)).await.unwrap();
    assert_eq!(world.sandbox.journal().profile_reads(), 2);
}
