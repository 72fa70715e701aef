//! Faults that break nothing, explored to the last state.

use idp_token_service::tokens::timing::{GRACE, LINGER};

use super::{
    assert_holds, for_ever, frozen,
    model::{Model, seconds},
    protocol, silent,
    state::Left,
};

#[test]
fn three_replicas_renew_once_while_one_is_cut_off_from_the_store() {
    let may = Left { asks: 3, cuts: 1, ..Left::default() };
    assert_holds(Model { may, replicas: 3, silence: silent(), ..protocol() });
}

#[test]
fn a_process_may_be_stopped_and_for_ever_before_it_sends() {
    let may = Left { asks: 2, stops: 1, ..Left::default() };
    assert_holds(Model { may, silence: silent(), hesitation: for_ever(), ..protocol() });
}

#[test]
fn a_machine_may_be_frozen_for_less_than_is_left_of_its_lease() {
    let may = Left { asks: 2, freezes: 1, ..Left::default() };
    assert_holds(Model { may, silence: frozen(), hesitation: frozen(), ..protocol() });
}

#[test]
fn processes_may_die_at_any_step_and_answers_of_the_store_be_lost() {
    let may = Left { asks: 3, crashes: 2, lost_answers: 2, ..Left::default() };
    assert_holds(Model { may, ..protocol() });
}

#[test]
fn the_store_may_be_gone_for_everybody_if_the_holder_is_back_within_grace_of_the_others() {
    let may = Left { asks: 2, outages: 1, cuts: 1, ..Left::default() };
    assert_holds(Model { may, silence: seconds(GRACE) - seconds(LINGER) - 1, ..protocol() });
}

#[test]
fn a_newer_login_is_never_overwritten_by_a_renewal_of_the_one_before() {
    let may = Left { asks: 3, logins: 1, stops: 1, ..Left::default() };
    assert_holds(Model { may, silence: frozen() - 2, ..protocol() });
}

#[test]
fn the_stores_clock_may_be_set_back_and_leases_that_ran_out_removed() {
    let may = Left { asks: 2, clock_setbacks: 1, removals: 1, cuts: 1, ..Left::default() };
    assert_holds(Model { may, silence: silent(), ..protocol() });
}
