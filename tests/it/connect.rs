//! Connect links: made, carried by errors, and followed to a login that mends what was wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use idp_token_sandbox::Fault;
use idp_token_service::{
    audit::AuditScope,
    auth0::{Auth0, connect::LoginApplication},
    broker::{Broker, Error, Lend},
    caller::Caller,
    context::Ctx,
    deadline::Deadline,
    identity::{Selector, UserId},
    policy::{GetIdentityToken, Policy},
    provider::{self, Settings},
    provider_client::{ProviderClient, Providers},
    secret::Secret,
    service::pb::{CreateConnectLinkRequest, ErrorReason, GetIdentityTokenRequest},
    store::Store,
    telemetry::Metrics,
    tokens::Tokens,
    transport::Transport,
};
use idp_token_testkit::{
    World, assert_error, get,
    http::Read,
    memory, metadata, pair,
    people::{ADA, ALAN, EDSGER, github, google},
    post,
};
use tonic::{Code, Status};
use url::Url;

const EVENTS: &str = "/calendar/v3/calendars/primary/events";
const CALENDAR: &str = "https://www.googleapis.com/auth/calendar";
const BACK: &str = "http://127.0.0.1:3000/connected";

/// A request for a link that is right, for Google.
fn wanted() -> CreateConnectLinkRequest {
    CreateConnectLinkRequest {
        connection: "google-oauth2".to_owned(),
        redirect_uri: BACK.to_owned(),
        ..Default::default()
    }
}

async fn link(world: &World, request: CreateConnectLinkRequest) -> Result<String, Status> {
    world.service.client().create_connect_link(request).await.map(|answer| answer.into_inner().url)
}

/// The parameters of a link.
fn parameters(link: &str) -> HashMap<String, String> {
    Url::parse(link).unwrap().query_pairs().into_owned().collect()
}

/// Opens a link as a browser does, chooses `user` on the page, and says where that leads.
async fn follow(link: &str, user: &str) -> Url {
    let policy = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
    let page = browser.get(link).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    let mut choice = Url::parse(link).unwrap();
    choice.query_pairs_mut().append_pair("sandbox_user", user);
    let path = choice.as_str().split_once("/authorize").unwrap().1.replace('&', "&amp;");
    assert!(page.contains(&format!("/authorize{path}")), "{path} is not on the page: {page}");
    let answer = browser.get(choice).send().await.unwrap();
    Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_call_that_lacks_a_scope_carries_the_link_that_mends_it() {
    let mut world = World::start().await;
    let refused = world.call(google(ALAN), get(EVENTS)).await.unwrap();
    let diagnosis = refused.diagnosis();
    assert_eq!((refused.status_code, diagnosis.reason()), (403, ErrorReason::ScopeNotGranted));
    assert!(diagnosis.missing_scopes.contains(&CALENDAR.to_owned()), "{diagnosis:?}");
    let asked = parameters(&diagnosis.connect_url);
    assert_eq!(asked["connection_scope"], diagnosis.missing_scopes.join(","));

    let back = follow(&diagnosis.connect_url, ALAN).await;
    assert!(back.as_str().starts_with(BACK) && back.query().unwrap().contains("code="), "{back}");
    // The kept profile would do for a minute, but not for a call that lacks a scope.
    world.pass(Duration::from_secs(6)).await;
    let answer = world.call(google(ALAN), get(EVENTS)).await.unwrap();
    assert_eq!((answer.status_code, answer.report().attempts), (200, 2));
}

#[tokio::test]
async fn a_post_whose_second_answer_is_lost_is_not_said_to_be_refused_for_its_scopes() {
    let mut world = World::start().await;
    let refused = world.call(google(ALAN), post(EVENTS, "{}")).await.unwrap();
    follow(&refused.diagnosis().connect_url, ALAN).await;
    world.pass(Duration::from_secs(6)).await;
    world.sandbox.journal().clear();
    let lost = Fault::on("www.googleapis.com").after(1).processed().cut();
    world.sandbox.faults().script(lost);
    let outcome = world.call(google(ALAN), post(EVENTS, "{}")).await;
    assert_error(outcome, Code::Aborted, "PROVIDER_UNAVAILABLE");
    assert_eq!(world.provider_calls("www.googleapis.com"), 2);
}

#[tokio::test]
async fn calls_that_lack_a_scope_do_not_have_the_profile_read_each_time() {
    let world = World::start().await.ready().await;
    for _ in 0..20 {
        let refused = world.call(google(ALAN), get(EVENTS)).await.unwrap();
        assert_eq!((refused.status_code, refused.report().attempts), (403, 1));
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 1);
}

#[tokio::test]
async fn a_link_brings_a_refresh_token_and_hands_the_state_back() {
    let world = World::start().await;
    assert_eq!(world.sandbox.refresh_token(ALAN, "google-oauth2"), None);
    let state = "s=1&t=ü %20+\n".to_owned();
    let scopes = vec![CALENDAR.to_owned(), "openid".to_owned()];
    let asking = CreateConnectLinkRequest { scopes, offline_access: true, state, ..wanted() };
    let link = link(&world, asking.clone()).await.unwrap();
    let asked = parameters(&link);
    assert!(link.starts_with(&format!("{}/authorize?", world.sandbox.url())), "{link}");
    assert_eq!((&*asked["response_type"], &*asked["client_id"]), ("code", "sandbox-login"));
    assert_eq!((&*asked["access_type"], &*asked["prompt"]), ("offline", "consent"));
    assert_eq!(asked["connection_scope"], format!("{CALENDAR},openid"));

    let back = follow(&link, ALAN).await;
    assert!(back.query_pairs().any(|(name, value)| name == "state" && value == asking.state), "{back}");
    assert!(world.sandbox.refresh_token(ALAN, "google-oauth2").is_some());
}

#[tokio::test]
async fn without_offline_access_no_consent_is_forced() {
    let world = World::start().await;
    let asked = parameters(&link(&world, wanted()).await.unwrap());
    let mut names: Vec<_> = asked.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "connection", "redirect_uri", "response_type", "scope"]);
}

