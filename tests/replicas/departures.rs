//! Who asked first goes away.

use std::time::Duration;

use idp_token_testkit::postgres::Server;

use crate::{
    cluster::{Cluster, one_token},
    person::{BITBUCKET, CRM, GITHUB, GOOGLE},
};

/// Long enough to do something meanwhile.
const WHILE: Duration = Duration::from_secs(2);

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
