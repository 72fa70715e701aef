//! Envoy's own gRPC-Web, in front of a service that hears gRPC alone.

use idp_token_service::service::pb::{
    GetIdentityTokenRequest, ListIdentitiesRequest, ListIdentitiesResponse,
};
use idp_token_testkit::{
    assert_error, metadata,
    people::{ADA, GRACE, github},
    web::{Ask, Way},
};
use prost::Message;
use tonic::Code;

use crate::stage::Stage;

#[tokio::test]
async fn browsers_call_through_envoys_grpc_web_and_read_answers_and_errors() {
    let stage = Stage::new().await;
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(1).await;
    for way in [Way::GrpcWeb, Way::GrpcWebText] {
        let message = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
        let ask = Ask::to("ListIdentities");
        let answer = ask.send(way, envoy.address, message, "ListIdentitiesRequest").await.unwrap();
        assert_eq!(ListIdentitiesResponse::decode(answer).unwrap().identities.len(), 3, "{way:?}");

        let message = GetIdentityTokenRequest { identity: Some(github(GRACE)), ..Default::default() };
        let ask = Ask::to("GetIdentityToken");
        let outcome = ask.send(way, envoy.address, message, "GetIdentityTokenRequest").await;
        let details = assert_error(outcome, Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
        assert_eq!(metadata(&details, "candidates"), "github/github/2000001,github/github/2000002");
    }
}

#[tokio::test]
async fn connect_passes_envoy_as_it_is() {
    let stage = Stage::new().await;
    let service = stage.serve("").await;
    let envoy = stage.plain_envoy(&[&service]).await;
    envoy.sees_well(1).await;
    let message = GetIdentityTokenRequest { identity: Some(github(GRACE)), ..Default::default() };
    for way in [Way::ConnectJson, Way::ConnectProto] {
        let ask = Ask::to("GetIdentityToken");
        let outcome = ask.send(way, envoy.address, message.clone(), "GetIdentityTokenRequest").await;
        assert_error(outcome, Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
    }
}
