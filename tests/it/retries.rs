//! When CallProvider sends again, when it gives up, and until when it waits.

use std::time::{Duration, Instant};

use http::Method;
use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{CallProviderRequest, ErrorReason, HttpRequest};
use idp_token_testkit::{
    PATIENCE, World, assert_error, eventually, get,
    http::{Build, Read},
    metadata, page,
    people::{ADA, ALAN, facebook, github, google},
    post, within,
};
use tokio::task::JoinSet;
use tonic::Code;

const GITHUB: &str = "api.github.com";

fn issue() -> HttpRequest {
    post("/repos/ada/hello-world/issues", r#"{"title":"Tea"}"#)
}

fn idempotent(request: HttpRequest) -> CallProviderRequest {
    CallProviderRequest { idempotent: true, ..request.by(github(ADA)) }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let world = World::start().await;
    for status in [502, 503, 504, 429] {
        world.sandbox.journal().clear();
        world.sandbox.faults().script(Fault::on("www.googleapis.com").answer(status));
        let answer = world.call(google(ADA), get("/oauth2/v3/userinfo")).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (200, 2), "{status}");
        assert_eq!(answer.report().diagnosis, None);
        assert_eq!(world.provider_calls("www.googleapis.com"), 2);
    }
}

#[tokio::test]
async fn every_idempotent_method_is_tried_again_and_no_other() {
    for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "PROPFIND"] {
        let world = World::start().await;
        world.sandbox.faults().script(Fault::on(GITHUB).answer(503).always());
        let answer = world.call(github(ADA), get("/x").method(method)).await.unwrap();
        let may = ["HEAD", "OPTIONS", "PUT", "DELETE"].contains(&method);
        assert_eq!(answer.report().attempts, if may { 3 } else { 1 }, "{method}");
        assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderUnavailable);
    }
}

#[tokio::test]
async fn three_attempts_are_the_most_and_the_last_answer_is_the_result() {
    let world = World::start().await;
    for status in [502, 504, 503] {
        world.sandbox.faults().script(Fault::on(GITHUB).answer(status).body(status.to_string()));
    }
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    assert_eq!((answer.status_code, &*answer.body, answer.report().attempts), (503, &b"503"[..], 3));
    assert_eq!(world.provider_calls(GITHUB), 3);
}

#[tokio::test]
async fn a_short_wish_to_wait_is_granted() {
    let world = World::start().await;
    world.sandbox.faults().script(Fault::on(GITHUB).answer(429).header("retry-after", "1"));
    let start = Instant::now();
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (200, 2));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_long_wish_to_wait_is_the_callers_to_weigh() {
    let world = World::start().await;
    for (status, reason) in [(429, ErrorReason::ProviderRateLimited), (503, ErrorReason::ProviderUnavailable)]
    {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(90));
        for wish in ["60", &date] {
            world
                .sandbox
                .faults()
                .script(Fault::on("www.googleapis.com").answer(status).header("retry-after", wish));
            let start = Instant::now();
            // The deadline would allow the wait.
            let call = within(10 * PATIENCE, get("/oauth2/v3/userinfo").by(google(ADA)));
            let answer = world.service.client().call_provider(call).await.unwrap().into_inner();
            assert!(start.elapsed() < PATIENCE, "it came at once");
            assert_eq!((answer.status_code, answer.report().attempts), (status.into(), 1));
            assert_eq!(answer.diagnosis().reason(), reason);
            assert!((30..=90).contains(&answer.diagnosis().retry_after.unwrap().seconds));
        }
    }
}

#[tokio::test]
async fn a_wish_beyond_the_deadline_is_not_waited_for() {
    let world = World::start().await;
    world.sandbox.faults().script(Fault::on(GITHUB).answer(503).header("retry-after", "5"));
    let call = within(Duration::from_secs(4), get("/user").by(github(ADA)));
    let answer = world.service.client().call_provider(call).await.unwrap().into_inner();
    assert_eq!((answer.status_code, answer.report().attempts), (503, 1));
    assert_eq!(answer.diagnosis().retry_after.unwrap().seconds, 5);
}

#[tokio::test]
async fn a_500_stands_since_it_would_be_so_again() {
    let world = World::start().await;
    world.sandbox.faults().script(Fault::on(GITHUB).answer(500));
    let answer = world.call(github(ADA), get("/user")).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (500, 1));
    assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderUnavailable);
}

#[tokio::test]
async fn a_post_behind_a_gateway_that_gave_up_is_sent_once() {
    let world = World::start().await;
    for status in [504, 502, 503, 429] {
        world.sandbox.faults().script(Fault::on(GITHUB).method(Method::POST).processed().answer(status));
        let answer = world.call(github(ADA), issue()).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (i32::from(status), 1));
    }
    let issues = world.call(github(ADA), get("/repos/ada/hello-world/issues")).await.unwrap();
    assert_eq!(issues.json().as_array().unwrap().len(), 4, "one for each, though all of them looked lost");
}

