//! A token store in a file, for services that shall share or survive.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use idp_token_sandbox::Seed;
use idp_token_service::{
    config::{Config, Store as Settings},
    identity::{IdentityKey, UserId},
    store::{Keyring, Record, RenewedTokens, Store, StoreError},
    token::{AccessToken, RefreshToken, TokenType},
};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;

/// An SQLite database that is not there yet, and a file of keys.
pub struct Database {
    folder: TempDir,
}

impl Database {
    /// With one encryption key, the first.
    pub fn new() -> Self {
        let database = Self { folder: tempfile::tempdir().unwrap() };
        database.write_keys(&[1]);
        database
    }

    /// The same, made already, and failing whenever the Management token is put there.
    pub async fn full() -> Self {
        let database = Self::new();
        drop(database.open().await.unwrap());
        let full = "BEFORE INSERT ON idp_token_shared BEGIN SELECT RAISE(FAIL, 'full'); END";
        database.sql(&format!("CREATE TRIGGER full {full}")).await;
        database
    }

    /// Writes the file of keys anew, each named by a number.
    pub fn write_keys(&self, keys: &[u8]) {
        let lines: Vec<_> = keys.iter().map(|key| BASE64_STANDARD.encode([*key; 32])).collect();
        std::fs::write(self.keys_file(), lines.join("\n")).unwrap();
    }

    pub fn url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("tokens.db").display())
    }

    pub fn keys_file(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The environment variables of a service with this store.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let keys = self.keys_file().display().to_string();
        [("IDP_TOKEN_STORE_URL", self.url()), ("IDP_TOKEN_STORE_ENCRYPTION_KEYS_FILE", keys)]
    }

    /// Gives a service this store.
    pub fn configure(&self, config: &mut Config) {
        config.store = Settings { url: self.url().parse().unwrap(), keys: Some(self.keyring()) };
    }

    /// The store as a replica for the sandbox's tenant sees it.
    pub async fn open(&self) -> Result<Store, StoreError> {
        let tenant = format!("https://{}/api/v2/", Seed::sample().domain);
        Store::open(&self.url().parse().unwrap(), Some(self.keyring()), &tenant).await
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::new(Keyring::from_file(self.keys_file()).unwrap())
    }

    /// Changes the database behind the store's back.
    pub async fn sql(&self, sql: &str) {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// The one number that `sql` asks for.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// The one text that `sql` asks for.
    pub async fn text(&self, sql: &str) -> String {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// Stores renewed tokens of `account`, whose refresh token is its name.
    pub async fn put(&self, account: &str) {
        let tokens = RenewedTokens {
            token_type: TokenType::Bearer,
            access: AccessToken::new(format!("access-of-{account}")),
            refresh: Some(RefreshToken::new(account)),
            obtained_at: std::time::SystemTime::now(),
            expires_at: None,
            scopes: Vec::new(),
        };
        let record = Record { tokens: Some(tokens), ..Record::default() };
        self.open().await.unwrap().swap(&key(account), &ada(), 0, &record).await.unwrap();
    }

    /// The refresh token that is stored of `account`.
    pub async fn refresh_token(&self, account: &str) -> Option<String> {
        let stored = self.open().await.unwrap().load(&key(account), &ada()).await.unwrap()?;
        stored.record.tokens?.refresh.map(|refresh| refresh.expose().to_owned())
    }
}

fn key(account: &str) -> IdentityKey {
    IdentityKey { connection: "bitbucket".to_owned(), account_id: account.to_owned() }
}

fn ada() -> UserId {
    UserId::parse("auth0|ada".to_owned(), "user_id").unwrap()
}
