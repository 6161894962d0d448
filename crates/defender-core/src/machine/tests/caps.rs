//! Answers that the service cuts without saying so.

use super::*;

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
