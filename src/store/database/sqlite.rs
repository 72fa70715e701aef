//! SQLite: one file, for the processes of one machine. Not for network file systems, where its locks do not
//! work.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{failure, lent::Lent, schema};
use crate::store::StoreError;

const SCRIPTS: [&str; 2] = [
    include_str!("../../../migrations/sqlite/0001_tokens.sql"),
    include_str!("../../../migrations/sqlite/0002_accounts.sql"),
];

/// How long to wait for a connection: everyone who waits for the single writer may be ahead.
const CONNECT: Duration = Duration::from_secs(4);

/// How long SQLite waits while another process writes. A write takes about as long as a sync of the disk.
const BUSY: Duration = Duration::from_secs(2);

/// Number of reading connections, beside the one that writes: write-ahead logging lets them work
/// concurrently.
const READERS: u32 = 4;

#[derive(Debug)]
pub(super) struct Pools {
    /// A single connection: SQLite has one writer at a time, and a queue here is fairer than its lock.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

pub(super) async fn open(file: &Path) -> Result<Pools, StoreError> {
    create(file).map_err(|error| StoreError::file(file, &error))?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // A rotated refresh token undone by a loss of power is lost for ever, so every commit is synced to
        // the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY);
    let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(CONNECT);
    let pools = Pools {
        writer: pool(1).connect_lazy_with(options.clone()),
        readers: pool(READERS).connect_lazy_with(options.pragma("query_only", "ON")),
    };
    make_ready(&pools.writer).await?;
    let mut lent = Lent::from(&pools.writer).await?;
    migrate(lent.connection()).await?;
    close_to_others(file);
    lent.settle(Ok(pools))
}

/// SQLite gives the files beside the database, which hold the same content, the mode of the database.
fn create(file: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// Restricts a file that already existed and may be readable by others, and the files beside it, which have
/// its mode.
#[cfg(unix)]
fn close_to_others(file: &Path) {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from([file.as_os_str(), OsStr::new(suffix)].into_iter().collect::<OsString>());
        let Ok(metadata) = file.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            continue;
        }
        let (file_name, mode) = (file.display(), format!("{mode:04o}"));
        match std::fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            Ok(()) => {
                tracing::warn!(file = %file_name, mode, "The token store was readable by others; its mode is 0600 now");
            }
            Err(error) => {
                tracing::warn!(file = %file_name, mode, %error, "The token store is readable by others: run `chmod 600` on it");
            }
        }
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) {}

/// Waits while another process switches the file to write-ahead logging, which SQLite itself does not do. The
/// operation's time limit ends the wait.
async fn make_ready(pool: &SqlitePool) -> Result<(), StoreError> {
    const AGAIN: Duration = Duration::from_millis(20);
    loop {
        match pool.acquire().await {
            Err(sqlx::Error::Database(error)) if failure::primary_code(&*error) == Some(failure::BUSY) => {
                tokio::time::sleep(AGAIN).await;
            }
            outcome => return Ok(outcome.map(drop)?),
        }
    }
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(schema::CREATE_VERSIONS).execute(&mut *transaction).await?;
    let version = sqlx::query_scalar(schema::VERSION).fetch_one(&mut *transaction).await?;
    for (number, script) in schema::pending(&SCRIPTS, version)? {
        sqlx::raw_sql(script).execute(&mut *transaction).await?;
        sqlx::query(schema::RAN).bind(number).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
