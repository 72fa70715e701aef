//! A refusal is as wide as its evidence: an answer of 401 that the provider does not confirm counts for the
//! caller that met it, and costs nobody else a token.

use std::sync::Arc;

use idp_token_sandbox::{Fault, Seed};
use idp_token_service::{
    config::Config,
    secret::Secret,
    service::pb::{GetIdentityTokenRequest, identity::State},
};
use idp_token_testkit::{
    World,
    database::Database,
    eventually, get,
    http::Build,
    issuer::Issuer,
    people::{ADA, FRANCES, MARGARET, crm, github, google},
    rules::everything_for_services,
};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::Request;

use super::{CRM, CRM_LOGIN, Caller, MINUTE, SECOND, aged, assert_only_the_user_can_help, requests};
use crate::callers::{
    API, admit_end_users,
    certificates::{FORWARDED, trusting},
};

const TOKEN: &str = "/oauth2/token";
const INTROSPECT: &str = "/oauth2/introspect";

/// A durable service for programs that prove who they are, and two of them.
struct Stage {
    world: World,
    calendar: Caller,
    mail: Caller,
    database: Database,
    _issuer: Issuer,
}

impl Stage {
    async fn start(refreshes: bool, configure: impl FnOnce(&mut Config)) -> Self {
        let (issuer, database) = (Issuer::start().await, Database::new());
        let sow = |seed: &mut Seed| {
            aged(seed, FRANCES, 10 * MINUTE, refreshes);
            seed.management.requests_per_second = 1000.0;
            seed.management.burst = 1000;
        };
        let world = World::with(sow, |config| {
            issuer.trust(config);
            admit_end_users(config);
            database.configure(config);
            config.auth0.requests_per_second = 1000;
            configure(config);
        })
        .await;
        let (calendar, mail) = (Caller::service(&issuer, "calendar"), Caller::service(&issuer, "mail"));
        Self { world, calendar, mail, database, _issuer: issuer }
    }

    /// From now on everybody is refused at one path, whatever the token.
    fn refuse(&self, host: &str, path: &str) {
        self.world.sandbox.faults().script(Fault::on(host).path(path).answer(401).always());
    }

    /// Asserts that `caller` is lent `token`, may call with it, and sees it listed as good.
    async fn assert_well(&self, caller: &Caller, token: &str) {
        assert_eq!(caller.lend(&self.world, crm()).await.unwrap(), token);
        assert_eq!(caller.call(&self.world, crm(), "/v1/me").await.unwrap(), 200);
        assert_eq!(caller.states(&self.world, FRANCES).await, [State::Active]);
    }
}

/// Nobody can be asked about its tokens.
fn without_inspection(config: &mut Config) {
    config.providers.get_mut("acme-crm").unwrap().settings.inspect_url = None;
}

#[tokio::test]
async fn a_401_that_nobody_confirms_counts_for_the_caller_that_met_it_for_a_quarter_of_an_hour() {
    for refreshes in [true, false] {
        let mut stage = Stage::start(refreshes, without_inspection).await;
        stage.refuse(CRM, "/v1/things");
        let token = stage.mail.lend(&stage.world, crm()).await.unwrap();
        assert_only_the_user_can_help(stage.calendar.call(&stage.world, crm(), "/v1/things").await);

        stage.assert_well(&stage.mail, &token).await;
        for minutes in [0, 7, 7] {
            stage.world.pass(minutes * MINUTE).await;
            assert_only_the_user_can_help(stage.calendar.lend(&stage.world, crm()).await);
            let states = stage.calendar.states(&stage.world, FRANCES).await;
            assert_eq!(states, [State::ReauthenticationRequired]);
            stage.assert_well(&stage.mail, &token).await;
        }
        stage.world.pass(MINUTE).await;
        stage.assert_well(&stage.calendar, &token).await;
        assert_eq!(requests(&stage.world, CRM_LOGIN, TOKEN), 0, "no token was asked for");
        let refused = stage.database.number("SELECT count(*) FROM idp_token_record").await;
        assert_eq!(refused, 0, "nothing is stored of what nobody confirms");
    }
}

