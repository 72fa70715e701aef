//! Identities whose tokens are in Token Vault, as callers meet them.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::{Fault, Seed};
use idp_token_service::{
    config::{self, Config, EndUsers},
    policy::Who,
    secret::Secret,
    service::pb::{CallProviderRequest, TokenSource, identity::State},
};
use idp_token_testkit::{
    World, assert_error, get,
    keys::VAULT_KEY,
    metadata,
    people::{ADA, KATHERINE, google},
    rules::everything,
    within,
};
use tonic::Code;

/// A service that may open the vault of Google's connection for any user.
async fn world() -> World {
    World::with(allow, configure).await
}

fn allow(seed: &mut Seed) {
    let worker = seed.clients[0].privileged_worker.as_mut().unwrap();
    worker.public_key = Some(VAULT_KEY.public_pem.clone());
}

fn configure(config: &mut Config) {
    let private_key = Arc::new(Secret::fixed(VAULT_KEY.private_pem.clone()));
    let connections = ["google-oauth2".to_owned()].into();
    config.auth0.token_vault = Some(config::TokenVault { connections, private_key });
}

#[tokio::test]
async fn a_token_out_of_the_vault_is_lent_and_called_with() {
    let world = world().await.ready().await;
    let lent = world.lend(google(KATHERINE)).await.unwrap();
    assert_eq!(lent.source(), TokenSource::TokenVault);
    assert_eq!(Some(&lent.access_token), world.sandbox.vault_token(KATHERINE, "google-oauth2").as_ref());
    assert!(lent.identity.unwrap().renewable && !lent.scopes.is_empty());
    let answer = world.call(google(KATHERINE), get("/oauth2/v3/userinfo")).await.unwrap();
    assert_eq!(answer.status_code, 200);
    assert_eq!(world.sandbox.journal().token_requests(), 1, "one exchange serves both");
    assert_eq!(world.list(KATHERINE).await.unwrap()[0].state(), State::Active);
}

#[tokio::test]
async fn a_token_of_the_profile_that_lives_needs_no_vault() {
    let world = world().await.ready().await;
    assert_eq!(world.lend(google(ADA)).await.unwrap().source(), TokenSource::Auth0Profile);
    assert_eq!(world.sandbox.journal().token_requests(), 0);
}

#[tokio::test]
async fn a_token_that_the_provider_refuses_is_exchanged_for_a_newer_one() {
    let world = world().await.ready().await;
    let old = world.lend(google(KATHERINE)).await.unwrap();
    // The user connects the account again, and the token from before dies.
    world.sandbox.revoke_token(KATHERINE, "google-oauth2").unwrap();
    world.sandbox.add_user(Seed::sample().users.into_iter().find(|user| user.id == KATHERINE).unwrap());
    let answer = world.call(google(KATHERINE), get("/oauth2/v3/userinfo")).await.unwrap();
    assert_eq!((answer.status_code, answer.report.unwrap().attempts), (200, 2));
    let new = world.lend(google(KATHERINE)).await.unwrap();
    assert_ne!(old.fingerprint, new.fingerprint);
    assert_eq!(world.sandbox.journal().token_requests(), 2);
}

#[tokio::test]
async fn each_way_of_not_getting_a_token_has_an_error_of_its_own() {
    let disconnect = |seed: &mut Seed| {
        allow(seed);
        seed.users.iter_mut().for_each(|user| user.connected_accounts.clear());
    };
    let world = World::with(disconnect, configure).await;
    let details =
        assert_error(world.lend(google(KATHERINE)).await, Code::FailedPrecondition, "TOKEN_NOT_STORED");
    assert_eq!(metadata(&details, "connection"), "google-oauth2");

    // The sample tenant knows no key of this service's.
    let world = World::configured(configure).await;
    assert_error(world.lend(google(KATHERINE)).await, Code::FailedPrecondition, "AUTH0_MISCONFIGURED");

    let world = self::world().await.ready().await;
    let down = Fault::on(world.sandbox.domain()).path("/oauth/token").answer(503).always();
    world.sandbox.faults().script(down);
    assert_error(world.lend(google(KATHERINE)).await, Code::Unavailable, "AUTH0_UNAVAILABLE");

    let world = World::start().await;
    assert_error(world.lend(google(KATHERINE)).await, Code::FailedPrecondition, "TOKEN_NOT_STORED");
}

/// The sandbox opens the vault on nobody's word but the users' own here: it knows no privileged worker's key.
#[tokio::test]
async fn an_end_user_opens_the_vault_with_the_token_that_they_call_with() {
    const API: &str = "https://idp-token.sandbox.example";
    let world = World::configured(|config| {
        configure(config);
        config.end_users = Some(EndUsers { audience: API.to_owned(), rule: everything(Who::EndUsers) });
    })
    .await;
    let token = world.sandbox.end_user_token(KATHERINE, API, &[]).unwrap();
    let mut request = within(
        Duration::from_secs(30),
        CallProviderRequest {
            identity: Some(google(KATHERINE)),
            request: Some(get("/oauth2/v3/userinfo")),
            ..Default::default()
        },
    );
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let answer = world.service.client().call_provider(request).await.unwrap();
    assert_eq!(answer.into_inner().status_code, 200);
}
