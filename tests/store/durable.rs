//! What the databases promise.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use idp_token_service::{
    identity::IdentityKey,
    store::{Acquired, Failure, LeaseName, Record, Store, StoreError, Stored, Swap},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;

use crate::world::{TENANT, World, account, ada, adas, name, put, record, user};

const HOUR: i64 = 3_600_000;

on_every_database![
    tokens_survive_a_restart,
    nothing_that_tells_something_is_written_in_plain,
    without_keys_no_database_is_opened,
    a_wrong_keyring_is_an_error_at_the_start_and_destroys_nothing,
    a_row_under_an_unknown_key_is_an_error_that_destroys_nothing,
    rekeying_while_others_write_loses_nothing_and_frees_the_old_key,
    rows_that_were_tampered_with_are_refused,
    replicas_that_start_at_once_agree,
    a_newer_schema_is_left_alone,
    a_use_is_written_down_once_an_hour,
    who_takes_over_a_lease_learns_of_the_one_before_for_an_hour,
    two_tenants_on_one_database_see_nothing_of_each_other,
    replicas_and_a_store_whose_clocks_differ_agree_on_when_a_token_ends,
];

async fn load(store: &Store, key: &IdentityKey) -> Stored {
    crate::world::load(store, key).await.unwrap()
}

async fn tokens_survive_a_restart(world: World) {
    let store = world.open().await;
    assert!(store.is_durable());
    let generation = put(&store, &adas(), 0, "kept").await;
    drop(store);
    let stored = load(&*world.open().await, &adas()).await;
    assert_eq!((stored.generation, name(&stored)), (generation, "kept".to_owned()));
}

async fn nothing_that_tells_something_is_written_in_plain(world: World) {
    let store = world.open().await;
    let failure = Failure {
        count: 1,
        retry_at: std::time::UNIX_EPOCH,
        reason: "canary-reason".to_owned(),
        permanent: false,
    };
    let key = IdentityKey { connection: "canary-connection".to_owned(), ..account("canary-account") };
    store
        .swap(&key, &user("auth0|canary-user"), 0, &Record { failure: Some(failure), ..record("x") })
        .await
        .unwrap();
    let shared = SecretString::from("canary-shared");
    store.put_shared("visible-name", 0, &shared, Duration::from_secs(60)).await.unwrap();
    let bytes = world.bytes().await;
    let holds = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    assert!(holds("visible-name"), "the search finds what is there");
    let plain = ["canary-access", "canary-refresh", "canary-shared", "canary-user", "canary-account"];
    let tenant = TENANT.trim_start_matches("https://").split('/').next().unwrap();
    for text in plain.into_iter().chain(["canary-connection", "canary-reason", "repository:write", tenant]) {
        assert!(!holds(text), "{text}");
    }
}

async fn without_keys_no_database_is_opened(world: World) {
    let error = Store::open(&world.url(), None, TENANT).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured { detail } if detail.contains("encryption_keys_file"))
    );
}

async fn a_wrong_keyring_is_an_error_at_the_start_and_destroys_nothing(world: World) {
    put(&*world.open().await, &adas(), 0, "kept").await;
    let error = world.open_with(&[2]).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownKey { .. }), "{error}");
    let again = world.open_with(&[2, 1]).await.unwrap();
    assert_eq!(name(&load(&again, &adas()).await), "kept");
}

async fn a_row_under_an_unknown_key_is_an_error_that_destroys_nothing(world: World) {
    let (old, ahead) = (world.open().await, world.open_with(&[2, 1]).await.unwrap());
    let generation = put(&ahead, &adas(), 0, "kept").await;
    assert!(matches!(old.load(&adas(), &ada()).await, Err(StoreError::UnknownKey { .. })));
    assert!(matches!(old.swap(&adas(), &ada(), 0, &record("x")).await, Err(StoreError::UnknownKey { .. })));
    let rekeyed = old.rekey().await.unwrap();
    assert_eq!((rekeyed.resealed, rekeyed.left), (0, 1), "what cannot be read stays");
    let stored = load(&ahead, &adas()).await;
    assert_eq!((stored.generation, name(&stored)), (generation, "kept".to_owned()));
}

