//! What may happen, in words.

use std::fmt;

/// By number: A, B, C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) usize);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["A", "B", "C"][self.0])
    }
}

/// Whether the store's answer arrives. What was asked is done either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Arrives,
    IsLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Second,
    Flight(Name, Step),
    Fault(Name, Fault),
    CarryOut(Name),
    Decline(Name),
    World(World),
}

/// What a flight does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin,
    Acquire(Answer),
    ReadProfile,
    Load,
    Confirm(Answer),
    Send,
    Receive,
    GiveUp,
    Settle(Answer),
    FailToStore,
}

/// What befalls a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Crash,
    Stop,
    Freeze,
    Wake,
    CutOff,
    Reconnect,
}

/// What befalls all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    Login,
    StoreGoes,
    StoreReturns,
    ExpiredLeasesAreRemoved,
    ClockJumps,
    ClockIsSetBack,
    StoreForgets,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Second => f.write_str("a second passes"),
            Self::Flight(name, step) => write!(f, "{name} {}", step.words()),
            Self::Fault(name, fault) => write!(f, "{name} {}", fault.words()),
            Self::CarryOut(name) => write!(f, "the provider carries out what {name} asks"),
            Self::Decline(name) => write!(f, "the provider answers {name} that it cannot now"),
            Self::World(event) => f.write_str(event.words()),
        }
    }
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Begin => "is asked for a token",
            Self::Acquire(Answer::Arrives) => "acquires the lease",
            Self::Acquire(Answer::IsLost) => "acquires the lease and is not told",
            Self::ReadProfile => "reads the profile",
            Self::Load => "loads the record",
            Self::Confirm(Answer::Arrives) => "asks for the lease once more",
            Self::Confirm(Answer::IsLost) => "asks for the lease once more and is not told",
            Self::Send => "sends the refresh token, if it may",
            Self::Receive => "gets the provider's answer",
            Self::GiveUp => "gives up waiting for the provider",
            Self::Settle(Answer::Arrives) => "stores the outcome, unless another stored one",
            Self::Settle(Answer::IsLost) => "stores the outcome, unless another stored one, and is not told",
            Self::FailToStore => "cannot store the outcome and lets it go",
        }
    }
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::Crash => "crashes",
            Self::Stop => "is stopped; its clock goes on",
            Self::Freeze => "is frozen; its clock stands still",
            Self::Wake => "wakes",
            Self::CutOff => "is cut off from the store",
            Self::Reconnect => "reaches the store again",
        }
    }
}

impl World {
    fn words(self) -> &'static str {
        match self {
            Self::Login => "the user logs in again",
            Self::StoreGoes => "the store is gone for everybody",
            Self::StoreReturns => "the store is back",
            Self::ExpiredLeasesAreRemoved => "leases that ran out are removed",
            Self::ClockJumps => "the store's clock jumps ahead",
            Self::ClockIsSetBack => "the store's clock is set back",
            Self::StoreForgets => "the store forgets what it wrote last",
        }
    }
}