#[tokio::test]
async fn a_connection_is_known_by_its_table() {
    let world = World::configured(|config| {
        let google = config.providers["google-oauth2"].clone();
        config.providers.insert("acme-mail".to_owned(), google);
    })
    .await;
    for (connection, forced) in [("acme-mail", true), ("acme-else", false)] {
        let connection = connection.to_owned();
        let asking = CreateConnectLinkRequest { connection, offline_access: true, ..wanted() };
        let asked = parameters(&link(&world, asking).await.unwrap());
        assert_eq!(asked.contains_key("prompt"), forced, "{asked:?}");
    }
}

#[tokio::test]
async fn what_makes_no_link_names_its_field() {
    let world = World::start().await;
    let right = wanted;
    let redirect_uri = |uri: &str| CreateConnectLinkRequest { redirect_uri: uri.to_owned(), ..right() };
    let scopes = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        CreateConnectLinkRequest { scopes, ..right() }
    };
    let connection = |name: &str| CreateConnectLinkRequest { connection: name.to_owned(), ..right() };
    let long = CreateConnectLinkRequest { state: "s".repeat(2049), ..right() };
    let cases = [
        (connection(""), "connection"),
        (connection("google oauth2"), "connection"),
        (connection(&"c".repeat(129)), "connection"),
        (scopes(&["fine", "a,b"]), "scopes[1]"),
        (scopes(&["a b"]), "scopes[0]"),
        (scopes(&["a"; 51]), "scopes"),
        (redirect_uri(""), "redirect_uri"),
        (redirect_uri("http://127.0.0.1:3000/connected/"), "redirect_uri"),
        (redirect_uri("https://evil.example/connected"), "redirect_uri"),
        (long, "state"),
    ];
    for (request, field) in cases {
        let details = assert_error(link(&world, request).await, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(metadata(&details, "field"), field);
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0, "no user is asked about");
}

