//! The table on its own, on paused time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// 16 in all: 8 unproven, 8 of an address, 2 unproven of an address.
fn table() -> Table {
    Table::new(ConnectionLimits::sharing(16), Arc::default())
}

fn from(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, number])
}

fn admit(table: &Table, address: u8) -> Place {
    table.admit(from(address)).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn proven(table: &Table, address: u8) -> Place {
    let place = admit(table, address);
    place.begins();
    place.standing.proves();
    place.ends();
    place
}

fn gone(places: &[Place]) -> Vec<usize> {
    let gone = |(number, place): (usize, &Place)| place.leave.is_cancelled().then_some(number);
    places.iter().enumerate().filter_map(gone).collect()
}

#[tokio::test(start_paused = true)]
async fn of_an_address_the_longest_idle_unproven_gives_way_and_no_proven_one() {
    let table = table();
    let caller = proven(&table, 1);
    let mut strangers = Vec::new();
    for _ in 0..5 {
        tokio::time::advance(Duration::from_millis(10)).await;
        strangers.push(admit(&table, 1));
    }
    assert_eq!(gone(&strangers), [0, 1, 2]);
    assert!(!caller.leave.is_cancelled());
    tokio::time::advance(Duration::from_millis(10)).await;
    strangers[3].begins();
    let _newcomer = admit(&table, 1);
    assert_eq!(gone(&strangers), [0, 1, 2, 4], "the other one has been active since");
}

#[tokio::test(start_paused = true)]
async fn strangers_from_everywhere_have_half_and_give_way_to_whoever_calls() {
    let table = table();
    let strangers: Vec<_> = (0..12).map(|number| admit(&table, number)).collect();
    assert_eq!(gone(&strangers), [0, 1, 2, 3]);
    let callers: Vec<_> = (0..8).map(|number| proven(&table, 100 + number)).collect();
    // The first of them found all places of strangers taken.
    assert_eq!((gone(&callers).len(), gone(&strangers).len(), table.state().open.len()), (0, 5, 15));
    let late: Vec<_> = (0..3).map(|number| proven(&table, 200 + number)).collect();
    assert_eq!((gone(&callers).len(), gone(&late).len(), gone(&strangers).len()), (0, 0, 7));
    assert_eq!(table.state().open.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn where_all_are_proven_an_idle_one_gives_way_and_a_busy_one_does_not() {
    let table = table();
    let callers: Vec<_> = (0..16).map(|number| proven(&table, number)).collect();
    callers.iter().for_each(Place::begins);
    assert_eq!(table.admit(from(99)).err(), Some(ConnectionRefusal::Full));
    callers[5].ends();
    assert!(table.admit(from(99)).is_ok());
    assert_eq!(gone(&callers), [5]);
}

#[tokio::test]
async fn an_address_full_of_callers_gets_no_more() {
    let table = table();
    let callers: Vec<_> = (0..8).map(|_| proven(&table, 1)).collect();
    assert_eq!(table.admit(from(1)).err(), Some(ConnectionRefusal::Address));
    assert!(table.admit(from(2)).is_ok() && gone(&callers).is_empty());
    drop(callers);
    assert!(table.admit(from(1)).is_ok());
}

proptest! {
    #[test]
    fn no_limit_is_ever_exceeded_and_nothing_is_left(steps in proptest::collection::vec((0..4_u8, 0..4_u8), 0..300)) {
        let table = table();
        let limits = table.0.limits;
        let mut places: Vec<Place> = Vec::new();
        for (step, address) in steps {
            let at = usize::from(address) * 7 % places.len().max(1);
            match (step, places.get(at)) {
                (0, Some(_)) => drop(places.swap_remove(at)),
                (1, Some(place)) => place.standing.proves(),
                (2, Some(place)) => place.begins(),
                _ => places.extend(table.admit(from(address)).ok()),
            }
            places.retain(|place| !place.leave.is_cancelled());
            let state = table.state();
            prop_assert_eq!(state.open.len(), places.len());
            prop_assert!(state.open.len() <= limits.total && state.unproven.len() <= limits.unproven);
            prop_assert_eq!(state.unproven.len() + state.proven.len(), places.len());
            for address in state.addresses.values() {
                prop_assert!(address.count <= limits.per_address);
                prop_assert!(address.unproven.len() <= limits.unproven_per_address);
            }
        }
        drop(places);
        let state = table.state();
        prop_assert!(state.open.is_empty() && state.addresses.is_empty());
        prop_assert!(state.unproven.is_empty() && state.proven.is_empty());
    }
}
