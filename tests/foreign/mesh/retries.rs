//! Envoy sends again what the service calls UNAVAILABLE: that must never double what a provider has done.

use http::Method;
use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{CallProviderRequest, HttpRequest};
use idp_token_testkit::{
    assert_error, channel, eventually,
    http::{Build, Read},
    people::{ADA, github},
    post,
    process::Running,
};
use tonic::Code;

use super::client;
use crate::{envoy::Envoy, stage::Stage};

const GITHUB: &str = "api.github.com";

/// A request that a second time makes a second issue.
fn issue() -> HttpRequest {
    post("/repos/ada/hello-world/issues", r#"{"title":"Tea"}"#)
}

async fn scene() -> (Stage, Running, Envoy) {
    let stage = Stage::new().await;
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(1).await;
    (stage, service, envoy)
}

#[tokio::test]
async fn a_post_that_may_have_been_carried_out_is_not_sent_again() {
    let (stage, _service, envoy) = scene().await;
    for lost in [Fault::on(GITHUB).processed().cut(), Fault::on(GITHUB).cut_body(10)] {
        stage.sandbox.journal().clear();
        stage.sandbox.faults().script(lost);
        let outcome = client(&channel(envoy.address)).call_provider(issue().by(github(ADA))).await;
        assert_error(outcome, Code::Aborted, "PROVIDER_UNAVAILABLE");
        assert_eq!(stage.sandbox.journal().to(GITHUB).len(), 1);
    }
    assert_eq!(envoy.count("upstream_rq_retry").await, 0);
}

#[tokio::test]
async fn a_request_that_may_be_repeated_and_one_that_was_never_sent_are_sent_again() {
    let (stage, _service, envoy) = scene().await;
    let mut client = client(&channel(envoy.address));
    // The service tries three times, and then Envoy has it try again.
    stage.sandbox.faults().script(Fault::on(GITHUB).method(Method::POST).cut().times(3));
    let request = CallProviderRequest { idempotent: true, ..issue().by(github(ADA)) };
    let answer = client.call_provider(request).await.unwrap().into_inner();
    assert_eq!((answer.status_code, answer.report().attempts), (201, 1));
    assert_eq!(stage.sandbox.journal().to(GITHUB).len(), 4);
    assert_eq!(envoy.count("upstream_rq_retry").await, 1);
}

async fn has_read_a_profile(service: &Running) -> bool {
    service.page("/metrics").await.1.contains("idp_token_profiles_total{source=\"auth0\"} 1")
}

#[tokio::test]
async fn a_post_under_way_in_a_service_that_dies_is_not_sent_again_by_another() {
    let stage = Stage::new().await;
    let (first, second) = (stage.serve("").await, stage.serve("").await);
    let envoy = stage.plain_envoy(&[&first, &second]).await;
    envoy.sees_well(2).await;
    stage.sandbox.faults().script(Fault::on(GITHUB).hang().always());
    let mut client = client(&channel(envoy.address));
    let call = tokio::spawn(async move { client.call_provider(issue().by(github(ADA))).await });
    let journal = stage.sandbox.journal();
    eventually("a request under way", async || journal.to(GITHUB).len() == 1).await;
    let (busy, _idle) = if has_read_a_profile(&first).await { (first, second) } else { (second, first) };
    busy.signal("KILL").await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "this is Envoy's own word: {status:?}");
    assert_eq!(journal.to(GITHUB).len(), 1);
    assert_eq!(envoy.count("upstream_rq_retry").await, 0);
}
