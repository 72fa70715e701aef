//! Databases that version 1 has written, whose records were kept by Auth0 user.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    digest::{SHA256, digest},
    hmac,
};
use idp_token_service::{
    identity::{IdentityKey, UserId},
    store::{StoreError, Swap},
    token::Fingerprint,
};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokio::task::JoinSet;

use crate::world::{World, account, ada, adas, load, name, put, record, user};

on_every_database![
    a_former_record_is_found_by_its_user_as_it_was_and_goes_on,
    a_former_record_is_adopted_by_nobody_else,
    a_former_record_goes_to_the_tenant_that_asks_first,
    replicas_that_ask_at_once_adopt_a_former_record_once,
    callers_that_leave_while_a_record_is_adopted_lose_nothing,
    what_expects_nothing_finds_the_former_record,
    a_former_record_that_cannot_be_opened_stays,
    former_records_get_the_first_key_like_all_others,
    former_records_are_erased_with_their_user_and_when_unused,
    the_former_version_fails_on_whatever_touches_a_record,
];

/// The key of version 1's hashes.
const INDEX_KEY: [u8; 32] = [9; 32];

/// A time that no test is at.
const GENERATION: u64 = 1_700_000_000_123;

/// A database as version 1 left it, with these records of the user and the account, each named.
async fn former(world: &World, records: &[(&UserId, &IdentityKey, &str)]) {
    world
        .sql(if world.is_sqlite() {
            std::fs::File::create(world.file()).unwrap();
            include_str!("../../migrations/sqlite/0001_tokens.sql")
        } else {
            include_str!("../../migrations/postgres/0001_tokens.sql")
        })
        .await;
    world
        .sql(
            "CREATE TABLE idp_token_schema (version BIGINT PRIMARY KEY); \
             INSERT INTO idp_token_schema (version) VALUES (1)",
        )
        .await;
    let blob = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if world.is_sqlite() { format!("x'{hex}'") } else { format!("decode('{hex}', 'hex')") }
    };
    let key_id = blob(&digest(&SHA256, &[1; 32]).as_ref()[..8]);
    let index_key = blob(&seal("index key", [&[], &[]], 0, &INDEX_KEY));
    world.sql(&format!("INSERT INTO idp_token_index_key VALUES (1, {key_id}, {index_key})")).await;
    for (user, key, name) in records {
        let identity = hash("identity", &[user.as_str(), &key.connection, &key.account_id]);
        let owner = hash("owner", &[user.as_str()]);
        let sealed = blob(&seal("record", [&identity, &owner], GENERATION, plain(name).as_bytes()));
        let (identity, owner) = (blob(&identity), blob(&owner));
        world
            .sql(&format!(
                "INSERT INTO idp_token_record SELECT {identity}, {owner}, {GENERATION}, {key_id}, {sealed}, now, now, \
                 now FROM idp_token_clock"
            ))
            .await;
    }
}

/// `record(name)` of the world, as version 1 wrote it.
fn plain(name: &str) -> String {
    let origin = Fingerprint::of("at login");
    format!(
        r#"{{"tokens":{{"access":"canary-access-{name}","refresh":"canary-refresh-{name}","obtained_at":1800000000123,
        "expires_at":1900000000123,"scopes":["account","repository:write"]}},"spare":null,
        "descends_from":"{origin}","failure":null,"revoked":false,"refused":[]}}"#
    )
}

fn hash(kind: &str, parts: &[&str]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &INDEX_KEY));
    for part in [kind].iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.sign().as_ref().to_vec()
}

/// Under the key that the tests call 1.
fn seal(label: &str, parts: [&[u8]; 2], generation: u64, plain: &[u8]) -> Vec<u8> {
    let mut place = vec![1];
    for part in [label.as_bytes(), parts[0], parts[1]] {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part);
    }
    place.extend_from_slice(&generation.to_be_bytes());
    let key = RandomizedNonceKey::new(&AES_256_GCM, &[1; 32]).unwrap();
    let mut text = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(place), &mut text).unwrap();
    [&[1][..], nonce.as_ref(), &text].concat()
}

const WAITING: &str = "SELECT count(*) FROM idp_token_record WHERE version = 1";
const ALL: &str = "SELECT count(*) FROM idp_token_record";

