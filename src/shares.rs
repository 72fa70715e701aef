//! Something scarce, such as places for calls or bytes of memory, shared out among those who want it.
//!
//! What is idle may be borrowed, but never all of it: a holder may have at most three times as much as
//! stays free. One greedy holder alone thus gets three quarters of everything, two get three sevenths each,
//! and whoever comes next still finds something. The rule is that of shared buffers in switches (Choudhury
//! and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998): it needs neither
//! the number of holders nor a fixed quota for each.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::caller::{Caller, Peer};

/// How many times as much as is free a holder may have.
const GREED: usize = 3;

/// Who holds shares. An id's hash with a key that only this process knows: it costs no copy of the id, and
/// nobody can choose an id with another's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(Option<u64>);

impl Holder {
    /// Whoever calls where callers are not told apart: there is nobody to share with.
    pub const ANYBODY: Self = Self(None);
}

/// Tells holders apart. Every holder of one process comes from the same one.
#[derive(Clone, Debug, Default)]
pub struct Holders(RandomState);

impl Holders {
    /// The holder that an address is, where nobody has said who calls.
    pub fn at(&self, peer: Option<&Peer>) -> Holder {
        peer.map_or(Holder::ANYBODY, |peer| Holder(Some(self.0.hash_one(peer.site()))))
    }

    /// The holder that this caller is, on whatever connection.
    pub fn of(&self, caller: &Caller) -> Holder {
        match caller {
            Caller::Anonymous => Holder::ANYBODY,
            // The kind tells a service from a user with the same id.
            Caller::Service { id } => Holder(Some(self.0.hash_one(("service", id)))),
            Caller::EndUser { subject, .. } => Holder(Some(self.0.hash_one(("user", subject)))),
        }
    }
}

/// All of what is shared. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    total: usize,
    /// What is not in use; more may be in use than there is, where somebody owes.
    free: usize,
    owed: usize,
    /// What each holder has; without those that have nothing.
    held: HashMap<Holder, usize>,
}

/// What a holder has, given back when dropped.
#[derive(Debug)]
pub struct Share {
    holder: Holder,
    amount: usize,
    all: Shares,
}

/// Why something is not to be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overload {
    /// Others could still have it; this holder has too much already.
    #[error(
        "this caller has all that one may have of this server now, and the rest is for others: make fewer calls at once, \
         and try again shortly"
    )]
    OverShare,
    /// Nobody could have it.
    #[error("this server has more calls than it can work on; try again shortly")]
    Exhausted,
}

impl Shares {
    /// Shares out `total`.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Mutex::new(State { total, free: total, owed: 0, held: HashMap::new() })))
    }

    /// Takes `amount` for `holder`.
    ///
    /// # Errors
    /// When it is not to be had, now.
    pub fn take(&self, holder: Holder, amount: usize) -> Result<Share, Overload> {
        self.state().take(holder, amount)?;
        Ok(Share { holder, amount, all: self.clone() })
    }

    /// Takes `amount` for `holder` even where there is too little: it is in use already. Nobody gets anything
    /// until what was owed is given back.
    pub fn owe(&self, holder: Holder, amount: usize) -> Share {
        self.state().owe(holder, amount);
        Share { holder, amount, all: self.clone() }
    }

    /// How much nobody holds.
    pub fn free(&self) -> usize {
        self.state().free
    }

    /// How much is held, which may be more than there is.
    pub fn held(&self) -> usize {
        let state = self.state();
        state.total - state.free + state.owed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, holder: Holder, amount: usize) -> Result<(), Overload> {
        let left = self.free.checked_sub(amount).ok_or(Overload::Exhausted)?;
        let held = self.held.get(&holder).copied().unwrap_or(0) + amount;
        let is_over = held > left.saturating_mul(GREED);
        // The last place is for somebody who has none.
        if is_over && holder != Holder::ANYBODY && held != amount {
            return Err(Overload::OverShare);
        }
        self.free = left;
        self.held.insert(holder, held);
        Ok(())
    }

    fn owe(&mut self, holder: Holder, amount: usize) {
        let from_free = amount.min(self.free);
        self.free -= from_free;
        self.owed += amount - from_free;
        *self.held.entry(holder).or_default() += amount;
    }

    fn give_back(&mut self, holder: Holder, amount: usize) {
        let repaid = amount.min(self.owed);
        self.owed -= repaid;
        self.free += amount - repaid;
        let Some(held) = self.held.get_mut(&holder) else { return };
        *held -= amount;
        if *held == 0 {
            self.held.remove(&holder);
        }
    }
}

impl Share {
    /// How much this is.
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes `more` for the same holder.
    ///
    /// # Errors
    /// When it is not to be had, now. What is held already stays.
    pub fn grow(&mut self, more: usize) -> Result<(), Overload> {
        self.all.state().take(self.holder, more)?;
        self.amount += more;
        Ok(())
    }

