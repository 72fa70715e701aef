//! Each answer of Auth0's documents, through a real call: the error, when to try again, and how many requests it cost.

use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use idp_token_sandbox::Fault;
use idp_token_service::service::pb::GetIdentityTokenResponse;
use idp_token_testkit::{
    World, assert_error, metadata,
    people::{ADA, google},
    retry_after,
};
use serde_json::{Value, json};
use tonic::{
    Code::{self, DeadlineExceeded, FailedPrecondition, NotFound, Unavailable},
    Status,
};
use tonic_types::StatusExt;

const USERS: &str = "/api/v2/users/";
const TOKEN: &str = "/oauth/token";

/// One line of the tables below.
struct Row {
    answer: &'static str,
    fault: fn(Fault) -> Fault,
    code: Code,
    reason: &'static str,
    /// A part of the message, where it must say what to do.
    says: &'static str,
    /// RetryInfo, in seconds.
    retry: Option<Range<u64>>,
    /// How often Auth0 was asked.
    requests: usize,
}

const fn row(
    answer: &'static str,
    fault: fn(Fault) -> Fault,
    code: Code,
    reason: &'static str,
    requests: usize,
) -> Row {
    Row { answer, fault, code, reason, says: "", retry: None, requests }
}

impl Row {
    const fn retry(self, retry: Range<u64>) -> Self {
        Self { retry: Some(retry), ..self }
    }

    const fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn check(&self, outcome: Result<GetIdentityTokenResponse, Status>, requests: usize) {
        let Self { answer, code, reason, says, retry, .. } = self;
        let status = outcome.expect_err(answer);
        let details = status.get_error_details();
        let found = (status.code(), details.error_info().map(|info| info.reason.as_str()), requests);
        assert_eq!(found, (*code, Some(*reason), self.requests), "{answer}: {}", status.message());
        assert!(status.message().contains(says), "{answer}: {}", status.message());
        match (retry, retry_after(&details)) {
            (None, None) => {}
            (Some(range), Some(wait)) if range.contains(&wait.as_secs()) => {}
            (expected, wait) => panic!("{answer}: {expected:?} expected, and {wait:?} found"),
        }
    }
}

/// A transient failure: sent three times, and then it is for the caller to try again.
const fn unavailable(answer: &'static str, fault: fn(Fault) -> Fault) -> Row {
    row(answer, fault, Unavailable, "AUTH0_UNAVAILABLE", 3).retry(1..2)
}

/// Half a minute is longer than a call should hang: the caller is told at once.
const fn limited(answer: &'static str, fault: fn(Fault) -> Fault) -> Row {
    row(answer, fault, Unavailable, "AUTH0_RATE_LIMITED", 1).retry(28..31)
}

const fn misconfigured(answer: &'static str, fault: fn(Fault) -> Fault) -> Row {
    row(answer, fault, FailedPrecondition, "AUTH0_MISCONFIGURED", 1)
}

/// The Management API's shape of an error.
fn management(fault: Fault, status: u16, code: &str) -> Fault {
    fault.answer(status).json(&json!({
        "statusCode": status, "error": "Title", "message": "Some words", "errorCode": code,
    }))
}

/// The token endpoint's shape of an error.
fn oauth(fault: Fault, status: u16, code: &str, description: &str) -> Fault {
    fault.answer(status).json(&json!({ "error": code, "error_description": description }))
}

fn html(fault: Fault, status: u16) -> Fault {
    fault.answer(status).header("content-type", "text/html").body("<html><h1>Not what you want</h1></html>")
}

fn in_half_a_minute() -> String {
    let reset = SystemTime::now() + Duration::from_secs(30);
    reset.duration_since(UNIX_EPOCH).unwrap().as_secs().to_string()
}

