//! Who asked first goes away.

use std::time::Duration;

use idp_token_testkit::{
    eventually,
    network::{Traffic, Way},
    postgres::Server,
};

use crate::{
    cluster::{Cluster, one_token},
    outages::UNSTORED,
    person::{BITBUCKET, CRM, GITHUB, GOOGLE, Person},
};

/// Long enough to do something meanwhile.
const WHILE: Duration = Duration::from_secs(2);

/// Longer than the default of `drain`, 15 s, and within the limit of a renewal.
const LONG: Duration = Duration::from_secs(17);

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_only_caller_leaves_is_finished_and_serves_those_who_come_later() {
    let cluster = Cluster::start(&Server::shared().database().await).await;
    for kind in [GOOGLE, BITBUCKET, GITHUB, CRM] {
        let person = cluster.expired(kind, 1);
        cluster.sandbox.faults().script(kind.fault().processed().delay(WHILE));
        let caller = cluster.replicas[0].lending(&person);
        cluster.asked(kind, 1).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let token = one_token(cluster.crowd(&person, Duration::ZERO, None)).await;
        assert_eq!(cluster.requests(kind), 1, "{kind:?}");
        cluster.assert_lent(&person, &token).await;
    }
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_asked_to_stop_finishes_its_renewals_first_and_loses_nothing() {
    let mut cluster = Cluster::start(&Server::shared().database().await).await;
    let [waited_for, left] = [CRM, BITBUCKET].map(|kind| cluster.expired(kind, 1));
    for person in [&waited_for, &left] {
        cluster.sandbox.faults().script(person.kind.fault().processed().delay(2 * WHILE));
    }
    let [caller, gone] = [&waited_for, &left].map(|person| cluster.replicas[0].lending(person));
    cluster.asked(CRM, 1).await;
    cluster.asked(BITBUCKET, 1).await;
    gone.abort();
    let leaver = cluster.replicas.remove(0);
    leaver.process.signal("TERM").await;
    let token = caller.await.unwrap().unwrap().access_token;
    let (status, log) = leaver.process.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");

    cluster.assert_lent(&waited_for, &token).await;
    let other = cluster.replicas[0].lend(&left).await.unwrap().access_token;
    cluster.assert_lent(&left, &other).await;
    assert_eq!((cluster.requests(CRM), cluster.requests(BITBUCKET)), (1, 1));
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_takes_longer_than_the_drain_time_is_stored_before_the_process_ends() {
    let database = Server::shared().database().await;
    let mut cluster = Cluster::by([&database]).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().delay(LONG));
    let leaver = cluster.replicas.remove(0);
    let _caller = leaver.lending(&crm);
    cluster.asked(CRM, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    leaver.process.signal("TERM").await;
    let (status, log) = leaver.process.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    the_next_replica_lends_without_asking(cluster, &database, &crm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_holds_the_only_copy_of_a_token_ends_when_the_store_has_taken_it() {
    let server = Server::shared();
    let database = server.database().await;
    let way = Way::to(server.port()).await;
    let mut cluster = Cluster::by([way.url(&database, server.port()).as_str()]).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().processed().delay(WHILE));
    let leaver = cluster.replicas.remove(0);
    let _caller = leaver.lending(&crm);
    cluster.asked(CRM, 1).await;
    way.is(Traffic::Breaks);
    eventually("a line about it", async || leaver.process.log().contains(UNSTORED)).await;
    leaver.process.signal("TERM").await;
    let warning = "ending this process now may lose users' tokens";
    eventually("a warning", async || leaver.process.log().contains(warning)).await;
    assert_eq!(leaver.process.page("/readyz").await.0, 503, "it lives");
    way.is(Traffic::Flows);
    let (status, log) = leaver.process.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    the_next_replica_lends_without_asking(cluster, &database, &crm).await;
}

async fn the_next_replica_lends_without_asking(mut cluster: Cluster, database: &str, person: &Person) {
    let next = cluster.launch(database).await;
    let token = next.lend(person).await.unwrap().access_token;
    cluster.replicas.push(next);
    assert_eq!(cluster.requests(person.kind), 1);
    cluster.assert_lent(person, &token).await;
    cluster.assert_no_reuse();
}
