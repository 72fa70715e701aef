//! Until when a call must be answered, and what it is waiting for meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::time::Instant;

/// What a call waits for: the `stage` in the metadata of DEADLINE_EXCEEDED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its turn at Auth0's rate limit.
    Queue,
    /// Auth0's answer.
    Auth0,
    /// The provider's answer.
    Provider,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Queue, Self::Auth0, Self::Provider];

    /// The name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Auth0 => "auth0",
            Self::Provider => "provider",
        }
    }
}

/// A call's deadline. One layer enforces it; the use cases tell it what they are about to wait for.
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Instant,
    stage: Arc<AtomicU8>,
}

impl Deadline {
    /// A deadline at `at`; the call begins in the queue.
    pub fn new(at: Instant) -> Self {
        Self { at, stage: Arc::new(AtomicU8::new(Stage::Queue as u8)) }
    }

    /// When the call must be answered.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Says what comes next.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// What is being waited for.
    pub fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed))]
    }
}
