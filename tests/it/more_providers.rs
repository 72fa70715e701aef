//! CallProvider at the providers beside Google, GitHub and Facebook.

use idp_token_service::{config::Config, service::pb::IdentitySelector};
use idp_token_testkit::{
    World, get,
    http::Read,
    people::{HEDY, KEN, RADIA, at},
};

/// What the items of all pages have under `field`.
async fn walked(
    world: &World,
    identity: IdentitySelector,
    first: &str,
    list: &str,
    field: &str,
) -> Vec<String> {
    let (mut found, mut path) = (Vec::new(), first.to_owned());
    while !path.is_empty() {
        assert!(found.len() < 10, "the pages go round in a circle");
        let page = world.call(identity.clone(), get(&path)).await.unwrap();
        assert_eq!(page.status_code, 200);
        let items = page.json()[list].as_array().unwrap().clone();
        found.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
        path = page.report().next_page_path.clone();
    }
    found
}

#[tokio::test]
async fn bitbuckets_pages_are_walked_to_the_end() {
    let world = World::start().await;
    let names =
        walked(&world, at(KEN, "bitbucket"), "/2.0/repositories/ken?pagelen=2", "values", "name").await;
    assert_eq!(names, ["unix", "plan9", "regex"]);
    assert_eq!(world.provider_calls("api.bitbucket.org"), 2);
}

#[tokio::test]
async fn graphs_pages_are_walked_to_the_end() {
    let world = World::start().await;
    let messages =
        walked(&world, at(HEDY, "windowslive"), "/v1.0/me/messages?$top=2", "value", "subject").await;
    assert_eq!(messages, ["Welcome", "Agenda", "Minutes", "Invoice", "Goodbye"]);
    assert_eq!(world.provider_calls("graph.microsoft.com"), 3);
}

/// A work account's connection whose tokens are to be for the tenant's SharePoint.
fn for_sharepoint(config: &mut Config) {
    let mut provider = config.providers["waad"].clone();
    provider.settings.hosts = vec!["acme.sharepoint.com".to_owned()];
    config.providers.insert("acme-entra".to_owned(), provider);
}

#[tokio::test]
async fn a_refresh_token_of_entra_is_redeemed_for_the_tenants_sharepoint() {
    let world = World::configured(for_sharepoint).await;
    let answer = world.call(at(RADIA, "waad"), get("/_api/web")).await.unwrap();
    assert_eq!((answer.status_code, answer.report().token_renewed), (200, true), "{answer:?}");
    assert_eq!(world.provider_calls("acme.sharepoint.com"), 1);
    let asked = world.sandbox.journal().to("login.microsoftonline.com");
    assert_eq!(asked.len(), 1);
}
