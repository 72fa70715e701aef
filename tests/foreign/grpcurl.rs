//! grpcurl, which knows nothing of the contract but what reflection tells.

use idp_token_testkit::{
    World,
    people::{ADA, GRACE},
    tls::Pki,
};
use serde_json::json;
use tonic::Code;

use crate::{
    child::{Ended, run},
    tools::python_tool,
};

pub(crate) const SERVICE: &str = "idptoken.v1.IdpTokenService";

/// What grpcurl adds to a gRPC code to make its exit status.
const EXIT_BASE: i32 = 64;

/// `words` come after the address.
async fn grpcurl(world: &World, options: &[&str], words: &[&str]) -> Ended {
    let mut grpcurl = python_tool("grpcurl");
    grpcurl.arg("-plaintext").args(options).arg(world.service.address.to_string()).args(words);
    run(&mut grpcurl).await
}

async fn call(world: &World, method: &str, request: &serde_json::Value) -> Ended {
    grpcurl(world, &["-d", &request.to_string()], &[&format!("{SERVICE}/{method}")]).await
}

#[tokio::test]
async fn grpcurl_lists_the_services() {
    let world = World::start().await;
    let listed = grpcurl(&world, &[], &["list"]).await.well();
    let services: Vec<_> = listed.stdout.lines().collect();
    assert_eq!(services, ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE]);
}

#[tokio::test]
async fn grpcurl_describes_the_service_and_its_messages() {
    let world = World::start().await;
    let service = grpcurl(&world, &[], &["describe", SERVICE]).await.well();
    for method in ["ListIdentities", "GetIdentityToken", "CallProvider", "StreamProvider"] {
        assert!(service.stdout.contains(&format!("rpc {method} (")), "{service}");
    }
    let message = grpcurl(&world, &[], &["describe", "idptoken.v1.IdentitySelector"]).await.well();
    assert!(message.stdout.contains("string user_id = 1;"), "{message}");
}

#[tokio::test]
async fn grpcurl_has_a_provider_called() {
    let world = World::start().await;
    let request = json!({"identity": {"userId": ADA, "provider": "github"}, "request": {"path": "/user"}});
    let answer = call(&world, "CallProvider", &request).await.well().json();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["report"]["identity"]["accountId"], "583231");
}

#[tokio::test]
async fn grpcurl_shows_the_details_of_an_error_and_its_code_as_exit_status() {
    let world = World::start().await;
    let request = json!({"identity": {"userId": GRACE, "provider": "github"}});
    let answer = call(&world, "GetIdentityToken", &request).await;
    let answer = answer.with(EXIT_BASE + Code::FailedPrecondition as i32);
    for part in ["Code: FailedPrecondition", r#""reason":"IDENTITY_AMBIGUOUS""#, r#""domain":"idptoken.v1""#]
    {
        assert!(answer.stderr.contains(part), "{part} is missing: {answer}");
    }
}

#[tokio::test]
async fn grpcurl_proves_who_it_is_over_tls_and_without_a_certificate_gets_nothing() {
    let pki = Pki::new();
    let world = World::configured(|config| config.tls = Some(pki.files())).await;
    let own = pki.authority.client(&["spiffe://acme/ns/prod/sa/calendar"]);
    let (certificate, key) = (pki.write("client.pem", &own.certificate), pki.write("client.key", &own.key));
    let grpcurl = || {
        let mut grpcurl = python_tool("grpcurl");
        grpcurl.arg("-cacert").arg(pki.path("ca.pem"));
        grpcurl
    };
    let words = [&world.service.address.to_string(), "list"];
    let listed = run(grpcurl().arg("-cert").arg(certificate).arg("-key").arg(key).args(words)).await.well();
    assert!(listed.stdout.lines().any(|line| line == SERVICE), "{listed}");
    let refused = run(grpcurl().args(["-max-time", "10"]).args(words)).await;
    assert!(!refused.stdout.contains(SERVICE) && !refused.stderr.is_empty(), "{refused}");
}