#[tokio::test]
async fn a_user_and_a_service_do_not_suffer_for_each_others_401() {
    let stage = Stage::start(true, without_inspection).await;
    stage.refuse(CRM, "/v1/things");
    let user = Caller::bearing(&stage.world.sandbox.end_user_token(FRANCES, API, &[]).unwrap());
    assert_only_the_user_can_help(user.call(&stage.world, crm(), "/v1/things").await);
    assert_only_the_user_can_help(user.call(&stage.world, crm(), "/v1/me").await);
    assert_eq!(stage.mail.call(&stage.world, crm(), "/v1/me").await.unwrap(), 200);
    assert!(stage.mail.lend(&stage.world, crm()).await.is_ok());

    let stage = Stage::start(true, without_inspection).await;
    stage.refuse(CRM, "/v1/things");
    let user = Caller::bearing(&stage.world.sandbox.end_user_token(FRANCES, API, &[]).unwrap());
    assert_only_the_user_can_help(stage.mail.call(&stage.world, crm(), "/v1/things").await);
    assert_eq!(user.call(&stage.world, crm(), "/v1/me").await.unwrap(), 200);
    assert_eq!(user.states(&stage.world, FRANCES).await, [State::Active]);
    assert_eq!(requests(&stage.world, CRM_LOGIN, TOKEN), 0);
}

#[tokio::test]
async fn an_endpoint_that_refuses_everybody_costs_a_question_a_minute_and_no_renewal() {
    let mut stage = Stage::start(true, |_| {}).await;
    stage.refuse("api.github.com", "/repos/ada/hello-world");
    // An endpoint that refuses tokens of this kind altogether says the same to each of them.
    let token = stage.mail.lend(&stage.world, github(ADA)).await.unwrap();
    let expiring = stage.mail.lend(&stage.world, github(MARGARET)).await.unwrap();
    for minute in 1..=5 {
        for (user, token) in [(ADA, &token), (MARGARET, &expiring)] {
            for _ in 0..3 {
                let path = "/repos/ada/hello-world";
                let status = stage.calendar.call(&stage.world, github(user), path).await.unwrap();
                assert_eq!(status, 401, "the token lives, so the refusal is the answer");
            }
            assert_eq!(stage.mail.lend(&stage.world, github(user)).await.unwrap(), *token);
            assert!(stage.world.sandbox.is_alive(token));
        }
        assert_eq!(requests(&stage.world, "api.github.com", "/applications/"), 2 * minute);
        stage.world.pass(61 * SECOND).await;
    }
    assert_eq!(requests(&stage.world, "github.com", "/login/oauth"), 0);
}

