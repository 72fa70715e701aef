//! Answers and messages that inflate: whoever reads them stops at its limit.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use idp_token_sandbox::Fault;
use idp_token_service::{cli, telemetry::logging::Format};
use idp_token_testkit::{
    ANYWHERE, Service, World, assert_error, get,
    http::Read,
    log::Log,
    people::{ADA, BARBARA, github, google},
    wire::RawGitHub,
};
use tonic::Code::{self, Unavailable};

use crate::callers::{API, admit_end_users, list_with};

/// 32 MiB of spaces in some 32 KiB. Whoever inflates all of it comes upon a broken end.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..32 {
        encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let whole = encoder.finish().unwrap();
    assert!(whole.len() < 256 * 1024);
    [&whole[..whole.len() - 100], &[0xff; 200]].concat()
}

/// Every answer of a host below a path is a bomb.
fn bombs(host: &str, path: &str) -> Fault {
    Fault::on(host).path(path).always().answer(200).header("content-encoding", "gzip").body(bomb())
}

const STOPPED: &str = "with more than";

#[tokio::test]
async fn of_auth0s_answers_none_is_inflated_beyond_its_limit() {
    let log = Log::start(Format::Text);
    let world = World::configured(admit_end_users).await;
    let tenant = world.sandbox.domain().to_owned();
    let user = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    // Keys of the tenant.
    world.sandbox.faults().script(bombs(&tenant, "/.well-known/"));
    assert_error(list_with(&world, &user).await, Unavailable, "AUTH0_UNAVAILABLE");
    let keys = log.text().lines().any(|line| line.contains("issuer's keys") && line.contains(STOPPED));
    assert!(keys, "{}", log.text());
    // Profiles, and then tokens for the Management API.
    for path in ["/api/v2/users", "/oauth/token"] {
        world.sandbox.faults().clear();
        world.sandbox.faults().script(bombs(&tenant, path));
        let config = cli::sandbox_config(&world.sandbox, ANYWHERE, ANYWHERE);
        let service = Service::start(&config).await;
        let request = idp_token_service::service::pb::ListIdentitiesRequest {
            user_id: ADA.to_owned(),
            ..Default::default()
        };
        let outcome = service.client().list_identities(request).await;
        let message = outcome.as_ref().err().map(|status| status.message().to_owned()).unwrap_or_default();
        assert_error(outcome, Unavailable, "AUTH0_UNAVAILABLE");
        assert!(message.contains(STOPPED), "{path}: {message}");
    }
}

#[tokio::test]
async fn of_what_providers_say_about_tokens_nothing_is_inflated_beyond_its_limit() {
    let log = Log::start(Format::Text);
    let world = World::start().await.ready().await;
    world.sandbox.faults().script(bombs("oauth2.googleapis.com", "/"));
    world.lend(google(BARBARA)).await.unwrap_err();
    world.inspect(google(ADA)).await.unwrap_err();
    world.revoke(google(ADA)).await.unwrap_err();
    assert_eq!(log.text().lines().filter(|line| line.contains(STOPPED)).count(), 3, "{}", log.text());
}

#[tokio::test]
async fn codings_that_were_not_asked_for_are_passed_on_as_they_came() {
    let world = World::start().await.ready().await;
    for coding in ["br", "zstd", "gzip, br", "x-unknown"] {
        let fault = Fault::on("api.github.com").answer(200).header("content-encoding", coding).body(bomb());
        world.sandbox.faults().script(fault);
        let answer = world.call(github(ADA), get("/user")).await.unwrap();
        assert_eq!((answer.header("content-encoding"), answer.body.len()), (vec![coding], bomb().len()));
    }
    for asked in world.sandbox.journal().to("api.github.com") {
        assert_eq!(asked.header("accept-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn an_answer_of_headers_alone_has_a_limit_too() {
    let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(2 * 1024 * 1024));
    for headers in [many, long] {
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes().leak();
        let hub = RawGitHub::answering(answer).await;
        let world = World::configured(|config| hub.replace_github(config)).await;
        let status = world.call(github(ADA), get("/user")).await.unwrap_err();
        assert!([Code::Internal, Unavailable].contains(&status.code()), "{status:?}");
    }
}

#[tokio::test]
async fn a_compressed_message_is_refused_and_not_inflated() {
    let world = World::start().await.ready().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{}/idptoken.v1.IdpTokenService/ListIdentities", world.service.address);
    let bomb = bomb();
    let length = u32::try_from(bomb.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length, &bomb].concat();
    // UNIMPLEMENTED with what is accepted, as gRPC's compression document has it; without a coding it makes
    // no sense.
    for (coding, code) in
        [("gzip", "12"), ("deflate", "12"), ("zstd", "12"), ("br", "12"), ("identity", "3"), ("", "3")]
    {
        let request = client.post(&url).header("content-type", "application/grpc").header("te", "trailers");
        let request = if coding.is_empty() { request } else { request.header("grpc-encoding", coding) };
        let answer = request.body(message.clone()).send().await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], code, "{coding}");
    }
    assert_eq!(world.sandbox.journal().profile_reads(), 0);
}