    /// Takes `more` for the same holder even where there is too little; see [`Shares::owe`].
    pub fn owe(&mut self, more: usize) {
        self.all.state().owe(self.holder, more);
        self.amount += more;
    }

    /// Takes `part` of it away, or all if it is not as much, as a share of its own.
    #[must_use]
    pub fn split(&mut self, part: usize) -> Self {
        let part = part.min(self.amount);
        self.amount -= part;
        Self { holder: self.holder, amount: part, all: self.all.clone() }
    }

    /// Gives `less` of it back, or all if it is not as much.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.amount);
        self.all.state().give_back(self.holder, less);
        self.amount -= less;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.state().give_back(self.holder, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holder(number: u64) -> Holder {
        Holder(Some(number))
    }

    /// Lets `greedy` holders take one at a time, in turn, until nobody gets any more.
    fn exhaust(all: &Shares, greedy: u64) -> Vec<Share> {
        let mut taken = Vec::new();
        loop {
            let round: Vec<_> = (0..greedy).filter_map(|number| all.take(holder(number), 1).ok()).collect();
            if round.is_empty() {
                return taken;
            }
            taken.extend(round);
        }
    }

    #[test]
    fn the_greedy_leave_something_for_whoever_comes_next() {
        for (greedy, most) in [(1, 768), (2, 439), (10, 100), (100, 11)] {
            let all = Shares::new(1024);
            let taken = exhaust(&all, greedy);
            for number in 0..greedy {
                let held: usize = taken.iter().filter(|share| share.holder == holder(number)).count();
                assert!(held <= most && held + 2 >= most, "{greedy}: {held}");
            }
            assert!(all.take(holder(1000), 1).is_ok(), "{greedy}");
            assert_eq!(all.take(holder(0), 1).err(), Some(Overload::OverShare), "{greedy}");
        }
    }

    #[test]
    fn where_nobody_is_told_apart_all_of_it_may_be_used() {
        let all = Shares::new(10);
        let taken: Vec<_> = (0..10).map(|_| all.take(Holder::ANYBODY, 1).expect("it is free")).collect();
        assert_eq!(all.take(Holder::ANYBODY, 1).err(), Some(Overload::Exhausted));
        drop(taken);
        assert_eq!(all.free(), 10);
    }

    #[test]
    fn a_share_that_cannot_grow_stays_as_it_is() {
        let all = Shares::new(100);
        let mut share = all.take(holder(1), 10).expect("it is free");
        share.grow(65).expect("three quarters are allowed");
        assert_eq!(share.grow(1), Err(Overload::OverShare));
        assert_eq!(share.grow(26), Err(Overload::Exhausted));
        assert_eq!((share.amount(), all.free()), (75, 25));
        drop(share);
        assert!(all.free() == 100 && all.state().held.is_empty());
    }

    #[test]
    fn what_is_owed_is_repaid_before_anybody_gets_more() {
        let all = Shares::new(100);
        let mut share = all.take(holder(1), 40).expect("it is free");
        share.owe(100);
        assert_eq!((share.amount(), all.free(), all.held()), (140, 0, 140));
        share.shrink(30);
        assert_eq!(all.take(holder(2), 1).err(), Some(Overload::Exhausted));
        let part = share.split(100);
        assert_eq!((share.amount(), part.amount(), all.held()), (10, 100, 110));
        share.shrink(1000);
        drop(part);
        assert_eq!((share.amount(), all.free(), all.held()), (0, 100, 0));
    }

    #[test]
    fn a_caller_is_one_holder_and_others_are_others() {
        let holders = Holders::default();
        let service = |id: &str| holders.of(&Caller::Service { id: id.to_owned() });
        assert_eq!(service("a"), service("a"));
        assert_ne!(service("a"), service("b"));
        assert_eq!(holders.of(&Caller::Anonymous), Holder::ANYBODY);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made(steps in proptest::collection::vec((0..4_u64, 0..40_usize, 0..4_u8), 0..200)) {
            let all = Shares::new(100);
            let mut shares: Vec<Share> = Vec::new();
            for (number, amount, step) in steps {
                let at = amount % shares.len().max(1);
                match (step, shares.get_mut(at)) {
                    (0, Some(_)) => drop(shares.swap_remove(at)),
                    (1, Some(share)) => share.shrink(amount),
                    (2, _) => shares.push(all.owe(holder(number), amount)),
                    _ => shares.extend(all.take(holder(number), amount).ok()),
                }
                let held: usize = shares.iter().map(Share::amount).sum();
                prop_assert_eq!(all.held(), held);
                prop_assert_eq!(all.free(), 100_usize.saturating_sub(held));
            }
        }
    }
}
