//! One flight. Each function names the one that it models.

use idp_token_service::tokens::timing::{GRACE, LEASE, RENEW_AGAIN, RENEW_EVERY, RENEWAL_TIMEOUT};

use super::{
    event::{Answer, Step},
    model::{Mend, Model, seconds},
    state::{Lease, Outcome, Pace, Phase, Plan, REPLICAS, Record, Request, State, Token},
};

impl Model {
    /// What the flight of `i` may do now.
    pub(crate) fn steps(&self, state: &State, i: usize) -> Vec<Step> {
        let reaches = state.reaches_store(i);
        let is_answered = state.provider.requests[i].is_some_and(|request| request.outcome.is_some());
        match state.replicas[i].phase {
            Phase::Idle if state.left.asks > 0 && i < self.replicas => vec![Step::Begin],
            Phase::Waiting if reaches && self.is_free(state) => asking(state, Step::Acquire),
            Phase::Grace { left: 0 } | Phase::ReadingProfile => vec![Step::ReadProfile],
            Phase::Loading { .. } if reaches => vec![Step::Load],
            Phase::Confirming(_) if reaches => asking(state, Step::Confirm),
            Phase::Sending(_) => vec![Step::Send],
            Phase::Exchanging { .. } => {
                let receive = is_answered.then_some(Step::Receive);
                receive.into_iter().chain(self.is_over(state, i).then_some(Step::GiveUp)).collect()
            }
            Phase::Settling { .. } if reaches => asking(state, Step::Settle),
            Phase::Settling { outcome, .. } => {
                let persists = matches!(outcome, Outcome::Renewed(_)) && self.has(Mend::Persist);
                (!persists).then_some(Step::FailToStore).into_iter().collect()
            }
            _ => vec![],
        }
    }

    pub(crate) fn step(&self, state: &mut State, i: usize, step: Step) {
        match (step, state.replicas[i].phase) {
            (Step::Begin, _) => {
                state.left.asks -= 1;
                state.replicas[i].phase = Phase::Waiting;
            }
            (Step::Acquire(answer), _) => self.acquire(state, i, answer),
            (Step::ReadProfile, _) => state.replicas[i].phase = Phase::Loading { login: state.login },
            (Step::Load, Phase::Loading { login }) => self.load(state, i, login),
            (Step::Confirm(answer), Phase::Confirming(plan)) => confirm(state, i, plan, answer),
            (Step::Send, Phase::Sending(plan)) => self.send(state, i, plan),
            (Step::Receive, Phase::Exchanging { plan, .. }) => self.receive(state, i, plan),
            (Step::GiveUp, Phase::Exchanging { plan, .. }) => give_up(state, i, plan),
            (Step::Settle(answer), Phase::Settling { plan, outcome }) => {
                self.settle(state, i, plan, outcome, answer);
            }
            (Step::FailToStore, _) => land(state, i, state.replicas[i].old),
            (step, phase) => unreachable!("{step:?} is no step of {phase:?}"),
        }
    }

    fn is_free(&self, state: &State) -> bool {
        !self.has(Mend::Lease) || state.lease.is_none_or(|lease| lease.age >= seconds(LEASE))
    }

    /// `Database::acquire`, and the beginning of `Renewer::lead`.
    fn acquire(&self, state: &mut State, i: usize, answer: Answer) {
        let is_inherited = state.lease.is_some();
        let holder = (answer == Answer::Arrives).then_some(i);
        if self.has(Mend::Lease) {
            state.lease = Some(Lease { holder, age: 0 });
        }
        (state.replicas[i].lapsed, state.replicas[i].silent) = (0, 0);
        state.replicas[i].phase = match answer {
            Answer::IsLost => Phase::Idle,
            Answer::Arrives if is_inherited && self.has(Mend::Grace) => Phase::Grace { left: seconds(GRACE) },
            Answer::Arrives => Phase::ReadingProfile,
        };
        state.note(answer);
    }

