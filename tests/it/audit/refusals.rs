//! Calls that were refused, each with what it asked for.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::{
    audit::Audit,
    config::EndUsers,
    policy::{Permission, ProviderName, RequestPattern, Rule, Who},
    service::pb::{
        CallProviderRequest, GetIdentityTokenRequest, HttpRequest, ListIdentitiesRequest,
        idp_token_service_client::IdpTokenServiceClient,
    },
    telemetry::Metrics,
};
use idp_token_testkit::{
    World,
    audit::{Log, said},
    channel, get,
    http::Build,
    issuer::Issuer,
    people::{ADA, DONALD, EDSGER, GRACE, at, github, google},
    post,
};
use serde_json::Value;
use tonic::{Request, Status};

use super::{listing, recorded, with};
use crate::gate::{Direct, buggy_gate};

const API: &str = "https://idp-token.acme.example";

/// What a refusal's record says besides what was asked.
const OUTCOME: [&str; 5] = ["rpc", "code", "reason", "detail", "decision"];

async fn bearer_lists(world: &World, token: &str, user: &str) -> Result<(), Status> {
    let request = with(listing(user), "authorization", &format!("Bearer {token}"));
    world.service.client().list_identities(request).await.map(drop)
}

#[tokio::test]
async fn who_is_not_believed_is_on_record_as_nobody_with_the_reason() {
    let (log, issuer) = (Log::new(), Issuer::start().await);
    let world = World::configured(|config| {
        log.record(config);
        issuer.trust(config);
    })
    .await;
    let mut expired = issuer.claims();
    expired["exp"] = 1.into();
    world.list(ADA).await.unwrap_err();
    bearer_lists(&world, "a.b.c", ADA).await.unwrap_err();
    bearer_lists(&world, &issuer.sign(&expired), ADA).await.unwrap_err();
    bearer_lists(&world, &issuer.token(), ADA).await.unwrap();
    let records = log.after(4).await;
    let fields = ["code", "detail", "caller_kind", "caller", "caller_proof", "caller_issuer", "user"];
    let told: Vec<_> = records.iter().map(|record| said(record, &fields)).collect();
    let refused = "UNAUTHENTICATED the caller's proof of who it is was refused:";
    assert!(told[0].starts_with("UNAUTHENTICATED the caller did not prove who it is"), "{}", told[0]);
    assert_eq!(told[1], format!("{refused} the token is malformed unknown - - - -"));
    assert_eq!(told[2], format!("{refused} the token has expired unknown - - - -"));
    assert_eq!(told[3], format!("OK - service calendar jwt {} {ADA}", issuer.url()));
}

/// A service with a rule for end users: Google's user info, and no more.
async fn narrow(log: &Log) -> (World, String) {
    let world = World::configured(|config| {
        log.record(config);
        let rule = Rule {
            who: Who::EndUsers,
            allow: [Permission::CallProvider].into(),
            providers: vec![ProviderName::Strategy("google-oauth2".to_owned())],
            requests: vec![RequestPattern::parse("GET www.googleapis.com/oauth2/v3/userinfo").unwrap()],
            line: None,
        };
        config.end_users = Some(EndUsers { audience: API.to_owned(), rule });
    })
    .await;
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    (world, format!("Bearer {token}"))
}

fn bearing<T>(token: &str, message: T) -> Request<T> {
    with(message, "authorization", token)
}

#[tokio::test]
async fn what_the_policy_denies_is_on_record_with_all_that_was_asked() {
    let log = Log::new();
    let (world, token) = narrow(&log).await;
    let mut client = world.service.client();
    let calls = [
        (google(ADA), post("/oauth2/v3/userinfo?secret=1", "")),
        (google(ADA), HttpRequest { host: "www.googleapis.com".to_owned(), ..get("/drive/v3/files") }),
        (github(ADA), get("/user")),
        (google(GRACE), get("/oauth2/v3/userinfo")),
    ];
    for (identity, request) in calls {
        let request =
            CallProviderRequest { identity: Some(identity), request: Some(request), ..Default::default() };
        client.call_provider(bearing(&token, request)).await.unwrap_err();
    }
    let lend = GetIdentityTokenRequest {
        identity: Some(google(ADA)),
        include_refresh_token: true,
        ..Default::default()
    };
    client.get_identity_token(bearing(&token, lend)).await.unwrap_err();
    let records = log.after(5).await;
    for record in &records {
        assert_eq!(said(record, &OUTCOME[1..]), "PERMISSION_DENIED CALLER_NOT_ALLOWED - deny");
        assert_eq!(said(record, &["caller_kind", "caller", "caller_proof"]), format!("end_user {ADA} jwt"));
    }
    let fields = ["user", "asked_provider", "refresh_token", "method", "host", "path", "sent"];
    let told: Vec<_> = records.iter().map(|record| said(record, &fields)).collect();
    assert_eq!(
        told,
        [
            format!("{ADA} google-oauth2 - POST - /oauth2/v3/userinfo 0"),
            format!("{ADA} google-oauth2 - GET www.googleapis.com /drive/v3/files 0"),
            format!("{ADA} github - GET - /user 0"),
            format!("{GRACE} google-oauth2 - GET - /oauth2/v3/userinfo 0"),
            format!("{ADA} google-oauth2 asked - - - -"),
        ]
    );
}

