//! What the database's errors mean. Its own words are kept where they help, and never hold what was stored.

use sqlx::error::DatabaseError;

use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(&*error),
            sqlx::Error::PoolTimedOut => Self::unavailable(
                "no connection within 2 s: the database refuses connections, does not answer, or has none left",
            ),
            sqlx::Error::Io(error) => Self::unavailable(format!("the connection failed: {error}")),
            sqlx::Error::Tls(error) => Self::misconfigured(format!(
                "cannot trust the database server of `store.url`: {error}; add `?sslrootcert=/path/of/its/ca.pem`, or \
                 `?sslmode=disable` where nobody else is on the network"
            )),
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

fn of_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let said = error.message();
    match &*code {
        // PostgreSQL: who we are, which database, what we may do.
        code if code.starts_with("28") => StoreError::misconfigured(format!(
            "the database refuses the user or password of `store.url`: {said}"
        )),
        "3D000" => StoreError::misconfigured(format!("{said}: create it, or correct `store.url`")),
        "42501" => StoreError::misconfigured(format!(
            "{said}: the user of `store.url` needs the rights to create tables, once, and to read and change them"
        )),
        "42P01" | "42703" => StoreError::misconfigured(format!(
            "{said}: a table of this service is gone or was changed; restart to create missing tables"
        )),
        // SQLite: not a database, or a broken one.
        "11" | "26" => StoreError::Corrupt { what: "the file is no SQLite database, or a damaged one" },
        code => StoreError::unavailable(format!("{said} (code {code})")),
    }
}
