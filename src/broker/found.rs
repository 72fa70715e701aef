//! An identity that holds a token, with the profile that shows it.

use std::{ptr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Broker, ProviderEntry, live_token::Wanted};
use crate::{
    auth0::{Fit, Need},
    cache::Loaded,
    deadline::{Deadline, Stage},
    error::Error,
    identity::{Identity, Profile, Selector, StoredToken},
    policy::Permit,
    renewal::{Known, ProviderClient, Standing, Subject, Trouble},
};

/// See the module's documentation.
pub(super) struct Found {
    profile: Arc<Profile>,
    /// Which of the profile's identities.
    index: usize,
    token: Arc<StoredToken>,
    /// When the read of the profile began.
    pub(super) read: Instant,
}

impl Found {
    pub(super) fn identity(&self) -> &Identity {
        &self.profile.identities[self.index]
    }

    /// The token that the profile shows.
    pub(super) fn token(&self) -> &StoredToken {
        &self.token
    }

    /// Weighs the profile's token and what is known besides; see [`Standing::of`].
    pub(super) fn standing<'a>(&'a self, known: &'a Known) -> Result<Standing<'a>, Instant> {
        Standing::of(&self.token, self.read, Some(known))
    }

    pub(super) fn subject<'a>(&'a self, client: Option<&'a Arc<ProviderClient>>) -> Subject<'a> {
        Subject { key: &self.identity().key, profile: &self.token, read: self.read, client }
    }
}

impl Profile {
    /// Where in the profile a selected identity stands.
    pub(super) fn index_of(&self, identity: &Identity) -> usize {
        let index = self.identities.iter().position(|one| ptr::eq(one, identity));
        index.expect("the identity is one of the profile's")
    }
}

impl Broker {
    /// The identity that `selector` means, of those that the permit covers, in a profile that was read at `since` or later.
    pub(super) async fn find<A>(
        &self,
        permit: &Permit<A>,
        selector: &Selector,
        since: Option<Instant>,
        deadline: &Deadline,
    ) -> Result<Found, Error> {
        let wanted = Wanted::by(permit, selector, Duration::ZERO);
        let fit = |profile: &Profile, began: Instant| match since.filter(|since| began < *since) {
            Some(since) => Fit::Outdated { since },
            None if wanted.select(profile).is_ok() => Fit::Serves,
            None => Fit::Lacks,
        };
        deadline.enter(if self.auth0.is_throttled() { Stage::Queue } else { Stage::Auth0 });
        let Loaded { value: profile, began } = self.auth0.profile(permit.user(), Need { fit: &fit }).await?;
        let identity = wanted.select(&profile)?;
        permit.trail().found(identity);
        let token = match &identity.token {
            Some(token) => Arc::clone(token),
            None => self.vault_token(identity, &wanted).await?,
        };
        let index = profile.index_of(identity);
        Ok(Found { profile, index, token, read: began })
    }

    /// The provider of an identity, to be asked for `operation`.
    pub(super) fn entry_for(
        &self,
        identity: &Identity,
        operation: &'static str,
    ) -> Result<&ProviderEntry, Error> {
        self.providers.of(identity).ok_or_else(|| Error::OperationUnsupported {
            provider: Some(identity.provider.clone()),
            operation,
        })
    }
}

/// What the caller of `operation` is told of a provider's trouble.
pub(super) fn error(identity: &Identity, operation: &'static str, trouble: Trouble) -> Error {
    let provider = identity.provider.clone();
    match trouble {
        Trouble::Unsupported => Error::OperationUnsupported { provider: Some(provider), operation },
        Trouble::NotConfigured { missing } => Error::NotConfigured { provider: Some(provider), missing },
        Trouble::Refused { code, keys } => Error::ApplicationRefused { provider, code, keys },
        Trouble::RateLimited { retry_after } => Error::ProviderRateLimited { provider, retry_after },
        Trouble::Unavailable { cause, retry_after, .. } => {
            Error::ProviderUnavailable { provider, cause, retry_after }
        }
        Trouble::Unreadable { cause } => Error::ProviderProtocol { provider, cause },
    }
}
