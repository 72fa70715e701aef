//! What must never be, and the checker's view of the model.

use stateright::Property;

use super::{
    event::Event,
    model::Model,
    state::{Outcome, Phase, REPLICAS, State, Token},
};

/// A token may be sent again after its sender died or gave up waiting: then nobody knows whether it is spent.
pub(crate) const ONCE: &str = "no refresh token is sent twice by the living";
pub(crate) const STORED: &str = "no token is lent that is not stored";
/// It is known somewhere: in the profile, in the store, or to a replica that lives and has just been issued
/// it. The death or the giving up of its sender is the one excuse, as it is for [`ONCE`].
pub(crate) const KEPT: &str = "no grant is forgotten without the provider's word";
/// Asked of providers that answer in time only.
pub(crate) const AWAITED: &str = "no token is thrown away by the replica that it was issued to";

impl stateright::Model for Model {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State { left: self.may, ..State::default() }]
    }

    /// Stories end where something is broken.
    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        if self.properties().iter().all(|property| (property.condition)(self, state)) {
            self.events(state, events);
        }
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        Some(self.after(state, event)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| !state.onlooker.sent_twice),
            Property::always(STORED, |_, state: &State| !state.onlooker.lent_unstored),
            Property::always(KEPT, |_, state: &State| is_kept(state) && is_dead_by_word(state)),
            Property::always(AWAITED, |model: &Self, state: &State| {
                model.answers_within.is_none() || !state.onlooker.thrown_away
            }),
        ]
    }
}

fn is_kept(state: &State) -> bool {
    let login = usize::from(state.login);
    let live = Token { login: state.login, n: state.provider.live[login] };
    let is_excused = state.provider.revoked[login] || state.onlooker.unknown[login];
    is_excused
        || state.record.newest(state.login) == live
        || live.n == 0
        || (0..REPLICAS).any(|i| has(state, i, live))
}

/// Whether it was told of this token, or is being told.
fn has(state: &State, i: usize, token: Token) -> bool {
    let renewed = Outcome::Renewed(token);
    let is_told = state.provider.requests[i].is_some_and(|request| request.outcome == Some(renewed));
    is_told || matches!(state.replicas[i].phase, Phase::Settling { outcome, .. } if outcome == renewed)
}

fn is_dead_by_word(state: &State) -> bool {
    let (token, provider) = (state.record.token, &state.provider);
    let login = usize::from(token.login);
    !state.record.dead || provider.revoked[login] || token.n < provider.live[login]
}