#[tokio::test]
async fn what_is_malformed_is_on_record_as_far_as_it_could_be_read() {
    let log = Log::new();
    let world = recorded(&log).await;
    let request = |host: &str, method: &str, path: &str| HttpRequest {
        host: host.to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        ..Default::default()
    };
    for (request, field, asked) in [
        (request("", "GET", "/repos/ada/../grace"), "request.path", "GET - /repos/ada/../grace"),
        (request("evil.example", "", "/user"), "request.host", "GET evil.example /user"),
        (request("user:secret@evil.example", "", "/user"), "request.host", "GET - /user"),
        (request("", "a secret", "/user"), "request.method", "- - /user"),
        (request("", "GET", "/user?access_token=secret"), "request.path", "GET - /user"),
        (request("", "GET", "/a\u{1b}[31m\nb"), "request.path", "GET - -"),
    ] {
        world.call(github(ADA), request).await.unwrap_err();
        let record = log.last(1).await;
        let outcome = said(&record, &["code", "reason", "detail", "method", "host", "path"]);
        assert_eq!(outcome, format!("INVALID_ARGUMENT INVALID_FIELD {field} {asked}"));
        log.clear();
    }
    let long = format!("/{}", "a".repeat(100_000));
    world.call(github(ADA), get(&long)).await.unwrap_err();
    let record = log.last(1).await;
    assert!(record["path"].as_str().unwrap().len() < 9000);
    log.clear();
    world.list(&"x".repeat(2000)).await.unwrap_err();
    let record = log.last(1).await;
    assert_eq!(said(&record, &["detail", "user"]), "user_id -");
}

#[tokio::test]
async fn a_message_that_is_too_large_or_unreadable_leaves_a_record_too() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.call(google(ADA), post("/upload", vec![0; 5 * 1024 * 1024])).await.unwrap_err();
    let mut grpc = tonic::client::Grpc::new(channel(world.service.address));
    grpc.ready().await.unwrap();
    let other = Request::new(prost_types::Duration { seconds: 5, nanos: 0 });
    let codec = tonic_prost::ProstCodec::<prost_types::Duration, ListIdentitiesRequest>::default();
    let path = "/idptoken.v1.IdpTokenService/ListIdentities".try_into().unwrap();
    grpc.unary(other, path, codec).await.unwrap_err();
    let request = with(listing(ADA), "grpc-timeout", "soon");
    world.service.client().list_identities(request).await.unwrap_err();
    let told: Vec<_> = log.after(3).await.iter().map(|record| said(record, &OUTCOME)).collect();
    assert_eq!(
        told,
        [
            "CallProvider INVALID_ARGUMENT INVALID_FIELD request.body none",
            "ListIdentities INVALID_ARGUMENT INVALID_FIELD (message) none",
            "ListIdentities INVALID_ARGUMENT INVALID_FIELD grpc-timeout none",
        ]
    );
}

#[tokio::test]
async fn what_the_policy_allows_and_is_refused_all_the_same_says_why() {
    let log = Log::new();
    let world = recorded(&log).await;
    world.sandbox.faults().script(Fault::on("graph.facebook.com").hang());
    world.lend(github("auth0|nobody")).await.unwrap_err();
    world.lend(google(GRACE)).await.unwrap_err();
    world.lend(github(GRACE)).await.unwrap_err();
    world.lend(google(EDSGER)).await.unwrap_err();
    let request = CallProviderRequest {
        identity: Some(at(ADA, "facebook")),
        request: Some(get("/me")),
        ..Default::default()
    };
    world.service.fail_within("1S", &request).await;
    let records = log.after(5).await;
    let fields = ["code", "reason", "detail", "decision", "provider", "sent"];
    let told: Vec<_> = records.iter().map(|record| said(record, &fields)).collect();
    assert_eq!(
        told,
        [
            "NOT_FOUND USER_NOT_FOUND - allow - -",
            "NOT_FOUND IDENTITY_NOT_LINKED - allow - -",
            "FAILED_PRECONDITION IDENTITY_AMBIGUOUS - allow - -",
            "FAILED_PRECONDITION REAUTHENTICATION_REQUIRED - allow google-oauth2 -",
            "DEADLINE_EXCEEDED DEADLINE_EXCEEDED provider allow facebook 1",
        ]
    );
    assert_eq!(records[3]["fingerprint"], Value::Null, "none was found that lives");
    assert!(records[4]["fingerprint"].is_string(), "it was sent");
}

#[tokio::test]
async fn a_call_that_panics_and_one_too_many_leave_a_record_too() {
    let log = Log::new();
    let world = World::start().await;
    let audit = Audit::start(&log.settings(), &Arc::new(Metrics::new(&[]))).unwrap();
    let (gate, _) = buggy_gate(&world, audit);
    let client = IdpTokenServiceClient::new(Direct(gate));
    let panicking = get("/panic").by(google(ADA));
    client.clone().call_provider(panicking).await.unwrap_err();
    assert_eq!(said(&log.last(1).await, &OUTCOME), "CallProvider INTERNAL INTERNAL - allow");
    log.clear();

    let reads = Fault::on(world.sandbox.domain()).path("/api/v2/users/");
    world.sandbox.faults().script(reads.always().hang());
    let list = || {
        let mut client = client.clone();
        Box::pin(async move { client.list_identities(listing(DONALD)).await.map(drop) })
    };
    let mut held: Vec<_> = (0..1024).map(|_| list()).collect();
    for call in &mut held {
        tokio::time::timeout(Duration::ZERO, call.as_mut()).await.expect_err("Auth0 says nothing");
    }
    list().await.unwrap_err();
    let record = log.last(1).await;
    assert_eq!(said(&record, &OUTCOME), "ListIdentities UNAVAILABLE OVERLOADED - none");
    drop(held);
    let records = log.after(1025).await;
    assert!(records[1..].iter().all(|record| record["code"] == "CANCELLED"));
}
