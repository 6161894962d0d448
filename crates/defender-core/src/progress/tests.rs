//! What a complete slice changes.

use super::*;
use crate::protocol::GRAPH_ALERTS;
use crate::test_config::config;
use crate::tick::TICKS_PER_SECOND;

const HOUR: Ticks = 3600 * TICKS_PER_SECOND;
const MILLISECOND: Ticks = TICKS_PER_SECOND / 1000;

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
fn where_pages_are_asked_for_a_slice_grows_as_far_as_answers_stay_below_the_lesser_of_page_and_cap() {
    let config = Config { protocol: &GRAPH_ALERTS, limit: Some(900), ..config() };
    for (cap, rows, factor) in [
        (None, 99, 4),
        (None, 100, 2),
        (None, 299, 2),
        (None, 300, 1),
        (Some(90), 9, 4),
        (Some(90), 10, 2),
        (Some(9000), 300, 1),
    ] {
        let mut state = State { cap, ..state(&config) };
        complete(&mut state, &config, rows);
        assert_eq!(state.length, HOUR / 16 * factor, "{cap:?} {rows}");
    }
}

#[test]
fn a_partial_answer_is_read_again_until_a_day_after_it_has_settled() {
    let config = config();
    let fresh = state(&config);
    let end = fresh.round.unwrap().end;
    let settled = end.plus(config.settle + config.overlap);
    for (sent, is_partial, reread) in [
        (settled, false, end),
        (settled.minus(1), false, end.minus(1)),
        (settled, true, fresh.reread),
        (settled.plus(24 * HOUR), true, end),
        (settled.plus(24 * HOUR).minus(1), true, end.minus(1)),
    ] {
        for told in [reread, reread.plus(1)] {
            let mut state = State { partial: Some(told), ..fresh.clone() };
            state.complete(&config, &Answer { sent, is_partial, ..Answer::default() });
            let watermark = (reread > fresh.reread).then_some(reread);
            assert_eq!((state.cursor, state.reread, state.watermark), (end, reread, watermark), "{sent} {is_partial}");
            // What is told of and asked for again is not told of again.
            assert_eq!(state.partial, Some(told).filter(|told| *told > reread));
        }
    }
}

#[test]
fn after_a_slice_without_what_is_expanded_the_next_one_is_asked_for_in_full() {
    let config = config();
    for (failures, left) in [(0, 0), (1, 1), (PATIENCE - 1, PATIENCE - 1), (PATIENCE + 1, PATIENCE - 1)] {
        let mut state = State { failures, plain: true, ..state(&config) };
        complete(&mut state, &config, 0);
        assert_eq!((state.plain, state.failures), (false, left));
    }
}

#[test]
fn a_successor_begins_an_overlap_before_the_earlier_mark_and_ends_where_the_other_would_have() {
    let config = config();
    let (early, late) = (Tick::parse("2026-01-01T10:00:00Z").unwrap(), Tick::parse("2026-01-01T11:00:00Z").unwrap());
    for (cursor, reread) in [(early, late), (late, early)] {
        for (bound, start) in [
            (None, early.minus(config.overlap)),
            (Some(late), early.minus(config.overlap)),
            (Some(early.minus(config.overlap)), early.minus(config.overlap).minus(1)),
        ] {
            let other = State { cursor, reread, bound, ..state(&config) };
            let state = State::take_over(&config, &other);
            assert_eq!((state.start, state.cursor, state.reread), (start, start, start), "{bound:?}");
            assert_eq!((state.bound, state.round, state.anchored), (bound, None, other.anchored));
        }
    }
    let measured = State { anchored: true, ..state(&config) };
    assert!(State::take_over(&config, &measured).anchored);
}

#[test]
fn a_round_ends_where_the_clock_of_the_service_stands_but_not_within_a_slice() {
    let config = config();
    let fresh = state(&config);
    let Round { until, at, end } = fresh.round.unwrap();
    for (now, expected) in [
        (until.plus(config.settle), until),
        (until.plus(config.settle).minus(1), until.minus(1)),
        (end.plus(config.settle), end),
        (at, end),
    ] {
        let mut state = fresh.clone();
        state.end_round_at(&config, now);
        assert_eq!(state.round, Some(Round { until: expected, at, end }));
    }
}

