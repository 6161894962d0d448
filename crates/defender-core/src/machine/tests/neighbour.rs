//! Which neighbour of a failing slice is asked for.

use super::super::asking::neighbour;
use super::*;
use crate::checkpoint::Round;
use crate::progress::Resolution;

const MINUTE: i64 = 60 * TICKS_PER_SECOND;

#[test]
fn each_turn_goes_farther_away_after_the_slice_and_before_it_by_turns() {
    let (at, end) = (Tick(1000 * MINUTE), Tick(1001 * MINUTE));
    let ask = |turns, until| {
        let ask = neighbour(Round { until, at, end }, turns, Some(7), Resolution { seams: 1, least: 1 });
        assert_eq!((ask.purpose, ask.limit), (Purpose::Neighbour, Some(7)));
        (ask.since, ask.until)
    };
    let far = Tick(9000 * MINUTE);
    assert_eq!(ask(0, far), (end.plus(3), end.plus(3 + MINUTE)));
    assert_eq!(ask(1, far), (at.minus(3 + MINUTE), at.minus(3)));
    assert_eq!(ask(2, far), (end.plus(4 * MINUTE), end.plus(5 * MINUTE)));
    assert_eq!(ask(3, far), (at.minus(9 * MINUTE), at.minus(8 * MINUTE)));
    assert_eq!(ask(4, far), (end.plus(16 * MINUTE), end.plus(17 * MINUTE)));
    // What bounds cannot tell from the slice is no neighbour of it.
    let near =
        |turns| neighbour(Round { until: far, at, end }, turns, None, Resolution { seams: 10_000, least: 20_000 });
    assert_eq!((near(0).since, near(1).until), (end.plus(30_000), at.minus(30_000)));
    // There is an end to that.
    assert_eq!(ask(24, Tick::MAX), (end.plus(MINUTE << 24), end.plus((MINUTE << 24) + MINUTE)));
    assert_eq!(ask(1000, Tick::MAX), ask(24, Tick::MAX));
    // Nothing is asked for beyond the round: there it is shorter, or the one before the slice.
    assert_eq!(ask(0, end.plus(4)), (end.plus(3), end.plus(4)));
    assert_eq!(ask(0, end.plus(3)), (at.minus(3 + MINUTE), at.minus(3)));
}
