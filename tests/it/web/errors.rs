//! One door, three ways to knock: the same errors through all of them.

use std::{collections::BTreeMap, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, InspectIdentityTokenRequest, ListIdentitiesRequest,
    RevokeIdentityTokenRequest, StreamProviderRequest,
};
use idp_token_testkit::{
    World, get,
    people::{ADA, DONALD, EDSGER, FRANCES, GRACE, KEN, at, github, google},
    post,
    web::{Ask, Way},
};
use prost::Message;
use tonic::{
    Code::{self, *},
    Status,
};
use tonic_types::{FieldViolation, StatusExt};

use crate::callers::{API, admit_end_users};

/// All that an error says.
#[derive(Debug, PartialEq)]
struct Said {
    code: Code,
    message: String,
    reason: String,
    domain: String,
    metadata: BTreeMap<String, String>,
    /// Where it asks to wait; how long depends on when it was asked.
    waits: bool,
    links: Vec<String>,
    violations: Vec<(String, String)>,
    quotas: Vec<String>,
    preconditions: Vec<String>,
    /// The types of its details, in their order.
    kinds: Vec<String>,
}

fn said(status: &Status) -> Said {
    let details = status.get_error_details();
    let (reason, domain, metadata) = match details.error_info().cloned() {
        Some(info) => (info.reason, info.domain, info.metadata),
        None => Default::default(),
    };
    let violation = |one: &FieldViolation| (one.field.clone(), one.description.clone());
    let kinds = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    Said {
        code: status.code(),
        message: status.message().to_owned(),
        reason,
        domain,
        metadata: metadata.into_iter().collect(),
        waits: details.retry_info().is_some_and(|info| info.retry_delay.is_some()),
        links: each(details.help(), |help| &help.links, |link| link.url.clone()),
        violations: each(details.bad_request(), |bad| &bad.field_violations, violation),
        quotas: each(details.quota_failure(), |quota| &quota.violations, |one| one.subject.clone()),
        preconditions: each(details.precondition_failure(), |all| &all.violations, |one| one.subject.clone()),
        kinds: kinds.into_iter().map(|any| any.type_url).collect(),
    }
}

fn each<D, I, T>(detail: Option<&D>, items: fn(&D) -> &Vec<I>, tell: impl Fn(&I) -> T) -> Vec<T> {
    detail.map(|detail| items(detail).iter().map(tell).collect()).unwrap_or_default()
}

/// Asks in every way, and gives what all of them say.
async fn unanimous<T: Message + Default + Clone + 'static>(
    world: &World,
    ask: &Ask<'_>,
    message: T,
    kind: &str,
) -> Said {
    let mut all = Vec::new();
    for way in Way::ALL {
        let outcome = ask.send(way, world.service.address, message.clone(), kind).await;
        all.push(said(&outcome.expect_err("an error was expected")));
    }
    let first = all.remove(0);
    for (way, other) in Way::WEB.iter().zip(&all) {
        let (mut other_said, message) = (format!("{other:?}"), &other.message);
        // tonic says nothing to an unknown method; a person behind curl is told a word.
        if first.message.is_empty() {
            other_said = other_said.replace(&format!("{message:?}"), "\"\"");
        }
        assert_eq!(other_said, format!("{first:?}"), "{way:?}");
    }
    first
}

async fn lend(world: &World, identity: Option<idp_token_service::service::pb::IdentitySelector>) -> Said {
    let message = GetIdentityTokenRequest { identity, ..Default::default() };
    unanimous(world, &Ask::to("GetIdentityToken"), message, "GetIdentityTokenRequest").await
}

#[track_caller]
fn assert_said(said: &Said, code: Code, reason: &str) {
    assert_eq!((said.code, &*said.reason, &*said.domain), (code, reason, "idptoken.v1"), "{said:?}");
}

