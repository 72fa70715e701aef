//! Translates the databases' errors. Their own texts are kept where they help, and never contain stored
//! content.

use std::{fmt, io};

use sqlx::{error::DatabaseError, sqlite::SqliteError};

use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(&*error),
            sqlx::Error::PoolTimedOut => Self::unavailable(
                "no connection within 2 s: the database refuses connections, does not answer, or has none left",
            ),
            // So rustls says that it does not accept a certificate.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => untrusted(&error),
            sqlx::Error::Io(error) => Self::unavailable(format!("the connection failed: {error}")),
            sqlx::Error::Tls(error) => untrusted(&error),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => {
                Self::Corrupt { what: "a table is not as this service made it" }
            }
            sqlx::Error::Protocol(what) => Self::unavailable(format!("the protocol was broken: {what}")),
            error => Self::unavailable(error.to_string()),
        }
    }
}

fn untrusted(error: &dyn fmt::Display) -> StoreError {
    StoreError::misconfigured(format!(
        "cannot trust the database server of `store.url`: {error}; add `?sslrootcert=/path/of/its/ca.pem`, or \
         `?sslmode=disable` where nobody else is on the network"
    ))
}

/// SQLite's code for "another process is writing".
pub(super) const BUSY: i32 = 5;
const ERROR: i32 = 1;
const CORRUPT: i32 = 11;
const NOT_A_DATABASE: i32 = 26;

/// SQLite's primary result code; `None` for PostgreSQL's.
pub(super) fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<SqliteError>()?;
    let code: i32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn of_database(error: &dyn DatabaseError) -> StoreError {
    match primary_code(error) {
        Some(CORRUPT | NOT_A_DATABASE) => {
            StoreError::Corrupt { what: "the file is not an SQLite database, or is damaged" }
        }
        Some(ERROR) if error.message().starts_with("no such ") => changed(error.message()),
        Some(code) => StoreError::unavailable(format!("{} (SQLite code {code})", error.message())),
        None => of_postgres(&error.code().unwrap_or_default(), error.message()),
    }
}

fn of_postgres(code: &str, said: &str) -> StoreError {
    match code {
        code if code.starts_with("28") => StoreError::misconfigured(format!(
            "the database refuses the user or password of `store.url`: {said}"
        )),
        "3D000" => StoreError::misconfigured(format!("{said}: create it, or correct `store.url`")),
        "42501" => StoreError::misconfigured(format!(
            "{said}: the user of `store.url` needs the rights to create and alter tables, once for each version, and to read and change \
             their rows"
        )),
        "42P01" | "42703" => changed(said),
        code => StoreError::unavailable(format!("{said} (SQLSTATE {code})")),
    }
}

fn changed(said: &str) -> StoreError {
    StoreError::misconfigured(format!(
        "{said}: a table of this service is gone, or a newer version has changed it; restart to create missing tables \
         or to learn which version it takes"
    ))
}

/// Returns whether the connection leads to a read-only server, such as a former primary after a failover.
pub(super) fn is_read_only(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "25006")
}