#[tokio::test]
async fn a_post_that_the_caller_vouches_for_is_tried_again() {
    let world = World::start().await;
    world.sandbox.faults().script(Fault::on(GITHUB).answer(503));
    world.sandbox.faults().script(Fault::on(GITHUB).cut());
    let answer = world.call_with(idempotent(issue())).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (201, 3));
    let sent = world.sandbox.journal().to(GITHUB);
    assert!(sent.iter().all(|entry| entry.body == issue().body), "the whole body each time");
}

#[tokio::test]
async fn a_broken_connection_is_tried_again_where_that_is_safe() {
    for broken in [Fault::on(GITHUB).cut(), Fault::on(GITHUB).cut_body(10)] {
        let world = World::start().await;
        world.sandbox.faults().script(broken.clone().times(2));
        let answer = world.call(github(ADA), get("/user")).await.unwrap();
        assert_eq!((answer.status_code, answer.report().attempts), (200, 3));
        assert_eq!(answer.json()["login"], "ada");

        world.sandbox.journal().clear();
        world.sandbox.faults().script(broken.always());
        let outcome = world.call(github(ADA), issue()).await;
        let details = assert_error(outcome, Code::Aborted, "PROVIDER_UNAVAILABLE");
        assert_eq!(metadata(&details, "outcome"), "unknown");
        assert_eq!(metadata(&details, "provider"), "github");
        assert!(details.retry_info().is_none(), "it may have been carried out");
        assert_eq!(world.provider_calls(GITHUB), 1);
        let outcome = world.call(github(ADA), get("/user")).await;
        let details = assert_error(outcome, Code::Unavailable, "PROVIDER_UNAVAILABLE");
        assert!(!details.retry_info().unwrap().retry_delay.unwrap().is_zero());
        assert_eq!(world.provider_calls(GITHUB), 4);
    }
}

#[tokio::test]
async fn a_provider_that_nobody_reaches_is_unavailable() {
    let world = World::configured(|config| {
        let nowhere = "http://127.0.0.1:1".parse().unwrap();
        config.providers.get_mut("github").unwrap().host_overrides.insert(GITHUB.to_owned(), nowhere);
    })
    .await;
    let token = world.sandbox.access_token(ADA, "github").unwrap();
    for request in [get("/user?canary=1"), issue()] {
        let status = world.call(github(ADA), request).await.unwrap_err();
        let shown = format!("{status:?}");
        assert!(!shown.contains(&token) && !shown.contains("canary"), "{shown}");
        let details = assert_error::<()>(Err(status), Code::Unavailable, "PROVIDER_UNAVAILABLE");
        assert!(details.retry_info().is_some());
    }
}

/// A fifth of what was sent in ten seconds, and one a second: about 130 requests, or less than 200 on a slow
/// machine.
#[tokio::test]
async fn a_storm_of_failures_does_not_become_three_storms() {
    let world = World::start().await;
    world
        .sandbox
        .faults()
        .script(Fault::on("www.googleapis.com").answer(503).header("retry-after", "0").always());
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let mut client = world.service.client();
        let call = get("/oauth2/v3/userinfo").by(google(ADA));
        calls.spawn(async move { client.call_provider(call).await.unwrap().into_inner().status_code });
    }
    assert_eq!(calls.join_all().await, [503; 100]);
    let sent = world.provider_calls("www.googleapis.com");
    assert!((101..200).contains(&sent), "{sent} requests for 100 calls");

    // Another provider's budget is its own.
    world.sandbox.faults().script(Fault::on(GITHUB).answer(503));
    assert_eq!(world.call(github(ADA), get("/user")).await.unwrap().report().attempts, 2);
}

mod deadlines {
    use super::*;

    fn hang(host: &str) -> Fault {
        Fault::on(host).hang().always()
    }

