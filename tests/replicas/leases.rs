//! A lease is lost while its holder lives: then it sends nothing more, and what it has sent was not sent
//! twice.

use std::time::Duration;

use idp_token_sandbox::Fault;
use idp_token_testkit::{
    eventually,
    network::{Traffic, Way},
    postgres::{Server, execute},
};
use tokio::task::JoinSet;

use crate::{
    cluster::{Cluster, Lent, Replica, one_token},
    person::{CRM, Person},
};

/// Longer than the profile is read under the lease.
const PROFILE: Duration = Duration::from_secs(3);

/// Within the limit of a renewal, 20 s, but not within a lease of 15 s and the 3 s that an heir waits.
const SLOW: Duration = Duration::from_millis(18_800);

async fn cluster(database: &str) -> Cluster {
    Cluster::by([database; 2]).await
}

/// A caller has the first replica take the lease. Under it the profile is read a second time, since the
/// caller reports the token as refused, and that takes [`PROFILE`].
async fn between_lease_and_sending(cluster: &Cluster, person: &Person) -> JoinSet<Lent> {
    let profile = Fault::on(cluster.sandbox.domain()).path("/api/v2/users/");
    cluster.sandbox.faults().script(profile.after(1).delay(PROFILE));
    let old = cluster.sandbox.access_token(&person.id, person.kind.connection).unwrap();
    let mut callers = JoinSet::new();
    cluster.replicas[0].first(&mut callers, person, &old);
    eventually("the second read", async || cluster.sandbox.journal().profile_reads() == 2).await;
    callers
}

fn pair(cluster: &Cluster) -> [&Replica; 2] {
    [&cluster.replicas[0], &cluster.replicas[1]]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_slept_before_sending_does_not_send_what_its_heir_is_sending() {
    let cluster = cluster(&Server::shared().database().await).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().delay(Duration::from_secs(4)));
    let late = between_lease_and_sending(&cluster, &crm).await;
    let [sleeper, heir] = pair(&cluster);
    sleeper.process.signal("STOP").await;
    let mut crowd = JoinSet::new();
    heir.crowd(&mut crowd, &crm, Duration::ZERO, None);
    cluster.asked(CRM, 1).await;
    sleeper.process.signal("CONT").await;

    let token = one_token(crowd).await;
    assert_eq!(one_token(late).await, token);
    assert_eq!(cluster.requests(CRM), 1);
    cluster.assert_lent(&crm, &token).await;
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_cut_off_while_the_provider_works_gives_up_before_its_heir_sends() {
    let server = Server::shared();
    let database = server.database().await;
    let way = Way::to(server.port()).await;
    let cluster = Cluster::by([&way.url(&database, server.port()), &database]).await;
    let crm = cluster.expired(CRM, 1);
    // The sandbox carries nothing out for a client that has left.
    cluster.sandbox.faults().script(CRM.fault().delay(SLOW));
    let [holder, heir] = pair(&cluster);
    let waiting = holder.lending(&crm);
    cluster.asked(CRM, 1).await;
    way.is(Traffic::Hangs);
    let token = heir.insisting(&crm).await.unwrap();
    waiting.await.unwrap().unwrap_err();
    // Past the moment at which the first request would have been carried out.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answers: Vec<_> = cluster.renewals(CRM).iter().map(|entry| entry.status.is_some()).collect();
    assert_eq!(answers, [false, true], "the first was given up, and then the second was sent");
    cluster.assert_no_reuse();

    way.is(Traffic::Flows);
    eventually("news of the token", async || holder.lend(&crm).await.is_ok()).await;
    cluster.assert_lent(&crm, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_lease_is_gone_sends_nothing_and_begins_anew() {
    let database = Server::shared().database().await;
    let cluster = cluster(&database).await;
    let crm = cluster.expired(CRM, 1);
    cluster.sandbox.faults().script(CRM.fault().delay(Duration::from_secs(4)));
    let mut crowd = between_lease_and_sending(&cluster, &crm).await;
    execute(&database, "DELETE FROM idp_token_lease").await;
    cluster.replicas[1].crowd(&mut crowd, &crm, Duration::ZERO, None);
    let token = one_token(crowd).await;
    assert_eq!(cluster.requests(CRM), 1);
    cluster.assert_lent(&crm, &token).await;
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_lease_another_has_sends_nothing_until_that_ends() {
    let database = Server::shared().database().await;
    let cluster = cluster(&database).await;
    let crm = cluster.expired(CRM, 1);
    let callers = between_lease_and_sending(&cluster, &crm).await;
    let another = "UPDATE idp_token_lease SET holder = 'another', \
                   expires_at = (SELECT now FROM idp_token_clock) + 6000";
    execute(&database, another).await;
    tokio::time::sleep(PROFILE + Duration::from_secs(2)).await;
    assert_eq!(cluster.requests(CRM), 0);
    let token = one_token(callers).await;
    assert_eq!(cluster.requests(CRM), 1);
    cluster.assert_lent(&crm, &token).await;
    cluster.assert_no_reuse();
}
