//! A selected identity, and the profile that it came from.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    cache::Loaded,
    identity::{Identity, IdentityKey, Profile, StoredToken, UserId},
    provider_client::ProviderClient,
};

/// One identity of a profile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Selected {
    profile: Arc<Profile>,
    index: usize,
    read: Instant,
}

impl Selected {
    /// The identity at `index` of a profile.
    pub fn at(profile: &Loaded<Arc<Profile>>, index: usize) -> Self {
        Self { profile: Arc::clone(&profile.value), index, read: profile.began }
    }

    /// The identity of the same account in another read of the profile, if it is still there.
    pub(super) fn same_in(&self, profile: &Loaded<Arc<Profile>>) -> Option<Self> {
        let index = profile.value.identities.iter().position(|identity| identity.key == *self.key())?;
        Some(Self::at(profile, index))
    }

    /// The identity.
    pub fn identity(&self) -> &Identity {
        &self.profile.identities[self.index]
    }

    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.profile.user_id
    }

    /// When the read of the profile began.
    pub fn read(&self) -> Instant {
        self.read
    }

    pub(super) fn key(&self) -> &Arc<IdentityKey> {
        &self.identity().key
    }
}

/// An identity that holds a token, with its provider where there is an adapter. Cheap to clone.
#[derive(Clone)]
pub struct IdentitySnapshot {
    /// Which one.
    pub selected: Selected,
    /// The token that the profile shows, or that Token Vault gave for it.
    pub token: Arc<StoredToken>,
    /// Its provider; `None` where there is no adapter.
    pub client: Option<Arc<ProviderClient>>,
}
