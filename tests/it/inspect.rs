//! InspectIdentityToken: what the provider says of a token, and what is to be mended.

use std::{sync::Arc, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::{
    config::Config,
    secret::Secret,
    service::pb::{
        self, ErrorReason, ExpiryBasis, GetIdentityTokenRequest, IdentitySelector,
        InspectIdentityTokenRequest, identity::State,
    },
};
use idp_token_testkit::{
    World, assert_error,
    database::Database,
    metadata,
    people::{ADA, ALAN, BARBARA, DONALD, FRANCES, GRACE, HEDY, KEN, at, crm, facebook, github, google},
    retry_after, within,
};
use serde_json::json;
use tonic::Code::{
    DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound, ResourceExhausted,
    Unavailable, Unimplemented,
};

const CRM: &str = "login.crm.example";

fn settings<'a>(config: &'a mut Config, name: &str) -> &'a mut idp_token_service::provider::Settings {
    &mut config.providers.get_mut(name).unwrap().settings
}

#[tokio::test]
async fn every_provider_tells_that_a_living_token_is_active_and_what_it_knows_besides() {
    let world = World::start().await;
    for (identity, scope, basis) in [
        (google(ADA), "https://www.googleapis.com/auth/calendar", ExpiryBasis::Provider),
        (github(ADA), "repo", ExpiryBasis::Unspecified),
        (facebook(ADA), "user_posts", ExpiryBasis::Provider),
        (crm(), "things.read", ExpiryBasis::Provider),
        (at(KEN, "bitbucket"), "repository", ExpiryBasis::LastLogin),
        (at(HEDY, "windowslive"), "", ExpiryBasis::LastLogin),
    ] {
        let inspected = world.inspect(identity.clone()).await.unwrap();
        assert!(inspected.active, "{}", identity.provider);
        assert!(
            scope.is_empty() && inspected.scopes.is_empty()
                || inspected.scopes.iter().any(|one| one == scope)
        );
        let view = inspected.identity.unwrap();
        assert_eq!((view.provider.as_str(), view.state()), (&*identity.provider, State::Active));
        assert_eq!(view.expiry_basis(), basis, "{}", identity.provider);
        assert_eq!(view.expire_time.is_some(), basis != ExpiryBasis::Unspecified);
    }
}

