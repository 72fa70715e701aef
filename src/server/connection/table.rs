//! All connections of a port, shared out by peer address and by whether they have proved anything.
//!
//! What is idle gives way: at a limit the connection that has done nothing for longest is closed, first among
//! those that have carried no call of a caller who proved who they are. A newcomer that calls at once has
//! thus always its place, however many others are idle.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    caller::{Standing, site},
    telemetry::{ConnectionRefusal, Metrics},
};

#[cfg(test)]
mod tests;

/// How many busy connections are looked at before a newcomer is refused.
const MOST_LOOKS: usize = 64;

/// The most connections of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// In all.
    pub(crate) total: usize,
    /// Of those, such as have proved nothing.
    pub(crate) unproven: usize,
    /// From one address.
    pub(crate) per_address: usize,
    /// Of those, such as have proved nothing.
    pub(crate) unproven_per_address: usize,
}

impl ConnectionLimits {
    /// Shares out `total` connections: half of them are for those who have proved something, and half for
    /// other addresses. One address may be a proxy for many callers, whose connections are proven with their
    /// first call; an eighth is enough for those under way there.
    pub(crate) fn sharing(total: usize) -> Self {
        let part = |divisor: usize| (total / divisor).max(1);
        Self { total, unproven: part(2), per_address: part(2), unproven_per_address: part(8) }
    }

    /// Lets anybody have all of `total` connections: whoever comes last is served.
    pub(crate) fn open(total: usize) -> Self {
        Self { total, unproven: total, per_address: total, unproven_per_address: total }
    }
}

/// The connections of a port. Cheap to clone.
#[derive(Clone)]
pub(super) struct Table(Arc<Shared>);

struct Shared {
    limits: ConnectionLimits,
    epoch: Instant,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    unproven: Idle,
    proven: Idle,
    addresses: HashMap<IpAddr, Address>,
}

struct Open {
    address: IpAddr,
    standing: Arc<Standing>,
    leave: CancellationToken,
    is_proven: bool,
    /// Its last activity as the sets of idle ones know it.
    noted: u64,
}

/// The connections of one address.
#[derive(Default)]
struct Address {
    count: usize,
    unproven: Idle,
}

/// Connections in the order of their last activity as far as it was noted: activity costs no lock, so that
/// the order is set right when one of them has to be chosen.
type Idle = BTreeSet<(u64, u64)>;

/// A connection that has its place until this is dropped.
pub(super) struct Place {
    number: u64,
    pub(super) standing: Arc<Standing>,
    /// Cancelled when the connection must give way.
    pub(super) leave: CancellationToken,
    table: Table,
    is_known_as_proven: AtomicBool,
}

/// Among which connections one must give way.
#[derive(Clone, Copy)]
enum Among {
    UnprovenOf(IpAddr),
    Unproven,
    Proven,
}

