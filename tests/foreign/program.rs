//! The program itself, as a person starts it.

use std::process::Stdio;

use idp_token_testkit::people::{ADA, GRACE};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::child::{Ended, command, run};

/// On ports that are free.
const ANYWHERE: [&str; 6] =
    ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tenant-listen", "127.0.0.1:0"];

fn program() -> Command {
    let mut program = command(env!("CARGO_BIN_EXE_idp-token-service"));
    program.env_remove("RUST_LOG");
    program
}

/// What stands behind the address of the page.
const PAGE_HINT: &str = "# in a browser: log in, and call the service as yourself";

/// `sandbox` as a process of its own.
pub(crate) struct Sandbox {
    process: Child,
    /// Where its service takes calls.
    pub(crate) address: String,
    /// Where its page is.
    pub(crate) page: String,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        let mut program = program();
        program.arg("sandbox").args(ANYWHERE).stdout(Stdio::piped());
        let mut process = program.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut address, mut page) = (None, None);
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once("gRPC on ") {
                address = rest.split(',').next().map(|address| format!("http://{address}"));
            }
            if let Some(hint) = line.trim().strip_suffix(PAGE_HINT) {
                page = Some(hint.trim().to_owned());
                break;
            }
        }
        // Its last words go nowhere, but a closed pipe must not end it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = address.expect("the sandbox says where its service is");
        Self { process, address, page: page.expect("the sandbox says where its page is") }
    }

    pub(crate) async fn call(&self, method: &str, request: &serde_json::Value) -> Ended {
        let mut program = program();
        run(program.args(["call", method, &request.to_string(), "--address", &self.address])).await
    }
}

#[tokio::test]
async fn the_tour_of_the_sandbox_works_and_ends() {
    let tour = run(program().args(["sandbox", "--once"]).args(ANYWHERE)).await.well();
    for part in [
        "1. ListIdentities",
        "google-oauth2  108204268033311374519  active",
        "2. GetIdentityToken",
        "3. CallProvider",
        r#"200  {"id":"10158222222222222","name":"Ada Lovelace"}"#,
        "renewed: ",
        "FAILED_PRECONDITION: several identities match",
        "reason: IDENTITY_AMBIGUOUS (idptoken.v1)",
        "Auth0 saw 1 token request and 3 profile reads (one for each user), the providers 4.",
    ] {
        assert!(tour.stdout.contains(part), "{part:?} is missing: {tour}");
    }
    assert!(!tour.stdout.contains("ya29."), "a token was shown: {tour}");
    assert_eq!(tour.stderr, "", "nothing worth a warning happens on the tour");
}

#[tokio::test]
async fn the_sandbox_keeps_serving_calls_until_it_is_told_to_stop() {
    let mut sandbox = Sandbox::start().await;
    let answer = sandbox.call("ListIdentities", &json!({"userId": ADA})).await.well().json();
    assert_eq!(answer["identities"][2]["provider"], "facebook");
    let request = json!({"identity": {"userId": ADA, "provider": "github"}, "request": {"path": "/user"}});
    let answer = sandbox.call("CallProvider", &request).await.well().json();
    assert_eq!(answer["statusCode"], 200);

    let id = sandbox.process.id().unwrap().to_string();
    run(command("kill").args(["-TERM", &id])).await.well();
    assert!(sandbox.process.wait().await.unwrap().success());
}

#[tokio::test]
async fn call_prints_an_errors_reason_and_ends_with_1() {
    let sandbox = Sandbox::start().await;
    let request = json!({"identity": {"userId": GRACE, "provider": "github"}});
    let answer = sandbox.call("GetIdentityToken", &request).await.with(1);
    assert_eq!(answer.stdout, "");
    for part in ["FAILED_PRECONDITION", "reason: IDENTITY_AMBIGUOUS", "candidates: github/github/2000001,"] {
        assert!(answer.stderr.contains(part), "{part:?} is missing: {answer}");
    }
}

#[tokio::test]
async fn call_ends_with_64_where_it_is_misused_and_69_where_no_service_is() {
    // Nobody serves on the port of the multiplexer that the system keeps for itself.
    let nowhere = ["--address", "http://127.0.0.1:1"];
    let refused = run(program().args(["call", "ListIdentities"]).args(nowhere)).await.with(69);
    assert!(refused.stderr.contains("no service at http://127.0.0.1:1"), "{refused}");
    run(program().args(["call", "ListIdentities", "{}", "--address", "no url"])).await.with(64);
    run(program().args(["call"])).await.with(64);

    let sandbox = Sandbox::start().await;
    let unknown = sandbox.call("ListEverything", &json!({})).await.with(64);
    assert!(unknown.stderr.contains("choose one of ListIdentities, GetIdentityToken"), "{unknown}");
    let misspelt = sandbox.call("ListIdentities", &json!({"userid": ADA})).await.with(64);
    assert!(misspelt.stderr.contains("userid"), "{misspelt}");
}
