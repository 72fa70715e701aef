//! A secret that all replicas use, such as the Management token.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};

/// A shared secret that has not run out.
#[derive(Clone)]
pub struct Shared {
    /// What the next put has to expect; never 0.
    pub generation: u64,
    /// The secret.
    pub value: SecretString,
    /// How long it is still good, by the store's clock, so that replicas whose clocks differ agree.
    pub remaining: Duration,
}

/// How a put ended.
#[derive(Clone, Debug)]
pub enum SharedSwap {
    /// The value is shared, under this generation.
    Done(u64),
    /// Another writer was faster: nothing was changed, and this is what is there now.
    Lost(Option<Shared>),
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("generation", &self.generation)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

/// What it means that `current` is not what was expected. If it is the value that the writer brought, a first try did
/// happen, though its answer was lost.
pub(super) fn lost(current: Option<Shared>, expected: u64, value: &SecretString) -> SharedSwap {
    match current {
        Some(current)
            if (expected == 0 || current.generation == expected.saturating_add(1))
                && current.value.expose_secret() == value.expose_secret() =>
        {
            SharedSwap::Done(current.generation)
        }
        current => SharedSwap::Lost(current),
    }
}
