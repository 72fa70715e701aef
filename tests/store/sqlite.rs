//! What is SQLite's own.

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use idp_token_service::store::StoreError;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::world::{World, ada, adas, load, name, put, record};

#[tokio::test]
async fn its_files_are_for_their_owner_alone() {
    let world = World::sqlite().await;
    let store = world.open().await;
    put(&store, &adas(), 0, "x").await;
    let files: Vec<_> = world.file().parent().unwrap().read_dir().unwrap().flatten().collect();
    assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let world = World::at("sqlite:///nowhere/at/all/tokens.db".to_owned());
    let error = world.open_with(&[1]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured { detail } if detail.contains("/nowhere/at/all")),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_something_else_is_refused_and_stays() {
    let world = World::sqlite().await;
    let text = "something else ".repeat(1000);
    std::fs::write(world.file(), &text).unwrap();
    let error = world.open_with(&[1]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(world.file()).unwrap(), text);
}

#[tokio::test]
async fn a_process_that_keeps_the_file_locked_stops_writes_in_time_and_reads_not_at_all() {
    let world = World::sqlite().await;
    let store = world.open().await;
    let generation = put(&store, &adas(), 0, "before").await;
    let url = format!("sqlite://{}", world.file().display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();

    let began = std::time::Instant::now();
    let outcome = store.swap(&adas(), &ada(), generation, &record("during")).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    assert!(began.elapsed().as_secs() < 6);
    assert_eq!(name(&store.load(&adas(), &ada()).await.unwrap().unwrap()), "before");

    other.execute("ROLLBACK").await.unwrap();
    put(&store, &adas(), generation, "after").await;
}

#[tokio::test]
async fn a_file_that_others_can_read_is_closed_to_them_with_those_beside_it() {
    let world = World::sqlite().await;
    let store = world.open().await;
    put(&store, &adas(), 0, "x").await;
    let files: Vec<_> = world.file().parent().unwrap().read_dir().unwrap().flatten().collect();
    assert_eq!(files.len(), 3);
    for mode in [0o644, 0o660, 0o604] {
        for file in &files {
            std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(name(&load(&*world.open().await, &adas()).await.unwrap()), "x");
        for file in &files {
            assert_eq!(
                file.path().metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{mode:o} {file:?}"
            );
        }
    }
}
