//! The protocol and the world around it: what may happen when, and what comes of it.

use std::time::Duration;

use idp_token_service::tokens::timing::{GRACE, LEASE, RENEW_EVERY, RENEWAL_TIMEOUT};

use super::{
    event::{Event, Fault, Name, World},
    flight::{leave_exchange, leave_lease, renew},
    state::{Left, Outcome, Pace, Phase, REPLICAS, Replica, Request, State, Token},
};

/// What keeps a renewal to one. Each can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Only one replica works at a time.
    Lease,
    /// Who inherits a lease leaves its former holder time to store.
    Grace,
    /// The record is loaded under the lease.
    Reload,
    /// The lease is renewed, and seen to be ours, as the last thing before sending.
    Confirm,
    /// Nothing is sent once the lease has ended by the replica's own clock.
    Look,
    /// A renewal of the lease that failed is tried again soon.
    RenewAgain,
    /// The exchange ends with the lease as last confirmed.
    Bound,
    /// New tokens are stored before anybody gets them.
    StoreFirst,
    /// What only we know is stored in the end, whatever errors the store has meanwhile.
    Persist,
    /// What another stored meanwhile is not overwritten.
    Swap,
    /// A lease that ran out is not removed while it still says that somebody inherits.
    Remember,
}

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) without: Option<Mend>,
    pub(crate) replicas: usize,
    /// How much may happen.
    pub(crate) may: Left,
    /// The longest silence, in seconds, of a replica that has sent a token and not stored its successor.
    pub(crate) silence: u8,
    /// The same of one that was given the lease and has not sent yet.
    pub(crate) hesitation: u8,
    /// For how many seconds an exchange is waited for beyond the lease's end.
    pub(crate) overtime: u8,
    /// The slowest answer of the provider, in seconds; `None` if it need not answer.
    pub(crate) answers_within: Option<u8>,
}

pub(crate) fn seconds(duration: Duration) -> u8 {
    assert_eq!(duration.subsec_nanos(), 0, "the protocol's times are whole seconds");
    u8::try_from(duration.as_secs()).expect("the protocol's times are short")
}

impl Model {
    pub(crate) fn has(&self, mend: Mend) -> bool {
        self.without != Some(mend)
    }

    pub(crate) fn events(&self, state: &State, events: &mut Vec<Event>) {
        for i in 0..REPLICAS {
            let name = Name(i);
            if state.provider.requests[i].is_some_and(|request| request.outcome.is_none()) {
                events.extend([Event::CarryOut(name), Event::Decline(name)]);
            }
            events.extend(faults(state, i).map(|fault| Event::Fault(name, fault)));
            if state.replicas[i].pace == Pace::Running {
                events.extend(self.steps(state, i).into_iter().map(|step| Event::Flight(name, step)));
            }
        }
        events.extend(self.world(state).map(Event::World));
        if (0..REPLICAS).all(|i| !self.is_urgent(state, i)) {
            events.push(Event::Second);
        }
    }

    pub(crate) fn after(&self, before: &State, event: Event) -> State {
        let mut state = *before;
        match event {
            Event::Second => self.second(&mut state),
            Event::Flight(Name(i), step) => self.step(&mut state, i, step),
            Event::Fault(Name(i), fault) => befall(&mut state, i, fault),
            Event::CarryOut(Name(i)) => carry_out(&mut state, i),
            Event::Decline(Name(i)) => answer(&mut state, i, Outcome::Passing),
            Event::World(event) => change(&mut state, event),
        }
        state
    }

    fn world(&self, state: &State) -> impl Iterator<Item = World> + use<> {
        let left = state.left;
        let remembered = if self.has(Mend::Remember) { seconds(GRACE) } else { 0 };
        let may_be_removed = state.lease.is_some_and(|lease| lease.age >= seconds(LEASE) + remembered);
        let may = [
            (left.logins > 0, World::Login),
            (left.outages > 0 && !state.is_down, World::StoreGoes),
            (state.is_down, World::StoreReturns),
            (left.removals > 0 && may_be_removed, World::ExpiredLeasesAreRemoved),
            (left.clock_jumps > 0 && state.lease.is_some(), World::ClockJumps),
            (left.clock_setbacks > 0 && state.lease.is_some(), World::ClockIsSetBack),
            (left.failovers > 0 && state.record.token.n > 0, World::StoreForgets),
        ];
        may.into_iter().filter_map(|(may, event)| may.then_some(event))
    }

    /// Whether something must happen before a second passes. Until it may send, a flight is as slow as it
    /// likes; then it is slow only by being silent.
    fn is_urgent(&self, state: &State, i: usize) -> bool {
        let replica = &state.replicas[i];
        let longest = if matches!(replica.phase, Phase::Sending(_)) { self.hesitation } else { self.silence };
        if is_silent(state, i) && replica.silent >= longest {
            return true;
        }
        if replica.pace != Pace::Running {
            return false;
        }
        match replica.phase {
            Phase::Sending(_) => true,
            Phase::Settling { .. } => !self.steps(state, i).is_empty(),
            Phase::Exchanging { seconds, .. } => {
                self.is_over(state, i) || self.answers_within.is_some_and(|within| seconds >= within)
            }
            _ => false,
        }
    }