#[tokio::test]
async fn what_the_request_or_the_user_lacks_is_said_alike() {
    let world = World::start().await;
    let invalid = lend(&world, None).await;
    assert_said(&invalid, InvalidArgument, "INVALID_FIELD");
    assert_eq!(invalid.violations[0].0, "identity");
    assert_said(&lend(&world, Some(google("auth0|nobody"))).await, NotFound, "USER_NOT_FOUND");
    assert_said(&lend(&world, Some(at(ADA, "bitbucket"))).await, NotFound, "IDENTITY_NOT_LINKED");
    assert_said(&lend(&world, Some(at(DONALD, "auth0"))).await, FailedPrecondition, "TOKEN_NOT_STORED");
    let ambiguous = lend(&world, Some(github(GRACE))).await;
    assert_said(&ambiguous, FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert_eq!(ambiguous.metadata["candidates"], "github/github/2000001,github/github/2000002");
    let dead = lend(&world, Some(google(EDSGER))).await;
    assert_said(&dead, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert!(dead.links[0].contains("/authorize?"), "{dead:?}");
}

#[tokio::test]
async fn what_is_not_offered_or_too_large_is_said_alike() {
    let world = World::start().await;
    let message = RevokeIdentityTokenRequest { identity: Some(at(KEN, "bitbucket")) };
    let ask = Ask::to("RevokeIdentityToken");
    let unsupported = unanimous(&world, &ask, message, "RevokeIdentityTokenRequest").await;
    assert_said(&unsupported, Unimplemented, "OPERATION_UNSUPPORTED");
    let message = ListIdentitiesRequest::default();
    let unknown = unanimous(&world, &Ask::to("Nothing"), message, "ListIdentitiesRequest").await;
    assert_eq!((unknown.code, &*unknown.reason), (Unimplemented, ""));
    let message = StreamProviderRequest::default();
    let streaming = unanimous(&world, &Ask::to("StreamProvider"), message, "StreamProviderRequest").await;
    assert_said(&streaming, Unimplemented, "OPERATION_UNSUPPORTED");
    for length in [4 * 1024 * 1024 + 65 * 1024, 7 * 1024 * 1024] {
        let message = CallProviderRequest {
            identity: Some(google(ADA)),
            request: Some(post("/upload/drive/v3/files", vec![0; length])),
            ..Default::default()
        };
        let large = unanimous(&world, &Ask::to("CallProvider"), message, "CallProviderRequest").await;
        assert_said(&large, InvalidArgument, "INVALID_FIELD");
        assert_eq!(large.violations[0].0, "request.body");
    }
    assert_eq!(world.provider_calls("www.googleapis.com"), 0);
}

#[tokio::test]
async fn what_fails_outside_is_said_alike() {
    let world = World::start().await.ready().await;
    world
        .sandbox
        .faults()
        .script(Fault::on("login.crm.example").answer(429).header("retry-after", "7").always());
    let message = InspectIdentityTokenRequest { identity: Some(at(FRANCES, "oauth2")) };
    let ask = Ask::to("InspectIdentityToken");
    let limited = unanimous(&world, &ask, message, "InspectIdentityTokenRequest").await;
    assert_said(&limited, ResourceExhausted, "PROVIDER_RATE_LIMITED");
    assert!(limited.waits && limited.quotas == ["oauth2"], "{limited:?}");

    world
        .sandbox
        .faults()
        .script(Fault::on(world.sandbox.domain()).path("/api/v2/users/").answer(503).always());
    let message = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let down = unanimous(&world, &Ask::to("ListIdentities"), message, "ListIdentitiesRequest").await;
    assert_said(&down, Unavailable, "AUTH0_UNAVAILABLE");
    assert!(down.waits);
}

#[tokio::test]
async fn a_deadline_that_passes_is_said_alike() {
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(Fault::on(world.sandbox.domain()).path("/api/v2/users/").always().hang());
    let ask = Ask { timeout: Some(Duration::from_millis(1500)), ..Ask::to("ListIdentities") };
    let message = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let late = unanimous(&world, &ask, message, "ListIdentitiesRequest").await;
    assert_said(&late, DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(late.metadata["stage"], "auth0");
}

#[tokio::test]
async fn who_proves_nothing_or_may_not_is_told_so_alike() {
    let world = World::configured(admit_end_users).await;
    let listing = |user: &str| ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
    let kind = "ListIdentitiesRequest";
    for token in [None, Some("junk")] {
        let ask = Ask { token, ..Ask::to("ListIdentities") };
        let refused = unanimous(&world, &ask, listing(ADA), kind).await;
        assert_said(&refused, Unauthenticated, "CALLER_UNAUTHENTICATED");
    }
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    let denied =
        unanimous(&world, &Ask { token: Some(&token), ..Ask::to("ListIdentities") }, listing(DONALD), kind)
            .await;
    assert_said(&denied, PermissionDenied, "CALLER_NOT_ALLOWED");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn users_name_nobody_and_get_no_raw_token_in_any_way() {
    let world = World::configured(admit_end_users).await;
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    for include_refresh_token in [false, true] {
        let message = GetIdentityTokenRequest {
            identity: Some(google(ADA)),
            include_refresh_token,
            ..Default::default()
        };
        let ask = Ask { token: Some(&token), ..Ask::to("GetIdentityToken") };
        let denied = unanimous(&world, &ask, message, "GetIdentityTokenRequest").await;
        assert_said(&denied, PermissionDenied, "CALLER_NOT_ALLOWED");
    }
    for way in Way::ALL {
        let ask = Ask { token: Some(&token), ..Ask::to("ListIdentities") };
        let own = ListIdentitiesRequest::default();
        ask.send(way, world.service.address, own, "ListIdentitiesRequest").await.unwrap();
        let call = CallProviderRequest {
            identity: Some(google("")),
            request: Some(get("/oauth2/v3/userinfo")),
            ..Default::default()
        };
        let ask = Ask { token: Some(&token), ..Ask::to("CallProvider") };
        let answer = ask.send(way, world.service.address, call, "CallProviderRequest").await.unwrap();
        let secret = world.sandbox.access_token(ADA, "google-oauth2").unwrap();
        assert!(!answer.windows(secret.len()).any(|window| window == secret.as_bytes()), "{way:?}");
    }
}
