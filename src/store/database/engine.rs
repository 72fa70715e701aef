//! The same SQL for both databases: statements are written once, and tested on both.

use std::time::Duration;

use sqlx::{
    Database, Encode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, query::Query, sqlite::SqliteRow,
};

use super::{lent::Lent, postgres, sqlite};
use crate::store::{StoreError, StoreUrl, url::Target};

/// Time limit for a whole operation, from waiting for a connection to the answer. It is longer than the
/// limits of the parts, whose errors are more precise; this one covers what they miss, such as a dead
/// network.
const OPERATION: Duration = Duration::from_secs(5);

/// An open database with migrated tables.
#[derive(Debug)]
pub(super) enum Engine {
    Sqlite(sqlite::Pools),
    Postgres(sqlx::PgPool),
}

/// A value for `$1` and its siblings.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Integer(i64),
    Text(&'a str),
}

/// A row of a statement's result.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Engine {
    pub(super) async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        bounded(async {
            match &url.0 {
                Target::Sqlite(file) => sqlite::open(file).await.map(Self::Sqlite),
                Target::Postgres(options) => postgres::open(options).await.map(Self::Postgres),
                Target::Memory => Err(StoreError::misconfigured("a memory store is no database")),
            }
        })
        .await
    }

    /// Runs a statement that changes rows, and returns how many.
    pub(super) async fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        bounded(async {
            match self {
                Self::Sqlite(pools) => {
                    let mut lent = Lent::from(&pools.writer).await?;
                    let outcome = sqlite(sql, values).execute(lent.connection()).await;
                    lent.settle(outcome).map(|done| done.rows_affected())
                }
                Self::Postgres(pool) => {
                    let mut lent = Lent::from(pool).await?;
                    let outcome = postgres(sql, values).execute(lent.connection()).await;
                    lent.settle(outcome).map(|done| done.rows_affected())
                }
            }
        })
        .await
    }

    /// Runs a statement that only reads.
    pub(super) async fn fetch(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        bounded(async {
            match self {
                Self::Sqlite(pools) => {
                    let mut lent = Lent::from(&pools.readers).await?;
                    let outcome = sqlite(sql, values).fetch_all(lent.connection()).await;
                    Ok(lent.settle(outcome)?.into_iter().map(Row::Sqlite).collect())
                }
                Self::Postgres(pool) => {
                    let mut lent = Lent::from(pool).await?;
                    let outcome = postgres(sql, values).fetch_all(lent.connection()).await;
                    Ok(lent.settle(outcome)?.into_iter().map(Row::Postgres).collect())
                }
            }
        })
        .await
    }

    /// Runs a statement that reads at most one row.
    pub(super) async fn fetch_one(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.pop())
    }
}

async fn bounded<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::unavailable(format!("no answer within {} s", OPERATION.as_secs()));
    tokio::time::timeout(OPERATION, work).await.map_err(late)?
}

fn sqlite<'q>(sql: &'static str, values: &[Value<'q>]) -> Query<'q, Sqlite, <Sqlite as Database>::Arguments> {
    bind(sqlx::query(sql), values)
}

fn postgres<'q>(
    sql: &'static str,
    values: &[Value<'q>],
) -> Query<'q, Postgres, <Postgres as Database>::Arguments> {
    bind(sqlx::query(sql), values)
}

fn bind<'q, DB: Database>(
    query: Query<'q, DB, DB::Arguments>,
    values: &[Value<'q>],
) -> Query<'q, DB, DB::Arguments>
where
    &'q [u8]: Encode<'q, DB> + Type<DB>,
    &'q str: Encode<'q, DB> + Type<DB>,
    i64: Encode<'q, DB> + Type<DB>,
{
    values.iter().fold(query, |query, value| match *value {
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

/// The columns of a row; a type other than the expected one means that somebody else changed the table.
impl Row {
    pub(super) fn integer(&self, column: &str) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}
