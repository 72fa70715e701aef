//! Everybody wants a token at the moment at which it ends.

use std::time::Duration;

use idp_token_service::service::pb::CallProviderResponse;
use idp_token_testkit::postgres::Server;
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    cluster::{CALLERS, Cluster, REPLICAS, one_token},
    person::{ALL, BITBUCKET, CRM, GITHUB, GOOGLE, Person},
};

/// All at the same moment.
const AT_ONCE: Duration = Duration::ZERO;

/// Some come when the first are just being answered.
const SPREAD: Duration = Duration::from_millis(200);

/// Longer than the lease of a renewal, 15 s, and shorter than a renewal may take, 20 s.
const SLOW: Duration = Duration::from_secs(17);

async fn cluster() -> Cluster {
    Cluster::start(&Server::shared().database().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_callers_of_each_replica_at_the_moment_of_expiry_all_get_the_token_of_one_request() {
    let cluster = cluster().await;
    for (number, spread) in [(1, AT_ONCE), (2, SPREAD)] {
        for kind in ALL {
            let person = cluster.expired(kind, number);
            cluster.sandbox.journal().clear();
            let token = one_token(cluster.crowd(&person, spread, None)).await;
            assert_eq!(cluster.requests(kind), 1, "{kind:?} {spread:?}");
            cluster.assert_lent(&person, &token).await;
        }
    }
    cluster.assert_no_reuse();
}

/// A person whose token every replica holds, and that token.
async fn held(cluster: &Cluster, person: &Person) -> String {
    for replica in &cluster.replicas {
        replica.lend(person).await.unwrap();
    }
    cluster.sandbox.journal().clear();
    cluster.sandbox.access_token(&person.id, person.kind.connection).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_with_the_old_token_gets_the_new_one_and_spends_nothing() {
    let cluster = cluster().await;
    cluster.prove_apps().await;
    for kind in ALL {
        let person = cluster.fresh(kind, 1);
        let old = held(&cluster, &person).await;
        cluster.sandbox.expire_token(&person.id, kind.connection).unwrap();
        let token = one_token(cluster.crowd(&person, SPREAD, Some(&old))).await;
        assert_ne!(token, old);
        // Some learn of it only now.
        assert_eq!(one_token(cluster.crowd(&person, SPREAD, Some(&old))).await, token);
        assert_eq!(cluster.requests(kind), 1, "{kind:?}");
        cluster.assert_lent(&person, &token).await;
    }
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_a_token_that_just_ended_are_made_with_the_new_one_at_the_second_attempt() {
    let cluster = cluster().await;
    cluster.prove_apps().await;
    for (number, spread) in [(1, AT_ONCE), (2, SPREAD)] {
        for kind in [GITHUB, CRM] {
            let person = cluster.fresh(kind, number);
            held(&cluster, &person).await;
            cluster.sandbox.expire_token(&person.id, kind.connection).unwrap();
            let mut crowd: JoinSet<Result<CallProviderResponse, Status>> = JoinSet::new();
            for replica in &cluster.replicas {
                replica.callers(&mut crowd, &person, spread);
            }
            for answer in crowd.join_all().await {
                assert_eq!(answer.unwrap().status_code, 200, "{kind:?}");
            }
            assert_eq!(cluster.requests(kind), 1, "{kind:?}");
            let sent = cluster.sandbox.journal().to(kind.api_host);
            let sent = sent.iter().filter(|entry| entry.path == kind.path).count();
            assert!(sent <= 2 * CALLERS * REPLICAS, "nobody sends more than twice: {sent}");
        }
    }
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_slower_than_the_lease_is_asked_once() {
    let cluster = cluster().await;
    let mut crowds = Vec::new();
    for kind in [GOOGLE, BITBUCKET, CRM] {
        let person = cluster.expired(kind, 1);
        cluster.sandbox.faults().script(kind.fault().processed().delay(SLOW));
        crowds.push((person.clone(), cluster.crowd(&person, SPREAD, None)));
    }
    for (person, crowd) in crowds {
        let token = one_token(crowd).await;
        assert_eq!(cluster.requests(person.kind), 1, "{:?}", person.kind);
        cluster.assert_lent(&person, &token).await;
    }
    cluster.assert_no_reuse();
}
