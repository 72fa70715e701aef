//! RevokeIdentityToken: dead at the provider, and never used again here.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::{
    config::Config,
    secret::Secret,
    service::pb::{
        GetIdentityTokenRequest, Identity, IdentitySelector, ListIdentitiesRequest,
        RevokeIdentityTokenRequest, identity::State,
    },
};
use idp_token_testkit::{
    World, assert_error,
    database::Database,
    eventually, get, metadata,
    people::{ADA, BARBARA, DONALD, GRACE, HEDY, KEN, at, crm, facebook, github, google},
    retry_after, within,
};
use tonic::Code::{
    FailedPrecondition, Internal, InvalidArgument, NotFound, ResourceExhausted, Unavailable, Unimplemented,
};

const CRM: &str = "login.crm.example";
const FRESH: fn(&mut Config) = |config| config.auth0.profile_ttl = Duration::ZERO;

/// The connection of a selector, as the sandbox names it.
fn connection(identity: &IdentitySelector) -> &str {
    if identity.provider == "oauth2" { "acme-crm" } else { &identity.provider }
}

async fn state(world: &World, identity: &IdentitySelector) -> State {
    let identities = world.list(&identity.user_id).await.unwrap();
    identities.iter().find(|one| one.provider == identity.provider).unwrap().state()
}

