//! Users of the tenant as callers: for themselves, and without ever seeing a provider's token.

use idp_token_service::service::pb::{
    CallProviderRequest, GetIdentityTokenRequest, IdentitySelector, ListIdentitiesRequest,
};
use idp_token_testkit::{
    World, assert_error, channel, get,
    people::{ADA, DONALD, google},
};
use tonic::{Code::PermissionDenied, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{API, bearer, with};

async fn world() -> (World, String) {
    let world = World::configured(super::admit_end_users).await;
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    (world, bearer(&token))
}

/// The user of the identities that are listed for `user`.
async fn listed(world: &World, token: &str, user: &str) -> Result<String, Status> {
    let request = ListIdentitiesRequest { user_id: user.to_owned(), ..Default::default() };
    let answer = world.service.client().list_identities(with(request, &[("authorization", token)])).await?;
    Ok(answer.into_inner().identities[0].user_id.clone())
}

#[tokio::test]
async fn users_act_for_themselves_whether_they_say_so_or_not() {
    let (world, token) = world().await;
    for user in ["", ADA] {
        assert_eq!(listed(&world, &token, user).await.unwrap(), ADA);
    }
    let itself = IdentitySelector { provider: "google-oauth2".to_owned(), ..Default::default() };
    for identity in [itself, google(ADA)] {
        let request = CallProviderRequest {
            identity: Some(identity),
            request: Some(get("/oauth2/v3/userinfo")),
            ..Default::default()
        };
        let answer = world.service.client().call_provider(with(request, &[("authorization", &token)])).await;
        assert_eq!(answer.unwrap().into_inner().status_code, 200);
    }
}

#[tokio::test]
async fn users_do_not_act_for_others_and_learn_nothing_about_them() {
    let (world, token) = world().await;
    for user in [DONALD, "auth0|nobody", &ADA.to_uppercase(), &format!("{ADA} ")] {
        assert_error(listed(&world, &token, user).await, PermissionDenied, "CALLER_NOT_ALLOWED");
    }
    let request =
        CallProviderRequest { identity: Some(google(DONALD)), request: Some(get("/")), ..Default::default() };
    let outcome = world.service.client().call_provider(with(request, &[("authorization", &token)])).await;
    assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn users_never_see_a_providers_token() {
    let (world, token) = world().await;
    for include_refresh_token in [false, true] {
        let identity = Some(google(ADA));
        let request = GetIdentityTokenRequest { identity, include_refresh_token, ..Default::default() };
        let outcome =
            world.service.client().get_identity_token(with(request, &[("authorization", &token)])).await;
        assert_error(outcome, PermissionDenied, "CALLER_NOT_ALLOWED");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}

#[tokio::test]
async fn health_checks_prove_nothing() {
    let (world, _) = world().await;
    let mut health = HealthClient::new(channel(world.service.address));
    health.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn reflection_is_there_unless_it_is_switched_off() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    };
    for reflection in [true, false] {
        let world = World::configured(|config| {
            super::admit_end_users(config);
            config.reflection = reflection;
        })
        .await;
        let mut client = ServerReflectionClient::new(channel(world.service.address));
        let ask = tokio_stream::once(ServerReflectionRequest::default());
        assert_eq!(client.server_reflection_info(ask).await.is_ok(), reflection);
    }
}