#[tokio::test]
async fn who_reports_a_living_token_gets_another_one_only_where_that_costs_nobody_theirs() {
    let stage = Stage::start(true, |_| {}).await;
    let (calendar, mail) = (&stage.calendar, &stage.mail);
    let token = mail.lend(&stage.world, google(ADA)).await.unwrap();
    let another = calendar.lend_instead(&stage.world, google(ADA), &token).await.unwrap();
    assert!(another != token && stage.world.sandbox.is_alive(&token), "Google's tokens live on");

    for (identity, host) in [(crm(), CRM_LOGIN), (github(MARGARET), "github.com")] {
        let token = mail.lend(&stage.world, identity.clone()).await.unwrap();
        let outcome = calendar.lend_instead(&stage.world, identity.clone(), &token).await;
        assert_only_the_user_can_help(outcome);
        assert_eq!(requests(&stage.world, host, TOKEN), 0);
        assert_eq!(requests(&stage.world, host, "/login/oauth"), 0);
        assert!(stage.world.sandbox.is_alive(&token));
        assert_eq!(mail.lend(&stage.world, identity.clone()).await.unwrap(), token);
        assert_eq!(
            calendar.lend(&stage.world, identity).await.unwrap(),
            token,
            "the provider says that it lives"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_dead_is_renewed_once_after_one_question() {
    let mut stage = Stage::start(true, |_| {}).await;
    assert!(stage.mail.inspect(&stage.world, crm()).await.active, "which proves the client, too");
    stage.world.pass(61 * SECOND).await;
    let old = stage.mail.lend(&stage.world, crm()).await.unwrap();
    stage.world.sandbox.expire_all(FRANCES, "acme-crm").unwrap();
    stage.world.sandbox.journal().clear();
    let mut calls = JoinSet::new();
    for caller in [&stage.calendar, &stage.mail] {
        for _ in 0..10 {
            let (mut client, bearer) = (stage.world.service.client(), caller.bearer.clone());
            calls.spawn(async move {
                let request = Caller { bearer }.says(get("/v1/me").by(crm()));
                client.call_provider(request).await.unwrap().into_inner().status_code
            });
        }
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(requests(&stage.world, CRM_LOGIN, INTROSPECT), 1);
    assert_eq!(requests(&stage.world, CRM_LOGIN, TOKEN), 1);
    let new = stage.mail.lend(&stage.world, crm()).await.unwrap();
    assert!(new != old && stage.world.sandbox.is_alive(&new));
}

#[tokio::test]
async fn a_token_that_is_dead_and_cannot_be_renewed_is_known_to_everybody_after_one_question() {
    let stage = Stage::start(false, |_| {}).await;
    assert!(stage.mail.inspect(&stage.world, github(MARGARET)).await.active, "which proves the client, too");
    stage.world.sandbox.revoke_token(ADA, "github").unwrap();
    stage.world.sandbox.journal().clear();
    assert_only_the_user_can_help(stage.calendar.call(&stage.world, github(ADA), "/user").await);
    assert_only_the_user_can_help(stage.mail.call(&stage.world, github(ADA), "/user").await);
    assert_only_the_user_can_help(stage.mail.lend(&stage.world, github(ADA)).await);
    assert_eq!(stage.mail.states(&stage.world, ADA).await[1], State::ReauthenticationRequired);
    assert_eq!(requests(&stage.world, "api.github.com", "/user"), 1);
    assert_eq!(requests(&stage.world, "api.github.com", "/applications/"), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_the_question_has_confirmed_nothing() {
    let outages: [fn(Fault) -> Fault; 4] = [
        |fault| fault.answer(503),
        |fault| fault.answer(200).json(&json!({"active": "perhaps"})),
        Fault::cut,
        Fault::hang,
    ];
    for (index, outage) in outages.into_iter().enumerate() {
        let mut stage = Stage::start(true, |_| {}).await;
        assert!(stage.mail.inspect(&stage.world, crm()).await.active, "which proves the client, too");
        stage.world.pass(61 * SECOND).await;
        stage.refuse(CRM, "/v1/things");
        stage.world.sandbox.faults().script(outage(Fault::on(CRM_LOGIN).path(INTROSPECT)).always());
        stage.world.sandbox.journal().clear();
        let token = stage.mail.lend(&stage.world, crm()).await.unwrap();
        let mut client = stage.world.service.client();
        let request = stage.calendar.says(get("/v1/things").by(crm()));
        let call = tokio::spawn(async move { client.call_provider(request).await });
        if index == outages.len() - 1 {
            let asked = async || requests(&stage.world, CRM_LOGIN, INTROSPECT) == 1;
            eventually("the question", asked).await;
            stage.world.pass(11 * SECOND).await;
        }
        assert_only_the_user_can_help(call.await.unwrap());
        assert_only_the_user_can_help(stage.calendar.lend(&stage.world, crm()).await);
        stage.assert_well(&stage.mail, &token).await;
        assert_eq!(requests(&stage.world, CRM_LOGIN, TOKEN), 0, "{index}");
        assert!(stage.world.sandbox.is_alive(&token));
    }
}

/// Callers whom a proxy vouches for are told apart by their certificates.
#[tokio::test]
async fn callers_with_certificates_are_told_apart_as_well() {
    let database = Database::new();
    let world = World::with(
        |seed| aged(seed, FRANCES, 10 * MINUTE, true),
        |config| {
            database.configure(config);
            config.trusted_peers = trusting("127.0.0.1");
            config.callers.push(everything_for_services());
            without_inspection(config);
        },
    )
    .await;
    world.sandbox.faults().script(Fault::on(CRM).path("/v1/things").answer(401).always());
    let lend = async |name: &str| {
        let mut request =
            Request::new(GetIdentityTokenRequest { identity: Some(crm()), ..Default::default() });
        let header = FORWARDED.replace("sa/calendar", &format!("sa/{name}"));
        request.metadata_mut().insert("x-forwarded-client-cert", header.parse().unwrap());
        world.service.client().get_identity_token(request).await
    };
    let mut request = Request::new(get("/v1/things").by(crm()));
    let header = FORWARDED.parse().unwrap();
    request.metadata_mut().insert("x-forwarded-client-cert", header);
    assert_only_the_user_can_help(world.service.client().call_provider(request).await);
    assert_only_the_user_can_help(lend("calendar").await);
    assert!(lend("mail").await.is_ok());
}

/// What is asked of a provider, and what it says, does not depend on who asks: a wrong secret is nobody's
/// dead token.
#[tokio::test]
async fn an_application_that_the_provider_refuses_to_answer_has_confirmed_nothing() {
    let wrong = |config: &mut Config| {
        let settings = &mut config.providers.get_mut("acme-crm").unwrap().settings;
        settings.client_secret = Some(Arc::new(Secret::fixed("wrong")));
    };
    let stage = Stage::start(true, wrong).await;
    stage.refuse(CRM, "/v1/things");
    let token = stage.mail.lend(&stage.world, crm()).await.unwrap();
    assert_only_the_user_can_help(stage.calendar.call(&stage.world, crm(), "/v1/things").await);
    stage.assert_well(&stage.mail, &token).await;
    assert_eq!(requests(&stage.world, CRM_LOGIN, TOKEN), 0);
}
