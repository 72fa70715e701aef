//! The Auth0 tenant: its Management token, its users, its Token Vault, and its rate limit, the scarcest
//! resource of all.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    cache::Loaded,
    config,
    deadline::Stage,
    identity::{Profile, StoredToken, UserId},
    shares::Holder,
    store::Store,
    telemetry::Metrics,
    transport::Transport,
};

mod client;
mod client_assertion;
pub mod connect;
mod ends;
mod error;
mod jwt;
mod limiter;
mod management_token;
mod profiles;
mod token_vault;
mod users;
mod wire;

pub use error::Auth0Error;
pub use management_token::{NEEDED_SCOPES, granted_scopes};
pub use token_vault::{Subject, VaultError};

use limiter::Limiter;
use management_token::ManagementToken;
use profiles::Profiles;
use token_vault::{Account, TokenVault};
use users::Users;

/// A client of one tenant.
pub struct Auth0 {
    management_token: Arc<ManagementToken>,
    profiles: Profiles,
    limiter: Limiter,
    vault: Option<TokenVault>,
}

impl Auth0 {
    /// Makes a client of the tenant in `settings`. Sends nothing yet. Needs a tokio runtime.
    ///
    /// If `store` is durable, all replicas share one Management token through it.
    pub fn new(
        settings: &config::Auth0,
        transport: &Transport,
        store: &Arc<Store>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let limiter = Limiter::new(settings.requests_per_second, Arc::clone(metrics));
        let management_token =
            Arc::new(ManagementToken::new(settings, transport.clone(), store, Arc::clone(metrics)));
        let users = Users::new(
            settings,
            Arc::clone(&management_token),
            transport.clone(),
            limiter.clone(),
            Arc::clone(metrics),
        );
        let profiles = Profiles::new(users, settings.profile_ttl, Arc::clone(metrics));
        let vault = settings.token_vault.as_ref();
        let vault =
            vault.map(|vault| TokenVault::new(settings, vault, transport.clone(), Arc::clone(metrics)));
        Self { management_token, profiles, limiter, vault }
    }

    /// Returns a user's profile, cached or read on behalf of `holder`.
    ///
    /// # Errors
    /// When Auth0 has no such user, or gives no usable answer.
    pub async fn profile(
        &self,
        user: &UserId,
        holder: Holder,
        judge: Judge<'_>,
    ) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        self.profiles.get(user, holder, judge).await
    }

    /// Returns a user's token from Token Vault, cached or exchanged. If `judge` does not accept it, the vault
    /// has no better one now. `account_id` is the provider's own id of the account; empty for whichever
    /// account the user connected.
    ///
    /// # Errors
    /// When the vault gives none, or is not configured for `connection`.
    pub async fn vault_token(
        &self,
        user: &UserId,
        connection: &str,
        account_id: &str,
        subject: Subject<'_>,
        judge: Judge<'_, StoredToken>,
    ) -> Result<Loaded<Arc<StoredToken>>, VaultError> {
        let vault = self.vault.as_ref().filter(|vault| vault.has(connection));
        let vault = vault.ok_or_else(|| token_vault::closed(connection))?;
        let (connection, account_id) = (connection.to_owned(), account_id.to_owned());
        vault.get(Account { user: user.clone(), connection, account_id }, subject, judge).await
    }

    /// Fetches the Management token or waits for it. The first success means that the service can work.
    ///
    /// # Errors
    /// When there is no token, or it lacks a scope.
    pub async fn authenticate(&self) -> Result<(), Auth0Error> {
        self.management_token.get(None).await.map(drop)
    }

    /// What a call of `holder` that reads waits for now: the rate limit, or Auth0's answer.
    pub fn stage(&self, holder: Holder) -> Stage {
        if self.limiter.wait(holder).is_some() { Stage::Queue } else { Stage::Auth0 }
    }

    /// Drops profiles that nobody has asked for recently.
    pub fn sweep(&self) {
        self.profiles.sweep();
        self.vault.iter().for_each(TokenVault::sweep);
    }
}

/// Judges a cached profile or Token Vault token, given when its read or exchange began.
pub type Judge<'a, T = Profile> = &'a (dyn Fn(&T, Instant) -> Acceptance + Sync);

/// Whether a cached profile or token will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It will do, for example because its token lives long enough.
    Accept,
    /// It will not do, but may not have changed either: it is read again after 5 s, and ever more rarely
    /// while it stays the same.
    Insufficient,
    /// Something happened since it was read: it is read again at once.
    Stale {
        /// When that happened. Reads that began earlier are of no use.
        since: Instant,
    },
}

#[cfg(fuzzing)]
pub(crate) use {token_vault::vault_token_in, users::profile_in};
