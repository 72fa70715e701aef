//! What is no bearer token is not lent as one: it is listed, and said.

use std::sync::Arc;

use idp_token_sandbox::{Fault, Seed};
use idp_token_service::{config, secret::Secret, service::pb::identity::State};
use idp_token_testkit::{
    World, assert_error,
    database::Database,
    get,
    keys::VAULT_KEY,
    metadata,
    people::{ADA, FRANCES, KATHERINE, at, crm, google},
};
use serde_json::json;
use tonic::{Code, Status};

use super::{CRM, CRM_LOGIN, HOUR, MINUTE, aged, requests};

const TOKEN: &str = "/oauth2/token";

#[track_caller]
fn assert_unsupported<T: std::fmt::Debug>(outcome: Result<T, Status>, token_type: &str, connection: &str) {
    let details = assert_error(outcome, Code::FailedPrecondition, "TOKEN_TYPE_UNSUPPORTED");
    assert_eq!(metadata(&details, "tokenType"), token_type);
    assert_eq!(metadata(&details, "connection"), connection);
}

/// Once the application's settings at the provider are mended, the grant serves again without the user.
#[tokio::test]
async fn a_renewal_that_brings_another_type_keeps_the_grant_and_the_next_one_may_bring_a_bearer_token() {
    let database = Database::new();
    let sow = |seed: &mut Seed| aged(seed, FRANCES, 2 * HOUR, true);
    let mut world = World::with(sow, |config| database.configure(config)).await;
    let odd = Fault::on(CRM_LOGIN).path(TOKEN).amend(json!({"token_type": "DPoP"}));
    world.sandbox.faults().script(odd.times(2));
    for _ in 0..3 {
        assert_unsupported(world.lend(crm()).await, "DPoP", "acme-crm");
        assert_unsupported(world.call(crm(), get("/v1/me")).await, "DPoP", "acme-crm");
        assert_eq!(world.list(FRANCES).await.unwrap()[0].state(), State::NoToken);
    }
    assert_eq!(world.provider_calls(CRM), 0, "nothing was sent with it");
    assert_eq!(requests(&world, CRM_LOGIN, TOKEN), 1);
    let later = world.replica(|config| database.configure(config)).await;
    assert_unsupported(later.lend(crm()).await, "DPoP", "acme-crm");
    assert_eq!(requests(&world, CRM_LOGIN, TOKEN), 1, "another replica has the new refresh token, too");

    // It has ended: the next one is another one, and as odd as the first.
    world.pass(HOUR + MINUTE).await;
    assert_eq!(world.list(FRANCES).await.unwrap()[0].state(), State::Active, "it can be renewed");
    assert_unsupported(world.lend(crm()).await, "DPoP", "acme-crm");
    world.pass(HOUR + MINUTE).await;
    let lent = world.lend(crm()).await.unwrap();
    assert_eq!(lent.token_type, "Bearer");
    assert!(world.sandbox.is_alive(&lent.access_token));
    assert_eq!(world.call(crm(), get("/v1/me")).await.unwrap().status_code, 200);
    assert_eq!(requests(&world, CRM_LOGIN, TOKEN), 3);
    assert_eq!(world.sandbox.reuse().requests, 0, "each with the refresh token of the one before");
}

#[tokio::test]
async fn a_token_that_requests_are_signed_with_is_listed_and_not_lent() {
    let world = World::start().await;
    let twitter = json!({"provider": "twitter", "connection": "twitter", "user_id": "5", "isSocial": true,
        "access_token": "5-a", "access_token_secret": "s"});
    let profile = Fault::on(world.sandbox.domain()).path("/api/v2/users/");
    world.sandbox.faults().script(profile.amend(json!({"identities": [twitter]})).always());
    let listed = world.list(ADA).await.unwrap().remove(0);
    assert_eq!(
        (listed.provider.as_str(), listed.state(), listed.renewable),
        ("twitter", State::NoToken, false)
    );
    for identity in [at(ADA, "twitter"), at(ADA, "")] {
        assert_unsupported(world.lend(identity).await, "OAuth 1.0a", "twitter");
    }
}

#[tokio::test]
async fn a_token_of_the_vault_that_is_no_bearer_token_is_not_lent_either() {
    let allow = |seed: &mut Seed| {
        let worker = seed.clients[0].privileged_worker.as_mut().unwrap();
        worker.public_key = Some(VAULT_KEY.public_pem.clone());
    };
    let mut world = World::with(allow, |config| {
        let private_key = Arc::new(Secret::fixed(VAULT_KEY.private_pem.clone()));
        let connections = ["google-oauth2".to_owned()].into();
        config.auth0.token_vault = Some(config::TokenVault { connections, private_key });
    })
    .await
    .ready()
    .await;
    let exchange = Fault::on(world.sandbox.domain()).path("/oauth/token");
    world.sandbox.faults().script(exchange.amend(json!({"token_type": "DPoP"})));
    assert_unsupported(world.lend(google(KATHERINE)).await, "DPoP", "google-oauth2");
    assert_unsupported(
        world.call(google(KATHERINE), get("/oauth2/v3/userinfo")).await,
        "DPoP",
        "google-oauth2",
    );
    assert_eq!(world.provider_calls("www.googleapis.com"), 0);
    world.pass(MINUTE).await;
    assert_eq!(world.lend(google(KATHERINE)).await.unwrap().token_type, "Bearer");
}
