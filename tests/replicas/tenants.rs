//! Two tenants, each with a service of its own, on one database.

use std::time::Duration;

use idp_token_testkit::postgres::Server;
use serde_json::json;

use crate::{cluster::Cluster, person::ALL};

/// An identity is not renewed twice within 30 s. By then a token of 80 s lives shorter than the minute that
/// callers want.
const REST: Duration = Duration::from_secs(31);

#[tokio::test(flavor = "multi_thread")]
async fn tenants_with_the_same_users_renew_in_turn_and_know_nothing_of_each_other() {
    let database = Server::shared().database().await;
    let ours = Cluster::by([&database]).await;
    let theirs = Cluster::of_tenant("other.eu.auth0.com", [&database]).await;
    let tenants = [&ours, &theirs];
    let people = ALL.map(|kind| tenants.map(|cluster| cluster.expired(kind, 1)));
    for round in 1..=2 {
        for [person, same] in &people {
            let kind = person.kind;
            assert_eq!(person.id, same.id);
            for cluster in tenants {
                cluster.sandbox.faults().script(kind.fault().amend(json!({ "expires_in": 80 })));
                let token = cluster.replicas[0].lend(person).await.unwrap().access_token;
                assert!(cluster.sandbox.is_alive(&token), "{kind:?}: it is of this tenant");
                assert_eq!(cluster.requests(kind), round, "{kind:?}");
            }
        }
        if round == 1 {
            tokio::time::sleep(REST).await;
        }
    }
    tenants.iter().for_each(|cluster| cluster.assert_no_reuse());
}
