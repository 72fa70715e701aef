//! Scripted faults: what the played systems do when they misbehave.

mod fault;

use std::sync::Mutex;

use http::Method;

pub use fault::Fault;
pub(crate) use fault::{Act, Effect};

use super::state::lock;

/// The faults that wait for their requests.
pub struct Faults {
    script: Mutex<Vec<Waiting>>,
}

/// A fault and how many requests it matched so far.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) fault: Fault,
    pub(crate) seen: u64,
    pub(crate) done: u64,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { script: Mutex::default() }
    }

    /// Adds a fault. Where several match a request, all count it, and the one scripted first acts.
    pub fn script(&self, fault: Fault) {
        lock(&self.script).push(Waiting { fault, seen: 0, done: 0 });
    }

    /// Removes all faults.
    pub fn clear(&self) {
        lock(&self.script).clear();
    }

    /// How many faults have not happened as often as they should.
    pub fn pending(&self) -> usize {
        lock(&self.script).iter().filter(|waiting| !waiting.is_over()).count()
    }

    /// The faults that have not happened as often as they should.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        lock(&self.script).iter().filter(|waiting| !waiting.is_over()).cloned().collect()
    }

    /// What happens to this request, if anything. `host` is the canonical one: the tenant's domain for the
    /// tenant.
    pub(crate) fn pick(&self, host: &str, method: &Method, path: &str) -> Option<Act> {
        let mut script = lock(&self.script);
        let matching = script.iter_mut().filter(|waiting| waiting.fault.matches(host, method, path));
        let mut chosen = None;
        for waiting in matching {
            let acts = waiting.count() && chosen.is_none();
            if acts {
                waiting.done += 1;
                chosen = Some(waiting.fault.act());
            }
        }
        chosen
    }
}

impl Waiting {
    /// Counts one matching request; whether the fault is due at it.
    fn count(&mut self) -> bool {
        self.seen += 1;
        self.seen > self.fault.skips() && !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.fault.limit().is_some_and(|times| self.done >= times)
    }
}