    /// `Renewer::lead` until the exchange, and `Job::is_wanted`: callers want another token than they have.
    fn load(&self, state: &mut State, i: usize, login: u8) {
        let old = state.replicas[i].old;
        let seen = if self.has(Mend::Reload) { state.record } else { Record { token: old, ..state.record } };
        let from = seen.newest(login);
        let is_profile_outdated = seen.token.login > login;
        let is_dead = seen.dead && seen.token.login == login;
        if is_profile_outdated || is_dead || from != old {
            return land(state, i, from);
        }
        let plan = Plan { seen, from };
        let confirms = self.has(Mend::Confirm) && self.has(Mend::Lease);
        state.replicas[i].phase = if confirms { Phase::Confirming(plan) } else { Phase::Sending(plan) };
    }

    /// `exchange::once`, and `HeldLease::guard`.
    fn send(&self, state: &mut State, i: usize, plan: Plan) {
        let is_lease_over = state.replicas[i].lapsed >= seconds(LEASE);
        if is_lease_over && self.has(Mend::Look) && self.has(Mend::Confirm) {
            return land(state, i, state.replicas[i].old);
        }
        let is_spent = plan.from.n < state.onlooker.stored[usize::from(plan.from.login)];
        let is_being_spent =
            (0..REPLICAS).any(|other| state.replicas[other].phase.spends() == Some(plan.from));
        state.onlooker.sent_twice |= is_spent || is_being_spent;
        state.provider.requests[i] = Some(Request { token: plan.from, outcome: None });
        state.replicas[i].phase = Phase::Exchanging { plan, seconds: 0 };
    }

    /// The deadline of `exchange::renew`, and `HeldLease::bound`.
    pub(crate) fn is_over(&self, state: &State, i: usize) -> bool {
        let replica = &state.replicas[i];
        let Phase::Exchanging { seconds: spent, .. } = replica.phase else { return false };
        let is_lease_over = replica.lapsed >= seconds(LEASE) + self.overtime;
        spent >= seconds(RENEWAL_TIMEOUT) || is_lease_over && self.has(Mend::Bound) && self.has(Mend::Lease)
    }

    fn receive(&self, state: &mut State, i: usize, plan: Plan) {
        let answer = state.provider.requests[i].take().and_then(|request| request.outcome);
        let outcome = answer.expect("only an answer is received");
        state.replicas[i].phase = Phase::Settling { plan, outcome };
        if let Outcome::Renewed(token) = outcome
            && !self.has(Mend::StoreFirst)
        {
            lend(state, i, token);
        }
    }

    /// `Renewer::store_tokens`, `Renewer::store_failure` and `Renewer::swap`.
    fn settle(&self, state: &mut State, i: usize, plan: Plan, outcome: Outcome, answer: Answer) {
        if self.has(Mend::Swap) && state.record.generation != plan.seen.generation {
            return lose_swap(state, i, plan, outcome);
        }
        store(state, plan, outcome);
        state.note(answer);
        match (outcome, answer) {
            (Outcome::Renewed(token), Answer::Arrives) => land(state, i, token),
            (Outcome::Renewed(_), Answer::IsLost) if self.has(Mend::Persist) => {}
            _ => land(state, i, state.replicas[i].old),
        }
    }

    /// `HeldLease::keep`: by its own timer, which goes on trying where the lease has ended and nobody took
    /// it.
    pub(crate) fn keep(&self, state: &mut State, i: usize) {
        let replica = &state.replicas[i];
        let since_due = replica.lapsed.checked_sub(seconds(RENEW_EVERY));
        let is_over = replica.lapsed >= seconds(LEASE);
        let again = seconds(if self.has(Mend::RenewAgain) { RENEW_AGAIN } else { RENEW_EVERY });
        let is_due = since_due.is_some_and(|since| since % again == 0) || is_over;
        if is_due && replica.pace == Pace::Running && state.reaches_store(i) {
            renew(state, i);
        }
    }
}

