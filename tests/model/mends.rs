//! Every part of the protocol is needed: without it the checker tells how a promise is broken.

use idp_token_service::tokens::timing::LINGER;

use super::{
    assert_breaks, assert_holds, for_ever,
    model::{Mend, Model, seconds},
    properties::{KEPT, ONCE, STORED},
    protocol, silent,
    state::Left,
};

/// In a world where this may happen, the protocol keeps all its promises, and without the mend breaks this
/// one. Silences are shorter than the longest by the second that an answer may come after the lease's end:
/// they add up where it falls between two of them.
fn assert_needed(mend: Mend, may: Left, property: &str) {
    let may = Left { asks: 2, ..may };
    let whole = Model { may, silence: silent() - seconds(LINGER), hesitation: for_ever(), ..protocol() };
    assert_holds(whole);
    assert_breaks(Model { without: Some(mend), ..whole }, property);
}

#[test]
fn without_a_lease_two_replicas_send_the_same_token() {
    assert_needed(Mend::Lease, Left::default(), ONCE);
}

#[test]
fn without_loading_the_record_under_the_lease_a_spent_token_is_sent() {
    assert_needed(Mend::Reload, Left::default(), ONCE);
}

#[test]
fn without_confirming_the_lease_a_replica_that_slept_sends_what_its_heir_has_sent() {
    assert_needed(Mend::Confirm, Left { stops: 1, ..Left::default() }, ONCE);
}

#[test]
fn without_a_look_at_the_clock_a_replica_that_slept_after_confirming_sends_all_the_same() {
    assert_needed(Mend::Look, Left { stops: 1, ..Left::default() }, ONCE);
}

/// Each silence may be short, if the renewals of the lease fall into them.
#[test]
fn without_trying_the_lease_again_soon_several_silences_add_up() {
    assert_needed(Mend::RenewAgain, Left { cuts: 2, ..Left::default() }, ONCE);
}

#[test]
fn without_a_bound_a_slow_exchange_outlives_the_lease_of_who_cannot_renew_it() {
    assert_needed(Mend::Bound, Left { cuts: 1, ..Left::default() }, ONCE);
}

#[test]
fn without_grace_an_heir_sends_what_its_predecessor_is_about_to_store() {
    assert_needed(Mend::Grace, Left { cuts: 1, ..Left::default() }, ONCE);
}

#[test]
fn without_the_memory_of_leases_that_ran_out_an_heir_grants_no_grace() {
    assert_needed(Mend::Remember, Left { cuts: 1, removals: 1, ..Left::default() }, ONCE);
}

#[test]
fn without_storing_first_a_token_is_lent_that_may_never_be_stored() {
    assert_needed(Mend::StoreFirst, Left::default(), STORED);
}

#[test]
fn without_persistence_one_error_of_the_store_loses_the_grant() {
    assert_needed(Mend::Persist, Left { lost_answers: 1, outages: 1, ..Left::default() }, KEPT);
}

#[test]
fn without_compare_and_swap_the_failure_of_one_overwrites_the_tokens_of_another() {
    assert_needed(Mend::Swap, Left { stops: 1, ..Left::default() }, KEPT);
}
