//! A connection borrowed from a pool.

use std::time::Duration;

use sqlx::{Database, Pool, pool::PoolConnection};

use super::failure;
use crate::store::StoreError;

/// Time limit for a returned connection to prove that it still works.
const RETURN: Duration = Duration::from_secs(5);

/// A connection that returns to its pool only if its work was completed.
///
/// In sqlx 0.9.0 a returned connection is pinged without a time limit, and keeps its place in the pool
/// meanwhile (its issue 4349): with a server that hangs, the pool would run dry and not recover. So a
/// connection whose work was abandoned is closed here, and the ping of the others has a limit.
pub(super) struct Lent<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    sound: bool,
}

impl<DB: Database> Lent<DB> {
    pub(super) async fn from(pool: &Pool<DB>) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(pool.acquire().await?), sound: false })
    }

    pub(super) fn connection(&mut self) -> &mut DB::Connection {
        self.connection.as_deref_mut().expect("a connection on loan is there until it is dropped")
    }

    /// Returns the connection. A database error proves that the database answers, unless it says that the
    /// server is read-only.
    pub(super) fn settle<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.sound = outcome
            .as_ref()
            .err()
            .is_none_or(|error| error.as_database_error().is_some_and(|error| !failure::is_read_only(error)));
        Ok(outcome?)
    }
}

impl<DB: Database> Drop for Lent<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.sound {
            let back = connection.return_to_pool();
            drop(connection);
            tokio::spawn(async move {
                let _ = tokio::time::timeout(RETURN, back).await;
            });
        } else {
            drop(connection.detach());
        }
    }
}