impl Table {
    pub(super) fn new(limits: ConnectionLimits, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared { limits, epoch: Instant::now(), state: Mutex::default(), metrics }))
    }

    /// Gives a new connection its place. Costs the logarithm of their number.
    ///
    /// # Errors
    /// When there is none, and none that could give way.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Place, ConnectionRefusal> {
        let address = site(address);
        let now = self.now();
        let mut state = self.state();
        self.make_room(&mut state, address)?;
        let (number, standing) = (state.next, Arc::new(Standing::at(now)));
        state.next += 1;
        let leave = CancellationToken::new();
        state.open.insert(
            number,
            Open {
                address,
                standing: Arc::clone(&standing),
                leave: leave.clone(),
                is_proven: false,
                noted: now,
            },
        );
        state.unproven.insert((now, number));
        let of_address = state.addresses.entry(address).or_default();
        of_address.count += 1;
        of_address.unproven.insert((now, number));
        drop(state);
        let is_known_as_proven = AtomicBool::new(false);
        Ok(Place { number, standing, leave, table: self.clone(), is_known_as_proven })
    }

    /// Whether the next connection would be refused, as far as that is known without looking for one that
    /// could give way.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state();
        state.open.len() >= self.0.limits.total && state.unproven.is_empty()
    }

    /// Milliseconds since the table was made, for [`Standing`].
    fn now(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn make_room(&self, state: &mut State, address: IpAddr) -> Result<(), ConnectionRefusal> {
        let limits = self.0.limits;
        let of_address = |state: &State| {
            state.addresses.get(&address).map_or((0, 0), |known| (known.count, known.unproven.len()))
        };
        let (count, unproven) = of_address(state);
        let is_at_limit = count >= limits.per_address || unproven >= limits.unproven_per_address;
        if is_at_limit {
            self.dismiss(state, Among::UnprovenOf(address));
        }
        if of_address(state).0 >= limits.per_address {
            return Err(ConnectionRefusal::Address);
        }
        if state.unproven.len() >= limits.unproven {
            self.dismiss(state, Among::Unproven);
        }
        if state.open.len() < limits.total {
            return Ok(());
        }
        if self.dismiss(state, Among::Unproven) || self.dismiss(state, Among::Proven) {
            return Ok(());
        }
        Err(ConnectionRefusal::Full)
    }

    /// Lets the longest idle of those give way; `false` if there is none.
    fn dismiss(&self, state: &mut State, among: Among) -> bool {
        let mut busy = 0;
        while let Some((noted, number)) = state.longest_idle(among) {
            let Some(open) = state.open.get(&number) else { return false };
            let (standing, is_proven) = (Arc::clone(&open.standing), open.is_proven);
            if standing.is_proven() && !is_proven {
                state.proves(number);
            } else if standing.last_active() > noted {
                state.note(number, standing.last_active());
            } else if is_proven && standing.is_busy() {
                busy += 1;
                if busy == MOST_LOOKS {
                    return false;
                }
                state.note(number, self.now().max(noted + 1));
            } else {
                open.leave.cancel();
                state.remove(number);
                self.0.metrics.connection_refused(ConnectionRefusal::Idle);
                return true;
            }
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn longest_idle(&self, among: Among) -> Option<(u64, u64)> {
        let idle = match among {
            Among::UnprovenOf(address) => &self.addresses.get(&address)?.unproven,
            Among::Unproven => &self.unproven,
            Among::Proven => &self.proven,
        };
        idle.first().copied()
    }

    /// Moves a connection to the proven ones.
    fn proves(&mut self, number: u64) {
        let Some(open) = self.open.get_mut(&number) else { return };
        open.is_proven = true;
        let place = (open.noted, number);
        self.unproven.remove(&place);
        if let Some(address) = self.addresses.get_mut(&open.address) {
            address.unproven.remove(&place);
        }
        self.proven.insert(place);
    }

    /// Sets right when a connection was last active.
    fn note(&mut self, number: u64, active: u64) {
        let Some(open) = self.open.get_mut(&number) else { return };
        let (old, new) = ((open.noted, number), (active, number));
        open.noted = active;
        let address = self.addresses.get_mut(&open.address).map(|address| &mut address.unproven);
        for idle in [&mut self.unproven, &mut self.proven].into_iter().chain(address) {
            if idle.remove(&old) {
                idle.insert(new);
            }
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(open) = self.open.remove(&number) else { return };
        let place = (open.noted, number);
        self.unproven.remove(&place);
        self.proven.remove(&place);
        let Some(address) = self.addresses.get_mut(&open.address) else { return };
        address.unproven.remove(&place);
        address.count -= 1;
        if address.count == 0 {
            self.addresses.remove(&open.address);
        }
    }
}

impl Place {
    /// Notes that a request begins.
    pub(super) fn begins(&self) {
        self.standing.begins(self.table.now());
    }

    /// Notes that a request was answered, and what the connection has proved with it.
    pub(super) fn ends(&self) {
        self.standing.ends();
        if self.standing.is_proven() && !self.is_known_as_proven.swap(true, Ordering::Relaxed) {
            self.table.state().proves(self.number);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.state().remove(self.number);
    }
}