async fn a_former_record_is_found_by_its_user_as_it_was_and_goes_on(world: World) {
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let store = world.open().await;
    assert_eq!(world.number(WAITING).await, 1, "nobody has asked for it");
    for _ in 0..2 {
        let stored = load(&store, &adas()).await.unwrap();
        assert_eq!(stored.generation, GENERATION);
        assert_eq!(format!("{:?}", stored.record), format!("{:?}", record("kept")), "with its lineage");
        assert_eq!((world.number(WAITING).await, world.number(ALL).await), (0, 1));
    }
    assert_eq!(put(&store, &adas(), GENERATION, "next").await, GENERATION + 1);
    // Now it is the account's, like any other.
    let seen = world.open().await.load(&adas(), &user("auth0|grace")).await.unwrap().unwrap();
    assert_eq!(name(&seen), "next");
}

async fn a_former_record_is_adopted_by_nobody_else(world: World) {
    let grace = user("auth0|grace");
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let store = world.open().await;
    assert!(store.load(&adas(), &grace).await.unwrap().is_none());
    assert!(load(&store, &account("other")).await.is_none());
    assert_eq!(world.number(WAITING).await, 1);
    // What was stored of the account since is newer, whoever asks.
    let Swap::Done(_) = store.swap(&adas(), &grace, 0, &record("newer")).await.unwrap() else {
        panic!("nobody else")
    };
    assert_eq!(name(&load(&store, &adas()).await.unwrap()), "newer");
}

async fn a_former_record_goes_to_the_tenant_that_asks_first(world: World) {
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let other = world.open_for("https://other.eu.auth0.com/api/v2/", &[1]).await.unwrap();
    assert_eq!(name(&load(&*world.open().await, &adas()).await.unwrap()), "kept");
    assert!(load(&other, &adas()).await.is_none());
}

async fn replicas_that_ask_at_once_adopt_a_former_record_once(world: World) {
    let accounts: Vec<_> = (0..20).map(|number| account(&number.to_string())).collect();
    let user = ada();
    let records: Vec<_> = accounts.iter().map(|account| (&user, account, &*account.account_id)).collect();
    former(&world, &records).await;
    let mut opening = JoinSet::new();
    let world = Arc::new(world);
    for _ in 0..8 {
        let world = Arc::clone(&world);
        opening.spawn(async move { world.open().await });
    }
    let replicas = opening.join_all().await;
    for account in &accounts {
        let mut asking = JoinSet::new();
        for replica in &replicas {
            let (replica, account) = (Arc::clone(replica), account.clone());
            asking.spawn(async move { load(&replica, &account).await });
        }
        for stored in asking.join_all().await {
            let stored = stored.expect("nobody is told that there is nothing");
            assert_eq!((stored.generation, name(&stored)), (GENERATION, account.account_id.clone()));
        }
    }
    assert_eq!((world.number(WAITING).await, world.number(ALL).await), (0, 20));
}

async fn callers_that_leave_while_a_record_is_adopted_lose_nothing(world: World) {
    let accounts: Vec<_> = (0..60).map(|number| account(&number.to_string())).collect();
    let user = ada();
    let records: Vec<_> = accounts.iter().map(|account| (&user, account, &*account.account_id)).collect();
    former(&world, &records).await;
    let store = world.open().await;
    for (patience, account) in (0..).zip(&accounts) {
        let _ = tokio::time::timeout(Duration::from_micros(patience * 40), load(&store, account)).await;
    }
    let store = world.open().await;
    for account in &accounts {
        let stored = load(&store, account).await.unwrap();
        assert_eq!((stored.generation, name(&stored)), (GENERATION, account.account_id.clone()));
    }
    assert_eq!((world.number(WAITING).await, world.number(ALL).await), (0, 60));
}

async fn what_expects_nothing_finds_the_former_record(world: World) {
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let store = world.open().await;
    let outcome = store.swap(&adas(), &ada(), 0, &record("anew")).await.unwrap();
    assert!(matches!(&outcome, Swap::Lost(Some(kept)) if name(kept) == "kept"), "{outcome:?}");
    assert_eq!((world.number(WAITING).await, world.number(ALL).await), (0, 1));
}

