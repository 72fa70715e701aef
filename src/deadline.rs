//! The deadline of a call, and what the call is waiting for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::caller::Caller;

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

/// The longest deadline of an end user, in seconds: longer than anybody waits before a screen.
const END_USERS_LONGEST_S: u32 = 60;

/// A call's deadline. One layer enforces it; the use cases tell it what they are about to wait for.
#[derive(Clone, Debug)]
pub struct Deadline {
    began: Instant,
    allowed: Duration,
    shared: Arc<Shared>,
}

/// What changes while the call is worked on.
#[derive(Debug)]
struct Shared {
    /// 0 until the request has arrived.
    stage: AtomicU8,
    /// The most that the caller may ask for, in seconds.
    most_s: AtomicU32,
}

impl Deadline {
    /// Makes a deadline `allowed` from now, for a call whose message has still to arrive.
    pub fn from_now(allowed: Duration) -> Self {
        let shared = Shared { stage: AtomicU8::new(0), most_s: AtomicU32::new(u32::MAX) };
        Self { began: Instant::now(), allowed, shared: Arc::new(shared) }
    }

    /// Cuts the deadline to what `caller` may ask for: an end user's call must not hold a place for as long
    /// as a service's.
    pub fn cut_for(&self, caller: &Caller) {
        if let Caller::EndUser { .. } = caller {
            self.shared.most_s.store(END_USERS_LONGEST_S, Ordering::Relaxed);
        }
    }

    /// Returns when the call must be answered.
    pub fn at(&self) -> Instant {
        let most = Duration::from_secs(self.shared.most_s.load(Ordering::Relaxed).into());
        self.began + self.allowed.min(most)
    }

    /// Returns when the call must be answered or, until its message has arrived, when that must have
    /// happened.
    pub fn next(&self) -> Instant {
        let has_arrived = self.shared.stage.load(Ordering::Relaxed) > 0;
        if has_arrived { self.at() } else { self.at().min(self.began + ARRIVAL) }
    }

    /// Notes what the call is about to wait for.
    pub fn enter(&self, stage: Stage) {
        self.shared.stage.store(stage as u8 + 1, Ordering::Relaxed);
    }

    /// Returns what the call is waiting for.
    pub fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.shared.stage.load(Ordering::Relaxed).saturating_sub(1))]
    }
}
