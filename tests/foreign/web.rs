//! Front ends: Connect's clients for browsers and for Node.js, Google's grpc-web, buf, and plain curl.

use std::{fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use idp_token_sandbox::Fault;
use idp_token_service::{config::EndUsers, policy::Who, service::pb};
use idp_token_testkit::{
    World,
    people::{ADA, GRACE},
    rules::everything,
};
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    child::{Ended, command, run},
    tools::{PROTO, client, node, python_tool},
};

const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// The audience of end users' tokens.
const API: &str = "https://idp-token.acme.example";

/// A service for users of the tenant, and Ada's token.
async fn world() -> (World, String) {
    let world = World::configured(|config| {
        config.end_users = Some(EndUsers { audience: API.to_owned(), rule: everything(Who::EndUsers) });
    })
    .await;
    let token = world.sandbox.end_user_token(ADA, API, &[]).unwrap();
    (world, token)
}

/// The contract and the details of errors, as files.
fn descriptors() -> (TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let files = [("contract", pb::FILE_DESCRIPTOR_SET), ("details", tonic_types::pb::FILE_DESCRIPTOR_SET)];
    let files = files.map(|(name, set)| {
        let path = folder.path().join(name);
        fs::write(&path, set).unwrap();
        path
    });
    (folder, files)
}

/// Has a client call everything that a front end calls.
async fn play(kind: &str) {
    let (world, token) = world().await;
    world.sandbox.faults().script(Fault::on("api.github.com").path("/slow").hang().always());
    let (_folder, files) = descriptors();
    let mut node = node();
    node.arg(client("node/web.mjs")).arg(kind).arg(world.service.address.to_string()).args(files).arg(token);
    run(&mut node).await.well();
}

#[tokio::test]
async fn connect_for_browsers_calls_in_json() {
    play("connect-web-json").await;
}

#[tokio::test]
async fn connect_for_browsers_calls_in_protobuf() {
    play("connect-web-binary").await;
}

#[tokio::test]
async fn connect_for_browsers_calls_over_grpc_web() {
    play("connect-web-grpc-web").await;
}

#[tokio::test]
async fn connect_for_node_calls_in_json() {
    play("connect-node-json").await;
}

#[tokio::test]
async fn connect_for_node_calls_in_gzipped_protobuf_over_http_2() {
    play("connect-node-binary-gzip").await;
}

#[tokio::test]
async fn connect_for_node_calls_over_grpc() {
    play("connect-node-grpc").await;
}

#[tokio::test]
async fn connect_for_node_calls_over_grpc_web() {
    play("connect-node-grpc-web").await;
}

#[tokio::test]
async fn googles_grpc_web_calls_in_text() {
    play("google-text").await;
}

#[tokio::test]
async fn googles_grpc_web_calls_in_binary() {
    play("google-binary").await;
}

/// `buf curl` over a protocol and an HTTP.
async fn buf(world: &World, options: &[&str], method: &str, request: &Value) -> Ended {
    let mut buf = python_tool("buf");
    buf.args(["curl", "--schema", PROTO]).args(options).arg("--data").arg(request.to_string());
    run(buf.arg(format!("http://{}/{SERVICE}/{method}", world.service.address))).await
}

#[tokio::test]
async fn buf_calls_in_each_protocol_and_reads_its_errors() {
    let world = World::start().await;
    let call = json!({"identity": {"userId": ADA, "provider": "github"}, "request": {"path": "/user"}});
    let ambiguous = json!({"identity": {"userId": GRACE, "provider": "github"}});
    for options in [
        &["--protocol", "connect"][..],
        &["--protocol", "connect", "--http2-prior-knowledge"],
        &["--protocol", "grpcweb"],
        &["--protocol", "grpcweb", "--http2-prior-knowledge"],
        &["--protocol", "grpc", "--http2-prior-knowledge"],
    ] {
        let answer = buf(&world, options, "CallProvider", &call).await.well().json();
        assert_eq!(answer["statusCode"], 200, "{options:?}");
        let refused = buf(&world, options, "GetIdentityToken", &ambiguous).await;
        let refused = refused.with((Code::FailedPrecondition as i32) << 3);
        let error: Value = serde_json::from_str(&refused.stderr).unwrap();
        assert_eq!(error["code"], "failed_precondition", "{options:?}");
        let [kind, value] = ["type", "value"].map(|key| error["details"][0][key].as_str().unwrap());
        let value = BASE64_STANDARD_NO_PAD.decode(value).unwrap();
        let info = tonic_types::pb::ErrorInfo::decode(&*value).unwrap();
        assert_eq!((kind, &*info.reason), ("google.rpc.ErrorInfo", "IDENTITY_AMBIGUOUS"), "{options:?}");
    }
}

#[tokio::test]
async fn curl_calls_as_the_documentation_says() {
    let (world, token) = world().await;
    let url = format!("http://{}/{SERVICE}/CallProvider", world.service.address);
    let request = json!({"identity": {"provider": "github"}, "request": {"path": "/user"}}).to_string();
    for http in ["--http1.1", "--http2-prior-knowledge", "--compressed"] {
        let mut curl = command("curl");
        curl.args(["-sS", "--fail-with-body", http, "-H", "content-type: application/json"]);
        curl.arg("-H").arg(format!("authorization: Bearer {token}")).arg("-d").arg(&request).arg(&url);
        assert_eq!(run(&mut curl).await.well().json()["statusCode"], 200, "{http}");
    }
    let mut stranger = command("curl");
    stranger.args(["-sS", "-w", "%{http_code}", "-H", "content-type: application/json", "-d", "{}", &url]);
    let refused = run(&mut stranger).await.well();
    assert!(refused.stdout.starts_with(r#"{"code":"unauthenticated""#), "{refused}");
    assert!(refused.stdout.ends_with("401"), "{refused}");
}

/// The shell commands of a document.
fn commands(document: &str) -> Vec<&str> {
    let blocks = document.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[tokio::test]
async fn the_commands_of_the_documentation_work() {
    let world = World::start().await;
    let documentation = fs::read_to_string(PathBuf::from(PROTO).join("../docs/web.md")).unwrap();
    let commands = commands(&documentation);
    assert_eq!(commands.len(), 3, "one for each way");
    for text in commands {
        let text = text.replace("localhost:50051", &format!("localhost:{}", world.service.address.port()));
        let mut shell = python_tool("python");
        let run_it = "import os, subprocess, sys; os.environ['PATH'] = os.path.dirname(sys.executable) + ':' + \
                      os.environ['PATH']; sys.exit(subprocess.call(['bash', '-c', sys.argv[1]]))";
        shell.current_dir(PathBuf::from(PROTO).join("..")).args(["-c", run_it, &text]);
        let answer = run(&mut shell).await.well().json();
        assert_eq!(answer["identities"][1]["provider"], "github", "{text}");
    }
}
