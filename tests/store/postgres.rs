//! What is PostgreSQL's own: a server that may be down, hang, or refuse.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use idp_token_service::{
    identity::IdentityKey,
    store::{Store, StoreError},
};
use idp_token_testkit::{
    network::{Traffic, Way},
    postgres::Server,
};
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use crate::world::{TENANT, World, ada, adas, eventually, keyring, name, put};

/// An operation gives up after 5 s; the machine may be busy.
const QUICKLY: Duration = Duration::from_secs(8);

async fn fails_quickly(store: &Arc<Store>) {
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(store);
        callers.spawn(async move { store.load(&adas(), &ada()).await });
    }
    for outcome in callers.join_all().await {
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    }
    assert!(began.elapsed() < QUICKLY, "{:?}", began.elapsed());
}

async fn recovers(store: &Store) {
    let stored = eventually(async || store.load(&adas(), &ada()).await.ok().flatten()).await;
    assert_eq!(name(&stored), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable_quickly_and_the_store_recovers_when_it_is_back() {
    let mut server = Server::start();
    let world = World::at(server.database().await);
    let store = world.open().await;
    put(&store, &adas(), 0, "kept").await;
    server.stop();
    fails_quickly(&store).await;
    let error = world.open_with(&[1]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    server.resume();
    recovers(&store).await;
}

const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = \
                       (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Every connection of the pool is in the midst of a statement when the network fails.
async fn cut_off(store: &Arc<Store>, direct: &World, way: &Way) {
    let mut locker = PgConnection::connect(direct.address()).await.unwrap();
    locker.execute("BEGIN; LOCK TABLE idp_token_record IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(store);
        callers.spawn(async move { store.load(&adas(), &ada()).await });
    }
    eventually(async || (direct.number(WAITING).await == 8).then_some(())).await;
    way.is(Traffic::Hangs);
    let began = Instant::now();
    let outcomes = callers.join_all().await;
    assert!(outcomes.iter().all(Result::is_err) && began.elapsed() < QUICKLY, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_everything_is_unavailable_quickly_and_leaves_no_connection_stuck() {
    let shared = Server::shared();
    let direct = World::at(shared.database().await);
    let way = Way::to(shared.port()).await;
    let world = World::at(way.url(direct.address(), shared.port()));
    let store = world.open().await;
    put(&store, &adas(), 0, "kept").await;
    cut_off(&store, &direct, &way).await;
    fails_quickly(&store).await;
    way.is(Traffic::Flows);
    recovers(&store).await;
}

#[tokio::test]
async fn who_is_refused_is_told_what_to_change_and_no_password() {
    let server = Server::shared();
    let nowhere = server.url("nowhere").replace("postgres@", "postgres:canary-password@");
    let stranger = server.url("postgres").replace("postgres@", "stranger:canary-password@");
    for (url, said) in [(nowhere, "create it"), (stranger, "user or password")] {
        let error = World::at(url).open_with(&[1]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Misconfigured { detail } if detail.contains(said)), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_replica_without_the_right_to_create_tables_works_once_they_are_there() {
    let url = Server::shared().database().await;
    let world = World::at(url.clone());
    let role = format!("modest_{}", url.rsplit_once('/').unwrap().1);
    world.sql(&format!("CREATE ROLE {role} LOGIN")).await;
    let modest = || async {
        let url = url.replace("postgres@", &format!("{role}@")).parse().unwrap();
        Store::open(&url, Some(Arc::new(keyring(&[1]))), TENANT).await
    };
    let error = modest().await.unwrap_err();
    assert!(matches!(&error, StoreError::Misconfigured { detail } if detail.contains("rights")), "{error}");

    drop(world.open().await);
    world
        .sql(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    put(&modest().await.unwrap(), &adas(), 0, "x").await;
}

#[tokio::test]
async fn what_is_stored_is_on_disk_whatever_the_database_says_and_a_stricter_word_stands() {
    let world = World::at(Server::shared().database().await);
    let database = world.address().rsplit_once('/').unwrap().1;
    let account = |text: &str| IdentityKey { account_id: text.to_owned(), ..adas() };
    drop(world.open().await);
    world
        .sql(
            "CREATE TABLE seen (setting TEXT NOT NULL); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; \
             CREATE TRIGGER see BEFORE INSERT ON idp_token_record FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .await;
    for (set, seen) in [
        ("off", "on"),
        ("local", "on"),
        ("remote_write", "on"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        world
            .sql(&format!("DELETE FROM seen; ALTER DATABASE {database} SET synchronous_commit = {set}"))
            .await;
        put(&*world.open().await, &account(set), 0, "x").await;
        let sql = format!("SELECT count(*) FROM seen WHERE setting = '{seen}'");
        assert_eq!(world.number(&sql).await, 1, "{set}");
    }
}
