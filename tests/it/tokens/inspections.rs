//! What a provider answers about a token, and how far it is believed: until the application is known to be
//! the one that tokens are issued to, "I do not know it" is no word of death; and whoever hears that a token
//! is active takes back what was heard before.

use std::time::Duration;

use idp_token_sandbox::{Fault, Seed};
use idp_token_service::service::pb::{
    ErrorReason, Finding, GetIdentityTokenRequest, IdentitySelector, InspectIdentityTokenRequest,
    identity::State,
};
use idp_token_testkit::{
    Service, World,
    database::Database,
    eventually, get,
    people::{ADA, FRANCES, crm, github},
};
use serde_json::json;

use super::{CRM_LOGIN, MINUTE, SECOND, aged, assert_only_the_user_can_help};

/// What GitHub says about a token of another application, and of one that is dead.
fn not_found() -> Fault {
    Fault::on("api.github.com").path("/applications/").answer(404).json(&json!({"message": "Not Found"}))
}

/// What RFC 7662 has for a token that is dead, or that the asking application may not know.
fn inactive() -> Fault {
    Fault::on(CRM_LOGIN).path("/oauth2/introspect").answer(200).json(&json!({"active": false}))
}

/// An answer about a token.
type Says = fn() -> Fault;

/// Frances' token lives, and nothing renews it.
async fn world(database: &Database) -> World {
    World::with(
        |seed: &mut Seed| aged(seed, FRANCES, 10 * MINUTE, false),
        |config| database.configure(config),
    )
    .await
}

/// Inspects: whether it is active, its state, and the findings' reasons.
async fn inspect(service: &Service, identity: IdentitySelector) -> (bool, State, Vec<ErrorReason>) {
    let request = InspectIdentityTokenRequest { identity: Some(identity) };
    let told = service.client().inspect_identity_token(request).await.unwrap().into_inner();
    let reasons = told.findings.iter().map(Finding::reason).collect();
    (told.active, told.identity.unwrap().state(), reasons)
}

#[tokio::test]
async fn an_answer_about_another_applications_token_ends_nothing() {
    let cases: [(IdentitySelector, Says, (&str, &str), &str); 2] = [
        (github(ADA), not_found, ("api.github.com", "/user"), "providers.github.client_id"),
        (crm(), inactive, ("api.crm.example", "/v1/me"), "providers.acme-crm.client_id"),
    ];
    for (identity, says, (host, path), key) in cases {
        let database = Database::new();
        let world = world(&database).await;
        world.sandbox.faults().script(says().always());
        let token = world.lend(identity.clone()).await.unwrap().access_token;
        let told = world.inspect(identity.clone()).await.unwrap();
        assert!(!told.active);
        let finding = &told.findings[0];
        let (reason, link) = (finding.reason(), finding.connect_url.as_str());
        assert_eq!((reason, link), (ErrorReason::ProviderNotConfigured, ""), "no login would help");
        assert!(finding.message.contains(&format!("`{key}`")), "{}", finding.message);
        let view = told.identity.unwrap();
        assert_eq!(view.state(), State::Active, "nobody knows that it is dead");
        assert!(world.list(&view.user_id).await.unwrap().contains(&view), "it is as it was");

        world.sandbox.faults().script(Fault::on(host).path(path).answer(401));
        assert_only_the_user_can_help(world.call(identity.clone(), get(path)).await);
        assert_eq!(world.lend(identity.clone()).await.unwrap().access_token, token, "{key}");
        assert_eq!(world.call(identity.clone(), get(path)).await.unwrap().status_code, 200);

        // The operator mends the configuration, and starts the service again.
        world.sandbox.faults().clear();
        let mended = world.replica(|config| database.configure(config)).await;
        assert_eq!(mended.lend(identity.clone()).await.unwrap().access_token, token, "{key}");
        let (active, state, reasons) = inspect(&mended, identity.clone()).await;
        assert_eq!((active, state), (true, State::Active), "{key}");
        assert!(!reasons.contains(&ErrorReason::ProviderNotConfigured), "{key}: {reasons:?}");
        assert_eq!(mended.lend(identity).await.unwrap().access_token, token, "{key}");
    }
}

#[tokio::test]
async fn once_the_application_is_proven_the_same_answer_is_a_word_of_death() {
    let cases: [(IdentitySelector, Says); 2] = [(github(ADA), not_found), (crm(), inactive)];
    for (identity, says) in cases {
        let database = Database::new();
        let world = world(&database).await;
        assert!(world.inspect(identity.clone()).await.unwrap().active);
        world.sandbox.faults().script(says());
        let dead = vec![ErrorReason::ReauthenticationRequired];
        let told = inspect(&world.service, identity.clone()).await;
        assert_eq!(told, (false, State::ReauthenticationRequired, dead), "{}", identity.provider);
        assert_only_the_user_can_help(world.lend(identity.clone()).await);
        assert!(world.inspect(identity.clone()).await.unwrap().active);
        assert!(world.lend(identity).await.is_ok(), "an answer of `active` takes it back");
    }
}

/// The other replica has heard of the death from the store, or has asked itself.
#[tokio::test]
async fn an_answer_of_active_takes_a_refusal_back_at_every_replica() {
    for asked_itself in [false, true] {
        let database = Database::new();
        let mut world = world(&database).await;
        let mut other = world.replica(|config| database.configure(config)).await;
        assert!(world.inspect(crm()).await.unwrap().active);
        assert!(inspect(&other, crm()).await.0);
        world.sandbox.faults().script(inactive());
        assert!(!world.inspect(crm()).await.unwrap().active);
        assert_only_the_user_can_help(world.lend(crm()).await);
        if asked_itself {
            world.sandbox.faults().script(inactive());
            assert!(!inspect(&other, crm()).await.0);
        }
        settle(&mut world, &mut other).await;
        eventually("the news of the death", async || other.lend(crm()).await.is_err()).await;
        assert_only_the_user_can_help(other.lend(crm()).await);

        assert!(world.inspect(crm()).await.unwrap().active);
        world.lend(crm()).await.expect("the provider says that it is active");
        settle(&mut world, &mut other).await;
        eventually("the news of its life", async || other.lend(crm()).await.is_ok()).await;
    }
}

/// As long as a replica may take to hear of it.
async fn settle(world: &mut World, other: &mut Service) {
    world.pass(10 * SECOND).await;
    other.reconnect();
}

/// A token that was refused is gone with a new login, whatever is said about the old one.
#[tokio::test]
async fn a_new_login_is_lent_after_the_old_token_was_called_dead() {
    let database = Database::new();
    let mut world = world(&database).await;
    assert!(world.inspect(crm()).await.unwrap().active);
    world.sandbox.faults().script(inactive());
    assert!(!world.inspect(crm()).await.unwrap().active);
    let new = world.sandbox.log_in(FRANCES, "acme-crm").unwrap();
    world.pass(Duration::from_secs(61)).await;
    let request = GetIdentityTokenRequest { identity: Some(crm()), ..Default::default() };
    assert_eq!(world.lend_with(request).await.unwrap().access_token, new);
}
