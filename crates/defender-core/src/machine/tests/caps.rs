//! Answers that the service cuts without saying so.

use super::*;
use crate::row::{KeyedBy, Records, Row, fingerprint};

/// A service with rows at these seconds after eleven, which shows no more than `cap` of them at a time.
fn capped(rows: &[(i64, &str)], cap: usize, keeps_newest: bool) -> impl Fn(&str) -> Answer {
    let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
    let mut rows: Vec<_> =
        rows.iter().map(|(second, id)| (eleven.plus(second * TICKS_PER_SECOND), (*id).to_owned())).collect();
    rows.sort();
    move |url| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let (since, until) = (bound("sinceTimeUtc="), bound("untilTimeUtc="));
        let mut inside: Vec<_> = rows.iter().filter(|(at, _)| since <= *at && *at <= until).collect();
        if keeps_newest {
            inside.reverse();
        }
        inside.truncate(cap);
        let inside: Vec<_> = inside.iter().map(|(at, id)| row(id, &at.to_string())).collect();
        ok(format!("[{}]", inside.join(",")))
    }
}

fn rig(suspicious_rows: u32) -> Rig {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:00:00Z","overlap":"PT0S""#, &Position::Resume(None));
    rig.machine.limits.suspicious_rows = suspicious_rows;
    rig
}

/// The keys of everything up to the end of the round; a fresh instance for every poll where `is_fresh`.
fn read(rig: &mut Rig, budget: Budget, is_fresh: bool, answer: impl Fn(&str) -> Answer) -> Vec<String> {
    let mut keys = Vec::new();
    loop {
        let batch = rig.poll(budget, &answer).unwrap();
        keys.extend(batch.events.into_iter().map(|event| event.subject));
        if batch.next != NextPoll::Now {
            keys.sort();
            return keys;
        }
        if is_fresh {
            let (config, limits) = (rig.machine.config.clone(), rig.machine.limits);
            rig.machine = Machine::with_limits(config, &Position::Resume(Some(batch.checkpoint)), limits).unwrap();
        }
    }
}

#[test]
fn a_whole_answer_of_as_many_rows_as_the_cap_does_not_hide_the_cap() {
    let mut rig = rig(3);
    rig.now.wall = Tick::parse("2026-01-01T11:10:00Z").unwrap();
    let first = [(1, "a"), (2, "b"), (3, "c")];
    assert_eq!(read(&mut rig, BUDGET, false, capped(&first, 3, true)), ["a", "b", "c"]);
    rig.now.wall = Tick::parse(NOW).unwrap();
    let all = [(1, "a"), (2, "b"), (3, "c"), (1001, "d"), (1002, "e"), (1003, "f"), (1004, "g"), (1005, "h")];
    assert_eq!(read(&mut rig, BUDGET, false, capped(&all, 3, true)), ["d", "e", "f", "g", "h"]);
}

#[test]
fn a_cap_that_cuts_through_the_rows_of_one_tick_is_found() {
    let rows = [(1, "a"), (1, "b"), (1, "c"), (1, "d"), (60, "e"), (61, "f")];
    for keeps_newest in [true, false] {
        assert_eq!(read(&mut rig(4), BUDGET, false, capped(&rows, 5, keeps_newest)), ["a", "b", "c", "d", "e", "f"]);
    }
}

#[test]
fn what_showed_a_cap_is_known_to_a_fresh_instance() {
    let rows: Vec<_> = (0..26u8).map(|n| (i64::from(n) * 60, char::from(b'a' + n).to_string())).collect();
    let rows: Vec<_> = rows.iter().map(|(at, id)| (*at, id.as_str())).collect();
    let all: Vec<_> = rows.iter().map(|(_, id)| *id).collect();
    for keeps_newest in [true, false] {
        for max_events in 1..8 {
            let budget = Budget { max_events, ..BUDGET };
            assert_eq!(read(&mut rig(4), budget, true, capped(&rows, 6, keeps_newest)), all, "{max_events}");
        }
    }
}

#[test]
fn a_late_arrival_that_looks_like_a_cap_is_found_out() {
    let mut rig = rig(3);
    let early = [(1, "a"), (600, "b"), (1200, "c")];
    let mut asked = 0;
    let late = |url: &str| {
        asked += 1;
        let rows = if asked == 1 { &early[..] } else { &[(0, "late"), (1, "a"), (600, "b"), (1200, "c")] };
        capped(rows, 1000, true)(url)
    };
    let batch = rig.poll(BUDGET, late).unwrap();
    assert!(batch.notices.iter().any(|notice| notice.code == "answer.cap"), "{:?}", batch.notices);
    rig.advance(3600);
    let crowd: Vec<_> = (0..9u8).map(|n| (3700, char::from(b'p' + n).to_string())).collect();
    let crowd: Vec<_> = crowd.iter().map(|(at, id)| (*at, id.as_str())).collect();
    let batch = rig.poll(BUDGET, capped(&crowd, 1000, true)).unwrap();
    assert_eq!((batch.events.len(), batch.gaps), (9, Vec::new()));
}

