//! PostgreSQL: any number of replicas share it, and its clock.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{lent::Lent, schema};
use crate::store::StoreError;

const SCRIPTS: [&str; 2] = [
    include_str!("../../../migrations/postgres/0001_tokens.sql"),
    include_str!("../../../migrations/postgres/0002_accounts.sql"),
];

/// Connections of one replica. Statements take about a millisecond, so this is thousands a second.
const CONNECTIONS: u32 = 8;

/// How long to wait for a connection, be it a new one or one that others use.
const CONNECT: Duration = Duration::from_secs(2);

/// What every session begins with, whatever the server, the database or the role say. Statements, since
/// PgBouncer refuses connections that ask for it at their start.
///
/// - A statement normally takes a millisecond: one that takes longer waits for a lock.
/// - A transaction that is left open is that of a replica that hangs in a migration.
/// - Compare-and-swap relies on a row being judged by its newest version.
/// - A rotated refresh token is the only one in the world: it must be on disk when the server says so, and on
///   that of a synchronous standby, if there is one, for a failover. Of all values that
///   <https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT> lists, only
///   `remote_apply` is stricter; it stays.
const SESSION: &str = "
    SET statement_timeout = '3s';
    SET idle_in_transaction_session_timeout = '10s';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') <> 'remote_apply'";

/// Without these a crash of the server may lose what it said was stored, or more.
const UNSAFE: &str = "
    SELECT string_agg(name, ', ') FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'";

/// A number of our own for the lock under which one replica migrates.
const MIGRATION_LOCK: i64 = 0x0069_6470_5f74_6f6b;

pub(super) async fn open(options: &PgConnectOptions) -> Result<PgPool, StoreError> {
    let options = match options.get_application_name() {
        Some(_) => options.clone(),
        None => options.clone().application_name("idp-token-service"),
    };
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT)
        .after_connect(|connection, _| {
            Box::pin(async { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(options);
    let mut lent = Lent::from(&pool).await?;
    migrate(lent.connection()).await?;
    warn_if_unsafe(lent.connection()).await?;
    lent.settle(Ok(pool))
}

async fn warn_if_unsafe(connection: &mut PgConnection) -> Result<(), StoreError> {
    let off: Option<String> = sqlx::query_scalar(UNSAFE).fetch_one(connection).await?;
    if let Some(off) = off {
        tracing::warn!(
            off,
            "A crash of the PostgreSQL server may lose renewed tokens: switch these settings on"
        );
    }
    Ok(())
}

/// Takes the lock only if there is something to do: then a replica without the right to create tables can start, too.
async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    if let Ok(version) = sqlx::query_scalar(schema::VERSION).fetch_one(&mut *connection).await
        && schema::pending(&SCRIPTS, version)?.next().is_none()
    {
        return Ok(());
    }
    // The lock goes with the transaction, also behind a pooler that hands out connections by transaction.
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *transaction).await?;
    sqlx::raw_sql(schema::CREATE_VERSIONS).execute(&mut *transaction).await?;
    let version = sqlx::query_scalar(schema::VERSION).fetch_one(&mut *transaction).await?;
    for (number, script) in schema::pending(&SCRIPTS, version)? {
        sqlx::raw_sql(script).execute(&mut *transaction).await?;
        sqlx::query(schema::RAN).bind(number).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
