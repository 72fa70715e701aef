//! The replica that renews dies, or is as good as dead for a while.

use std::time::Duration;

use idp_token_sandbox::Reuse;
use idp_token_testkit::{assert_error, eventually, postgres::Server};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    cluster::{CALLERS, Cluster, one_token},
    person::{BITBUCKET, CRM, GOOGLE},
};

/// Longer than the tests take.
const FOR_EVER: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn when_the_replica_that_renews_is_killed_another_takes_over_and_a_token_is_spent_twice_at_most_once() {
    let mut cluster = Cluster::start(&Server::shared().database().await).await;
    let (google, bitbucket, crm) =
        (cluster.expired(GOOGLE, 1), cluster.expired(BITBUCKET, 1), cluster.expired(CRM, 1));
    // Google and Bitbucket never carried it out; the CRM has rotated, and only the dead replica was told.
    for fault in [GOOGLE.fault(), BITBUCKET.fault(), CRM.fault().processed()] {
        cluster.sandbox.faults().script(fault.delay(FOR_EVER));
    }
    let victim = cluster.replicas.remove(0);
    let mut crowds = Vec::new();
    for person in [&google, &bitbucket, &crm] {
        let _first = victim.lending(person);
        cluster.asked(person.kind, 1).await;
        crowds.push(cluster.crowd(person, Duration::from_millis(200), None));
    }
    victim.process.signal("KILL").await;
    victim.process.ended().await;

    let lost = crowds.pop().unwrap();
    for (person, crowd) in [&google, &bitbucket].into_iter().zip(crowds) {
        let token = one_token(crowd).await;
        assert_eq!(cluster.requests(person.kind), 2, "{:?}", person.kind);
        cluster.assert_lent(person, &token).await;
    }
    for lent in lost.join_all().await {
        assert_error(lent, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
    for replica in &cluster.replicas {
        let lent = replica.lend(&crm).await;
        assert_error(lent, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    }
    assert_eq!(cluster.requests(CRM), 2, "what the provider said is believed");
    // Nobody could know that the token had been spent; nobody spends it a third time.
    assert_eq!(cluster.sandbox.reuse(), Reuse { requests: 1, families_revoked: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_wakes_up_after_another_took_over_overwrites_nothing_and_uses_what_is_stored() {
    let cluster = Cluster::start(&Server::shared().database().await).await;
    let (google, bitbucket) = (cluster.expired(GOOGLE, 1), cluster.expired(BITBUCKET, 1));
    for person in [&google, &bitbucket] {
        cluster.sandbox.faults().script(person.kind.fault().processed().delay(Duration::from_secs(2)));
    }
    let [sleeper, others @ ..] = &cluster.replicas[..] else { panic!("there are replicas") };
    let [late, heir] = [&google, &bitbucket].map(|person| sleeper.lending(person));
    cluster.asked(GOOGLE, 1).await;
    cluster.asked(BITBUCKET, 1).await;
    sleeper.process.signal("STOP").await;

    let mut crowd = JoinSet::new();
    others.iter().for_each(|replica| replica.crowd(&mut crowd, &google, Duration::ZERO, None));
    let refused = others[0].lend(&bitbucket).await;
    assert_error(refused, Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
    assert_eq!(crowd.len(), 2 * CALLERS);
    let token = one_token(crowd).await;

    sleeper.process.signal("CONT").await;
    assert_eq!(late.await.unwrap().unwrap().access_token, token, "the sleeper's own came too late");
    cluster.assert_lent(&google, &token).await;
    // What only the sleeper was told at Bitbucket is not lost for a failure that was written down meanwhile.
    let saved = heir.await.unwrap().unwrap().access_token;
    eventually("news of the token", async || others[0].lend(&bitbucket).await.is_ok()).await;
    cluster.assert_lent(&bitbucket, &saved).await;
    assert_eq!((cluster.requests(GOOGLE), cluster.requests(BITBUCKET)), (2, 2));
    assert_eq!(cluster.sandbox.reuse(), Reuse { requests: 1, families_revoked: 0 });
}
