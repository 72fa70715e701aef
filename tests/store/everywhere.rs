//! What every backend promises.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use idp_token_service::{
    identity::IdentityKey,
    store::{Acquired, Failure, Lease, LeaseName, Record, SharedSwap, Store, Swap},
    token::Fingerprint,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;

use crate::world::{World, account, ada, adas, eventually, load, name, put, record, user};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(40);

macro_rules! on_every_backend {
    ($($name:ident,)*) => {
        on_every_backend!(@ memory $($name)*);
        on_every_backend!(@ sqlite $($name)*);
        on_every_backend!(@ postgres $($name)*);
    };
    (@ $backend:ident $($name:ident)*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::World::$backend().await).await;
                }
            )*
        }
    };
}

on_every_backend![
    a_record_reads_back_as_it_was_stored,
    of_64_writers_exactly_one_wins_each_generation,
    a_repeated_swap_finds_its_own_work_done_and_another_is_lost,
    a_swap_that_expects_what_is_gone_is_lost_even_if_it_was_made_again,
    of_64_contenders_exactly_one_gets_the_lease,
    an_expired_lease_is_taken_over_and_its_old_holder_cannot_touch_the_new_one,
    a_renewed_lease_lasts_anew_and_a_released_one_is_free_at_once,
    a_shared_value_is_replaced_by_one_writer_and_runs_out,
    removing_a_user_removes_all_of_theirs_and_nothing_else,
    what_is_unused_for_long_is_removed_with_what_ran_out,
    an_account_has_one_record_whichever_user_it_is_linked_to,
    keys_that_look_alike_are_different,
    callers_that_leave_halfway_do_no_harm,
];

async fn a_record_reads_back_as_it_was_stored(world: World) {
    let store = world.open().await;
    assert!(load(&store, &adas()).await.is_none());
    let mut given = record("first");
    given.failure = Some(Failure {
        count: 2,
        retry_at: std::time::SystemTime::UNIX_EPOCH + LONG,
        reason: "invalid_grant".to_owned(),
        permanent: true,
    });
    given.revoked = true;
    given.refuse(Fingerprint::of("refused"));
    let Swap::Done(generation) = store.swap(&adas(), &ada(), 0, &given).await.unwrap() else {
        panic!("nobody else")
    };

    let mut stored = load(&*world.open().await, &adas()).await.unwrap();
    // Times are put onto the reader's clock, of which tests/store/durable.rs tells.
    let (tokens, failure) = (stored.record.tokens.as_mut().unwrap(), stored.record.failure.as_mut().unwrap());
    let life = tokens.expires_at.unwrap().duration_since(tokens.obtained_at).unwrap();
    assert_eq!(life, Duration::from_secs(100_000_000));
    let given_tokens = given.tokens.as_ref().unwrap();
    (tokens.obtained_at, tokens.expires_at) = (given_tokens.obtained_at, given_tokens.expires_at);
    failure.retry_at = given.failure.as_ref().unwrap().retry_at;
    assert_eq!(format!("{:?}", stored.record), format!("{given:?}"));
    assert_eq!((stored.generation, name(&stored)), (generation, "first".to_owned()));
    assert_eq!(stored.created_at, stored.updated_at);
    let again = put(&store, &adas(), generation, "second").await;
    let stored = load(&store, &adas()).await.unwrap();
    assert!(again > generation && stored.generation == again);
    assert!(stored.created_at <= stored.updated_at && stored.updated_at <= stored.last_used_at);
}

async fn of_64_writers_exactly_one_wins_each_generation(world: World) {
    let replicas = [world.open().await, world.open().await];
    let mut generation = 0;
    for round in 0..4 {
        let mut writers = JoinSet::new();
        for writer in 0..64 {
            let store = Arc::clone(&replicas[writer % 2]);
            let record = record(&format!("{round}-{writer}"));
            writers.spawn(async move { store.swap(&adas(), &ada(), generation, &record).await.unwrap() });
        }
        let outcomes = writers.join_all().await;
        let won: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Swap::Done(generation) => Some(*generation),
                Swap::Lost(_) => None,
            })
            .collect();
        let current = load(&replicas[0], &adas()).await.unwrap();
        assert_eq!(won, [current.generation], "round {round}");
        for outcome in &outcomes {
            let Swap::Lost(seen) = outcome else { continue };
            assert_eq!(name(seen.as_ref().unwrap()), name(&current), "a loser is told who won");
        }
        generation = current.generation;
    }
}

async fn a_repeated_swap_finds_its_own_work_done_and_another_is_lost(world: World) {
    let store = world.open().await;
    let mut expected = 0;
    for content in ["first", "second"] {
        let generation = put(&store, &adas(), expected, content).await;
        assert_eq!(put(&store, &adas(), expected, content).await, generation);
        let other = store.swap(&adas(), &ada(), expected, &record("other")).await.unwrap();
        assert!(matches!(other, Swap::Lost(Some(stored)) if name(&stored) == content));
        expected = generation;
    }
}

