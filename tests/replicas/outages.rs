//! The store is gone for a while.

use std::time::Duration;

use idp_token_testkit::{
    assert_error, eventually,
    network::{Traffic, Way},
    postgres::Server,
    retry_after,
};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::{
    cluster::{Cluster, Lent, one_token},
    person::{ALL, CRM, GOOGLE, Person},
};

/// Longer than the lease of a renewal, 15 s.
const LONG: Duration = Duration::from_secs(17);

/// What is said of a token that cannot be stored.
pub(crate) const UNSTORED: &str = "Cannot store what became of a token";

/// Less than whoever takes a lease over leaves to the one who had it, 3 s, and the time that one needs.
const A_LITTLE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_gone_known_tokens_are_lent_nothing_is_renewed_and_all_recover_by_themselves() {
    let mut server = Server::start();
    let cluster = Cluster::start(&server.database().await).await;
    let alive = cluster.fresh(CRM, 1);
    let dead = ALL.map(|kind| cluster.expired(kind, 2));
    one_token(cluster.crowd(&alive, Duration::ZERO, None)).await;
    server.stop();
    one_token(cluster.crowd(&alive, Duration::ZERO, None)).await;
    let refused = dead.each_ref().map(|person| cluster.crowd(person, Duration::ZERO, None));
    for crowd in refused {
        for lent in crowd.join_all().await {
            let details = assert_error(lent, Code::Unavailable, "STORE_UNAVAILABLE");
            assert!(retry_after(&details).is_some());
        }
    }
    assert_eq!(dead.each_ref().map(|person| cluster.requests(person.kind)), [0; 4]);
    server.resume();
    let insisting = |person| cluster.replicas.iter().map(|replica| replica.insisting(person)).collect();
    let recovering: [Vec<_>; 4] = dead.each_ref().map(insisting);
    for (person, callers) in dead.iter().zip(recovering) {
        let mut tokens = Vec::new();
        for caller in callers {
            tokens.push(caller.await.unwrap());
        }
        tokens.dedup();
        assert_eq!((tokens.len(), cluster.requests(person.kind)), (1, 1), "{:?}", person.kind);
        cluster.assert_lent(person, &tokens[0]).await;
    }
    cluster.assert_no_reuse();
}

