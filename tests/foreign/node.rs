//! Node.js: grpc-js, with the schema read at run time.

use idp_token_testkit::World;

use crate::{
    child::run,
    tools::{client, node},
};

async fn play(scenario: &str) {
    let world = World::start().await;
    let mut node = node();
    node.arg(client("node/contract.js")).arg(scenario).arg(world.service.address.to_string());
    run(&mut node).await.well();
}

#[tokio::test]
async fn a_node_program_lists_identities() {
    play("lists_identities").await;
}

#[tokio::test]
async fn a_node_program_borrows_a_token() {
    play("lends_a_token").await;
}

#[tokio::test]
async fn a_node_program_has_a_provider_called() {
    play("calls_a_provider").await;
}

#[tokio::test]
async fn a_node_program_reads_the_details_of_an_error() {
    play("reads_the_details_of_an_error").await;
}
