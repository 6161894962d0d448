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
    let sent = Tick::parse("2026-01-02T00:00:00Z").unwrap();
    state.complete(config, &Answer { sent, rows, ..Answer::default() });
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

#[test]
fn a_start_that_was_mistaken_moves_back_once_with_all_that_stood_there() {
    let now = Tick::parse("2026-01-02T00:00:00Z").unwrap();
    let begun = |start| {
        let config = Config { start, ..config() };
        let mut state = State::begin(&config, None, now);
        assert!(state.round(&config, now.plus(HOUR)).is_some());
        state
    };
    let mut state = begun(Start::Ago(HOUR));
    let from = state.start;
    assert!(state.anchor(1));
    assert_eq!((state.start, state.cursor, state.reread), (from.minus(1), from.minus(1), from.minus(1)));
    assert!(state.round.is_none() && !state.anchor(1), "{state:?}");
    for mut stays in [begun(Start::At(from)), State { anchored: true, ..begun(Start::Ago(HOUR)) }] {
        assert!(!stays.anchor(1));
        assert_eq!(stays.start, from);
    }
    let mut behind = begun(Start::Ago(HOUR));
    assert!(!behind.anchor(0) && !behind.anchor(1), "it was measured");
}

#[test]
fn a_range_that_was_read_has_no_further_round() {
    let config = config();
    let now = Tick::parse("2026-01-02T00:00:00Z").unwrap();
    let (since, until) = (now.minus(48 * HOUR), now.minus(47 * HOUR));
    let mut state = State::begin(&config, Some((since, until)), now);
    let round = Round { until, at: since, end: until };
    assert_eq!(state.round(&config, now), Some(round));
    assert!(!state.is_ended());
    state.complete(&config, &Answer { sent: now, date: Some(until), ..Answer::default() });
    assert!(!state.is_ended(), "the service's clock stood before the end");
    assert!(state.round(&config, now).is_some());
    state.complete(&config, &Answer { sent: now, ..Answer::default() });
    state.reread = since;
    assert!(state.is_ended());
    assert_eq!(state.round(&config, now), None);
}

#[test]
fn a_long_range_that_is_given_up_goes_in_ever_longer_pieces() {
    let config = config();
    let mut state = State { cap: Some(9), ..State::begin(&config, None, Tick::parse("2026-01-02T00:00:00Z").unwrap()) };
    assert_eq!(state.grain, 1);
    let at = state.cursor;
    let slice = |at: Tick| Some(Round { until: at.plus(HOUR), at, end: at.plus(1) });
    for (n, grain) in [(0, 2), (1, 4), (2, 8)] {
        (state.round, state.length) = (slice(at.plus(n)), 1);
        state.pass_over(&config);
        assert_eq!((state.grain, state.length, state.cursor), (grain, 4, at.plus(n + 1)));
        assert_eq!(
            (state.reread, state.watermark),
            (at.plus(n + 1), Some(at.plus(n + 1))),
            "nothing of it is read again"
        );
    }
    (state.grain, state.round) = (config.slice, slice(at.plus(3)));
    state.pass_over(&config);
    assert_eq!(state.grain, config.slice);
}
