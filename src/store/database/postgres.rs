//! PostgreSQL: any number of replicas share it, and its clock.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{lent::Lent, schema};
use crate::store::StoreError;

const SCRIPTS: [&str; 1] = [include_str!("../../../migrations/postgres/0001_tokens.sql")];

/// Connections of one replica. Statements take about a millisecond, so this is thousands a second.
const CONNECTIONS: u32 = 8;

/// How long to wait for a connection, be it a new one or one that others use.
const CONNECT: Duration = Duration::from_secs(2);

/// After this the server gives up a statement, which normally takes a millisecond: it waits for a lock.
const STATEMENT: &str = "3s";

/// After this the server ends a connection that has left a transaction open: a replica that hangs in a migration.
const IDLE_IN_TRANSACTION: &str = "10s";

/// A number of our own for the lock under which one replica migrates.
const MIGRATION_LOCK: i64 = 0x0069_6470_5f74_6f6b;

pub(super) async fn open(options: &PgConnectOptions) -> Result<PgPool, StoreError> {
    let options = options.clone().options([
        ("statement_timeout", STATEMENT),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        // Compare-and-swap relies on a row being judged by its newest version.
        ("default_transaction_isolation", "read committed"),
    ]);
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("idp-token-service"),
    };
    let pool =
        PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT).connect_lazy_with(options);
    let mut lent = Lent::from(&pool).await?;
    migrate(lent.connection()).await?;
    lent.settle(Ok(pool))
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
