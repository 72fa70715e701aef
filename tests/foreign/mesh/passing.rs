//! What Envoy must carry unharmed.

use idp_token_sandbox::Fault;
use idp_token_testkit::{
    assert_error, channel, get,
    http::{Build, Read},
    metadata,
    people::{ADA, DONALD, GRACE, github, google},
    post,
    wire::fail_within,
};
use tonic::Code;

use super::client;
use crate::stage::Stage;

#[tokio::test]
async fn the_details_of_an_error_and_bodies_of_four_mebibytes_pass_envoy_whole() {
    let stage = Stage::new().await;
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(1).await;
    let mut client = client(&channel(envoy.address));
    let outcome = client.call_provider(get("/user").by(github(GRACE))).await;
    let details = assert_error(outcome, Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert_eq!(metadata(&details, "candidates"), "github/github/2000001,github/github/2000002");
    assert_eq!(details.precondition_failure().unwrap().violations.len(), 1);

    let body: Vec<u8> = (0..4 * 1024 * 1024_usize).map(|index| (index % 251) as u8).collect();
    let upload = post("/upload/drive/v3/files?uploadType=media", body.clone()).at("www.googleapis.com");
    let upload = upload.header("content-type", "application/octet-stream").by(google(ADA));
    let stored = client.call_provider(upload).await.unwrap().into_inner();
    let file = format!("/drive/v3/files/{}?alt=media", stored.json()["id"].as_str().unwrap());
    let loaded = client.call_provider(get(&file).by(google(ADA))).await.unwrap().into_inner();
    assert!(loaded.body == body, "{} bytes came back", loaded.body.len());
}

#[tokio::test]
async fn the_callers_deadline_passes_envoy_and_the_services_word_about_it_comes_back() {
    let stage = Stage::new().await;
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(1).await;
    let hang = Fault::on(stage.sandbox.domain()).path("/api/v2/users/").hang().always();
    stage.sandbox.faults().script(hang);
    // Neither the client nor Envoy has a clock of its own.
    let status = fail_within(envoy.address, "1S", &get("/user").by(github(DONALD))).await;
    let details = assert_error::<()>(Err(status), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&details, "stage"), "auth0");
}