async fn rekeying_while_others_write_loses_nothing_and_frees_the_old_key(world: World) {
    const ROWS: usize = 250;
    let (old, new) = (world.open_with(&[1, 2]).await.unwrap(), world.open_with(&[2, 1]).await.unwrap());
    let key = |row: usize| account(&row.to_string());
    let mut generations = Vec::new();
    for row in 0..ROWS {
        generations.push(put(&old, &key(row), 0, "0").await);
    }
    old.put_shared("token", 0, &SecretString::from("x"), Duration::from_secs(600)).await.unwrap();

    let mut writers = JoinSet::new();
    for (row, first) in generations.iter().copied().enumerate().step_by(5) {
        let old = Arc::clone(&old);
        writers.spawn(async move {
            let mut generation = first;
            for write in 1..=4 {
                generation = put(&old, &key(row), generation, &write.to_string()).await;
            }
        });
    }
    let during = new.rekey().await.unwrap();
    writers.join_all().await;
    let after = new.rekey().await.unwrap();
    assert!(during.resealed >= 200 && after.left == 0, "{during:?} {after:?}");

    let alone = world.open_with(&[2]).await.unwrap();
    for row in 0..ROWS {
        let expected = if row % 5 == 0 { "4" } else { "0" };
        assert_eq!(name(&load(&alone, &key(row)).await), expected, "row {row}");
    }
    assert!(alone.get_shared("token").await.unwrap().is_some());
}

async fn rows_that_were_tampered_with_are_refused(world: World) {
    let store = world.open().await;
    let (one, two) = (adas(), account("2"));
    put(&store, &one, 0, "one").await;
    put(&store, &two, 0, "two").await;
    let undo = "UPDATE idp_token_record SET sealed = (SELECT kept.sealed FROM kept WHERE kept.account = \
                idp_token_record.account), generation = (SELECT kept.generation FROM kept WHERE kept.account = \
                idp_token_record.account)";
    world.sql("CREATE TABLE kept AS SELECT * FROM idp_token_record").await;
    let other = |column: &str| {
        format!(
            "UPDATE idp_token_record SET {column} = (SELECT kept.{column} FROM kept \
             WHERE kept.account <> idp_token_record.account)"
        )
    };
    let bump = "UPDATE idp_token_record SET generation = generation + 1".to_owned();
    let swapped = format!("{}; {}", other("sealed"), other("generation"));
    for attack in [other("sealed"), swapped, bump] {
        world.sql(&attack).await;
        for key in [&one, &two] {
            let outcome = store.load(key, &ada()).await;
            assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{attack}: {outcome:?}");
        }
        world.sql(undo).await;
        assert_eq!(name(&load(&store, &one).await), "one", "nothing was destroyed");
    }
}

async fn replicas_that_start_at_once_agree(world: World) {
    let world = Arc::new(world);
    let mut replicas = JoinSet::new();
    for _ in 0..8 {
        let world = Arc::clone(&world);
        replicas.spawn(async move { world.open().await });
    }
    let replicas = replicas.join_all().await;
    put(&replicas[0], &adas(), 0, "x").await;
    for replica in &replicas {
        assert_eq!(name(&load(replica, &adas()).await), "x");
    }
    assert_eq!(world.number("SELECT count(*) FROM idp_token_schema").await, 2);
    assert_eq!(world.number("SELECT count(*) FROM idp_token_index_key").await, 1);
}

async fn a_newer_schema_is_left_alone(world: World) {
    drop(world.open().await);
    world.sql("INSERT INTO idp_token_schema (version) VALUES (99)").await;
    assert_eq!(world.open_with(&[1]).await.unwrap_err(), StoreError::Newer);
}

async fn a_use_is_written_down_once_an_hour(world: World) {
    let store = world.open().await;
    put(&store, &adas(), 0, "x").await;
    let unused_for = "SELECT (SELECT now FROM idp_token_clock) - last_used_at FROM idp_token_record";
    for (age, written) in [(HOUR / 2, false), (2 * HOUR, true)] {
        world
            .sql(&format!(
                "UPDATE idp_token_record SET last_used_at = (SELECT now FROM idp_token_clock) - {age}"
            ))
            .await;
        let before = load(&store, &adas()).await;
        assert_eq!(world.number(unused_for).await < HOUR / 4, written, "{age}");
        assert!(matches!(
            store.swap(&adas(), &ada(), before.generation + 1, &record("y")).await,
            Ok(Swap::Lost(_))
        ));
    }
}