#[test]
fn a_cap_shows_by_rows_that_were_known_before_as_well() {
    let mut rig = rig(3);
    rig.machine.config.overlap = 3600 * TICKS_PER_SECOND;
    let mut rows = vec![(1, "a"), (2, "b"), (3, "c"), (4, "d")];
    rig.now.wall = Tick::parse("2026-01-01T11:10:00Z").unwrap();
    rig.machine.limits.suspicious_rows = 1000;
    assert_eq!(read(&mut rig, BUDGET, false, capped(&rows, 4, true)), ["a", "b", "c", "d"]);
    rig.machine.limits.suspicious_rows = 3;
    // Late, and hidden behind four rows that are known.
    rows.extend([(0, "late"), (700, "e"), (701, "f"), (702, "g"), (703, "h")]);
    rig.now.wall = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    assert_eq!(read(&mut rig, BUDGET, false, capped(&rows, 4, true)), ["e", "f", "g", "h", "late"]);
}

#[test]
fn rows_without_a_stamp_show_a_cap_as_well() {
    let mut rig = rig(3);
    let mut asked = 0;
    let answer = |url: &str| {
        asked += 1;
        let bare: Vec<_> = (0..4).map(|n| format!(r#"{{"FullId":"{asked}-{n}"}}"#)).collect();
        let stamped = row("a", "2026-01-01T11:30:00Z");
        ok(match asked {
            1 => format!("[{},{},{stamped}]", bare[0], bare[1]),
            2 => format!("[{},{},{}]", bare[1], bare[2], bare[3]),
            _ => capped(&[], 3, true)(url).2,
        })
    };
    let batch = rig.poll(BUDGET, answer).unwrap();
    assert!(batch.notices.iter().any(|notice| notice.code == "answer.cap"), "{:?}", batch.notices);
}

#[test]
fn rows_behind_a_crowd_on_one_tick_are_found() {
    let rows = [(0, "a"), (600, "b"), (600, "c"), (600, "d"), (600, "e"), (700, "f")];
    let mut rig = rig(3);
    rig.machine.config.overlap = 3600 * TICKS_PER_SECOND;
    rig.machine.limits.suspicious_rows = 1000;
    rig.now.wall = Tick::parse("2026-01-01T11:12:00Z").unwrap();
    assert_eq!(read(&mut rig, BUDGET, false, capped(&rows[1..5], 4, true)), ["b", "c", "d", "e"]);
    rig.machine.limits.suspicious_rows = 3;
    rig.now.wall = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    assert_eq!(read(&mut rig, BUDGET, false, capped(&rows, 4, true)), ["a", "f"]);
}

#[test]
fn a_slice_of_more_rows_than_the_ring_holds_is_read_once_where_nothing_was_cut() {
    let ids: Vec<_> = (0..300).map(|n| format!("{n:03}")).collect();
    let rows: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| (i64::try_from(n * 37 % 300).unwrap(), id.as_str())).collect();
    let mut rig = rig(100);
    rig.machine.limits.checkpoint_bytes = HEADER_BYTES + 40 * 33;
    assert_eq!(read(&mut rig, Budget { max_events: 50, ..BUDGET }, false, capped(&rows, usize::MAX, false)), ids);
}

/// What a request asks for, in seconds after eleven and ticks, without the ticks on each side.
fn asked(url: &str) -> ((i64, i64), (i64, i64)) {
    let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
    let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
    let after =
        |at: Tick| ((at.0 - eleven.0).div_euclid(TICKS_PER_SECOND), (at.0 - eleven.0).rem_euclid(TICKS_PER_SECOND));
    (after(bound("sinceTimeUtc=").plus(1)), after(bound("untilTimeUtc=").minus(1)))
}

/// A rig about to ask for a slice of so many ticks at eleven.
fn rig_of(ticks: i64, limit: &str, learned: impl FnOnce(&mut State)) -> Rig {
    let mut rig = Rig::new(&format!(r#","start":"2026-01-01T11:00:00Z"{limit}"#), &Position::Resume(None));
    rig.machine.limits.suspicious_rows = 3;
    let at = Tick::parse("2026-01-01T11:00:00Z").unwrap();
    let mut state = State::begin(&rig.machine.config, None, rig.now.wall);
    state.round = Some(Round { until: at.plus(ticks), at, end: at.plus(ticks) });
    state.length = ticks;
    learned(&mut state);
    rig.machine.resume(&state.to_text()).unwrap();
    rig
}

/// Rows of these ticks after eleven.
fn ticks(of: impl IntoIterator<Item = i64>) -> String {
    let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
    let rows: Vec<_> =
        of.into_iter().enumerate().map(|(n, at)| row(&format!("t{n}"), &eleven.plus(at).to_string())).collect();
    format!("[{}]", rows.join(","))
}

fn known(rig: &Rig) -> (Option<u32>, u32) {
    let state = rig.machine.state.as_ref().unwrap();
    (state.cap, state.whole)
}

#[test]
fn an_answer_of_a_thousand_rows_is_checked_at_both_ends_and_a_smaller_one_is_not() {
    for (rows, requests) in [(999, 1), (1000, 3)] {
        let mut rig = Rig::new(r#","start":"2026-01-01T11:00:00Z""#, &Position::Resume(None));
        let body = ticks(7..7 + rows);
        let answer = |url: &str| ok(if asked(url) == ((0, 0), (3540, 0)) { &body } else { "[]" });
        assert!(matches!(rig.poll(Budget { max_events: 2000, ..BUDGET }, answer).unwrap().next, NextPoll::After(_)));
        assert_eq!(rig.requests.len(), requests);
        if let [_, below, above] = &rig.requests[..] {
            assert_eq!(asked(below), ((0, 0), (0, 8)), "up to the least stamp");
            assert_eq!(asked(above), ((0, 7 + rows - 1), (3540, 0)), "from the greatest stamp on");
        }
    }
}

#[test]
fn rows_without_a_place_in_the_slice_are_no_end_of_it() {
    let mut rig = rig_of(1000, "", |_| {});
    let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
    let outside = [row("x", &eleven.plus(2000).to_string()), r#"{"FullId":"y"}"#.to_owned()].join(",");
    let body = ticks([10, 20]);
    let mut answers = [ok(format!("[{outside},{}", &body[1..]))].into_iter();
    rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert_eq!(
        rig.requests[1..3].iter().map(|url| asked(url)).collect::<Vec<_>>(),
        [((0, 0), (0, 11)), ((0, 20), (0, 1000))]
    );
}

#[test]
fn a_whole_answer_lets_smaller_ones_go_unchecked() {
    for (whole, rows, requests) in [(0, 3, 3), (5, 4, 1), (5, 5, 3), (4, 5, 3)] {
        let mut rig = rig_of(1000, "", |state| state.whole = whole);
        let body = ticks(100..100 + rows);
        let answer = |url: &str| ok(if asked(url) == ((0, 0), (0, 1000)) { &body } else { "[]" });
        let batch = rig.poll(Budget { max_requests: requests + 1, ..BUDGET }, answer).unwrap();
        assert_eq!(
            rig.requests.iter().filter(|url| asked(url).1.0 == 0).count(),
            requests as usize,
            "{:?}",
            rig.requests
        );
        assert_eq!(known(&rig), (None, whole.max(if requests == 3 { rows as u32 } else { 0 })), "{:?}", batch.notices);
        assert!(rig.machine.suspect.is_none());
    }
}

#[test]
fn one_tick_cannot_be_checked_and_two_can() {
    for (length, requests) in [(1, 1), (2, 3)] {
        let mut rig = rig_of(length, "", |_| {});
        let body = ticks([0, 0, length - 1]);
        let answer = |url: &str| ok(if asked(url) == ((0, 0), (0, length)) { &body } else { "[]" });
        rig.poll(BUDGET, answer).unwrap();
        assert_eq!(rig.requests.iter().filter(|url| asked(url).1.0 == 0).count(), requests, "{:?}", rig.requests);
    }
}

#[test]
fn a_cap_cuts_at_its_number_and_more_rows_show_that_there_is_none() {
    for (length, rows, cap, splits) in
        [(1000, 2, Some(3), false), (1000, 3, Some(3), true), (1000, 4, None, false), (2, 4, None, false)]
    {
        let mut rig = rig_of(length, "", |state| (state.cap, state.whole) = (Some(3), 100));
        let body = ticks((0..rows).map(|n| n * (length - 1) / 4));
        let answer = |url: &str| ok(if asked(url) == ((0, 0), (0, length)) { &body } else { "[]" });
        let batch = rig.poll(BUDGET, answer).unwrap();
        assert_eq!((known(&rig).0, batch.gaps.len()), (cap, 0), "{length} {rows}");
        let counted = batch.counters.iter().any(|(name, _)| *name == "splits");
        assert_eq!(counted, splits, "{length} {rows}: {:?}", rig.requests);
    }
    // Of one tick nothing shows it: more rows than the cap are a cut answer, and the cap stays.
    let mut rig = rig_of(1, "", |state| state.cap = Some(3));
    let batch =
        rig.poll(BUDGET, |url| ok(if asked(url).1 == (0, 1) { ticks([0; 4]) } else { "[]".to_owned() })).unwrap();
    assert_eq!((known(&rig).0, batch.gaps.len(), batch.events.len()), (Some(3), 1, 4));
}

#[test]
fn one_tick_that_limit_cuts_is_asked_for_without_it_and_is_a_gap_where_that_is_cut_as_well() {
    for (cap, gaps) in [(None, vec![]), (Some(5), vec![((0, 0), (0, 1))])] {
        let mut rig = rig_of(1, r#","limit":2"#, |state| state.cap = cap);
        let mut answers = [ok(ticks([0, 0])), ok(ticks([0; 5]))].into_iter();
        let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
        assert_eq!(batch.events.len(), 5);
        let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
        let told: Vec<_> =
            batch.gaps.iter().map(|gap| ((0, gap.since.0 - eleven.0), (0, gap.until.0 - eleven.0))).collect();
        assert_eq!(told, gaps);
        assert!(batch.gaps.iter().all(|gap| gap.cause == GapCause::Truncated));
        let limits: Vec<_> = rig.requests.iter().map(|url| url.contains("limit=2")).collect();
        assert_eq!(limits[..2], [true, false], "{:?}", rig.requests);
        assert!(rig.requests[2..].iter().all(|url| asked(url).1 != (0, 1)), "{:?}", rig.requests);
    }
}

/// What one of the checks of an answer of four rows at 400, 500, 600 and 700 shows, and what is learned of it.
fn checked(below: &[i64], above: &[i64]) -> (Rig, Batch) {
    let mut rig = rig_of(1000, "", |state| {
        // Known from before.
        for at in [0, 1, 2, 398, 800, 999, 1000, 1001] {
            let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
            let text = row(&format!("k{at}"), &eleven.plus(at).to_string());
            let (row, _) = Row::read(text.as_bytes(), Records::Detections).unwrap();
            state.ring.insert(fingerprint(&row.key(KeyedBy::FullId, text.as_bytes())), eleven.plus(at));
        }
    });
    let known = |of: &[i64]| {
        let eleven = Tick::parse("2026-01-01T11:00:00Z").unwrap();
        let rows: Vec<_> = of.iter().map(|at| row(&format!("k{at}"), &eleven.plus(*at).to_string())).collect();
        ok(format!("[{}]", rows.join(",")))
    };
    let mut answers = [ok(ticks([400, 500, 600, 700])), known(below), known(above)].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    (rig, batch)
}

#[test]
fn a_row_beyond_the_ends_shows_a_cap_known_or_not_and_one_beside_the_slice_does_not() {
    for (below, above, cap) in [
        (&[][..], &[][..], None),
        (&[398], &[], Some(4)),
        (&[1], &[], Some(4)),
        (&[0], &[], Some(4)),
        (&[2, 1], &[], Some(4)),
        (&[], &[800], Some(4)),
        (&[], &[999], Some(4)),
        // The margin behind the slice, and beyond it.
        (&[], &[1000, 1001], None),
        // New rows, on the ends or between them.
        (&[401], &[], Some(4)),
        (&[], &[700], Some(4)),
    ] {
        let (rig, batch) = checked(below, above);
        assert_eq!(known(&rig), (cap, if cap.is_none() { 4 } else { 0 }), "{below:?} {above:?}");
        let next =
            asked(&rig.requests[if cap.is_some() && above.is_empty() { 2 } else { 3 }.min(rig.requests.len() - 1)]);
        if cap.is_some() {
            assert_eq!(next, ((0, 0), (0, 500)), "the older half, and no second check: {:?}", rig.requests);
            assert_eq!(batch.notices.iter().filter(|notice| notice.code == "answer.cap").count(), 1);
        }
        assert!(rig.machine.suspect.is_none());
    }
}

#[test]
fn a_check_of_as_many_rows_splits_the_slice_and_what_its_half_brings_teaches_no_cap() {
    let mut rig = rig_of(1000, "", |_| {});
    let crowd = ticks([400, 400, 400]);
    let half = ticks([400, 400, 400, 450]);
    let mut answers = [ok(crowd.clone()), ok(crowd), ok(half)].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert_eq!(asked(&rig.requests[2]), ((0, 0), (0, 500)), "{:?}", rig.requests);
    assert_eq!((batch.events.len(), known(&rig)), (4, (None, 4)));
    assert!(batch.notices.is_empty(), "{:?}", batch.notices);
}

#[test]
fn a_row_that_a_check_shows_again_counts_as_a_duplicate() {
    let mut rig = rig_of(1000, "", |_| {});
    let mut answers = [ok(ticks([400, 500, 600])), ok(ticks([400])), ok("[]")].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert_eq!(batch.counters, [("rows", 4), ("duplicates", 1), ("token-renewals", 1)]);
}

#[test]
fn a_row_before_the_slice_shows_no_cap() {
    let mut rig = rig_of(1000, "", |_| {});
    let mut answers = [ok(ticks([400, 500, 600])), ok(ticks([-1])), ok("[]")].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert_eq!((known(&rig), batch.events.len()), ((None, 3), 3));
}

#[test]
fn a_row_of_a_check_that_waits_for_room_shows_the_cap_as_well() {
    let mut rig = rig_of(1000, "", |_| {});
    let first = ticks([400, 500, 600]);
    let late = format!("[{}]", row("late", "2026-01-01T11:00:00.0000400Z"));
    let mut answers = [ok(first.clone()), ok(late)].into_iter();
    let budget = Budget { max_bytes: first.len() as u64, ..BUDGET };
    let batch = rig.poll(budget, |_| answers.next().unwrap()).unwrap();
    assert_eq!((batch.events.len(), batch.next, known(&rig).0), (3, NextPoll::Now, None));
    let batch = rig.poll(budget, |_| ok("[]")).unwrap();
    assert_eq!((batch.events[0].subject.as_str(), known(&rig).0), ("late", Some(3)));
    assert_eq!(asked(&rig.requests[2]), ((0, 0), (0, 500)), "{:?}", rig.requests);
}

#[test]
fn a_row_that_the_full_ring_forgot_teaches_no_cap() {
    let mut rig = rig(3);
    rig.machine.limits.checkpoint_bytes = HEADER_BYTES + 2 * crate::ring::Ring::KEY_BYTES;
    let rows = [(60, "a"), (120, "b"), (180, "c"), (240, "d")];
    let mut asked = 0;
    // The service shows a row from between the ends again, which the ring has forgotten.
    let sloppy = |url: &str| {
        asked += 1;
        match asked {
            1 => capped(&rows, 100, false)(url),
            2 => ok(format!("[{}]", row("b", "2026-01-01T11:02:00Z"))),
            _ => ok("[]"),
        }
    };
    let batch = rig.poll(BUDGET, sloppy).unwrap();
    assert!(batch.notices.iter().all(|notice| notice.code != "answer.cap"), "{:?}", batch.notices);
    assert_eq!((known(&rig).0, batch.events.len()), (None, 5), "it comes again");
}

#[test]
fn a_row_of_a_check_beside_the_part_that_it_asks_for_is_delivered() {
    let mut rig = rig_of(1000, "", |_| {});
    let late = format!("[{}]", row("late", "2026-01-01T11:00:00.0000401Z"));
    let mut answers = [ok(ticks([400, 500, 600])), ok(late)].into_iter();
    let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
    assert!(batch.events.iter().any(|event| event.subject == "late"), "{:?}", batch.events);
}

#[test]
fn a_record_that_is_too_large_counts_as_a_row() {
    let body = ticks([10]);
    for (more, splits) in [(1, false), (2, true)] {
        let mut rig = rig_of(1000, r#","limit":3"#, |_| {});
        rig.machine.limits.event_bytes = 200;
        let large: Vec<_> = (0..more).map(|n| format!(r#"{{"n":{n},"x":"{}"}}"#, "x".repeat(300))).collect();
        let mut answers = [ok(format!("[{},{}", large.join(","), &body[1..]))].into_iter();
        let batch = rig.poll(BUDGET, |_| answers.next().unwrap_or_else(|| ok("[]"))).unwrap();
        assert_eq!(batch.gaps.len(), more);
        assert_eq!(batch.counters.iter().any(|(name, _)| *name == "splits"), splits, "{:?}", batch.counters);
    }
}