#[test]
fn a_slice_that_was_cut_goes_on_with_what_lies_before_its_newest_row_where_that_is_less_than_half() {
    let config = config();
    let fresh = state(&config);
    let Round { until, at, end } = fresh.round.unwrap();
    let middle = at.plus(HOUR / 2);
    for resolution in [Resolution::TICK, Resolution::MILLISECOND] {
        let seams = resolution.seams;
        for (newest, expected) in [
            (None, middle),
            (Some(end), middle),
            (Some(middle.plus(1)), middle),
            (Some(middle), middle.minus(seams)),
            (Some(at.plus(4 * seams + 1)), at.plus(4 * seams)),
            // What lies at the end of a request is shown as well.
            (Some(at.plus(4 * seams)), at.plus(3 * seams)),
            (Some(at.plus(1)), at.plus(resolution.least)),
            (Some(at), at.plus(resolution.least)),
        ] {
            let mut state = fresh.clone();
            assert!(state.cut_before(newest, resolution));
            let round = Some(Round { until, at, end: expected });
            assert_eq!((state.round, state.length), (round, HOUR / 2), "{newest:?} {resolution:?}");
        }
    }
}

#[test]
fn a_slice_is_halved_down_to_what_bounds_tell_apart() {
    let fresh = state(&config());
    let Round { until, at, .. } = fresh.round.unwrap();
    let (tick, millisecond) = (Resolution::TICK, Resolution::MILLISECOND);
    for (begins, ends, resolution, half) in [
        (0, 1, tick, None),
        (0, 2, tick, Some(1)),
        (0, 2 * MILLISECOND, millisecond, None),
        (0, 2 * MILLISECOND + 1, millisecond, Some(2 * MILLISECOND)),
        (0, 6 * MILLISECOND, millisecond, Some(3 * MILLISECOND)),
        (3, 2 * MILLISECOND, millisecond, None),
        (MILLISECOND - 1, 2 * MILLISECOND, millisecond, None),
        (MILLISECOND - 1, 2 * MILLISECOND + 1, millisecond, Some(2 * MILLISECOND)),
        (MILLISECOND / 2, 7 * MILLISECOND, millisecond, Some(3 * MILLISECOND)),
    ] {
        let round = Round { until, at: at.plus(begins), end: at.plus(ends) };
        let mut state = State { round: Some(round), ..fresh.clone() };
        assert_eq!((state.is_least(resolution), state.halve(resolution)), (half.is_none(), half.is_some()), "{ends}");
        assert_eq!(state.round, Some(Round { end: half.map_or(round.end, |half| at.plus(half)), ..round }), "{ends}");
    }
}

#[test]
fn slices_meet_where_bounds_tell_them_apart_and_never_end_behind_the_round() {
    let config = Config { protocol: &GRAPH_ALERTS, ..config() };
    let fresh = state(&config);
    let at = fresh.round.unwrap().at;
    for (until, length, expected) in [
        (HOUR, 7 * MILLISECOND + 3, 7 * MILLISECOND),
        (HOUR, 3, 2 * MILLISECOND),
        (MILLISECOND - 1, 3, MILLISECOND - 1),
        (HOUR - 5, HOUR, HOUR - 5),
    ] {
        let mut state = State { length, ..fresh.clone() };
        state.begin_slice(at, at.plus(until), Resolution::of(&config));
        assert_eq!(state.round.map(|round| round.end.0 - at.0), Some(expected), "{until} {length}");
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
fn what_is_given_up_behind_a_gap_is_twice_as_long() {
    let config = config();
    let Round { until, at, .. } = state(&config).round.unwrap();
    for (grain, length, expected) in [(1, 1, 2), (8, 5, 16), (1, 2 * MILLISECOND, 4 * MILLISECOND), (HOUR, 1, HOUR)] {
        let round = Some(Round { until, at, end: at.plus(length) });
        let mut state = State { grain, round, ..state(&config) };
        state.pass_over(&config);
        assert_eq!(state.grain, expected, "{grain} {length}");
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
    let mut state = State { failures: PATIENCE, plain: true, ..begun(Start::Ago(HOUR)) };
    let from = state.start;
    assert!(state.anchor(1));
    assert_eq!((state.failures, state.plain), (0, false));
    assert_eq!((state.start, state.cursor, state.reread), (from.minus(1), from.minus(1), from.minus(1)));
    assert!(state.round.is_none() && !state.anchor(1), "{state:?}");
    for mut stays in [begun(Start::At(from)), State { anchored: true, ..begun(Start::Ago(HOUR)) }] {
        (stays.failures, stays.plain) = (PATIENCE, true);
        assert!(!stays.anchor(1));
        assert_eq!((stays.start, stays.failures, stays.plain), (from, PATIENCE, true));
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

#[test]
fn a_rest_of_half_a_slice_is_joined_to_the_last_one_and_more_is_not() {
    for (minutes, slices) in [(90, 1), (91, 2)] {
        let config = config();
        let mut state = State { round: None, length: config.slice, ..state(&config) };
        let until = state.cursor.plus(minutes * 60 * TICKS_PER_SECOND);
        let round = state.round(&config, until.plus(config.settle)).unwrap();
        assert_eq!((round.until, usize::from(round.end < until) + 1), (until, slices), "{minutes}");
    }
}
