//! buf: a second Go client, and the judge of the schema.

use std::{fs, path::Path};

use idp_token_testkit::{
    World,
    people::{ADA, GRACE},
};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::json;
use tonic::Code;

use crate::{
    child::{Ended, run},
    tools::{PROTO, python_tool},
};

const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// `buf curl` exits with the gRPC code, shifted by the three bits that it keeps for itself.
fn exit_status(code: Code) -> i32 {
    (code as i32) << 3
}

async fn curl(world: &World, options: &[&str], method: &str, request: &serde_json::Value) -> Ended {
    let mut buf = python_tool("buf");
    buf.args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"]).args(options);
    buf.arg("--data").arg(request.to_string());
    run(buf.arg(format!("http://{}/{SERVICE}/{method}", world.service.address))).await
}

#[tokio::test]
async fn buf_curl_calls_what_reflection_describes() {
    let world = World::start().await;
    let answer = curl(&world, &[], "ListIdentities", &json!({"userId": ADA})).await.well().json();
    assert_eq!(answer["identities"][0]["provider"], "google-oauth2");
}

#[tokio::test]
async fn buf_curl_calls_what_the_source_describes() {
    let world = World::start().await;
    let request = json!({"identity": {"userId": ADA, "provider": "facebook"}, "request": {"path": "/me"}});
    let answer = curl(&world, &["--schema", PROTO], "CallProvider", &request).await.well().json();
    assert_eq!(answer["statusCode"], 200);
}

#[tokio::test]
async fn buf_curl_gives_an_errors_code_as_exit_status() {
    let world = World::start().await;
    let request = json!({"identity": {"userId": GRACE, "provider": "github"}});
    let answer = curl(&world, &[], "GetIdentityToken", &request).await;
    let answer = answer.with(exit_status(Code::FailedPrecondition));
    let error: serde_json::Value = serde_json::from_str(&answer.stderr).unwrap();
    assert_eq!(error["code"], "failed_precondition");
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
}

#[tokio::test]
async fn the_schema_that_is_served_is_the_one_in_the_repository() {
    let world = World::start().await;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (live, source) = (folder.path().join("live.binpb"), folder.path().join("source.binpb"));
    let mut grpcurl = python_tool("grpcurl");
    grpcurl.arg("-plaintext").arg("-protoset-out").arg(&live);
    run(grpcurl.arg(world.service.address.to_string()).args(["describe", SERVICE])).await.well();
    run(python_tool("buf").args(["build", "--exclude-source-info", PROTO, "--output"]).arg(&source))
        .await
        .well();

    // What was removed or changed on one side breaks the other; buf says where.
    for (new, old) in [(&live, &source), (&source, &live)] {
        let mut buf = python_tool("buf");
        buf.current_dir(PROTO).arg("breaking").arg(new).arg("--against").arg(old).arg("--exclude-imports");
        run(&mut buf).await.well();
    }
    // The rest, options and names of parameters, must be the same as well.
    let (live, source) = (our_files(&live), our_files(&source));
    assert_eq!(live.len(), 2);
    assert_eq!(live, source);
}

fn our_files(image: &Path) -> Vec<FileDescriptorProto> {
    let image = FileDescriptorSet::decode(fs::read(image).unwrap().as_slice()).unwrap();
    let mut files: Vec<_> = image.file.into_iter().filter(|file| file.package() == "idptoken.v1").collect();
    files.sort_by(|one, other| one.name().cmp(other.name()));
    files
}