#[tokio::test]
async fn every_answer_of_the_users_endpoint_has_its_meaning() {
    let rows = [
        row("400 malformed id", |fault| management(fault, 400, "invalid_uri"), NotFound, "USER_NOT_FOUND", 1),
        row("404", |fault| management(fault, 404, "inexistent_user"), NotFound, "USER_NOT_FOUND", 1),
        misconfigured("400 query", |fault| management(fault, 400, "invalid_query_string")),
        row("401 for a new token", |fault| management(fault, 401, ""), Unavailable, "AUTH0_UNAVAILABLE", 1)
            .retry(1..11),
        misconfigured("403", |fault| management(fault, 403, "insufficient_scope"))
            .says("read:user_idp_tokens"),
        limited("429 with the reset", |fault| {
            management(fault, 429, "too_many_requests").header("x-ratelimit-reset", &in_half_a_minute())
        }),
        limited("429 with Retry-After", |fault| fault.answer(429).header("retry-after", "30")),
        limited("500 that means a limit", |fault| {
            oauth(fault, 500, "access_denied", "Global limit has been reached").header("retry-after", "30")
        }),
        unavailable("404 from somebody else", |fault| html(fault, 404)),
        unavailable("408", |fault| fault.answer(408)),
        unavailable("500", |fault| management(fault, 500, "internal_error")),
        unavailable("502", |fault| html(fault, 502)),
        unavailable("503", |fault| fault.answer(503)),
        unavailable("302", |fault| fault.answer(302).header("location", "https://login.example/")),
        unavailable("200 with a page", Fault::garbage),
        unavailable("200 with nothing", Fault::empty),
        unavailable("200 with half a profile", |fault| fault.answer(200).body(r#"{"identities":[{"conn"#)),
        unavailable("a closed connection", Fault::cut),
        unavailable("a body that breaks off", |fault| fault.cut_body(40)),
        row(
            "503 with Retry-After",
            |fault| fault.answer(503).header("retry-after", "30"),
            Unavailable,
            "AUTH0_UNAVAILABLE",
            1,
        )
        .retry(28..31),
    ];
    for row in rows {
        let world = World::start().await.ready().await;
        world.sandbox.faults().script((row.fault)(Fault::on(world.sandbox.domain()).path(USERS).always()));
        let outcome = world.lend(google(ADA)).await;
        row.check(outcome, world.sandbox.journal().profile_reads());
    }
}

#[tokio::test]
async fn every_answer_of_the_token_endpoint_has_its_meaning() {
    let rows = [
        misconfigured("400", |fault| oauth(fault, 400, "invalid_request", "Missing something"))
            .says("invalid_request"),
        misconfigured("401", |fault| oauth(fault, 401, "access_denied", "Unauthorized"))
            .says("client secret"),
        misconfigured("403 without a grant", |fault| {
            oauth(fault, 403, "access_denied", "Client is not authorized to access \"https://x/\".")
        })
        .says("client grant"),
        misconfigured("403 for the grant type", |fault| oauth(fault, 403, "unauthorized_client", "No"))
            .says("Grant Types"),
        limited("429", |fault| {
            oauth(fault, 429, "too_many_requests", "Client quota exceeded").header("retry-after", "30")
        }),
        // Seen with headers that claim that there is room: not bad credentials.
        limited("500 that means a limit", |fault| {
            oauth(fault, 500, "access_denied", "Global limit has been reached")
                .header("x-ratelimit-limit", "100")
                .header("x-ratelimit-remaining", "42")
                .header("x-ratelimit-reset", &in_half_a_minute())
        }),
        unavailable("500", |fault| oauth(fault, 500, "access_denied", "Something broke")),
        unavailable("502", |fault| html(fault, 502)),
        unavailable("503", |fault| fault.answer(503)),
        unavailable("200 with a page", Fault::garbage),
        unavailable("200 with nothing", Fault::empty),
        unavailable("200 without a token", |fault| fault.json(&json!({ "scope": "read:users" }))),
        unavailable("a closed connection", Fault::cut),
        unavailable("a body that breaks off", |fault| fault.cut_body(40)),
    ];
    for row in rows {
        let mut world = World::seeded(|seed| seed.management.token_lifetime = Duration::from_secs(60))
            .await
            .ready()
            .await;
        world.pass(Duration::from_secs(60)).await;
        world.sandbox.faults().script((row.fault)(Fault::on(world.sandbox.domain()).path(TOKEN).always()));
        let outcome = world.lend(google(ADA)).await;
        assert_eq!(world.sandbox.journal().profile_reads(), 0, "nobody reads without a token");
        row.check(outcome, world.sandbox.journal().token_requests());
    }
}

#[tokio::test]
async fn a_silent_auth0_costs_a_caller_no_more_than_its_deadline() {
    for path in [USERS, TOKEN] {
        // The server's own default: with a deadline of the caller's, its clock might end the call first.
        let mut world = World::with(
            |seed| seed.management.token_lifetime = Duration::from_secs(60),
            |config| config.default_deadline = Duration::from_secs(1),
        )
        .await
        .ready()
        .await;
        world.pass(Duration::from_secs(60)).await;
        world.sandbox.faults().script(Fault::on(world.sandbox.domain()).path(path).always().hang());
        let outcome = world.lend(google(ADA)).await;
        let details = assert_error(outcome, DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert_eq!(metadata(&details, "stage"), "auth0");
        let hung = world.sandbox.journal().count(|entry| entry.path.starts_with(path));
        assert_eq!(hung, 1, "{path}: asked once, and not again while the answer is due");
    }
}

#[tokio::test]
async fn the_profile_of_another_user_is_nobodys_answer() {
    let world = World::start().await.ready().await;
    let profile = json!({ "user_id": "github|2000001", "identities": [
        { "provider": "google-oauth2", "connection": "google-oauth2", "user_id": "1", "access_token": "of-another" },
    ]});
    world
        .sandbox
        .faults()
        .script(Fault::on(world.sandbox.domain()).path(USERS).always().answer(200).json(&profile));
    assert_error(world.lend(google(ADA)).await, Unavailable, "AUTH0_UNAVAILABLE");
}

#[tokio::test]
async fn unknown_fields_and_odd_values_in_a_profile_spoil_nothing() {
    let world = World::start().await.ready().await;
    let profile: Value = json!({
        "user_id": ADA, "last_login": 7, "brand_new": { "a": [1, null] },
        "identities": [
            { "provider": "google-oauth2", "connection": "google-oauth2", "user_id": 108, "access_token": "ya29.odd",
              "expires_in": "soon", "isSocial": true, "access_token_secret": null, "more": {} },
        ],
    });
    world.sandbox.faults().script(Fault::on(world.sandbox.domain()).path(USERS).always().json(&profile));
    let lent = world.lend(google(ADA)).await.unwrap();
    assert_eq!(lent.access_token, "ya29.odd");
    assert_eq!(lent.identity.unwrap().account_id, "108");
}