/// What can be said of an identity whose token is at hand, or is not.
async fn assert_gone(world: &World, identity: &IdentitySelector) {
    let lent = world.lend(identity.clone()).await;
    assert_error(lent, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(state(world, identity).await, State::ReauthenticationRequired);
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_the_provider_and_not_lent_until_the_next_login() {
    for identity in [google(ADA), github(ADA), facebook(ADA), crm()] {
        let world = World::configured(FRESH).await;
        let (user, connection) = (identity.user_id.as_str(), connection(&identity));
        let old = world.sandbox.access_token(user, connection).unwrap();
        world.lend(identity.clone()).await.unwrap();

        let after = world.revoke(identity.clone()).await.unwrap();
        assert_eq!(
            (after.provider.as_str(), after.state()),
            (&*identity.provider, State::ReauthenticationRequired)
        );
        assert!(!after.renewable, "{connection}");
        assert!(!world.sandbox.is_alive(&old), "{connection}");
        assert_eq!(world.sandbox.access_token(user, connection), Some(old.clone()), "Auth0 still has it");
        assert_gone(&world, &identity).await;
        let call = world.call(identity.clone(), get("/me")).await;
        assert_error(call, FailedPrecondition, "REAUTHENTICATION_REQUIRED");

        let new = world.sandbox.log_in(user, connection).unwrap();
        assert_eq!(world.lend(identity.clone()).await.unwrap().access_token, new, "{connection}");
        assert_eq!(state(&world, &identity).await, State::Active);
    }
}

#[tokio::test]
async fn the_refresh_token_of_the_profile_is_not_used_after_a_revocation() {
    let world = World::start().await;
    assert_eq!(state(&world, &google(BARBARA)).await, State::Active, "it can be renewed");
    world.revoke(google(BARBARA)).await.unwrap();
    assert_gone(&world, &google(BARBARA)).await;
    let paths: Vec<_> =
        world.sandbox.journal().to("oauth2.googleapis.com").into_iter().map(|one| one.path).collect();
    assert_eq!(paths, ["/revoke"]);
}

#[tokio::test]
async fn revoking_a_dead_token_is_no_error() {
    for identity in [google(ADA), github(ADA), facebook(ADA), crm()] {
        let world = World::start().await;
        world.sandbox.revoke_token(&identity.user_id, connection(&identity)).unwrap();
        for _ in 0..2 {
            let after = world.revoke(identity.clone()).await.unwrap();
            assert_eq!(after.state(), State::ReauthenticationRequired, "{}", identity.provider);
        }
        assert_gone(&world, &identity).await;
    }
}

#[tokio::test]
async fn both_the_renewed_token_and_that_of_the_profile_are_revoked() {
    let seed = |config: &mut Config| {
        config.providers.get_mut("acme-crm").unwrap().settings.rotates = Some(false);
    };
    let world = World::configured(seed).await;
    let first = world.lend(crm()).await.unwrap();
    let rejected = GetIdentityTokenRequest {
        identity: Some(crm()),
        rejected_fingerprint: first.fingerprint,
        ..Default::default()
    };
    let second = world.lend_with(rejected).await.unwrap();
    assert_ne!(first.access_token, second.access_token);
    assert!(world.sandbox.is_alive(&first.access_token) && world.sandbox.is_alive(&second.access_token));

    world.revoke(crm()).await.unwrap();
    assert!(!world.sandbox.is_alive(&first.access_token) && !world.sandbox.is_alive(&second.access_token));
    assert_gone(&world, &crm()).await;
}

#[tokio::test]
async fn where_the_provider_offers_no_revocation_nothing_happens() {
    for (identity, host) in
        [(at(KEN, "bitbucket"), "bitbucket.org"), (at(HEDY, "windowslive"), "graph.microsoft.com")]
    {
        let world = World::start().await;
        let outcome = world.revoke(identity.clone()).await;
        let details = assert_error(outcome, Unimplemented, "OPERATION_UNSUPPORTED");
        assert_eq!(metadata(&details, "operation"), "RevokeIdentityToken");
        assert_eq!(metadata(&details, "provider"), identity.provider);
        assert_eq!(world.provider_calls(host), 0);
        world.lend(identity).await.unwrap();
    }
}

#[tokio::test]
async fn whose_token_is_meant_must_be_clear() {
    let world = World::start().await;
    let nobody =
        world.service.client().revoke_identity_token(RevokeIdentityTokenRequest { identity: None }).await;
    assert_error(nobody, InvalidArgument, "INVALID_FIELD");
    assert_error(world.revoke(github(GRACE)).await, FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert_error(world.revoke(google(DONALD)).await, NotFound, "IDENTITY_NOT_LINKED");
    assert_error(world.revoke(at(DONALD, "")).await, FailedPrecondition, "TOKEN_NOT_STORED");
    assert_error(world.revoke(google("auth0|nobody")).await, NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn keys_that_are_missing_are_named_in_full() {
    let world = World::configured(|config| {
        let settings = &mut config.providers.get_mut("acme-crm").unwrap().settings;
        (settings.revoke_url, settings.client_secret) = (None, None);
    })
    .await;
    let details = assert_error(world.revoke(crm()).await, FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    let missing = "providers.acme-crm.client_secret,providers.acme-crm.revoke_url";
    assert_eq!(metadata(&details, "missing"), missing);
}

#[tokio::test]
async fn an_application_that_the_provider_refuses_is_the_operators_business() {
    let world = World::configured(|config| {
        let settings = &mut config.providers.get_mut("acme-crm").unwrap().settings;
        settings.client_secret = Some(Arc::new(Secret::fixed("another")));
    })
    .await;
    let details = assert_error(world.revoke(crm()).await, FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    let keys = "providers.acme-crm.client_id,providers.acme-crm.client_secret";
    assert_eq!((metadata(&details, "code"), metadata(&details, "missing")), ("invalid_client", keys));
    world.lend(crm()).await.expect("the token lives on");
}

#[tokio::test]
async fn a_secret_that_was_replaced_in_its_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "the one before").unwrap();
    let world = World::configured(|config| {
        let settings = &mut config.providers.get_mut("acme-crm").unwrap().settings;
        settings.client_secret = Some(Arc::new(Secret::from_file(&file).unwrap()));
    })
    .await;
    std::fs::write(&file, "sandbox-crm-secret").unwrap();
    world.revoke(crm()).await.unwrap();
    assert_eq!(world.provider_calls(CRM), 2);
}

#[tokio::test]
async fn a_provider_that_does_not_do_it_leaves_everything_as_it_was() {
    let world = World::start().await;
    let throttled = || Fault::on(CRM).answer(429).header("retry-after", "7");
    for (fault, code, reason, wait) in [
        (throttled(), ResourceExhausted, "PROVIDER_RATE_LIMITED", Some(7)),
        (Fault::on(CRM).answer(503), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (
            Fault::on(CRM).answer(500).json(&serde_json::json!({"error": "invalid_grant"})),
            Unavailable,
            "PROVIDER_UNAVAILABLE",
            Some(1),
        ),
        (Fault::on(CRM).answer(302).header("location", "/"), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (Fault::on(CRM).answer(503).header("retry-after", "7"), Unavailable, "PROVIDER_UNAVAILABLE", Some(7)),
        (Fault::on(CRM).cut(), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (Fault::on(CRM).answer(200).body(vec![b'x'; 300 * 1024]), Internal, "PROVIDER_PROTOCOL", None),
    ] {
        world.sandbox.faults().script(fault);
        let details = assert_error(world.revoke(crm()).await, code, reason);
        assert_eq!(retry_after(&details), wait.map(Duration::from_secs));
        assert_eq!(details.quota_failure().is_some(), code == ResourceExhausted);
        assert_eq!(metadata(&details, "provider"), "oauth2");
        world.lend(crm()).await.expect("the token lives on");
    }
    assert_eq!(world.sandbox.faults().pending(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cut_it_short() {
    let world = World::start().await;
    world.lend(google(ADA)).await.unwrap();
    let slow = Fault::on("oauth2.googleapis.com").path("/revoke").processed().delay(Duration::from_secs(2));
    world.sandbox.faults().script(slow);
    let request = RevokeIdentityTokenRequest { identity: Some(google(ADA)) };
    let hurried = within(Duration::from_secs(1), request);
    world.service.client().revoke_identity_token(hurried).await.unwrap_err();
    eventually("the end of the revocation", async || world.lend(google(ADA)).await.is_err()).await;
    assert_gone(&world, &google(ADA)).await;
}

#[tokio::test]
async fn other_replicas_and_later_ones_know_of_it() {
    let database = Database::new();
    let mut world = World::configured(|config| database.configure(config)).await;
    let mut other = world.replica(|config| database.configure(config)).await;
    other.lend(github(ADA)).await.unwrap();
    world.revoke(github(ADA)).await.unwrap();

    let later = world.replica(|config| database.configure(config)).await;
    assert_error(later.lend(github(ADA)).await, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    world.pass(Duration::from_secs(20)).await;
    other.reconnect();
    assert_error(other.lend(github(ADA)).await, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    let request = ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() };
    let listed = later.client().list_identities(request).await.unwrap().into_inner().identities;
    let states: Vec<_> = listed.iter().map(Identity::state).collect();
    assert_eq!(states, [State::Active, State::ReauthenticationRequired, State::Active]);
}

#[tokio::test]
async fn without_the_store_nothing_is_sent() {
    let database = Database::new();
    drop(database.open().await.unwrap());
    let world = World::configured(|config| database.configure(config)).await.ready().await;
    let full = "BEFORE INSERT ON idp_token_lease BEGIN SELECT RAISE(FAIL, 'full'); END";
    database.sql(&format!("CREATE TRIGGER full {full}")).await;
    assert_error(world.revoke(google(ADA)).await, Unavailable, "STORE_UNAVAILABLE");
    assert_eq!(world.provider_calls("oauth2.googleapis.com"), 0);
    world.lend(google(ADA)).await.expect("the token lives on");

    database.sql("DROP TRIGGER full").await;
    world.revoke(google(ADA)).await.expect("the store is back");
    assert_gone(&world, &google(ADA)).await;
}

#[tokio::test]
async fn what_could_not_be_stored_is_still_not_lent_by_this_replica() {
    let database = Database::new();
    drop(database.open().await.unwrap());
    let world = World::configured(|config| database.configure(config)).await.ready().await;
    let full = "BEFORE INSERT ON idp_token_record BEGIN SELECT RAISE(FAIL, 'full'); END";
    database.sql(&format!("CREATE TRIGGER full {full}")).await;
    assert_error(world.revoke(google(ADA)).await, Unavailable, "STORE_UNAVAILABLE");
    assert_gone(&world, &google(ADA)).await;
    database.sql("DROP TRIGGER full").await;
    world.revoke(google(ADA)).await.expect("trying again helps");
    assert_eq!(database.number("SELECT count(*) FROM idp_token_record").await, 1);
}

#[tokio::test]
async fn ten_revocations_at_once_all_succeed() {
    let world = World::start().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut client = world.service.client();
        let request = RevokeIdentityTokenRequest { identity: Some(google(ADA)) };
        calls.spawn(async move { client.revoke_identity_token(request).await.map(|_| ()) });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_gone(&world, &google(ADA)).await;
}