async fn a_swap_that_expects_what_is_gone_is_lost_even_if_it_was_made_again(world: World) {
    let store = world.open().await;
    let old = put(&store, &adas(), 0, "old").await;
    assert_eq!(store.remove_user(&ada()).await.unwrap(), 1);
    assert!(matches!(store.swap(&adas(), &ada(), old, &record("late")).await.unwrap(), Swap::Lost(None)));
    // Generations count milliseconds at first: the next one begins later.
    tokio::time::sleep(Duration::from_millis(5)).await;
    put(&store, &adas(), 0, "new").await;
    let late = store.swap(&adas(), &ada(), old, &record("late")).await.unwrap();
    assert!(matches!(late, Swap::Lost(Some(stored)) if name(&stored) == "new"));
}

fn lease_name() -> LeaseName {
    LeaseName::Identity(adas())
}

async fn take(store: &Store, holder: &str, length: Duration) -> Option<Lease> {
    match store.acquire(&lease_name(), holder, length).await.unwrap() {
        Acquired::Yes(lease) => Some(lease),
        Acquired::Held { .. } => None,
    }
}

/// Who has the lease, and for how long.
async fn held(store: &Store) -> (String, Duration) {
    match store.acquire(&lease_name(), "curious", LONG).await.unwrap() {
        Acquired::Held { by, remaining } => (by, remaining),
        Acquired::Yes(lease) => panic!("{lease:?}"),
    }
}

async fn of_64_contenders_exactly_one_gets_the_lease(world: World) {
    let replicas = [world.open().await, world.open().await];
    let mut contenders = JoinSet::new();
    for contender in 0..64 {
        let store = Arc::clone(&replicas[contender % 2]);
        contenders.spawn(async move { take(&store, &format!("replica-{}", contender % 2), LONG).await });
    }
    let taken: Vec<_> = contenders.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "also where the holders have the same name");
    let (by, remaining) = held(&replicas[0]).await;
    assert!(by.starts_with("replica-") && remaining <= LONG && remaining > LONG / 2);
    let another = LeaseName::Shared("management-token".to_owned());
    assert!(matches!(replicas[1].acquire(&another, "a", LONG).await.unwrap(), Acquired::Yes(_)));
}

async fn an_expired_lease_is_taken_over_and_its_old_holder_cannot_touch_the_new_one(world: World) {
    let (one, two) = (world.open().await, world.open().await);
    let mut old = take(&one, "one", SHORT).await.unwrap();
    let new = eventually(async || take(&two, "two", LONG).await).await;
    assert!(!old.is_inherited() && new.is_inherited(), "the old one was not given back");
    assert!(!one.renew(&mut old).await.unwrap());
    assert!(!one.release(old).await.unwrap());
    assert_eq!(held(&one).await.0, "two");
    assert!(two.release(new).await.unwrap());
}

async fn a_renewed_lease_lasts_anew_and_a_released_one_is_free_at_once(world: World) {
    let (one, two) = (world.open().await, world.open().await);
    let mut lease = take(&one, "one", LONG).await.unwrap();
    let before = (lease.expires(), held(&two).await.1);
    let spent =
        eventually(async || Some(held(&two).await.1).filter(|left| *left + 2 * SHORT < before.1)).await;
    let renewing = Instant::now();
    assert!(one.renew(&mut lease).await.unwrap());
    // However long these answers took: an old lease would have no more than was left before.
    let after = held(&two).await.1 + renewing.elapsed();
    assert!(after > spent + SHORT && lease.expires() > before.0, "{spent:?}, {after:?}");
    assert!(one.release(lease).await.unwrap());
    let second = take(&two, "two", LONG).await.unwrap();
    assert!(!second.is_inherited());
    assert!(two.release(second).await.unwrap());
}

async fn a_shared_value_is_replaced_by_one_writer_and_runs_out(world: World) {
    let store = world.open().await;
    let value = |text: &str| SecretString::from(text);
    assert!(store.get_shared("token").await.unwrap().is_none());
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let (store, value) = (Arc::clone(&store), value(&format!("canary-shared-{writer}")));
        writers.spawn(async move { store.put_shared("token", 0, &value, LONG).await.unwrap() });
    }
    let outcomes = writers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, SharedSwap::Done(_))).count(), 1);
    let current = world.open().await.get_shared("token").await.unwrap().unwrap();
    assert!(current.remaining <= LONG && current.remaining > LONG / 2);
    assert!(!format!("{current:?}").contains("canary"));

    let brief = store.put_shared("token", current.generation, &value("brief"), SHORT).await.unwrap();
    let SharedSwap::Done(generation) = brief else { panic!("{brief:?}") };
    eventually(async || store.get_shared("token").await.unwrap().is_none().then_some(())).await;
    let next = store.put_shared("token", 0, &value("next"), LONG).await.unwrap();
    assert!(matches!(next, SharedSwap::Done(next) if next > generation));
    let late = store.put_shared("token", generation, &value("late"), LONG).await.unwrap();
    assert!(matches!(late, SharedSwap::Lost(Some(current)) if current.value.expose_secret() == "next"));
    let nothing = store.put_shared("nothing", 7, &value("x"), LONG).await.unwrap();
    assert!(matches!(nothing, SharedSwap::Lost(None)));
}

