//! What one service does about tokens that end: the ladder's last rung before the user.

use std::time::Duration;

use idp_token_sandbox::{Entry, Fault, Seed};
use idp_token_service::{
    config::Config,
    service::pb::{
        ErrorReason, ExpiryBasis, GetIdentityTokenRequest, Identity, IdentitySelector, TokenSource,
        identity::State,
    },
    token::Fingerprint,
};
use idp_token_testkit::{
    World, assert_error,
    database::Database,
    eventually, get,
    http::Read,
    metadata,
    people::{BARBARA, EDSGER, FRANCES, KEN, MARGARET, at, google},
    retry_after,
};
use tokio::task::JoinSet;
use tonic::Code;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const CALENDARS: &str = "/calendar/v3/users/me/calendarList";
const GOOGLE: &str = "oauth2.googleapis.com";

/// How often a host was asked for new tokens; the hosts of this file's providers answer nothing else.
fn requests(world: &World, host: &str) -> usize {
    world.provider_calls(host)
}

/// A token of `user` with `left` of its hour to live.
fn with_left(seed: &mut Seed, user: &str, left: Duration) {
    let user = seed.users.iter_mut().find(|one| one.id == user).unwrap();
    (user.identities[0].logged_in, user.identities[0].expires_in) = (HOUR - left, Some(HOUR));
}

fn wanting(identity: IdentitySelector, min_validity: Duration) -> GetIdentityTokenRequest {
    let min_validity = prost_types::Duration::try_from(min_validity).unwrap();
    GetIdentityTokenRequest {
        identity: Some(identity),
        min_validity: Some(min_validity),
        ..Default::default()
    }
}

/// What somebody asks for whose token of Barbara's was refused.
fn reporting(token: &str) -> GetIdentityTokenRequest {
    GetIdentityTokenRequest {
        identity: Some(google(BARBARA)),
        rejected_fingerprint: Fingerprint::of(token).to_string(),
        ..Default::default()
    }
}

/// Google's answers to requests for new tokens.
fn google_fails(world: &World) {
    world.sandbox.faults().script(Fault::on(GOOGLE).answer(503).always());
}