async fn a_former_record_that_cannot_be_opened_stays(world: World) {
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let store = world.open().await;
    world.sql("CREATE TABLE kept AS SELECT * FROM idp_token_record").await;
    world.sql("UPDATE idp_token_record SET generation = generation + 1").await;
    let outcome = store.load(&adas(), &ada()).await;
    assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{outcome:?}");
    world.sql("UPDATE idp_token_record SET generation = generation - 1").await;
    assert_eq!(name(&load(&store, &adas()).await.unwrap()), "kept");
}

async fn former_records_get_the_first_key_like_all_others(world: World) {
    former(&world, &[(&ada(), &adas(), "kept"), (&ada(), &account("2"), "second")]).await;
    let store = world.open_with(&[2, 1]).await.unwrap();
    load(&store, &account("2")).await.unwrap();
    let rekeyed = store.rekey().await.unwrap();
    assert_eq!((rekeyed.resealed, rekeyed.left), (2, 0), "one record has the first key already");
    assert_eq!(world.number(WAITING).await, 1);
    let alone = world.open_with(&[2]).await.unwrap();
    assert_eq!(name(&load(&alone, &adas()).await.unwrap()), "kept");
    assert_eq!(name(&load(&alone, &account("2")).await.unwrap()), "second");
}

async fn former_records_are_erased_with_their_user_and_when_unused(world: World) {
    let grace = user("auth0|grace");
    former(&world, &[(&ada(), &adas(), "1"), (&ada(), &account("2"), "2"), (&grace, &account("3"), "3")])
        .await;
    let store = world.open().await;
    load(&store, &adas()).await.unwrap();
    assert_eq!(store.remove_user(&ada()).await.unwrap(), 2);
    assert_eq!(store.remove_unused(Duration::from_secs(3600)).await.unwrap().records, 0);
    world.sql("UPDATE idp_token_record SET last_used_at = last_used_at - 7200000").await;
    assert_eq!(store.remove_unused(Duration::from_secs(3600)).await.unwrap().records, 1);
    assert_eq!(world.number(ALL).await, 0);
}

/// What version 1 sends about a record.
const STATEMENTS: [&str; 6] = [
    "SELECT generation, key_id, sealed, created_at, updated_at, last_used_at, \
     (SELECT now FROM idp_token_clock) - last_used_at AS unused_for FROM idp_token_record WHERE identity = $1",
    "UPDATE idp_token_record SET last_used_at = (SELECT now FROM idp_token_clock) WHERE identity = $1",
    "INSERT INTO idp_token_record (identity, owner, generation, key_id, sealed, created_at, updated_at, last_used_at) \
     SELECT $1, $1, 1, $1, $1, now, now, now FROM idp_token_clock WHERE true ON CONFLICT (identity) DO NOTHING",
    "UPDATE idp_token_record SET generation = 2, key_id = $1, sealed = $1, \
     updated_at = (SELECT now FROM idp_token_clock), last_used_at = (SELECT now FROM idp_token_clock) \
     WHERE identity = $1 AND generation = 3",
    "SELECT identity, owner, generation, key_id, sealed FROM idp_token_record WHERE key_id <> $1 ORDER BY identity",
    "DELETE FROM idp_token_record WHERE identity IN (SELECT identity FROM idp_token_record WHERE sealed = $1 LIMIT 1)",
];

/// Whether each statement works in a session that has prepared it while version 1 was at work.
macro_rules! works {
    ($connection:expr) => {{
        let mut works = Vec::new();
        for sql in STATEMENTS {
            works.push(sqlx::query(sql).bind(&b"x"[..]).execute(&mut $connection).await.is_ok());
        }
        works
    }};
}

async fn the_former_version_fails_on_whatever_touches_a_record(world: World) {
    former(&world, &[(&ada(), &adas(), "kept")]).await;
    let (before, after) = if world.is_sqlite() {
        let mut connection = SqliteConnection::connect(world.address()).await.unwrap();
        let before = works!(connection);
        connection.execute("DELETE FROM idp_token_record WHERE identity = x'78'").await.unwrap();
        drop(world.open().await);
        (before, works!(connection))
    } else {
        let mut connection = PgConnection::connect(world.address()).await.unwrap();
        let before = works!(connection);
        connection.execute("DELETE FROM idp_token_record WHERE identity = 'x'").await.unwrap();
        drop(world.open().await);
        (before, works!(connection))
    };
    assert_eq!((before, after), (vec![true; 6], vec![false; 6]));
    assert_eq!(name(&load(&*world.open().await, &adas()).await.unwrap()), "kept");
}
