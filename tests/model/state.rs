//! What there is: replicas with their flights, the store, the provider, and what only the onlooker knows.

/// A refresh token: the `n`-th of a login. That with `n` = 0 is in Auth0's profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) login: u8,
    pub(crate) n: u8,
}

/// What the store keeps of an identity. Before the first renewal, and after a login, `n` = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) generation: u8,
    pub(crate) token: Token,
    /// By the provider's word.
    pub(crate) dead: bool,
}

impl Record {
    /// The newest token, seen together with a profile of this login.
    pub(crate) fn newest(&self, login: u8) -> Token {
        if self.token.login == login { self.token } else { Token { login, n: 0 } }
    }
}

/// A lease as the store has it; `holder` is `None` if the flight that took it is over and did not give it
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) holder: Option<usize>,
    /// Seconds since it was last renewed, by the store's clock; counted until nothing depends on it any more.
    pub(crate) age: u8,
}

/// At most so many replicas; those that nobody asks do nothing.
pub(crate) const REPLICAS: usize = 3;

/// What a flight found out before it asked the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) seen: Record,
    /// What is sent.
    pub(crate) from: Token,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Renewed(Token),
    /// `invalid_grant`.
    Refused,
    /// 503 and its kin, or nothing at all.
    Passing,
}

/// Where a flight is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Waiting,
    Grace {
        left: u8,
    },
    ReadingProfile,
    Loading {
        login: u8,
    },
    Confirming(Plan),
    /// It may send, and has not yet.
    Sending(Plan),
    Exchanging {
        plan: Plan,
        seconds: u8,
    },
    Settling {
        plan: Plan,
        outcome: Outcome,
    },
}

impl Phase {
    pub(crate) fn has_lease(&self) -> bool {
        !matches!(self, Self::Idle | Self::Waiting)
    }

    /// The token that was sent and of whose successor nobody else can know yet.
    pub(crate) fn spends(&self) -> Option<Token> {
        match self {
            Self::Exchanging { plan, .. } | Self::Settling { plan, outcome: Outcome::Renewed(_) } => {
                Some(plan.from)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Pace {
    #[default]
    Running,
    /// SIGSTOP, a throttled container: its clock goes on.
    Stopped,
    /// A paused virtual machine: its monotonic clock stands still.
    Frozen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    pub(crate) phase: Phase,
    pub(crate) pace: Pace,
    /// From the store, alone.
    pub(crate) cut_off: bool,
    /// Seconds since the lease was last confirmed, by the replica's own clock; counted as far as it matters.
    pub(crate) lapsed: u8,
    /// Seconds in which it was paused or cut off since then, from when it may send.
    pub(crate) silent: u8,
    /// What its callers have, and want to be replaced.
    pub(crate) old: Token,
}

/// A request on its way to the provider or, once there is an outcome, its answer on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) token: Token,
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Provider {
    /// By login: the `n` of the only token that lives.
    pub(crate) live: [u8; 2],
    pub(crate) revoked: [bool; 2],
    pub(crate) requests: [Option<Request>; REPLICAS],
}

/// What the properties need to know and nobody else does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Onlooker {
    /// By login: the `n` of the newest token that was ever stored.
    pub(crate) stored: [u8; 2],
    /// By login: a token was sent, and who sent it died or gave up before it was answered.
    pub(crate) unknown: [bool; 2],
    pub(crate) sent_twice: bool,
    pub(crate) lent_unstored: bool,
    /// A new token was issued to a replica that lives and did not wait for it.
    pub(crate) thrown_away: bool,
}

/// How many of each may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) asks: u8,
    pub(crate) logins: u8,
    pub(crate) crashes: u8,
    pub(crate) stops: u8,
    pub(crate) freezes: u8,
    pub(crate) cuts: u8,
    pub(crate) outages: u8,
    pub(crate) lost_answers: u8,
    pub(crate) removals: u8,
    pub(crate) clock_jumps: u8,
    pub(crate) clock_setbacks: u8,
    pub(crate) failovers: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) replicas: [Replica; REPLICAS],
    pub(crate) lease: Option<Lease>,
    pub(crate) record: Record,
    /// The store, for everybody.
    pub(crate) is_down: bool,
    /// The newest login.
    pub(crate) login: u8,
    pub(crate) provider: Provider,
    pub(crate) onlooker: Onlooker,
    pub(crate) left: Left,
}