    #[tokio::test]
    async fn a_hanging_provider_is_told_from_a_hanging_auth0() {
        let world = World::start().await;
        world.lend(google(ALAN)).await.unwrap();
        let faults = world.sandbox.faults();
        for (stage, host) in [("provider", "www.googleapis.com"), ("auth0", world.sandbox.domain())] {
            faults.clear();
            faults.script(hang(host));
            let user = if stage == "provider" { ALAN } else { ADA };
            let start = Instant::now();
            let call = post("/calendar/v3/calendars/primary/events", "{}").by(google(user));
            let status = world.service.fail_within("300m", &call).await;
            assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
            let details = assert_error::<()>(Err(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
            assert_eq!(metadata(&details, "stage"), stage);
        }
    }

    #[tokio::test]
    async fn a_hanging_login_of_the_service_is_auth0s_as_well() {
        let world = World::configured(|config| {
            config.auth0.base_url = "http://127.0.0.1:1".parse().unwrap();
            config.default_deadline = Duration::from_secs(20);
        })
        .await;
        let outcome = world.call(github(ADA), get("/user")).await;
        assert_error(outcome, Code::Unavailable, "AUTH0_UNAVAILABLE");
        let world = World::start().await;
        world.sandbox.faults().script(hang(world.sandbox.domain()));
        let status = world.service.fail_within("300m", &get("/user").by(github(ADA))).await;
        let details = assert_error::<()>(Err(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert_eq!(metadata(&details, "stage"), "auth0");
        assert_eq!(world.provider_calls(GITHUB), 0);
    }

    /// tonic's client gives up at the same moment, with a bare CANCELLED. A machine that stalls for more than
    /// the head start lets it win now and then, but not five times in a row.
    #[tokio::test]
    async fn the_typed_error_arrives_before_the_clients_own_clock_runs_out() {
        let world = World::start().await;
        world.lend(github(ADA)).await.unwrap();
        world.sandbox.faults().script(hang(GITHUB));
        for attempt in 1.. {
            let call = within(Duration::from_millis(300), get("/user").by(github(ADA)));
            let status = world.service.client().call_provider(call).await.unwrap_err();
            if status.details().is_empty() && attempt < 5 {
                continue;
            }
            assert_error::<()>(Err(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
            return;
        }
    }

    #[tokio::test]
    async fn a_call_without_a_deadline_gets_the_default() {
        let world = World::configured(|config| config.default_deadline = Duration::from_millis(300)).await;
        world.sandbox.faults().script(hang("graph.facebook.com"));
        let status = world.call(facebook(ADA), get("/me")).await;
        let details = assert_error(status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(["provider", "auth0"].contains(&metadata(&details, "stage")));
    }

    #[tokio::test]
    async fn a_hung_call_blocks_nobody_else() {
        let world = World::start().await;
        world.sandbox.faults().script(Fault::on(GITHUB).hang());
        let mut client = world.service.client();
        let hung = tokio::spawn(async move { client.call_provider(get("/user").by(github(ADA))).await });
        eventually("the hung call is under way", async || world.provider_calls(GITHUB) == 1).await;
        assert_eq!(world.call(github(ADA), get("/user")).await.unwrap().status_code, 200);
        assert_eq!(world.call(google(ALAN), get("/oauth2/v3/userinfo")).await.unwrap().status_code, 200);
        assert!(!hung.is_finished());
        hung.abort();
    }

    #[tokio::test]
    async fn a_read_that_hangs_blocks_no_other_user_and_each_waiter_keeps_its_own_deadline() {
        let world = World::start().await;
        world.lend(google(ALAN)).await.unwrap();
        world.sandbox.journal().clear();
        let slow = Fault::on(world.sandbox.domain()).path("/api/v2/users/").delay(Duration::from_secs(3));
        world.sandbox.faults().script(slow);
        let mut client = world.service.client();
        let patient = tokio::spawn(async move { client.call_provider(get("/user").by(github(ADA))).await });
        eventually("the read is under way", async || world.sandbox.journal().profile_reads() == 1).await;

        let status = world.service.fail_within("200m", &get("/user").by(github(ADA))).await;
        let details = assert_error::<()>(Err(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert_eq!(metadata(&details, "stage"), "auth0");
        assert_eq!(world.call(google(ALAN), get("/oauth2/v3/userinfo")).await.unwrap().status_code, 200);
        assert_eq!(patient.await.unwrap().unwrap().into_inner().status_code, 200);
        assert_eq!(world.sandbox.journal().profile_reads(), 1, "one read for both of them");
    }

    #[tokio::test]
    async fn a_call_whose_client_leaves_ends_and_leaves_no_trace_but_in_the_metrics() {
        let world = World::start().await;
        world.sandbox.faults().script(Fault::on(GITHUB).hang().times(50));
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let mut client = world.service.client();
            calls.spawn(async move { client.call_provider(issue().by(github(ADA))).await });
        }
        eventually("all are under way", async || world.provider_calls(GITHUB) == 50).await;
        calls.shutdown().await;
        let cancelled = r#"idp_token_rpcs_total{method="CallProvider",code="CANCELLED"} 50"#;
        let counted = async || page(world.service.admin, "/metrics").await.1.contains(cancelled);
        eventually("the service hears of it", counted).await;
        assert_eq!(world.call(github(ADA), issue()).await.unwrap().status_code, 201);
        assert_eq!(world.provider_calls(GITHUB), 51, "nothing was sent again for those who left");
    }
}
