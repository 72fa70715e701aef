//! The deadline of a call, and what the call is waiting for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What a call is waiting for: the `stage` in the metadata of DEADLINE_EXCEEDED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The call's turn in Auth0's rate limit.
    Queue,
    /// Auth0's answer.
    Auth0,
    /// The renewal of a token, here or by another replica.
    Renewal,
    /// The provider's answer.
    Provider,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Queue, Self::Auth0, Self::Renewal, Self::Provider];

    /// Describes in words what is waited for.
    pub fn subject(self) -> &'static str {
        match self {
            Self::Queue => "its turn, or for the rest of the request",
            Self::Auth0 => "Auth0",
            Self::Renewal => "the renewal of the token",
            Self::Provider => "the provider",
        }
    }

    /// Returns the stage's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Auth0 => "auth0",
            Self::Renewal => "renewal",
            Self::Provider => "provider",
        }
    }
}

/// How long a request message may take to arrive. It normally comes with its headers; a slower one holds a
/// place that others need.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A call's deadline. One layer enforces it; the use cases tell it what they are about to wait for.
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Instant,
    /// When the request must have arrived.
    arrival: Instant,
    /// 0 until the request has arrived.
    stage: Arc<AtomicU8>,
}

impl Deadline {
    /// Makes a deadline `allowed` from now, for a call whose message has still to arrive.
    pub fn from_now(allowed: Duration) -> Self {
        let now = Instant::now();
        Self { at: now + allowed, arrival: now + ARRIVAL.min(allowed), stage: Arc::new(AtomicU8::new(0)) }
    }

    /// Returns when the call must be answered.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Returns when the call must be answered or, until its message has arrived, when that must have
    /// happened.
    pub fn next(&self) -> Instant {
        if self.stage.load(Ordering::Relaxed) == 0 { self.arrival } else { self.at }
    }

    /// Notes what the call is about to wait for.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8 + 1, Ordering::Relaxed);
    }

    /// Returns what the call is waiting for.
    pub fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed).saturating_sub(1))]
    }
}
