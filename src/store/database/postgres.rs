//! PostgreSQL: shared by any number of replicas, which use its clock.

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

/// Maximum connections of one replica. Statements take about a millisecond, so this allows thousands a
/// second.
const CONNECTIONS: u32 = 8;

/// How long to wait for a connection, whether new or in use by others.
const CONNECT: Duration = Duration::from_secs(2);

/// Settings of every session, whatever the server, the database or the role specify. They are statements,
/// since PgBouncer refuses connections that send them as start-up parameters.
///
/// - A statement normally takes a millisecond; one that takes longer is waiting for a lock.
/// - An open transaction belongs to a replica that hangs in a migration.
/// - Compare-and-swap requires that a row is judged by its newest version.
/// - A rotated refresh token exists nowhere else: it must be on disk before the server confirms it, and on
///   the disk of a synchronous standby, if there is one, for a failover. Of all values in
///   <https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT>, only
///   `remote_apply` is stricter; it is kept.
const SESSION: &str = "
    SET statement_timeout = '3s';
    SET idle_in_transaction_session_timeout = '10s';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') <> 'remote_apply'";

/// Server settings without which a crash may lose confirmed writes, or more.
const UNSAFE: &str = "
    SELECT string_agg(name, ', ') FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'";

/// An arbitrary number for the lock under which one replica migrates.
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
            "A crash of the PostgreSQL server may lose renewed tokens: turn these settings on"
        );
    }
    Ok(())
}

/// Takes the lock only if there is a migration to run, so that a replica without the right to create tables
/// can start.
async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    if let Ok(version) = sqlx::query_scalar(schema::VERSION).fetch_one(&mut *connection).await
        && schema::pending(&SCRIPTS, version)?.next().is_none()
    {
        return Ok(());
    }
    // The lock ends with the transaction, even behind a pooler that assigns connections by transaction.
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
