//! One exchange: the request, its retries, and a second try if a refused secret was rotated.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Request;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{VaultError, answer};
use crate::{
    auth0::{Auth0Error, client::Client, jwt},
    config,
    identity::{StoredToken, UserId},
    retry::attempts::RetryBudget,
    secret::Secret,
    telemetry::{Metrics, metrics::Endpoint},
    transport::Transport,
};

/// Limit of one exchange with its retries. All callers that want the same token share it, so it does not
/// depend on their deadlines; it is shorter than the default one.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Limit of one attempt. Auth0 may have to renew the token at the provider, so it takes longer than a read.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of an answer in bytes; the largest tokens, Microsoft's, have a few KiB.
const ANSWER_LIMIT: usize = 64 * 1024;

/// <https://auth0.com/docs/secure/call-apis-on-users-behalf/token-vault/privileged-worker-token-exchange-with-token-vault>
const GRANT_TYPE: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

/// The `typ` that Auth0 requires of a worker's subject token.
const SUBJECT_TYPE: &str = "token-vault-req+jwt";

/// The worker's purpose, for the tenant's log. Says nothing about the user.
const AUDIT_CONTEXT: &str = "idp-token-service: a provider call for this user";

/// The account whose token is wanted.
#[derive(Clone, Debug)]
pub(in crate::auth0) struct Account {
    pub(in crate::auth0) user: UserId,
    pub(in crate::auth0) connection: String,
    /// The provider's own id of the account; empty for whichever the user connected.
    pub(in crate::auth0) account_id: String,
}

/// Everything that an exchange needs.
pub(super) struct Exchange {
    client: Client,
    private_key: Arc<Secret>,
    transport: Transport,
    budget: RetryBudget,
    metrics: Arc<Metrics>,
    /// Until when Auth0 asks not to be called. Its limit applies to the tenant, not to a user.
    closed_until: Mutex<Option<Instant>>,
}

/// The claims that a worker signs for one user and one request. Auth0 accepts none older than 60 s, whatever
/// `exp` says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    jti: String,
    audit_context: &'a str,
}

impl Exchange {
    pub(super) fn new(
        settings: &config::Auth0,
        private_key: Arc<Secret>,
        transport: Transport,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (client, budget) = (Client::new(settings), RetryBudget::default());
        Self { client, private_key, transport, budget, metrics, closed_until: Mutex::new(None) }
    }

    /// Gets the token of `account`, on the authority of `end_user`'s access token or, without one, on our
    /// own.
    ///
    /// # Errors
    /// When the vault gives none.
    pub(super) async fn run(
        &self,
        account: &Account,
        end_user: Option<&SecretString>,
    ) -> Result<StoredToken, VaultError> {
        let deadline = Instant::now() + EXCHANGE_TIMEOUT;
        let used = [self.client.secret().get(), self.private_key.get()];
        match self.with_retries(account, end_user, deadline).await {
            // The secret or the key may have been rotated: what the files hold now has not been tried yet.
            Err(VaultError::Auth0(Auth0Error::Misconfigured { .. })) if self.is_rotated(&used).await => {
                self.with_retries(account, end_user, deadline).await
            }
            outcome => outcome,
        }
    }

    /// Reads the files again and returns whether the secret or the key differs from `used`.
    async fn is_rotated(&self, used: &[Arc<SecretString>; 2]) -> bool {
        let [secret, key] = used;
        let is_new_secret = self.client.secret().is_replaced(secret).await;
        self.private_key.is_replaced(key).await || is_new_secret
    }

    async fn with_retries(
        &self,
        account: &Account,
        end_user: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<StoredToken, VaultError> {
        let mut attempts = self.budget.begin(deadline);
        loop {
            let outcome = self.once(account, end_user, deadline.min(Instant::now() + ATTEMPT_TIMEOUT)).await;
            match outcome {
                Err(error) => match error.is_transient() {
                    Some(wait) if attempts.again(wait).await => {}
                    _ => return Err(error),
                },
                token => return token,
            }
        }
    }

    async fn once(
        &self,
        account: &Account,
        end_user: Option<&SecretString>,
        deadline: Instant,
    ) -> Result<StoredToken, VaultError> {
        self.check_open()?;
        let request = self.request(account, end_user)?;
        let sent = SystemTime::now();
        let outcome = match self.transport.send(request, ANSWER_LIMIT, deadline).await {
            Ok(answer) => answer::judge(&answer, &account.connection, end_user.is_some(), sent),
            Err(error) => Err(Auth0Error::from(error).into()),
        };
        if let Err(VaultError::Auth0(Auth0Error::RateLimited { retry_after })) = &outcome {
            self.close(*retry_after);
        }
        let word = outcome.as_ref().map_or_else(VaultError::outcome, |_| "ok");
        self.metrics.auth0_request(Endpoint::TokenVault, word);
        outcome
    }

    fn check_open(&self) -> Result<(), VaultError> {
        let until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left.is_zero() { Ok(()) } else { Err(Auth0Error::RateLimited { retry_after: left }.into()) }
    }

    fn close(&self, wait: Duration) {
        *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
    }

    fn request(
        &self,
        account: &Account,
        end_user: Option<&SecretString>,
    ) -> Result<Request<Bytes>, Auth0Error> {
        let mut body = match end_user {
            Some(token) => json!({
                "subject_token": token.expose_secret(),
                "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "requested_token_type": "http://auth0.com/oauth/token-type/federated-connection-access-token",
            }),
            None => json!({
                "subject_token": self.subject(&account.user)?.expose_secret(),
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "requested_token_type": "http://auth0.com/oauth/token-type/token-vault-access-token",
            }),
        };
        body["grant_type"] = json!(GRANT_TYPE);
        body["connection"] = json!(account.connection);
        // Auth0 documents this for end users' exchanges, and says nothing about workers'.
        if !account.account_id.is_empty() {
            body["login_hint"] = Value::from(account.account_id.as_str());
        }
        self.client.request(body)
    }

    /// Signs a subject token for `user`.
    fn subject(&self, user: &UserId) -> Result<SecretString, Auth0Error> {
        let claims = Claims {
            iss: &self.client.id,
            sub: user.as_str(),
            aud: &self.client.issuer,
            iat: jwt::unix_now(),
            jti: jwt::nonce().map_err(Auth0Error::misconfigured)?,
            audit_context: AUDIT_CONTEXT,
        };
        jwt::sign(SUBJECT_TYPE, &claims, &self.private_key.get()).map_err(|what| {
            Auth0Error::misconfigured(format!("`auth0.token_vault.private_key_file`: {what}"))
        })
    }
}
