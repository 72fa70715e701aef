//! Secrets that all replicas use, such as the Management token.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};

/// A shared secret that has not expired.
#[derive(Clone)]
pub struct Shared {
    /// The generation for the next put to expect; never 0.
    pub generation: u64,
    /// The secret.
    pub value: SecretString,
    /// How long it is still valid, by the store's clock, so that replicas whose clocks differ agree.
    pub remaining: Duration,
}

/// The result of a put.
#[derive(Clone, Debug)]
pub enum SharedSwap {
    /// The value is shared under this generation.
    Done(u64),
    /// Another writer was faster: nothing changed, and this is the current value.
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

/// The result if `current` is not what was expected. If it equals the writer's value, an earlier attempt
/// succeeded, and its answer was lost.
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
