//! The Auth0 tenant: its Management token, its users, and its rate limit, the scarcest resource of all.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    cache::Loaded,
    config,
    identity::{Profile, UserId},
    store::Store,
    telemetry::Metrics,
    transport::Transport,
};

mod client_assertion;
mod error;
mod limiter;
mod management_token;
mod profiles;
mod users;
mod wire;

pub use error::Auth0Error;
pub use management_token::{NEEDED_SCOPES, granted_scopes};

use limiter::Limiter;
use management_token::ManagementToken;
use profiles::Profiles;
use users::Users;

/// One tenant.
pub struct Auth0 {
    management_token: Arc<ManagementToken>,
    profiles: Profiles,
    limiter: Limiter,
}

impl Auth0 {
    /// A client of the tenant in `settings`. Sends nothing yet. Needs a tokio runtime.
    /// Where `store` is durable, all replicas share one Management token there.
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
        Self { management_token, profiles, limiter }
    }

    /// A user's profile, kept or read.
    ///
    /// # Errors
    /// When Auth0 has no such user, or gives no usable answer.
    pub async fn profile(&self, user: &UserId, need: Need<'_>) -> Result<Loaded<Arc<Profile>>, Auth0Error> {
        self.profiles.get(user, need).await
    }

    /// Fetches the Management token, or waits for it; the first success means that the service can work.
    ///
    /// # Errors
    /// When there is none, or it lacks a scope.
    pub async fn authenticate(&self) -> Result<(), Auth0Error> {
        self.management_token.get(None).await.map(drop)
    }

    /// Whether reads wait for their turn now, rather than for Auth0.
    pub fn is_throttled(&self) -> bool {
        self.limiter.wait().is_some()
    }

    /// Lets go of profiles that nobody asked for lately.
    pub fn sweep(&self) {
        self.profiles.sweep();
    }
}

/// What a use needs of a profile.
pub struct Need<'a> {
    /// Judges a profile, given when its read began.
    pub fit: &'a (dyn Fn(&Profile, Instant) -> Fit + Sync),
}

/// Whether a kept profile will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does: it holds a token that lives long enough, say.
    Serves,
    /// It does not, and may not have changed since: it is read again after 5 s, and ever more rarely while it stays
    /// as it is.
    Lacks,
    /// Something happened since it was read: it is read again at once.
    Outdated {
        /// When that happened; a read that began earlier is of no use.
        since: Instant,
    },
}