#[tokio::test]
async fn without_a_login_application_errors_still_help_and_the_rpc_says_what_is_missing() {
    let world = World::configured(|config| config.connect = None).await;
    let outcome = link(&world, wanted()).await;
    let details = assert_error(outcome, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    assert_eq!(metadata(&details, "missing"), "connect.client_id,connect.redirect_uris");

    let dead = world.lend(google(EDSGER)).await;
    let details = assert_error(dead, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert!(details.help().unwrap().links[0].url.starts_with("https://auth0.com/docs/"));
    let refused = world.call(google(ALAN), get(EVENTS)).await.unwrap();
    assert_eq!(refused.diagnosis().connect_url, "");
}

#[tokio::test]
async fn a_dead_token_comes_with_the_link_to_another() {
    let mut world = World::start().await;
    let details =
        assert_error(world.lend(google(EDSGER)).await, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    let link = &details.help().unwrap().links[0].url;
    assert_eq!(parameters(link)["connection"], "google-oauth2");
    follow(link, EDSGER).await;
    world.pass(Duration::from_secs(6)).await;
    world.lend(google(EDSGER)).await.unwrap();

    world.sandbox.revoke_token(ADA, "github").unwrap();
    let refused = world.call(github(ADA), get("/user")).await;
    let details = assert_error(refused, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    let asked = parameters(&details.help().unwrap().links[0].url);
    assert_eq!((&*asked["connection"], asked.get("connection_scope")), ("github", None));
}

#[tokio::test]
async fn only_scopes_are_diagnosed_with_a_link() {
    let world = World::start().await;
    let off = idp_token_service::service::pb::HttpRequest {
        host: "sheets.googleapis.com".to_owned(),
        query: vec![pair("fields", "sheets")],
        ..get("/v4/spreadsheets/x")
    };
    let answer = world.call(google(ADA), off).await.unwrap();
    assert_eq!(answer.diagnosis().reason(), ErrorReason::ProviderNotConfigured);
    assert_eq!(answer.diagnosis().connect_url, "");
}

/// The link of the error that Edsger's dead token gets from a broker whose Google application is `settings`.
async fn link_with(world: &World, settings: Settings) -> String {
    let config =
        idp_token_service::cli::sandbox_config(&world.sandbox, world.service.address, world.service.admin);
    let transport = Transport::new().unwrap();
    let metrics = Arc::new(Metrics::default());
    let store = Arc::new(Store::memory());
    let auth0 = Arc::new(Auth0::new(&config.auth0, &transport, &store, &metrics));
    let mut providers = Providers::default();
    let name = "google-oauth2".to_owned();
    let adapter = provider::build(&name, settings).unwrap();
    providers.insert(ProviderClient::new(name.clone(), name, adapter, transport));
    let providers = Arc::new(providers);
    let login = LoginApplication::new(&config.auth0, config.connect.as_ref().unwrap());
    let tokens = Tokens::new(Arc::clone(&auth0), Arc::clone(&providers), store, Arc::clone(&metrics));
    let broker = Broker::new(auth0, providers, tokens, Some(login), Policy::open(), metrics);

    let user = UserId::parse(EDSGER.to_owned(), "user_id").unwrap();
    let action = GetIdentityToken { refresh_token: false };
    let deadline = Deadline::from_now(Duration::from_secs(20));
    let ctx = Ctx::begin(Caller::Anonymous, deadline, memory(), AuditScope::default()).await.unwrap();
    let asked = ctx.asks(user, Selector::default());
    let authorized = ctx.authorize(broker.policy(), &asked, action).unwrap();
    let lend = Lend { min_validity: Duration::ZERO, rejected: None };
    match broker.lend(&authorized, &asked.selector, lend).await {
        Err(Error::ReauthenticationRequired { connect_url, .. }) => connect_url.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_in_an_error_asks_for_a_refresh_token_where_one_can_be_used() {
    let world = World::start().await;
    let cannot = parameters(&link_with(&world, Settings::default()).await);
    assert_eq!(cannot.get("access_type"), None);
    let client_secret = Some(Arc::new(Secret::fixed("GOCSPX-sandbox-google-secret")));
    let settings = Settings { client_id: Some("app".to_owned()), client_secret, ..Settings::default() };
    let can = parameters(&link_with(&world, settings).await);
    assert_eq!((&*can["access_type"], &*can["prompt"]), ("offline", "consent"));
}

#[tokio::test]
async fn a_seed_of_ones_own_lends_its_login_application() {
    let world = World::seeded(|seed| {
        seed.clients.retain(|client| client.id != "sandbox-login");
    })
    .await;
    assert_error(link(&world, wanted()).await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
    let request = GetIdentityTokenRequest { identity: Some(google(ADA)), ..Default::default() };
    assert!(world.lend_with(request).await.is_ok(), "everything else works");
}