async fn who_takes_over_a_lease_learns_of_the_one_before_for_an_hour(world: World) {
    const MINUTE: i64 = HOUR / 60;
    let lease = LeaseName::Identity(adas());
    drop(world.open().await);
    for (clock, removed, is_inherited) in [
        (0, 0, false),
        (2 * MINUTE, 0, true),
        (HOUR, 0, true),
        (2 * HOUR - MINUTE, 0, true),
        (3 * HOUR + 2 * MINUTE, 1, false),
    ] {
        world.set_clock(clock).await;
        let store = world.open().await;
        let now = store.remove_unused(Duration::from_secs(24 * 3600)).await.unwrap();
        let Acquired::Yes(lease) = store.acquire(&lease, "a", Duration::from_secs(60)).await.unwrap() else {
            panic!("the one before has run out")
        };
        assert_eq!((now.leases, lease.is_inherited()), (removed, is_inherited), "{clock}");
    }
}

async fn two_tenants_on_one_database_see_nothing_of_each_other(world: World) {
    const LONG: Duration = Duration::from_secs(60);
    let ours = world.open().await;
    let theirs = world.open_for("https://other.eu.auth0.com/api/v2/", &[1]).await.unwrap();
    for (store, name) in [(&ours, "ours"), (&theirs, "theirs")] {
        assert!(
            crate::world::load(store, &adas()).await.is_none()
                && store.get_shared("token").await.unwrap().is_none()
        );
        put(store, &adas(), 0, name).await;
        store.put_shared("token", 0, &SecretString::from(name), LONG).await.unwrap();
        for lease in [LeaseName::Identity(adas()), LeaseName::Shared("token".to_owned())] {
            assert!(
                matches!(store.acquire(&lease, name, LONG).await.unwrap(), Acquired::Yes(_)),
                "{lease:?}"
            );
        }
    }
    // Erasing a user, removing what is old and changing keys: the first is a tenant's own affair.
    assert_eq!(theirs.remove_user(&ada()).await.unwrap(), 1);
    assert!(crate::world::load(&theirs, &adas()).await.is_none());
    assert_eq!(name(&load(&ours, &adas()).await), "ours");
    let shared = theirs.get_shared("token").await.unwrap().unwrap();
    assert_eq!(shared.value.expose_secret(), "theirs");
    let rekeyed = world.open_with(&[2, 1]).await.unwrap().rekey().await.unwrap();
    assert_eq!((rekeyed.resealed, rekeyed.left), (4, 0), "a record, two shared values, and the index key");
}

async fn replicas_and_a_store_whose_clocks_differ_agree_on_when_a_token_ends(world: World) {
    const MINUTE: i64 = 60_000;
    // What a busy machine may take between two looks at a clock.
    const SLACK: Duration = Duration::from_secs(10);
    let store = world.open().await;
    // The store's clock is an hour ahead, and one behind; then ten minutes pass that this machine's clock
    // does not see.
    for (ahead, passed) in [(60, 0), (-60, 0), (0, 10), (60, 10)] {
        world.set_clock(ahead * MINUTE).await;
        let now = SystemTime::now();
        let times = [20, 30, 40].map(|minutes| now + Duration::from_secs(minutes * 60));
        let mut given = record("timed");
        let tokens = given.tokens.as_mut().unwrap();
        (tokens.obtained_at, tokens.expires_at) = (times[0], Some(times[1]));
        let retry_at = times[2];
        given.failure = Some(Failure { count: 1, retry_at, reason: "timeout".to_owned(), permanent: false });
        let before = crate::world::load(&store, &adas()).await.map_or(0, |stored| stored.generation);
        store.swap(&adas(), &ada(), before, &given).await.unwrap();

        world.set_clock((ahead + passed) * MINUTE).await;
        let read = load(&*world.open().await, &adas()).await.record;
        let tokens = read.tokens.unwrap();
        let read = [tokens.obtained_at, tokens.expires_at.unwrap(), read.failure.unwrap().retry_at];
        for (read, given) in read.into_iter().zip(times) {
            let expected = given - Duration::from_millis((passed * MINUTE).unsigned_abs());
            let off = read.max(expected).duration_since(read.min(expected)).unwrap();
            assert!(off < SLACK, "{ahead} {passed}: {off:?}");
        }
    }
}