#[tokio::test]
async fn a_dead_token_is_known_to_be_dead_from_then_on() {
    for identity in [google(ADA), github(ADA), facebook(ADA)] {
        let world = World::start().await;
        assert!(world.inspect(identity.clone()).await.unwrap().active, "which proves the application, too");
        world.sandbox.revoke_token(ADA, &identity.provider).unwrap();
        world.lend(identity.clone()).await.expect("nobody knows yet");
        let inspected = world.inspect(identity.clone()).await.unwrap();
        assert!(!inspected.active, "{}", identity.provider);
        let view = inspected.identity.unwrap();
        let renewable = identity.provider == "google-oauth2";
        assert_eq!(view.state() == State::Active, renewable, "as far as is known");
        assert_eq!(view.expire_time, None, "it is not known when it ended");
        assert_error(world.lend(identity).await, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
}

#[tokio::test]
async fn other_replicas_learn_of_a_dead_token_through_the_store() {
    let database = Database::new();
    let world = World::configured(|config| database.configure(config)).await;
    assert!(world.inspect(github(ADA)).await.unwrap().active, "which proves the application, too");
    world.sandbox.revoke_token(ADA, "github").unwrap();
    assert!(!world.inspect(github(ADA)).await.unwrap().active);
    assert_eq!(database.number("SELECT count(*) FROM idp_token_record").await, 1);

    let later = world
        .replica(|config| {
            database.configure(config);
            config.auth0.profile_ttl = Duration::ZERO;
        })
        .await;
    assert_error(later.lend(github(ADA)).await, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    world.sandbox.log_in(ADA, "github").unwrap();
    idp_token_testkit::eventually("the new login", async || later.lend(github(ADA)).await.is_ok()).await;
}

#[tokio::test]
async fn an_inspection_finds_a_newer_login() {
    let world = World::start().await;
    world.lend(github(ADA)).await.unwrap();
    world.sandbox.expire_token(ADA, "github").unwrap();
    let new = world.sandbox.log_in(ADA, "github").unwrap();
    let inspected = world.inspect(github(ADA)).await.unwrap();
    assert!(inspected.active);
    assert_eq!(world.lend(github(ADA)).await.unwrap().access_token, new);
}

#[tokio::test]
async fn the_newest_token_is_inspected_and_none_is_renewed() {
    let world = World::configured(|config| settings(config, "acme-crm").rotates = Some(false)).await;
    let first = world.lend(crm()).await.unwrap();
    let rejected = GetIdentityTokenRequest {
        identity: Some(crm()),
        rejected_fingerprint: first.fingerprint,
        ..Default::default()
    };
    world.lend_with(rejected).await.unwrap();
    world.sandbox.expire_token(FRANCES, "acme-crm").unwrap();
    assert!(world.inspect(crm()).await.unwrap().active, "only the token of the profile has expired");

    world.sandbox.journal().clear();
    let inspected = world.inspect(google(BARBARA)).await.unwrap();
    let view = inspected.identity.unwrap();
    assert_eq!((inspected.active, view.state(), view.renewable), (false, State::Active, true));
    let asked = world.sandbox.journal().to("oauth2.googleapis.com");
    assert_eq!(asked.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), ["/tokeninfo"]);
}

#[tokio::test]
async fn whose_token_is_meant_must_be_clear() {
    let world = World::start().await;
    let nobody =
        world.service.client().inspect_identity_token(InspectIdentityTokenRequest { identity: None }).await;
    assert_error(nobody, InvalidArgument, "INVALID_FIELD");
    assert_error(world.inspect(github(GRACE)).await, FailedPrecondition, "IDENTITY_AMBIGUOUS");
    assert_error(world.inspect(google(DONALD)).await, NotFound, "IDENTITY_NOT_LINKED");
    assert_error(world.inspect(at(DONALD, "")).await, FailedPrecondition, "TOKEN_NOT_STORED");
    assert_error(world.inspect(google("auth0|nobody")).await, NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn a_provider_without_an_adapter_offers_no_inspection() {
    let world = World::configured(|config| drop(config.providers.remove("acme-crm"))).await;
    let details = assert_error(world.inspect(crm()).await, Unimplemented, "OPERATION_UNSUPPORTED");
    assert_eq!(metadata(&details, "operation"), "InspectIdentityToken");
}

#[tokio::test]
async fn keys_that_are_missing_are_named_in_full() {
    let world = World::configured(|config| {
        settings(config, "acme-crm").inspect_url = None;
        settings(config, "github").client_secret = None;
        settings(config, "facebook").client_id = None;
    })
    .await;
    for (identity, missing) in [
        (crm(), "providers.acme-crm.inspect_url"),
        (github(ADA), "providers.github.client_secret"),
        (facebook(ADA), "providers.facebook.client_id"),
    ] {
        let details =
            assert_error(world.inspect(identity).await, FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
        assert_eq!(metadata(&details, "missing"), missing);
    }
}

#[tokio::test]
async fn an_application_that_the_provider_refuses_is_the_operators_business() {
    let wrong = || Some(Arc::new(Secret::fixed("another")));
    let world = World::configured(|config| {
        settings(config, "acme-crm").client_secret = wrong();
        settings(config, "facebook").client_secret = wrong();
    })
    .await;
    for (identity, code) in [(crm(), "invalid_client"), (facebook(ADA), "190")] {
        let details = assert_error(
            world.inspect(identity.clone()).await,
            FailedPrecondition,
            "PROVIDER_NOT_CONFIGURED",
        );
        assert_eq!(metadata(&details, "code"), code);
        world.lend(identity).await.expect("the token is as good as before");
    }
}

#[tokio::test]
async fn a_secret_that_was_replaced_in_its_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "the one before").unwrap();
    let world = World::configured(|config| {
        settings(config, "acme-crm").client_secret = Some(Arc::new(Secret::from_file(&file).unwrap()));
    })
    .await;
    std::fs::write(&file, "sandbox-crm-secret").unwrap();
    assert!(world.inspect(crm()).await.unwrap().active);
}

#[tokio::test]
async fn a_provider_that_does_not_tell_says_nothing_against_the_token() {
    let world = World::start().await;
    for (fault, code, reason, wait) in [
        (
            Fault::on(CRM).answer(429).header("retry-after", "7"),
            ResourceExhausted,
            "PROVIDER_RATE_LIMITED",
            Some(7),
        ),
        (Fault::on(CRM).answer(503), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (Fault::on(CRM).answer(503).header("retry-after", "7"), Unavailable, "PROVIDER_UNAVAILABLE", Some(7)),
        (
            Fault::on(CRM).answer(503).json(&json!({"active": false})),
            Unavailable,
            "PROVIDER_UNAVAILABLE",
            Some(1),
        ),
        (Fault::on(CRM).empty(), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (Fault::on(CRM).garbage(), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (Fault::on(CRM).cut(), Unavailable, "PROVIDER_UNAVAILABLE", Some(1)),
        (
            Fault::on(CRM).answer(200).json(&json!({"active": "no"})),
            Unavailable,
            "PROVIDER_UNAVAILABLE",
            Some(1),
        ),
        (Fault::on(CRM).answer(200).body(vec![b'x'; 300 * 1024]), Internal, "PROVIDER_PROTOCOL", None),
    ] {
        world.sandbox.faults().script(fault);
        let details = assert_error(world.inspect(crm()).await, code, reason);
        assert_eq!(retry_after(&details), wait.map(Duration::from_secs));
        assert_eq!(details.quota_failure().is_some(), code == ResourceExhausted);
        world.lend(crm()).await.expect("the token is as good as before");
    }
    assert_eq!(world.sandbox.faults().pending(), 0);
}

#[tokio::test]
async fn a_scope_that_repeats_the_token_is_left_out() {
    let world = World::start().await;
    let token = world.sandbox.access_token(FRANCES, "acme-crm").unwrap();
    let echo = json!({"active": true, "scope": format!("profile {token} x{token}x"), "exp": "soon"});
    world.sandbox.faults().script(Fault::on(CRM).answer(200).json(&echo));
    let inspected = world.inspect(crm()).await.unwrap();
    assert_eq!((inspected.active, inspected.scopes), (true, vec!["profile".to_owned()]));
}

#[tokio::test]
async fn the_callers_deadline_ends_the_wait_for_a_provider() {
    let world = World::start().await;
    world.lend(google(ADA)).await.unwrap();
    world.sandbox.faults().script(Fault::on("oauth2.googleapis.com").hang());
    let request = InspectIdentityTokenRequest { identity: Some(google(ADA)) };
    let outcome =
        world.service.client().inspect_identity_token(within(Duration::from_secs(1), request)).await;
    let details = assert_error(outcome, DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(metadata(&details, "stage"), "provider");
}

#[tokio::test]
async fn without_the_store_it_is_not_known_which_token_is_the_newest() {
    let database = Database::new();
    drop(database.open().await.unwrap());
    let world = World::configured(|config| database.configure(config)).await.ready().await;
    database.sql("ALTER TABLE idp_token_record RENAME TO elsewhere").await;
    assert_error(world.inspect(google(ADA)).await, Unavailable, "STORE_UNAVAILABLE");
    assert_eq!(world.provider_calls("oauth2.googleapis.com"), 0);
}

#[tokio::test]
async fn an_inspection_ends_a_false_belief() {
    let world = World::start().await;
    assert!(world.inspect(github(ADA)).await.unwrap().active, "which proves the client, too");
    let not_found = Fault::on("api.github.com").path("/applications").answer(404);
    world.sandbox.faults().script(not_found.json(&json!({"message": "Not Found"})));
    assert!(!world.inspect(github(ADA)).await.unwrap().active);
    assert_error(world.lend(github(ADA)).await, FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert!(world.inspect(github(ADA)).await.unwrap().active);
    world.lend(github(ADA)).await.expect("the provider says that it is alive");
}

/// The findings' reasons, each with whether the user can mend it.
async fn findings(world: &World, identity: IdentitySelector) -> Vec<(ErrorReason, bool)> {
    let findings = world.inspect(identity).await.unwrap().findings;
    findings.iter().map(|finding| (finding.reason(), !finding.connect_url.is_empty())).collect()
}

#[tokio::test]
async fn of_healthy_identities_there_is_nothing_to_say() {
    let world = World::start().await;
    for identity in [google(ADA), github(ADA), facebook(ADA), google(BARBARA), at(HEDY, "windowslive")] {
        assert_eq!(findings(&world, identity.clone()).await, [], "{}", identity.provider);
    }
}

#[tokio::test]
async fn what_is_to_be_mended_is_said_with_where() {
    use ErrorReason::{ProviderNotConfigured, ReauthenticationRequired, RenewalFailed, ScopeNotGranted};
    let world = World::start().await;
    // No refresh token, and a login's scopes alone.
    let alan = world.inspect(google(ALAN)).await.unwrap().findings;
    let reasons: Vec<_> = alan.iter().map(pb::Finding::reason).collect();
    assert_eq!(reasons, [ReauthenticationRequired, ScopeNotGranted]);
    assert!(alan[0].connect_url.ends_with("&access_type=offline&prompt=consent"), "{}", alan[0].connect_url);

    // Refresh tokens that die at use, and a store that does not survive.
    let rotating = findings(&world, at(KEN, "bitbucket")).await;
    assert_eq!(rotating, [(ProviderNotConfigured, false)]);

    assert_eq!(findings(&world, github(ADA)).await, []);
    world.sandbox.revoke_token(ADA, "github").unwrap();
    assert_eq!(findings(&world, github(ADA)).await, [(ReauthenticationRequired, true)]);

    world.revoke(facebook(ADA)).await.unwrap();
    let revoked = world.inspect(facebook(ADA)).await.unwrap().findings;
    assert!(revoked.len() == 1 && revoked[0].message.contains("revoked through this service"), "{revoked:?}");

    world.sandbox.faults().script(Fault::on("oauth2.googleapis.com").path("/token").answer(503));
    world.lend(google(BARBARA)).await.unwrap_err();
    assert_eq!(findings(&world, google(BARBARA)).await, [(RenewalFailed, false)]);
}

#[tokio::test]
async fn a_grant_that_the_provider_ended_is_explained() {
    let world = World::start().await;
    world.sandbox.revoke_token(BARBARA, "google-oauth2").unwrap();
    world.lend(google(BARBARA)).await.unwrap_err();
    let found = world.inspect(google(BARBARA)).await.unwrap().findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].reason(), ErrorReason::ReauthenticationRequired);
    assert!(found[0].message.contains("(invalid_grant)"), "{found:?}");
    assert!(found[0].connect_url.contains("access_type=offline"), "{found:?}");
}

#[tokio::test]
async fn without_a_login_application_findings_have_no_link() {
    let world = World::configured(|config| config.connect = None).await;
    assert_eq!(findings(&world, google(ALAN)).await.iter().filter(|(_, link)| *link).count(), 0);
}
