//! GetIdentityToken and ListIdentities.

use idp_token_service::{
    service::pb::{ExpiryBasis, GetIdentityTokenRequest, IdentitySelector, TokenSource, identity::State},
    token::Fingerprint,
};
use idp_token_testkit::{
    World, assert_error, metadata,
    people::{ADA, ALAN, DONALD, EDSGER, GRACE, LESLIE, SATOSHI, at, facebook, github, google},
};
use tokio::task::JoinSet;
use tonic::Code;

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn a_service_gets_the_token_that_auth0_keeps() {
    let world = World::start().await;
    let lent = world.lend(google(ADA)).await.unwrap();
    assert_eq!(lent.access_token, world.sandbox.access_token(ADA, "google-oauth2").unwrap());
    assert_eq!(lent.token_type, "Bearer");
    assert_eq!(lent.source(), TokenSource::Auth0Profile);
    assert_eq!(lent.fingerprint, Fingerprint::of(&lent.access_token).to_string());
    assert_eq!(lent.refresh_token, "", "nobody asked for it");
    let identity = lent.identity.unwrap();
    assert_eq!((identity.provider.as_str(), identity.state()), ("google-oauth2", State::Active));
    assert_eq!(identity.expiry_basis(), ExpiryBasis::UpperBound, "she has three identities");
}

#[tokio::test]
async fn a_cached_identity_costs_no_request_to_anyone() {
    let world = World::start().await;
    world.lend(google(ADA)).await.unwrap();
    world.sandbox.journal().clear();
    for identity in [google(ADA), github(ADA), facebook(ADA)] {
        world.lend(identity).await.unwrap();
    }
    assert_eq!(world.sandbox.journal().entries().len(), 0);
}

#[tokio::test]
async fn three_hundred_cold_calls_for_one_user_make_one_token_request_and_one_profile_read() {
    let world = World::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let mut client = world.service.client();
        let request = GetIdentityTokenRequest { identity: Some(google(ADA)), ..Default::default() };
        calls.spawn(async move { client.get_identity_token(request).await });
    }
    let answered = calls.join_all().await.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(answered, 300);
    let journal = world.sandbox.journal();
    assert_eq!((journal.token_requests(), journal.profile_reads()), (1, 1));
}

#[tokio::test]
async fn user_ids_with_bars_percent_signs_and_slashes_arrive_as_they_are() {
    let world = World::start().await;
    for user in [SATOSHI, LESLIE] {
        let identities = world.list(user).await.unwrap();
        assert_eq!(identities[0].user_id, user);
    }
    let paths: Vec<_> = world.sandbox.journal().entries().iter().map(|entry| entry.path.clone()).collect();
    assert!(paths.iter().any(|path| path.contains("eip155%253A5%253A0x")), "{paths:?}");
    assert!(
        paths.iter().any(|path| path.contains("https%3A%2F%2Fadfs.acme.example%2Fusers%2F42")),
        "{paths:?}"
    );
}

#[tokio::test]
async fn the_wrong_account_is_never_chosen_in_silence() {
    let world = World::start().await;
    let details =
        assert_error(world.lend(github(GRACE)).await, Code::FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert_eq!(metadata(&details, "candidates"), "github/github/2000001,github/github/2000002");
    assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "IDENTITY_AMBIGUOUS");
    let one = IdentitySelector { account_id: "2000002".to_owned(), ..github(GRACE) };
    assert_eq!(world.lend(one).await.unwrap().identity.unwrap().account_id, "2000002");
}

#[tokio::test]
async fn each_way_of_having_no_token_has_an_error_of_its_own() {
    let world = World::start().await;
    let details = assert_error(world.lend(google(DONALD)).await, Code::NotFound, "IDENTITY_NOT_LINKED");
    assert_eq!(metadata(&details, "provider"), "google-oauth2");
    let details =
        assert_error(world.lend(at(DONALD, "")).await, Code::FailedPrecondition, "TOKEN_NOT_STORED");
    assert_eq!(metadata(&details, "connection"), "Username-Password-Authentication");
    assert_error(world.lend(google("auth0|nobody")).await, Code::NotFound, "USER_NOT_FOUND");
    let details =
        assert_error(world.lend(google(EDSGER)).await, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert!(details.help().unwrap().links[0].url.contains("/authorize?response_type=code"));
}

#[tokio::test]
async fn an_unknown_user_is_remembered_for_a_while() {
    let world = World::start().await;
    for _ in 0..5 {
        assert_error(world.lend(google("auth0|nobody")).await, Code::NotFound, "USER_NOT_FOUND");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn min_validity_is_a_promise() {
    let world = World::start().await;
    let ask = |min_validity| GetIdentityTokenRequest {
        identity: Some(google(ALAN)),
        min_validity,
        ..Default::default()
    };
    // His token lives for 3599 s and was issued a minute ago.
    assert!(world.lend_with(ask(seconds(3000))).await.is_ok());
    let outcome = world.lend_with(ask(seconds(3600))).await;
    assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    for malformed in [seconds(3601), seconds(-1)] {
        let details =
            assert_error(world.lend_with(ask(malformed)).await, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(metadata(&details, "field"), "min_validity");
    }
}

#[tokio::test]
async fn a_rejected_token_that_nothing_can_renew_is_answered_with_reauthentication() {
    let world = World::start().await;
    let old = world.lend(github(ADA)).await.unwrap();
    let rejecting = || GetIdentityTokenRequest {
        identity: Some(github(ADA)),
        rejected_fingerprint: old.fingerprint.clone(),
        ..Default::default()
    };
    let details = world.lend_with(rejecting()).await;
    assert_error(details, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    // Others do not suffer for what one caller says.
    assert_eq!(world.lend(github(ADA)).await.unwrap().fingerprint, old.fingerprint);
}

#[tokio::test]
async fn after_a_new_login_a_rejected_token_is_answered_with_the_new_one() {
    let world = World::start().await;
    let old = world.lend(google(ADA)).await.unwrap();
    let new = world.sandbox.log_in(ADA, "google-oauth2").unwrap();
    let request = GetIdentityTokenRequest {
        identity: Some(google(ADA)),
        rejected_fingerprint: old.fingerprint,
        ..Default::default()
    };
    assert_eq!(world.lend_with(request.clone()).await.unwrap().access_token, new);
    world.sandbox.journal().clear();
    assert_eq!(world.lend_with(request).await.unwrap().access_token, new);
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "a newer one was at hand");
}

#[tokio::test]
async fn a_refresh_token_takes_a_permission_that_nobody_has_by_default() {
    let world = World::start().await;
    let request = GetIdentityTokenRequest {
        identity: Some(google(ADA)),
        include_refresh_token: true,
        ..Default::default()
    };
    assert_error(world.lend_with(request).await, Code::PermissionDenied, "CALLER_NOT_ALLOWED");
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "refused before anybody was asked");
}

#[tokio::test]
async fn malformed_selectors_name_the_field() {
    let world = World::start().await;
    let missing = world.lend_with(GetIdentityTokenRequest::default()).await;
    assert_eq!(metadata(&assert_error(missing, Code::InvalidArgument, "INVALID_FIELD"), "field"), "identity");
    let details = assert_error(world.lend(google("")).await, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "identity.user_id");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "identity.user_id");
    let request = GetIdentityTokenRequest {
        identity: Some(google(ADA)),
        rejected_fingerprint: "not a fingerprint".to_owned(),
        ..Default::default()
    };
    let details = assert_error(world.lend_with(request).await, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "rejected_fingerprint");
}
