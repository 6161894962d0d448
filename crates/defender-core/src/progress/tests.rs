//! What a complete slice changes.

use super::*;
use crate::test_config::config;
use crate::tick::TICKS_PER_SECOND;

const HOUR: Ticks = 3600 * TICKS_PER_SECOND;

/// A day into a round of slices of an hour.
fn state(config: &Config) -> State {
    let now = Tick::parse("2026-01-02T00:00:00Z").unwrap();
    let mut state = State::begin(config, None, now.minus(24 * HOUR));
    let at = state.cursor;
    state.length = HOUR / 16;
    state.round = Some(Round { until: now, at, end: at.plus(HOUR) });
    state
}

fn complete(state: &mut State, config: &Config, rows: u32) {
    state.complete(config, Tick::parse("2026-01-02T00:00:00Z").unwrap(), None, rows);
}

#[test]
fn a_slice_grows_as_far_as_answers_stay_below_the_cap() {
    let config = config();
    for (cap, rows, factor) in [
        (None, 90_000, 4),
        (Some(900), 0, 4),
        (Some(900), 99, 4),
        (Some(900), 100, 2),
        (Some(900), 299, 2),
        (Some(900), 300, 1),
        (Some(900), 900, 1),
    ] {
        let mut state = State { cap, ..state(&config) };
        complete(&mut state, &config, rows);
        assert_eq!(state.length, HOUR / 16 * factor, "{cap:?} {rows}");
    }
}

#[test]
fn a_slice_that_did_not_fit_the_ring_is_followed_by_one_of_half_its_length() {
    let config = config();
    for (length, half) in [(HOUR, HOUR / 2), (1, 1)] {
        let mut state = State { frozen: true, length, ..state(&config) };
        complete(&mut state, &config, 0);
        assert_eq!((state.length, state.frozen), (half, false));
    }
}

#[test]
fn a_complete_slice_ends_what_was_counted_of_its_failures() {
    let config = config();
    for (failures, left) in [(0, 0), (PATIENCE - 1, 0), (PATIENCE, PATIENCE - 1), (PATIENCE + 1, PATIENCE - 1)] {
        let mut state = State { failures, strikes: 2, turns: 5, grain: 8, ..state(&config) };
        complete(&mut state, &config, 0);
        assert_eq!((state.failures, state.strikes, state.turns, state.grain), (left, 0, 0, 1), "{failures}");
    }
}

#[test]
fn a_slice_beyond_the_cursor_moves_neither_cursor_nor_watermark() {
    let config = config();
    let mut state = state(&config);
    let stands = state.cursor.minus(1);
    (state.cursor, state.reread) = (stands, stands);
    complete(&mut state, &config, 0);
    assert_eq!((state.cursor, state.reread, state.watermark), (stands, stands, None));
}

#[test]
fn each_thing_that_was_read_touches_a_state() {
    let config = config();
    let fresh = || State { round: None, ..state(&config) };
    assert!(fresh().is_untouched());
    let mut with_key = fresh();
    with_key.ring.insert(1, with_key.start);
    for touched in [
        state(&config),
        State { cursor: fresh().start.plus(1), ..fresh() },
        State { watermark: Some(fresh().start), ..fresh() },
        with_key,
    ] {
        assert!(!touched.is_untouched(), "{touched:?}");
    }
}
