//! Auth0's own SDK against the tenant that the sandbox plays.

use idp_token_testkit::World;

use crate::{
    child::run,
    tools::{client, python_tool},
};

#[tokio::test]
async fn auth0s_own_sdk_takes_the_sandbox_for_a_tenant() {
    let world = World::start().await;
    let sandbox = &world.sandbox;
    let mut python = python_tool("python");
    python.arg(client("python/auth0_sdk.py")).arg(sandbox.address().to_string()).arg(sandbox.audience());
    run(&mut python).await.well();
}
