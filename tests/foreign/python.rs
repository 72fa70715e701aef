//! Python: stubs made by grpcio-tools, on gRPC's C core.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use idp_token_sandbox::Fault;
use idp_token_testkit::{World, rules::everything_for_services, tls::Pki};

use crate::{
    child::run,
    tools::{PROTO, client, python_tool},
};

const SOURCES: [&str; 2] = ["idptoken/v1/error_reason.proto", "idptoken/v1/idp_token_service.proto"];

/// The stubs of the contract as it is now, made where nobody made them yet.
pub(crate) async fn stubs() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        fs::read(Path::new(PROTO).join(source)).unwrap().hash(&mut hasher);
    }
    let stubs = home.join(format!("python-stubs-{:016x}", hasher.finish()));
    if !stubs.exists() {
        let fresh = tempfile::tempdir_in(home).unwrap();
        let out = fresh.path().join("stubs");
        fs::create_dir(&out).unwrap();
        let mut protoc = python_tool("python");
        protoc.args(["-m", "grpc_tools.protoc", "--proto_path", PROTO]);
        protoc.arg("--python_out").arg(&out).arg("--grpc_python_out").arg(&out).args(SOURCES);
        run(&mut protoc).await.well();
        // Another test may have been quicker: then its stubs are there, and they are the same.
        let _ = fs::rename(&out, &stubs);
    }
    stubs
}

async fn play(world: &World, scenario: &str) {
    play_with(world, scenario, &[]).await;
}

async fn play_with(world: &World, scenario: &str, files: &[PathBuf]) {
    let mut python = python_tool("python");
    python.env("PYTHONPATH", stubs().await).arg(client("python/contract.py")).arg(scenario);
    run(python.arg(world.service.address.to_string()).args(files)).await.well();
}

#[tokio::test]
async fn a_python_program_lists_identities() {
    play(&World::start().await, "lists_identities").await;
}

#[tokio::test]
async fn a_python_program_borrows_a_token_and_makes_its_fingerprint_too() {
    play(&World::start().await, "lends_a_token").await;
}

#[tokio::test]
async fn a_python_program_has_google_github_and_facebook_called() {
    let world = World::start().await;
    play(&world, "calls_each_provider").await;
    for host in ["www.googleapis.com", "api.github.com", "graph.facebook.com"] {
        assert_eq!(world.provider_calls(host), 1, "{host}");
    }
}

#[tokio::test]
async fn a_python_program_gets_back_the_very_bytes_it_stored_up_to_four_mebibytes() {
    play(&World::start().await, "carries_bodies_byte_for_byte").await;
}

#[tokio::test]
async fn a_python_program_reads_the_details_of_an_error_and_acts_on_them() {
    play(&World::start().await, "reads_the_details_of_an_error").await;
}

#[tokio::test]
async fn a_python_program_learns_at_its_deadline_what_took_so_long() {
    let world = World::start().await;
    let hang = Fault::on(world.sandbox.domain()).path("/api/v2/users/").hang().always();
    world.sandbox.faults().script(hang);
    play(&world, "learns_at_its_deadline_what_took_so_long").await;
}

#[tokio::test]
async fn a_python_program_watches_the_health_until_it_is_well() {
    play(&World::start().await, "sees_its_health").await;
}

#[tokio::test]
async fn a_python_program_discovers_the_schema() {
    play(&World::start().await, "discovers_the_schema").await;
}

#[tokio::test]
async fn a_python_program_proves_who_it_is_over_tls() {
    let pki = Pki::new();
    let world = World::configured(|config| {
        config.tls = Some(pki.files());
        config.callers.push(everything_for_services());
    })
    .await;
    let own = pki.authority.client(&["calendar.acme.example"]);
    let files =
        [pki.path("ca.pem"), pki.write("client.key", &own.key), pki.write("client.pem", &own.certificate)];
    play_with(&world, "lists_identities", &files).await;
}