    /// All clocks go on but those of the frozen.
    fn second(&self, state: &mut State) {
        if let Some(lease) = &mut state.lease {
            lease.age = (lease.age + 1).min(seconds(LEASE) + seconds(GRACE));
        }
        for i in 0..REPLICAS {
            state.replicas[i].silent += u8::from(is_silent(state, i));
            let replica = &mut state.replicas[i];
            if replica.pace == Pace::Frozen || !replica.phase.has_lease() {
                continue;
            }
            replica.lapsed = (replica.lapsed + 1).min(seconds(LEASE) + self.overtime);
            match &mut replica.phase {
                Phase::Grace { left } => *left = left.saturating_sub(1),
                Phase::Exchanging { seconds: spent, .. } => {
                    *spent = (*spent + 1).min(seconds(RENEWAL_TIMEOUT));
                }
                _ => {}
            }
            self.keep(state, i);
        }
    }
}

/// Paused or cut off while others may think that it is dead. That the store is gone for all does not count.
fn is_silent(state: &State, i: usize) -> bool {
    let replica = &state.replicas[i];
    let matters = matches!(replica.phase, Phase::Sending(_)) || replica.phase.spends().is_some();
    matters && (replica.pace != Pace::Running || replica.cut_off && !state.is_down)
}

fn faults(state: &State, i: usize) -> impl Iterator<Item = Fault> + use<> {
    let (replica, left) = (state.replicas[i], state.left);
    let (is_running, works) = (replica.pace == Pace::Running, replica.phase.has_lease());
    let may = [
        (left.crashes > 0 && works, Fault::Crash),
        (left.stops > 0 && works && is_running, Fault::Stop),
        (left.freezes > 0 && works && is_running, Fault::Freeze),
        (!is_running, Fault::Wake),
        (left.cuts > 0 && works && !replica.cut_off, Fault::CutOff),
        (replica.cut_off, Fault::Reconnect),
    ];
    may.into_iter().filter_map(|(may, fault)| may.then_some(fault))
}

fn befall(state: &mut State, i: usize, fault: Fault) {
    let replica = &mut state.replicas[i];
    match fault {
        Fault::Crash => {
            state.left.crashes -= 1;
            crash(state, i);
        }
        Fault::Stop => {
            state.left.stops -= 1;
            replica.pace = Pace::Stopped;
        }
        Fault::Freeze => {
            state.left.freezes -= 1;
            replica.pace = Pace::Frozen;
        }
        Fault::Wake => wake(state, i),
        Fault::CutOff => {
            state.left.cuts -= 1;
            replica.cut_off = true;
        }
        Fault::Reconnect => replica.cut_off = false,
    }
}

/// The process that takes its place has the same callers.
fn crash(state: &mut State, i: usize) {
    leave_exchange(state, i);
    leave_lease(state, i, false);
    state.replicas[i] = Replica { old: state.replicas[i].old, ..Replica::default() };
}

/// A timer of `HeldLease::keep` that was missed while stopped fires at once; that of the frozen knows of
/// nothing.
fn wake(state: &mut State, i: usize) {
    state.replicas[i].pace = Pace::Running;
    let is_due = state.replicas[i].lapsed >= seconds(RENEW_EVERY);
    if is_due && state.replicas[i].phase.has_lease() && state.reaches_store(i) {
        renew(state, i);
    }
}

fn change(state: &mut State, event: World) {
    let (left, lease) = (&mut state.left, state.lease.as_mut());
    let set_age = |age| lease.expect("there is a lease whose end moves").age = age;
    match event {
        World::Login => {
            left.logins -= 1;
            state.login = 1;
        }
        World::StoreGoes => {
            left.outages -= 1;
            state.is_down = true;
        }
        World::StoreReturns => state.is_down = false,
        World::ExpiredLeasesAreRemoved => {
            left.removals -= 1;
            state.lease = None;
        }
        World::ClockJumps => {
            left.clock_jumps -= 1;
            set_age(seconds(LEASE));
        }
        World::ClockIsSetBack => {
            left.clock_setbacks -= 1;
            set_age(0);
        }
        World::StoreForgets => {
            left.failovers -= 1;
            state.record.token.n -= 1;
        }
    }
}

/// The use of the current token makes a new pair, that of a spent one revokes the family.
fn carry_out(state: &mut State, i: usize) {
    let Some(Request { token, .. }) = state.provider.requests[i] else { return };
    let login = usize::from(token.login);
    let provider = &mut state.provider;
    if token.n < provider.live[login] || provider.revoked[login] {
        provider.revoked[login] = true;
        return answer(state, i, Outcome::Refused);
    }
    provider.live[login] += 1;
    answer(state, i, Outcome::Renewed(Token { n: token.n + 1, ..token }));
}

/// Nobody hears it where nobody waits.
fn answer(state: &mut State, i: usize, outcome: Outcome) {
    let is_awaited = matches!(state.replicas[i].phase, Phase::Exchanging { .. });
    let request = state.provider.requests[i].filter(|_| is_awaited);
    state.provider.requests[i] = request.map(|request| Request { outcome: Some(outcome), ..request });
}
