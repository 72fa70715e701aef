//! Auth0's rate limit: requests are spaced, and wait for their turn within the caller's deadline.

use std::time::{Duration, SystemTime};

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::ListIdentitiesRequest;
use idp_token_testkit::{
    World, assert_error, eventually, metadata,
    people::{ADA, ALAN, EDSGER, GRACE, LESLIE, SATOSHI},
    retry_after, within,
};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{
    Code::{DeadlineExceeded, Unavailable},
    Status,
};

const SECOND: Duration = Duration::from_secs(1);

/// Timers and the wall clock differ by a hair.
const HAIR: Duration = Duration::from_millis(50);

fn listing(world: &World, user: &str, deadline: Duration) -> JoinHandle<Result<(), Status>> {
    let mut client = world.service.client();
    let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
    tokio::spawn(async move { client.list_identities(within(deadline, request)).await.map(drop) })
}

/// When each profile was read.
fn times(world: &World) -> Vec<SystemTime> {
    world.sandbox.journal().entries().iter().map(|entry| entry.time).collect()
}

#[tokio::test]
async fn after_a_429_all_wait_for_the_time_that_it_names() {
    let world = World::start().await.ready().await;
    let refusal = Fault::on(world.sandbox.domain()).path("/api/v2/users/").answer(429);
    world.sandbox.faults().script(refusal.header("retry-after", "1"));
    let first = listing(&world, ADA, 20 * SECOND);
    let journal = world.sandbox.journal();
    eventually("the refusal", async || journal.count(|entry| entry.status.is_some()) > 0).await;
    let others = [ALAN, GRACE, LESLIE].map(|user| listing(&world, user, 20 * SECOND));
    for call in others.into_iter().chain([first]) {
        call.await.unwrap().unwrap();
    }
    let times = times(&world);
    assert_eq!(times.len(), 5, "one was refused, and four were served");
    assert!(times[1..].iter().all(|time| *time + HAIR >= times[0] + SECOND), "{times:?}");
}

#[tokio::test]
async fn who_waits_for_a_turn_for_too_long_learns_what_it_waited_for() {
    // The server's own default: with a deadline of the caller's, its clock might end the call first.
    let world = World::configured(|config| config.default_deadline = SECOND).await.ready().await;
    let refusal = Fault::on(world.sandbox.domain()).path("/api/v2/users/").answer(429);
    world.sandbox.faults().script(refusal.header("retry-after", "15"));
    let journal = world.sandbox.journal();
    let first = listing(&world, ADA, SECOND / 2);
    eventually("the refusal", async || journal.count(|entry| entry.status.is_some()) > 0).await;
    first.await.unwrap().unwrap_err();
    let outcome = world.list(ALAN).await;
    assert_eq!(metadata(&assert_error(outcome, DeadlineExceeded, "DEADLINE_EXCEEDED"), "stage"), "queue");
    assert_eq!(journal.profile_reads(), 1, "it never left the queue");
}

#[tokio::test]
async fn who_would_wait_for_too_long_is_told_at_once() {
    let world = World::start().await.ready().await;
    let refusal = Fault::on(world.sandbox.domain()).path("/api/v2/users/").answer(429);
    world.sandbox.faults().script(refusal.header("retry-after", "60"));
    for user in [ADA, ALAN] {
        let outcome = listing(&world, user, 20 * SECOND).await.unwrap();
        let wait = retry_after(&assert_error(outcome, Unavailable, "AUTH0_RATE_LIMITED")).unwrap();
        assert!(wait > 50 * SECOND && wait <= 61 * SECOND, "{wait:?}");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn a_burst_is_followed_by_evenly_spaced_requests() {
    let world = World::configured(|config| config.auth0.requests_per_second = 10).await.ready().await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        calls.spawn(listing(&world, &format!("auth0|nobody-{number}"), 20 * SECOND));
    }
    assert_eq!(calls.join_all().await.len(), 20);
    let times = times(&world);
    assert_eq!(times.len(), 20);
    let took = times[19].duration_since(times[0]).unwrap();
    // One request of the ten at once was used up at the start, and may be back by now.
    assert!(took + HAIR >= SECOND, "{took:?}");
}

#[tokio::test]
async fn a_tenant_with_a_small_bucket_refuses_nobody_in_the_end() {
    let world = World::with(
        |seed| (seed.management.burst, seed.management.requests_per_second) = (3, 20.0),
        |config| config.auth0.requests_per_second = 100,
    )
    .await;
    let users = [ADA, ALAN, GRACE, LESLIE, EDSGER, SATOSHI];
    for call in users.map(|user| listing(&world, user, 20 * SECOND)) {
        call.await.unwrap().unwrap();
    }
}
