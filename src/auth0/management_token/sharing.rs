//! Shares one Management token between all replicas: it is in the store, or one replica fetches it and puts
//! it there.
//!
//! The store only saves requests: whenever it cannot help, a replica fetches a token of its own.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::time::Instant;

use super::{
    Grant,
    fetch::{Fetch, Issued, LONGEST_RUN},
    token::Token,
};
use crate::{
    auth0::error::Auth0Error,
    config,
    store::{Acquired, Lease, LeaseName, SharedSwap, Store, StoreError},
};

/// Limit of one store operation, which normally takes a few milliseconds.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Lease of the replica that fetches: the longest that a fetch and its storing may take.
const LEASE: Duration = Duration::from_secs(LONGEST_RUN.as_secs() + 10);

/// How long to wait for another replica's fetch, which normally takes well below a second. That replica may
/// be dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two checks whether another replica has finished.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Shares Management tokens through the store; see the module's documentation.
pub(super) struct Sharing {
    store: Arc<Store>,
    /// Name of the shared value and of its lease.
    name: String,
}

/// What the store holds.
enum Found {
    /// A usable token.
    Grant(Grant),
    /// No usable token: it is this replica's turn to fetch one.
    Nothing {
        /// The exclusive right to fetch; `None` after [`PATIENCE`] ran out.
        lease: Option<Lease>,
        /// The generation that the new token replaces.
        expected: u64,
    },
}

impl Sharing {
    /// `None` if the store is not durable, so that no other replica could share the token.
    pub(super) fn new(settings: &config::Auth0, store: &Arc<Store>) -> Option<Self> {
        let name = format!("management-token/{}", digest(settings));
        store.is_durable().then(|| Self { store: Arc::clone(store), name })
    }

    /// Returns a token of a generation other than `avoid`, which has expired, will soon, or was refused.
    pub(super) async fn obtain(&self, fetch: &Fetch, avoid: Option<u64>) -> Result<Grant, Auth0Error> {
        match self.look(avoid).await {
            Ok(Found::Grant(grant)) => {
                tracing::info!(expires_in_s = grant.left().as_secs(), "Took a shared Management token");
                Ok(grant)
            }
            Ok(Found::Nothing { lease, expected }) => {
                let outcome = match fetch.run().await {
                    Ok(issued) => Ok(self.share(&issued, expected).await),
                    Err(error) => Err(error),
                };
                self.release(lease).await;
                outcome
            }
            Err(error) => {
                tracing::warn!(%error, "Cannot look for a shared Management token; fetching one alone");
                Ok(fetch.run().await?.grant(None))
            }
        }
    }

    async fn look(&self, avoid: Option<u64>) -> Result<Found, StoreError> {
        let patience = Instant::now() + PATIENCE;
        let name = LeaseName::Shared(self.name.clone());
        let holder = format!("process {}", std::process::id());
        loop {
            let found = self.read(avoid).await?;
            let Found::Nothing { expected, .. } = found else { return Ok(found) };
            match within(self.store.acquire(&name, &holder, LEASE)).await? {
                Acquired::Yes(lease) => return self.look_again(avoid, lease).await,
                Acquired::Held { .. } if Instant::now() < patience => tokio::time::sleep(LOOK_AGAIN).await,
                Acquired::Held { .. } => return Ok(Found::Nothing { lease: None, expected }),
            }
        }
    }

    /// Looks again: another replica may have finished just before this one took the lease.
    async fn look_again(&self, avoid: Option<u64>, lease: Lease) -> Result<Found, StoreError> {
        match self.read(avoid).await {
            Ok(Found::Nothing { expected, .. }) => Ok(Found::Nothing { lease: Some(lease), expected }),
            other => {
                self.release(Some(lease)).await;
                other
            }
        }
    }

    async fn read(&self, avoid: Option<u64>) -> Result<Found, StoreError> {
        let Some(shared) = within(self.store.get_shared(&self.name)).await? else {
            return Ok(Found::Nothing { lease: None, expected: 0 });
        };
        let grant = || {
            let token = Token::read(&shared.value)?;
            let age = token.lifetime.saturating_sub(shared.remaining);
            Some(Grant::new(&token, age, Some(shared.generation))).filter(|grant| !grant.is_due())
        };
        let grant = if avoid == Some(shared.generation) { None } else { grant() };
        Ok(grant.map_or(Found::Nothing { lease: None, expected: shared.generation }, Found::Grant))
    }

    /// Stores the token for the other replicas. It is used here even if that fails.
    async fn share(&self, issued: &Issued, expected: u64) -> Grant {
        let left = issued.token.lifetime.saturating_sub(issued.began.elapsed());
        let written = issued.token.write();
        let generation = match within(self.store.put_shared(&self.name, expected, &written, left)).await {
            Ok(SharedSwap::Done(generation)) => Some(generation),
            Ok(SharedSwap::Lost(_)) => None,
            Err(error) => {
                tracing::warn!(%error, "Cannot share the Management token with other replicas");
                None
            }
        };
        issued.grant(generation)
    }

    /// Releases the lease; one that cannot be released expires.
    async fn release(&self, lease: Option<Lease>) {
        if let Some(lease) = lease {
            let _ = within(self.store.release(lease)).await;
        }
    }
}

async fn within<T>(question: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable { detail: "no answer within 2 s".to_owned() };
    tokio::time::timeout(STORE_TIMEOUT, question).await.unwrap_or_else(|_| Err(late()))
}

/// Digest of what the token is valid for, within the tenant whose store this is: the application and the
/// domain, which is the issuer. Names in the store are plain text, so they are hashed.
fn digest(settings: &config::Auth0) -> String {
    let mut context = Context::new(&SHA256);
    for part in [&settings.domain, &settings.client_id] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}
