//! What is not promised, each with a short story of how it goes wrong, and where a change would close it,
//! with that.

use idp_token_service::tokens::timing::{GRACE, LEASE};

use super::{
    assert_breaks, assert_holds, frozen,
    model::{Model, seconds},
    properties::{AWAITED, KEPT, ONCE},
    protocol, silent,
    state::Left,
};

fn in_a_world(may: Left) -> Model {
    Model { may: Left { asks: 2, ..may }, ..protocol() }
}

/// Its heir cannot tell it from a dead one.
#[test]
fn a_holder_that_is_stopped_for_too_long_after_sending_is_as_good_as_dead() {
    let world = in_a_world(Left { stops: 1, ..Left::default() });
    assert_breaks(Model { silence: silent() + 1, ..world }, ONCE);
}

#[test]
fn a_holder_that_is_cut_off_for_too_long_after_sending_is_as_good_as_dead() {
    let world = in_a_world(Left { cuts: 1, ..Left::default() });
    assert_breaks(Model { silence: silent() + 1, ..world }, ONCE);
}

/// Between the confirmation and the first byte there is always an instant, and its clock tells it nothing.
#[test]
fn a_machine_that_is_frozen_between_confirming_and_sending_sends_what_its_heir_sends() {
    let world = in_a_world(Left { freezes: 1, ..Left::default() });
    assert_breaks(Model { silence: frozen(), hesitation: frozen() + 1, ..world }, ONCE);
}

#[test]
fn a_machine_that_is_frozen_for_too_long_during_the_exchange_is_as_good_as_dead() {
    let world = in_a_world(Left { freezes: 1, ..Left::default() });
    assert_breaks(Model { silence: frozen() + 1, ..world }, ONCE);
}

/// The clock of a database jumps at a failover, or where NTP corrects it; grace alone is left then.
#[test]
fn a_stores_clock_that_jumps_ahead_ends_a_lease_whose_holder_waits_for_the_provider() {
    assert_breaks(in_a_world(Left { clock_jumps: 1, ..Left::default() }), ONCE);
}

/// A failover to a server that did not have the last commit.
#[test]
fn a_store_that_forgets_what_it_has_acknowledged_loses_the_grant() {
    assert_breaks(in_a_world(Left { failovers: 1, ..Left::default() }), KEPT);
}

/// One request that hangs for as long as grace, begun before the store was back, is enough.
#[test]
fn a_holder_that_reaches_the_store_later_than_grace_after_an_outage_finds_its_token_sent_again() {
    let world = in_a_world(Left { outages: 1, cuts: 1, ..Left::default() });
    assert_breaks(Model { silence: seconds(GRACE), ..world }, ONCE);
}

/// What the provider answers after the lease's end is lost although nobody has sent the token yet. To wait
/// until just before an heir may send costs nothing that is promised.
#[test]
fn an_exchange_that_ends_with_the_lease_throws_answers_away_that_grace_would_save() {
    let overtime = seconds(GRACE) - 1;
    let slow = Some(seconds(LEASE) + overtime - 1);
    let outage =
        Model { answers_within: slow, overtime: 0, ..in_a_world(Left { outages: 1, ..Left::default() }) };
    assert_breaks(outage, AWAITED);
    assert_holds(Model { overtime, ..outage });
    let cut_off = Model { silence: silent(), ..in_a_world(Left { cuts: 1, ..Left::default() }) };
    assert_holds(Model { overtime, ..cut_off });
}
