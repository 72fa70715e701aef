//! A queue that serves those who wait in it in turn, however many places each of them has.

use std::collections::{HashMap, VecDeque};

use crate::shares::Holder;

/// First in, first out for each holder, and one of each holder after the other.
pub(super) struct Queue<T> {
    /// Those who wait, in the order in which they are served.
    holders: VecDeque<Holder>,
    waiting: HashMap<Holder, VecDeque<T>>,
    length: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { holders: VecDeque::new(), waiting: HashMap::new(), length: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many are served before the next of `holder` would be: all of its own, and of each other as many
    /// and one more. Costs a step for each holder that waits.
    pub(super) fn ahead(&self, holder: Holder) -> usize {
        let own = self.waiting.get(&holder).map_or(0, VecDeque::len);
        let others = self.waiting.iter().filter(|(other, _)| **other != holder);
        own + others.map(|(_, waiting)| waiting.len().min(own + 1)).sum::<usize>()
    }

    pub(super) fn push(&mut self, holder: Holder, item: T) {
        let waiting = self.waiting.entry(holder).or_default();
        if waiting.is_empty() {
            self.holders.push_back(holder);
        }
        waiting.push_back(item);
        self.length += 1;
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let holder = self.holders.pop_front()?;
        let waiting = self.waiting.get_mut(&holder)?;
        let item = waiting.pop_front()?;
        self.length -= 1;
        if waiting.is_empty() {
            self.waiting.remove(&holder);
        } else {
            self.holders.push_back(holder);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{caller::Caller, shares::Holders};

    fn holders() -> Vec<Holder> {
        let all = Holders::default();
        ["a", "b", "c", "d"].map(|id| all.of(&Caller::Service { id: id.to_owned() })).to_vec()
    }

    #[test]
    fn holders_are_served_in_turn() {
        let (mut queue, holders) = (Queue::default(), holders());
        let all = [(0, "a1"), (0, "a2"), (0, "a3"), (1, "b1"), (2, "c1"), (1, "b2")];
        for (holder, item) in all {
            queue.push(holders[holder], item);
        }
        assert_eq!(queue.ahead(holders[0]), 6);
        assert_eq!(queue.ahead(holders[3]), 3);
        let served: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!((queue.len(), queue.waiting.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn whoever_comes_is_served_when_they_were_told(before in proptest::collection::vec(0..4_usize, 0..60), holder in 0..4_usize) {
            let (mut queue, holders) = (Queue::default(), holders());
            before.iter().for_each(|before| queue.push(holders[*before], false));
            let ahead = queue.ahead(holders[holder]);
            queue.push(holders[holder], true);
            let served = std::iter::from_fn(|| queue.pop()).position(|is_last| is_last);
            prop_assert!(served.is_some_and(|served| served <= ahead), "{served:?} {ahead}");
        }
    }
}