async fn barbara(world: &World) -> Identity {
    world.list(BARBARA).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_expired_token_is_renewed_for_whoever_borrows_it_and_kept() {
    let world = World::start().await;
    let old = world.sandbox.access_token(BARBARA, "google-oauth2").unwrap();
    let lent = world.lend(google(BARBARA)).await.unwrap();
    assert!(lent.access_token != old && world.sandbox.is_alive(&lent.access_token));
    assert_eq!(lent.source(), TokenSource::Renewed);
    let identity = lent.identity.unwrap();
    assert_eq!((identity.state(), identity.expiry_basis()), (State::Active, ExpiryBasis::Provider));
    assert!(identity.renewable && identity.last_renewal_error() == ErrorReason::Unspecified);
    assert_eq!(world.lend(google(BARBARA)).await.unwrap().access_token, lent.access_token);
    assert_eq!(barbara(&world).await.expire_time, identity.expire_time);
    assert_eq!(requests(&world, GOOGLE), 1);
}

#[tokio::test]
async fn an_expired_token_is_renewed_for_a_call_which_says_so() {
    let world = World::start().await;
    let first = world.call(google(BARBARA), get(CALENDARS)).await.unwrap();
    assert_eq!((first.status_code, first.report().attempts, first.report().token_renewed), (200, 1, true));
    let second = world.call(google(BARBARA), get(CALENDARS)).await.unwrap();
    assert_eq!((second.status_code, second.report().token_renewed), (200, false));
    assert_eq!(requests(&world, GOOGLE), 1);
}

#[tokio::test]
async fn a_token_that_the_provider_refuses_is_renewed_once_and_the_call_is_made_a_second_time() {
    let world = World::start().await;
    let old = world.lend(google(BARBARA)).await.unwrap().access_token;
    let world = after(world, MINUTE).await;
    // Google ends the access token and keeps the grant, as it does with tokens over its limit for one user.
    let faults = world.sandbox.faults();
    faults.script(Fault::on("www.googleapis.com").answer(401));
    faults.script(Fault::on(GOOGLE).path("/tokeninfo").answer(400).body(r#"{"error":"invalid_token"}"#));
    let answer = world.call(google(BARBARA), get(CALENDARS)).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (200, 2));
    assert!(answer.report().token_renewed);
    assert_eq!(requests(&world, GOOGLE), 3, "two renewals, and a question before the second");
    assert_ne!(world.lend(google(BARBARA)).await.unwrap().access_token, old);
}

/// The world some time later.
async fn after(mut world: World, time: Duration) -> World {
    world.pass(time).await;
    world
}

#[tokio::test]
async fn a_provider_that_refuses_new_tokens_too_is_not_asked_for_more() {
    let world = World::start().await;
    world.sandbox.faults().script(Fault::on("www.googleapis.com").answer(401).always());
    for _ in 0..5 {
        let answer = world.call(google(BARBARA), get(CALENDARS)).await.unwrap();
        assert_eq!(answer.status_code, 401, "the token lives, so the refusal is the answer");
    }
    assert_eq!(requests(&world, GOOGLE), 2, "one renewal, and one question whether the new token lives");
}

#[tokio::test]
async fn a_caller_who_reports_an_old_token_gets_the_new_one_at_no_request() {
    let world = World::start().await;
    let old = world.sandbox.access_token(BARBARA, "google-oauth2").unwrap();
    let new = world.lend(google(BARBARA)).await.unwrap().access_token;
    assert_eq!(world.lend_with(reporting(&old)).await.unwrap().access_token, new);
    assert_eq!(requests(&world, GOOGLE), 1);
    let details = assert_error(world.lend_with(reporting(&new)).await, Code::Unavailable, "RENEWAL_FAILED");
    assert!(retry_after(&details).is_some_and(|wait| wait > SECOND && wait <= 30 * SECOND));
    let world = after(world, 31 * SECOND).await;
    let newer = world.lend_with(reporting(&new)).await.unwrap().access_token;
    assert!(newer != new && newer != old);
    assert_eq!(requests(&world, GOOGLE), 2);
}

#[tokio::test]
async fn a_token_in_use_is_renewed_ahead_of_its_end_while_callers_get_the_old_one_at_once() {
    let world = World::seeded(|seed| with_left(seed, BARBARA, 2 * MINUTE)).await;
    world.sandbox.faults().script(Fault::on(GOOGLE).delay(SECOND));
    let old = world.sandbox.access_token(BARBARA, "google-oauth2").unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let (mut client, request) = (world.service.client(), wanting(google(BARBARA), MINUTE));
        calls.spawn(async move { client.get_identity_token(request).await.unwrap().into_inner() });
    }
    assert!(calls.join_all().await.iter().all(|lent| lent.access_token == old));
    eventually("the new token", async || world.lend(google(BARBARA)).await.unwrap().access_token != old)
        .await;
    assert_eq!(requests(&world, GOOGLE), 1);
    assert_eq!(world.lend(google(BARBARA)).await.unwrap().source(), TokenSource::Renewed);
}

#[tokio::test]
async fn a_token_far_from_its_end_is_not_renewed_ahead() {
    let mut world = World::seeded(|seed| with_left(seed, BARBARA, 20 * MINUTE)).await;
    for _ in 0..3 {
        world.lend(google(BARBARA)).await.unwrap();
    }
    // It would wait for a renewal that is under way.
    world.service.begin_to_stop();
    world.service.stopped().await;
    assert_eq!(requests(&world, GOOGLE), 0);
}

#[tokio::test]
async fn while_a_renewal_ahead_fails_the_old_token_is_lent_with_the_failure_but_never_for_longer_than_it_lives()
 {
    let world = World::seeded(|seed| with_left(seed, BARBARA, 2 * MINUTE)).await;
    google_fails(&world);
    let old = world.lend(google(BARBARA)).await.unwrap().access_token;
    eventually("the failure", async || {
        barbara(&world).await.last_renewal_error() == ErrorReason::RenewalFailed
    })
    .await;
    let lent = world.lend(google(BARBARA)).await.unwrap();
    assert_eq!(lent.access_token, old);
    let identity = lent.identity.unwrap();
    assert!(identity.renewable && identity.state() == State::Active);
    assert_eq!(identity.last_renewal_error(), ErrorReason::RenewalFailed);

    let outcome = world.lend_with(wanting(google(BARBARA), 5 * MINUTE)).await;
    let details = assert_error(outcome, Code::Unavailable, "RENEWAL_FAILED");
    assert_eq!(metadata(&details, "provider"), "google-oauth2");
    assert_eq!(metadata(&details, "connection"), "google-oauth2");
    assert!(retry_after(&details).is_some_and(|wait| wait <= 5 * SECOND));

    world.sandbox.faults().clear();
    let world = after(world, 6 * SECOND).await;
    let new = world.lend_with(wanting(google(BARBARA), 5 * MINUTE)).await.unwrap();
    assert_ne!(new.access_token, old);
    assert_eq!(barbara(&world).await.last_renewal_error(), ErrorReason::Unspecified);
}

#[tokio::test]
async fn no_token_is_promised_to_live_longer_than_those_of_its_provider_do() {
    let world = World::start().await;
    world.lend(google(BARBARA)).await.unwrap();
    let world = after(world, MINUTE).await;
    let outcome = world.lend_with(wanting(google(BARBARA), HOUR)).await;
    let details = assert_error(outcome, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(metadata(&details, "field"), "min_validity");
    assert_eq!(requests(&world, GOOGLE), 1, "and no renewal is wasted on it");
}

#[tokio::test]
async fn a_newer_login_wins_over_what_was_renewed() {
    let world = World::configured(|config| config.auth0.profile_ttl = Duration::ZERO).await;
    let renewed = world.lend(google(BARBARA)).await.unwrap().access_token;
    let login = world.sandbox.log_in(BARBARA, "google-oauth2").unwrap();
    let lent = world.lend(google(BARBARA)).await.unwrap();
    assert_eq!(lent.access_token, login);
    assert_eq!(lent.source(), TokenSource::Auth0Profile);
    assert!(renewed != login && requests(&world, GOOGLE) == 1);
}

#[tokio::test]
async fn the_refresh_token_of_an_earlier_consent_serves_after_a_login_that_brought_none() {
    let world = World::configured(|config| config.auth0.profile_ttl = Duration::ZERO).await;
    world.lend(google(BARBARA)).await.unwrap();
    let login = world.sandbox.log_in(BARBARA, "google-oauth2").unwrap();
    assert_eq!(world.sandbox.refresh_token(BARBARA, "google-oauth2"), None, "as Google does");
    let renewed = world.lend_with(reporting(&login)).await.unwrap();
    assert!(renewed.access_token != login && renewed.source() == TokenSource::Renewed);
    assert_eq!(requests(&world, GOOGLE), 2);
}

#[tokio::test]
async fn only_the_providers_word_ends_a_grant_and_then_the_user_is_asked_for() {
    let world = World::start().await;
    world.sandbox.revoke_token(BARBARA, "google-oauth2").unwrap();
    for _ in 0..3 {
        let outcome = world.lend(google(BARBARA)).await;
        let details = assert_error(outcome, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        let link = &details.help().unwrap().links[0];
        assert!(link.url.contains("connection=google-oauth2"), "{}", link.url);
    }
    assert_eq!(requests(&world, GOOGLE), 1, "what the provider said is remembered");
    let identity = barbara(&world).await;
    assert_eq!((identity.state(), identity.renewable), (State::ReauthenticationRequired, false));
    assert_eq!(identity.last_renewal_error(), ErrorReason::ReauthenticationRequired);
    world.sandbox.log_in_with_consent(BARBARA, "google-oauth2").unwrap();
    let world = after(world, MINUTE).await;
    assert!(world.lend(google(BARBARA)).await.is_ok());
}

#[tokio::test]
async fn whatever_else_goes_wrong_passes_and_the_grant_is_kept() {
    type Spoil = fn(Fault) -> Fault;
    let spoils: [Spoil; 8] = [
        |fault| fault.answer(408),
        |fault| fault.answer(429).header("retry-after", "3"),
        |fault| fault.answer(500),
        |fault| fault.answer(503),
        Fault::empty,
        Fault::garbage,
        Fault::cut,
        |fault| fault.cut_body(10),
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let world = World::start().await;
        world.sandbox.faults().script(spoil(Fault::on(GOOGLE)));
        let outcome = world.lend(google(BARBARA)).await;
        let details = assert_error(outcome, Code::Unavailable, "RENEWAL_FAILED");
        assert!(retry_after(&details).is_some_and(|wait| wait > SECOND), "{index}");
        let identity = barbara(&world).await;
        assert_eq!((identity.state(), identity.renewable), (State::Active, true), "{index}");
        let world = after(world, 6 * SECOND).await;
        assert!(world.lend(google(BARBARA)).await.is_ok(), "{index}");
        assert_eq!(requests(&world, GOOGLE), 2, "{index}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_for_hours_is_asked_as_often_as_its_rests_allow_whatever_the_callers_do() {
    const STEP: Duration = Duration::from_secs(15);
    let mut world = World::with(
        |seed| (seed.management.requests_per_second, seed.management.burst) = (1e6, 1_000_000),
        |config| config.auth0.profile_ttl = HOUR,
    )
    .await;
    google_fails(&world);
    let hours = 3;
    for _ in 0..hours * HOUR.as_secs() / STEP.as_secs() {
        for _ in 0..3 {
            let outcome = world.lend(google(BARBARA)).await;
            assert_error(outcome, Code::Unavailable, "RENEWAL_FAILED");
        }
        world.pass(STEP).await;
    }
    // Rests of 5 s at most double up to 5 min, and half of each is jitter.
    let asked = u64::try_from(requests(&world, GOOGLE)).unwrap();
    let (fewest, most) = (hours * 3600 / (300 + STEP.as_secs()), 8 + hours * 3600 / 150);
    assert!((fewest..=most).contains(&asked), "{asked} requests");
    world.sandbox.faults().clear();
    world.pass(5 * MINUTE).await;
    assert!(world.lend(google(BARBARA)).await.is_ok(), "it recovers by itself");
}

/// The providers whose refresh tokens die at use.
fn rotating() -> [(IdentitySelector, &'static str); 3] {
    [
        (at(KEN, "bitbucket"), "bitbucket.org"),
        (at(MARGARET, "github"), "github.com"),
        (at(FRANCES, "oauth2"), "login.crm.example"),
    ]
}

fn expired(seed: &mut Seed) {
    [KEN, MARGARET, FRANCES].into_iter().for_each(|user| with_left(seed, user, Duration::ZERO));
}

#[tokio::test]
async fn refresh_tokens_that_die_at_use_are_used_only_where_the_new_ones_survive() {
    let world = World::seeded(expired).await;
    for (identity, host) in rotating() {
        let outcome = world.lend(identity.clone()).await;
        let details = assert_error(outcome, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
        assert_eq!(metadata(&details, "missing"), "store.url");
        assert_eq!(metadata(&details, "provider"), identity.provider);
        assert!(!world.list(&identity.user_id).await.unwrap()[0].renewable);
        assert_eq!(requests(&world, host), 0);
    }
}

#[tokio::test]
async fn with_a_durable_store_they_are_used_and_what_is_new_survives_the_process() {
    let database = Database::new();
    let world = World::with(expired, |config| database.configure(config)).await;
    let mut config = idp_token_service::cli::sandbox_config(
        &world.sandbox,
        idp_token_testkit::ANYWHERE,
        idp_token_testkit::ANYWHERE,
    );
    database.configure(&mut config);
    let mut lent = Vec::new();
    for (identity, _) in rotating() {
        let token = world.lend(identity).await.unwrap();
        assert_eq!(token.source(), TokenSource::Renewed);
        lent.push(token.access_token);
    }
    let World { sandbox, service } = world;
    drop(service);
    let world = World { service: idp_token_testkit::Service::start(&config).await, sandbox };
    for ((identity, host), token) in rotating().into_iter().zip(lent) {
        assert_eq!(world.lend(identity).await.unwrap().access_token, token);
        assert_eq!(requests(&world, host), 1);
    }
    assert_eq!(world.sandbox.reuse().requests, 0);
}

#[tokio::test]
async fn keys_that_are_missing_for_a_renewal_are_named_where_there_is_something_to_renew() {
    let bare = |config: &mut Config| {
        let google = config.providers.get_mut("google-oauth2").unwrap();
        (google.settings.client_id, google.settings.client_secret) = (None, None);
    };
    let world = World::configured(bare).await;
    let details =
        assert_error(world.lend(google(BARBARA)).await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    let missing = "providers.google-oauth2.client_id,providers.google-oauth2.client_secret";
    assert_eq!(metadata(&details, "missing"), missing);
    let nothing_held = world.lend(google(EDSGER)).await;
    assert_error(nothing_held, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(requests(&world, GOOGLE), 0);
}

#[tokio::test]
async fn an_application_that_the_provider_refuses_is_an_operators_matter_and_costs_no_grant() {
    let wrong = |config: &mut Config| {
        let google = config.providers.get_mut("google-oauth2").unwrap();
        google.settings.client_secret =
            Some(std::sync::Arc::new(idp_token_service::secret::Secret::fixed("wrong")));
    };
    let world = World::configured(wrong).await;
    assert_error(world.lend(google(BARBARA)).await, Code::Unavailable, "RENEWAL_FAILED");
    let identity = barbara(&world).await;
    assert_eq!((identity.state(), identity.renewable), (State::Active, true));
    let is_renewal = |entry: &Entry| entry.host == GOOGLE;
    assert_eq!(world.sandbox.journal().count(is_renewal), 1);
}
