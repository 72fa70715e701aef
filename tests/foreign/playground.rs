//! The playground in a real browser: tests/clients/node/playground.mjs drives Chromium through the sandbox as
//! people start it.

use idp_token_testkit::people::ADA;
use serde_json::json;

use crate::{
    child::run,
    program::Sandbox,
    tools::{client, node},
};

async fn play(scenario: &str) {
    let sandbox = Sandbox::start().await;
    let mut tokens = Vec::new();
    for account in ["100000000000000000006", "2000004", "2000005", "10158333333333333"] {
        let request = json!({"identity": {"userId": MARY, "accountId": account}});
        let lent = sandbox.call("GetIdentityToken", &request).await.well().json();
        tokens.push(lent["accessToken"].clone());
    }
    let mut browser = node();
    browser.arg(client("node/playground.mjs")).args([scenario, &sandbox.page, &json!(tokens).to_string()]);
    run(&mut browser).await.well();
}

/// The sample's user with accounts for every scenario.
const MARY: &str = "auth0|4a61636b736f6e0000000001";

/// The origin that the page says the service is at.
async fn service(page: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let html = client.get(page).send().await.unwrap().text().await.unwrap();
    let (_, rest) = html.split_once(r#"<meta name="service" content=""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_pages_service_asks_who_calls_and_the_commands_need_no_token() {
    let mut sandbox = Sandbox::start().await;
    let request = json!({"userId": ADA});
    sandbox.call("ListIdentities", &request).await.well();
    sandbox.address = service(&sandbox.page).await;
    let refused = sandbox.call("ListIdentities", &request).await.with(1);
    assert!(refused.stderr.contains("CALLER_UNAUTHENTICATED"), "{refused}");
}

#[tokio::test]
async fn a_user_logs_in_and_sees_accounts_and_has_each_provider_called() {
    play("lists_accounts_and_calls_each_provider").await;
}

#[tokio::test]
async fn a_user_sees_that_the_cache_spares_auth0() {
    play("shows_that_the_cache_spares_auth0").await;
}

#[tokio::test]
async fn a_user_sees_a_renewal() {
    play("shows_a_renewal").await;
}

#[tokio::test]
async fn a_user_with_two_accounts_chooses_one() {
    play("resolves_an_ambiguous_account_by_choosing").await;
}

#[tokio::test]
async fn a_user_follows_the_link_of_a_missing_scope() {
    play("follows_the_link_of_a_missing_scope_to_a_login_that_mends_it").await;
}

#[tokio::test]
async fn a_user_follows_the_link_of_a_dead_token() {
    play("follows_the_link_of_a_dead_token").await;
}

#[tokio::test]
async fn a_user_sees_what_is_refused() {
    play("shows_what_is_refused").await;
}

#[tokio::test]
async fn the_page_forgets_the_user_who_logs_out() {
    play("forgets_the_user_who_logs_out").await;
}

#[tokio::test]
async fn the_page_takes_no_login_that_it_did_not_begin() {
    play("takes_no_login_that_it_did_not_begin").await;
}

#[tokio::test]
async fn the_page_works_by_keyboard() {
    play("works_by_keyboard").await;
}

#[tokio::test]
async fn the_page_is_accessible_and_fits_a_phone_in_light_and_in_dark() {
    play("fits_a_phone").await;
}

#[tokio::test]
async fn the_page_is_accessible_and_fits_a_desk_in_light_and_in_dark() {
    play("fits_a_desk").await;
}