/// The providers issue tokens to the first replica, which cannot store them: the store stops meanwhile.
async fn unstored(cluster: &Cluster, stop: impl FnOnce(), people: &[Person]) -> Vec<JoinHandle<Lent>> {
    let mut callers = Vec::new();
    for person in people {
        cluster.sandbox.faults().script(person.kind.fault().processed().delay(Duration::from_secs(2)));
        callers.push(cluster.replicas[0].lending(person));
    }
    for kind in ALL {
        cluster.asked(kind, people.iter().filter(|person| person.kind == kind).count()).await;
    }
    stop();
    for kind in ALL {
        cluster.answered(kind).await;
    }
    eventually("a line about it", async || {
        cluster.replicas[0].process.log().matches(UNSTORED).count() >= people.len()
    })
    .await;
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_token_before_it_is_stored() {
    let mut server = Server::start();
    let cluster = Cluster::start(&server.database().await).await;
    let people = ALL.map(|kind| cluster.expired(kind, 1));
    let first = unstored(&cluster, || server.stop(), &people).await;
    let crowds = people.each_ref().map(|person| cluster.crowd(person, Duration::ZERO, None));
    for replica in &cluster.replicas[1..] {
        for person in &people {
            assert_error(replica.lend(person).await, Code::Unavailable, "STORE_UNAVAILABLE");
        }
    }
    // Google's is not worth the wait: its refresh token lives on.
    assert!(first[1..].iter().all(|caller| !caller.is_finished()), "a token was lent that nobody has stored");
    server.resume();
    for ((person, caller), crowd) in people.iter().zip(first).zip(crowds) {
        let outcomes = crowd.join_all().await.into_iter().chain([caller.await.unwrap()]);
        let (lent, refused): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
        for lent in refused {
            assert_error(lent, Code::Unavailable, "STORE_UNAVAILABLE");
        }
        let mut tokens: Vec<_> = lent.into_iter().map(|lent| lent.unwrap().access_token).collect();
        tokens.dedup();
        eventually("recovery", async || {
            let mut served = true;
            for replica in &cluster.replicas {
                served &= replica.lend(person).await.is_ok();
            }
            served
        })
        .await;
        let token = cluster.replicas[0].lend(person).await.unwrap().access_token;
        assert!(tokens.is_empty() || tokens == [token.clone()], "{:?}", person.kind);
        cluster.assert_lent(person, &token).await;
        if person.kind != GOOGLE {
            assert_eq!(cluster.requests(person.kind), 1, "{:?}", person.kind);
        }
    }
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_longer_than_the_lease_the_owner_of_new_tokens_may_store_them_first() {
    let server = Server::shared();
    let database = server.database().await;
    let ways = [Way::to(server.port()).await, Way::to(server.port()).await, Way::to(server.port()).await];
    let urls = ways.each_ref().map(|way| way.url(&database, server.port()));
    let cluster = Cluster::by(urls.each_ref().map(String::as_str)).await;
    let people: Vec<_> = (1..=12).map(|number| cluster.expired(CRM, number)).collect();
    let callers = unstored(&cluster, || ways.iter().for_each(|way| way.is(Traffic::Breaks)), &people).await;
    let others = &cluster.replicas[1..];
    let insisting = |person| others.iter().map(|replica| replica.insisting(person)).collect();
    let waiting: Vec<Vec<_>> = people.iter().map(insisting).collect();
    tokio::time::sleep(LONG).await;
    // The others see the store a little earlier, when the leases have run out.
    ways[1..].iter().for_each(|way| way.is(Traffic::Flows));
    tokio::time::sleep(A_LITTLE).await;
    ways[0].is(Traffic::Flows);
    for ((person, caller), waiting) in people.iter().zip(callers).zip(waiting) {
        let token = caller.await.unwrap().unwrap().access_token;
        for other in waiting {
            assert_eq!(other.await.unwrap(), token);
        }
        cluster.assert_lent(person, &token).await;
    }
    assert_eq!(cluster.requests(CRM), people.len());
    cluster.assert_no_reuse();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_not_lent_by_a_new_process_that_cannot_ask_the_store() {
    let server = Server::shared();
    let database = server.database().await;
    let way = Way::to(server.port()).await;
    let mut cluster = Cluster::by([&database]).await;
    let google = cluster.fresh(GOOGLE, 1);
    cluster.replicas.remove(0).revoke(&google).await;
    for trouble in [Traffic::Breaks, Traffic::Hangs] {
        let restarted = cluster.launch(&way.url(&database, server.port())).await;
        way.is(trouble);
        let lent = restarted.lend(&google).await;
        let told = lent.as_ref().map_err(|status| status.message().to_owned()).unwrap_err().clone();
        assert_error(lent, Code::Unavailable, "STORE_UNAVAILABLE");
        assert_eq!(told, "the token store is unavailable; try again shortly");
        way.is(Traffic::Flows);
        eventually("what is stored", async || {
            restarted.lend(&google).await.is_err_and(|status| status.code() == Code::FailedPrecondition)
        })
        .await;
    }
    let slow = cluster.launch(&way.url(&database, server.port())).await;
    way.is(Traffic::Lags(Duration::from_secs(2)));
    let refused = slow.lend(&google).await.unwrap_err().code();
    assert!([Code::Unavailable, Code::FailedPrecondition].contains(&refused), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_knows_it_goes_on_lending_while_it_cannot_ask_the_store() {
    let server = Server::shared();
    let database = server.database().await;
    let way = Way::to(server.port()).await;
    let mut cluster = Cluster::by([way.url(&database, server.port()).as_str()]).await;
    let (fresh, renewed) = (cluster.fresh(GOOGLE, 1), cluster.expired(CRM, 1));
    let replica = cluster.replicas.remove(0);
    for person in [&fresh, &renewed] {
        way.is(Traffic::Flows);
        let token = replica.lend(person).await.unwrap().access_token;
        for trouble in [Traffic::Breaks, Traffic::Hangs, Traffic::Lags(Duration::from_secs(2))] {
            way.is(trouble);
            assert_eq!(replica.lend(person).await.unwrap().access_token, token);
        }
    }
    assert_eq!(cluster.requests(CRM), 1);
}
