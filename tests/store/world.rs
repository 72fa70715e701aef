//! Stores to test, and what tests put into them.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use idp_token_service::{
    identity::{IdentityKey, UserId},
    store::{Keyring, Record, RenewedTokens, Store, StoreError, StoreUrl, Stored, Swap},
    token::{AccessToken, Fingerprint, RefreshToken, TokenType},
};
use idp_token_testkit::postgres::Server;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// One backend, empty. `open` gives further replicas, where the backend can have several.
pub(crate) struct World {
    folder: TempDir,
    url: String,
    memory: Option<Arc<Store>>,
}

impl World {
    pub(crate) async fn memory() -> Self {
        Self { memory: Some(Arc::new(Store::memory())), ..Self::at("memory:".to_owned()) }
    }

    pub(crate) async fn sqlite() -> Self {
        let mut world = Self::at(String::new());
        world.url = format!("sqlite://{}", world.file().display());
        world
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Server::shared().database().await)
    }

    pub(crate) fn at(url: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url, memory: None }
    }

    /// SQLite's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("tokens.db")
    }

    /// A replica with the usual key.
    pub(crate) async fn open(&self) -> Arc<Store> {
        self.open_with(&[1]).await.unwrap()
    }

    /// A replica with these keys, each named by a number.
    pub(crate) async fn open_with(&self, keys: &[u8]) -> Result<Arc<Store>, StoreError> {
        self.open_for(TENANT, keys).await
    }

    /// A replica of another tenant's service.
    pub(crate) async fn open_for(&self, tenant: &str, keys: &[u8]) -> Result<Arc<Store>, StoreError> {
        match &self.memory {
            Some(memory) => Ok(Arc::clone(memory)),
            None => Store::open(&self.url(), Some(Arc::new(keyring(keys))), tenant).await.map(Arc::new),
        }
    }

    pub(crate) fn url(&self) -> StoreUrl {
        self.url.parse().unwrap()
    }

    /// The URL as text.
    pub(crate) fn address(&self) -> &str {
        &self.url
    }

    /// Changes the database behind the store's back.
    pub(crate) async fn sql(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            SqliteConnection::connect(&self.url).await.unwrap().execute(sql).await.unwrap();
        } else {
            PgConnection::connect(&self.url).await.unwrap().execute(sql).await.unwrap();
        }
    }

    /// Lets the database's clock be wrong by so many milliseconds.
    pub(crate) async fn set_clock(&self, ahead: i64) {
        let now = if self.is_sqlite() {
            "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)"
        } else {
            "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"
        };
        self.sql(&format!(
            "DROP VIEW idp_token_clock; CREATE VIEW idp_token_clock AS SELECT {now} + {ahead} AS now"
        ))
        .await;
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// The one number that `sql` asks for.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        }
    }

    /// Every byte that the database has written.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let folder = if self.is_sqlite() {
            self.folder.path().to_owned()
        } else {
            self.sql("CHECKPOINT").await;
            Server::shared().data()
        };
        let mut bytes = Vec::new();
        read_all(&folder, &mut bytes);
        bytes
    }
}

fn read_all(folder: &std::path::Path, bytes: &mut Vec<u8>) {
    for entry in folder.read_dir().unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_all(&entry.path(), bytes),
            // Others' tables come and go meanwhile.
            _ => bytes.extend(std::fs::read(entry.path()).unwrap_or_default()),
        }
    }
}

pub(crate) fn keyring(keys: &[u8]) -> Keyring {
    let lines: Vec<_> = keys.iter().map(|key| STANDARD.encode([*key; 32])).collect();
    Keyring::parse(&lines.join("\n")).unwrap()
}

/// An account at the one provider.
pub(crate) fn account(id: &str) -> IdentityKey {
    IdentityKey { connection: "bitbucket".to_owned(), account_id: id.to_owned() }
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id.to_owned(), "user_id").unwrap()
}

pub(crate) fn ada() -> UserId {
    user("auth0|ada")
}

/// Ada's.
pub(crate) fn adas() -> IdentityKey {
    account("ada-at-bitbucket")
}

pub(crate) const TENANT: &str = "https://acme.eu.auth0.com/api/v2/";

/// A record that `name` tells from others.
pub(crate) fn record(name: &str) -> Record {
    Record {
        tokens: Some(RenewedTokens {
            token_type: TokenType::Bearer,
            access: AccessToken::new(format!("canary-access-{name}")),
            refresh: Some(RefreshToken::new(format!("canary-refresh-{name}"))),
            obtained_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
            expires_at: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_900_000_000_123)),
            scopes: vec!["account".to_owned(), "repository:write".to_owned()],
        }),
        descends_from: Some(Fingerprint::of("at login")),
        ..Record::default()
    }
}

/// The refresh token of a record tells which one it is.
pub(crate) fn name(stored: &Stored) -> String {
    let refresh = stored.record.tokens.as_ref().unwrap().refresh.as_ref().unwrap();
    refresh.expose().strip_prefix("canary-refresh-").unwrap().to_owned()
}

/// What is stored of `key`, as Ada asks for it.
pub(crate) async fn load(store: &Store, key: &IdentityKey) -> Option<Stored> {
    store.load(key, &ada()).await.unwrap()
}

/// Stores `record(name)` on Ada's behalf; the new generation.
pub(crate) async fn put(store: &Store, key: &IdentityKey, expected: u64, name: &str) -> u64 {
    match store.swap(key, &ada(), expected, &record(name)).await.unwrap() {
        Swap::Done(generation) => generation,
        lost @ Swap::Lost(_) => panic!("{lost:?}"),
    }
}

/// Tries again until `attempt` has something, for at most 20 s.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            match attempt().await {
                Some(value) => return value,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await.expect("it happens within 20 s")
}