async fn removing_a_user_removes_all_of_theirs_and_nothing_else(world: World) {
    let store = world.open().await;
    let (first, second, other) = (adas(), account("2"), account("3"));
    for key in [&first, &second] {
        put(&store, key, 0, "x").await;
    }
    store.swap(&other, &user("auth0|grace"), 0, &record("x")).await.unwrap();
    assert_eq!(store.remove_user(&ada()).await.unwrap(), 2);
    assert_eq!(store.remove_user(&ada()).await.unwrap(), 0);
    assert!(load(&store, &first).await.is_none() && load(&store, &second).await.is_none());
    assert!(load(&store, &other).await.is_some());
}

async fn an_account_has_one_record_whichever_user_it_is_linked_to(world: World) {
    let (store, grace) = (world.open().await, user("auth0|grace"));
    let first = put(&store, &adas(), 0, "renewed").await;
    let seen = store.load(&adas(), &grace).await.unwrap().unwrap();
    assert_eq!((seen.generation, name(&seen)), (first, "renewed".to_owned()));
    assert!(matches!(store.swap(&adas(), &grace, 0, &record("anew")).await.unwrap(), Swap::Lost(Some(_))));
    let Swap::Done(second) = store.swap(&adas(), &grace, first, &record("again")).await.unwrap() else {
        panic!("nobody else")
    };
    let seen = load(&store, &adas()).await.unwrap();
    assert_eq!((seen.generation, name(&seen)), (second, "again".to_owned()));
    // It goes with the user who had it last.
    assert_eq!(store.remove_user(&ada()).await.unwrap(), 0);
    assert!(load(&store, &adas()).await.is_some());
    assert_eq!(store.remove_user(&grace).await.unwrap(), 1);
    assert!(load(&store, &adas()).await.is_none());
}

async fn what_is_unused_for_long_is_removed_with_what_ran_out(world: World) {
    let store = world.open().await;
    put(&store, &adas(), 0, "x").await;
    take(&store, "a", SHORT).await.unwrap();
    store.put_shared("token", 0, &SecretString::from("x"), SHORT).await.unwrap();
    let first = store.remove_unused(LONG).await.unwrap();
    assert!(first.records == 0 && load(&store, &adas()).await.is_some());
    // A database remembers one that ran out for longer: see durable.rs.
    let leases = u64::from(!store.is_durable());
    let mut removed = first;
    eventually(async || {
        let now = store.remove_unused(SHORT).await.unwrap();
        removed.records += now.records;
        removed.leases += now.leases;
        removed.shared += now.shared;
        ((removed.records, removed.leases, removed.shared) == (1, leases, 1)).then_some(())
    })
    .await;
    assert!(load(&store, &adas()).await.is_none());
}

async fn keys_that_look_alike_are_different(world: World) {
    let store = world.open().await;
    let keys = [("a", "bc"), ("ab", "c"), ("ab", "C"), ("ab", "c "), ("abc", ""), ("", "abc"), ("ab", "c\0")];
    let keys = keys.map(|(connection, account_id)| IdentityKey {
        connection: connection.to_owned(),
        account_id: account_id.to_owned(),
    });
    for (key, number) in keys.iter().zip(0..) {
        put(&store, key, 0, &format!("{number}")).await;
    }
    let mut names = HashSet::new();
    for key in &keys {
        names.insert(name(&load(&store, key).await.unwrap()));
    }
    assert_eq!(names.len(), keys.len());
}

async fn callers_that_leave_halfway_do_no_harm(world: World) {
    let store = world.open().await;
    let mut generation = put(&store, &adas(), 0, "0").await;
    for patience in 0..50 {
        let patience = Duration::from_micros(patience * 40);
        let _ = tokio::time::timeout(patience, store.load(&adas(), &ada())).await;
        let _ =
            tokio::time::timeout(patience, store.swap(&adas(), &ada(), generation, &Record::default())).await;
        // Whether that happened is unknown to whoever left, so look.
        let current = eventually(async || store.load(&adas(), &ada()).await.ok().flatten()).await;
        generation = match store.swap(&adas(), &ada(), current.generation, &record("on")).await.unwrap() {
            Swap::Done(generation) => generation,
            // It happened after all, later than we looked.
            Swap::Lost(current) => current.unwrap().generation,
        };
    }
    let last =
        eventually(async || match store.swap(&adas(), &ada(), generation, &record("last")).await.unwrap() {
            Swap::Done(_) => Some("last"),
            Swap::Lost(current) => {
                generation = current.unwrap().generation;
                None
            }
        });
    assert_eq!(last.await, name(&load(&store, &adas()).await.unwrap()));
}
