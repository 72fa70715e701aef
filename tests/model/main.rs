//! A model of the renewal protocol, explored in every order of events.
//!
//! Up to three replicas, one store, one provider that rotates, one grant and a newer login. A second is the
//! smallest time; within one, everything may happen in any order. A flight may be as slow as it likes until
//! the lease is confirmed, the provider until its limit. The times are those of `tokens::timing`; each step
//! in `flight.rs` names the function that it models. Whoever changes such a function changes the step.
//!
//! What is promised, and under which conditions, is tested here by exploring all that may happen:
//! - [`within`]: faults that break nothing. A replica that has sent a token and not stored its successor may
//!   be silent (stopped, or cut off from the store while others reach it) for `LEASE - RENEW_EVERY + GRACE`,
//!   13 s, since its lease was renewed; for `LEASE - RENEW_EVERY`, 10 s, if its clock stands still meanwhile.
//!   Before it sends it may be silent for ever, save frozen between the lease's last confirmation and the
//!   sending. The store may be gone for everybody for as long as it likes, if the holder is back less than
//!   [`GRACE`] after the others. Processes may die at any step, and answers of the store may be lost.
//! - [`mends`]: every part of the protocol is needed: without it the checker tells how a promise is broken.
//! - [`limits`]: what is not promised, each with its story.
//!
//! Not modelled: requests to the store that are carried out long after they were given up (the generation,
//! and the lease's random part, make them void), requests to the store that hang (a replica that is cut off
//! is told at once; a request that hangs is tried anew after 2 s), more than one grant, and rests after a
//! failure (here a failed renewal may be tried again at once).
#![expect(clippy::print_stderr, reason = "a test tells what it found")]

mod event;
mod flight;
mod limits;
mod mends;
mod model;
mod properties;
mod state;
mod within;

use std::{fmt::Write as _, time::Instant};

use idp_token_service::tokens::timing::{GRACE, LEASE, LINGER, RENEW_EVERY};
use stateright::{Checker as _, HasDiscoveries, Model as _};

use self::{
    event::Event,
    model::{Model, seconds},
    state::Left,
};

/// The longest harmless silence of a holder whose clock goes on: from just before the lease would have been
/// renewed until its heir loads the record.
fn silent() -> u8 {
    frozen() + seconds(GRACE)
}

/// The same where its clock stands still, so that it does not know that the lease is over.
fn frozen() -> u8 {
    seconds(LEASE) - seconds(RENEW_EVERY)
}

/// By then a lease has run out, and grace too: nothing changes any more.
fn for_ever() -> u8 {
    seconds(LEASE) + seconds(GRACE) + 1
}

/// The protocol as it is, two replicas with a caller each, and no faults.
fn protocol() -> Model {
    Model {
        without: None,
        replicas: 2,
        may: Left { asks: 2, ..Left::default() },
        silence: 0,
        hesitation: 0,
        overtime: seconds(LINGER),
        answers_within: None,
    }
}

fn assert_holds(model: Model) {
    let broken = explore(model);
    assert!(broken.is_empty(), "{}", told(&broken));
}

fn assert_breaks(model: Model, property: &str) {
    let broken = explore(model);
    eprintln!("{}", told(&broken));
    assert!(broken.iter().any(|(name, _)| *name == property), "it holds that {property}: {model:?}");
}

fn told(broken: &[(&str, String)]) -> String {
    broken.iter().map(|(name, story)| format!("it does not hold that {name}:\n{story}")).collect()
}

/// Explores all, and tells how each broken property came to be.
fn explore(model: Model) -> Vec<(&'static str, String)> {
    let began = Instant::now();
    let checker = model.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    eprintln!("{} states in {:.1} s", checker.unique_state_count(), began.elapsed().as_secs_f64());
    let broken = checker.discoveries();
    broken.into_iter().map(|(name, path)| (name, story(path.into_actions()))).collect()
}

fn story(events: Vec<Event>) -> String {
    let (mut second, mut story) = (0, String::new());
    for event in events {
        match event {
            Event::Second => second += 1,
            event => writeln!(story, "  {second:>3} s  {event}").expect("a String takes all"),
        }
    }
    story
}