/// A request to the store, whose answer may be lost.
fn asking(state: &State, step: fn(Answer) -> Step) -> Vec<Step> {
    let lost = (state.left.lost_answers > 0).then_some(Answer::IsLost);
    [Answer::Arrives].into_iter().chain(lost).map(step).collect()
}

/// `Database::renew`: one that ran out is still ours as long as nobody took it.
pub(crate) fn renew(state: &mut State, i: usize) -> bool {
    let Some(lease) = state.lease.as_mut().filter(|lease| lease.holder == Some(i)) else { return false };
    lease.age = 0;
    (state.replicas[i].lapsed, state.replicas[i].silent) = (0, 0);
    true
}

/// The last thing before the provider is asked.
fn confirm(state: &mut State, i: usize, plan: Plan, answer: Answer) {
    let is_ours = renew(state, i);
    state.note(answer);
    if !is_ours || answer == Answer::IsLost {
        return land(state, i, state.replicas[i].old);
    }
    state.replicas[i].phase = Phase::Sending(plan);
}

/// The outcome is unknown, and stored as a failure that passes. The request may still be carried out.
fn give_up(state: &mut State, i: usize, plan: Plan) {
    state.onlooker.thrown_away |= leave_exchange(state, i);
    state.replicas[i].phase = Phase::Settling { plan, outcome: Outcome::Passing };
}

/// Whether a new token is lost by it.
pub(crate) fn leave_exchange(state: &mut State, i: usize) -> bool {
    if let Some(token) = state.replicas[i].phase.spends() {
        state.onlooker.unknown[usize::from(token.login)] = true;
    }
    let Some(Request { outcome: Some(outcome), .. }) = state.provider.requests[i] else { return false };
    state.provider.requests[i] = None;
    matches!(outcome, Outcome::Renewed(_))
}

/// Tokens of another's renewal or of a newer login count; after anything else the swap is tried again.
fn lose_swap(state: &mut State, i: usize, plan: Plan, outcome: Outcome) {
    let current = state.record;
    if current.token != plan.seen.token {
        return land(state, i, current.token);
    }
    let seen = Record { generation: current.generation, dead: current.dead, ..plan.seen };
    state.replicas[i].phase = Phase::Settling { plan: Plan { seen, ..plan }, outcome };
}

fn store(state: &mut State, plan: Plan, outcome: Outcome) {
    let generation = state.record.generation + 1;
    let before = Record { token: plan.from, generation, ..plan.seen };
    state.record = match outcome {
        Outcome::Renewed(token) => Record { token, dead: false, ..before },
        Outcome::Refused => Record { dead: true, ..before },
        Outcome::Passing => before,
    };
    if let Outcome::Renewed(token) = outcome {
        let login = usize::from(token.login);
        state.onlooker.stored[login] = state.onlooker.stored[login].max(token.n);
        state.onlooker.unknown[login] = false;
    }
}

fn lend(state: &mut State, i: usize, token: Token) {
    state.onlooker.lent_unstored |= token.n > state.onlooker.stored[usize::from(token.login)];
    state.replicas[i].old = token;
}

/// The flight ends: its callers get this token, and the lease is given back if that can be.
fn land(state: &mut State, i: usize, token: Token) {
    lend(state, i, token);
    leave_lease(state, i, state.reaches_store(i));
    let replica = &mut state.replicas[i];
    replica.phase = Phase::Idle;
    (replica.lapsed, replica.silent) = (0, 0);
}

pub(crate) fn leave_lease(state: &mut State, i: usize, is_released: bool) {
    let Some(lease) = state.lease.filter(|lease| lease.holder == Some(i)) else { return };
    state.lease = (!is_released).then_some(Lease { holder: None, ..lease });
}

impl State {
    pub(crate) fn reaches_store(&self, i: usize) -> bool {
        !self.is_down && !self.replicas[i].cut_off
    }

    fn note(&mut self, answer: Answer) {
        self.left.lost_answers -= u8::from(answer == Answer::IsLost);
    }
}
