//! What `$expand` asks for, and what comes without it.

use twox_hash::XxHash64;

use super::updates::{START, alert, answer, covers, keys, read};
use super::*;
use crate::checkpoint::Round;
use crate::row::fingerprint;

#[test]
fn what_is_expanded_comes_again_after_an_outage() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    for _ in 0..60 {
        rig.poll(BUDGET, |_| (503, Vec::new(), String::new())).unwrap_err();
        rig.advance(60);
    }
    let (row, stamp) = (alert("7", "2026-01-01T11:01:00Z"), Tick::parse("2026-01-01T11:01:00Z").unwrap());
    let mut attributes = Vec::new();
    for _ in 0..3 {
        let batch = rig
            .poll(BUDGET, |url| {
                let url = read(url);
                let bound =
                    |operator: &str| Tick::parse(url.split(operator).nth(1).unwrap().get(..28).unwrap()).unwrap();
                let is_shown = (bound(" ge ")..=bound(" le ")).contains(&stamp);
                answer(if is_shown { std::slice::from_ref(&row) } else { &[] }, None)
            })
            .unwrap();
        assert!(batch.gaps.is_empty(), "{:?}", batch.gaps);
        attributes.extend(batch.events.into_iter().map(|event| event.attributes.len()));
        rig.advance(60);
    }
    assert_eq!(attributes, [0]);
}

#[test]
fn where_expand_fails_the_rows_come_without_it_and_a_gap_says_so() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    let mut batches = Vec::new();
    for _ in 0..4 {
        let result = rig.poll(BUDGET, |url| {
            if url.contains("$expand") {
                (500, Vec::new(), String::new())
            } else {
                answer(&[alert("7", "2026-01-01T11:01:00Z")], None)
            }
        });
        rig.advance(1);
        match result {
            Ok(batch) => {
                batches.push(batch);
                break;
            }
            Err(failure) => assert_eq!(failure.kind(), "unavailable"),
        }
    }
    let batch = &batches[0];
    assert_eq!(keys(batch), ["7@2026-01-01T11:01:00.0000000Z"]);
    assert_eq!(batch.events[0].attributes, [("without".to_owned(), "alerts".to_owned())]);
    let gap = &batch.gaps[0];
    assert_eq!((&gap.cause, gap.kind), (&GapCause::Partial, "incident"));
    assert!(gap.detail.contains("1 event came without its alerts"), "{}", gap.detail);
    // What follows is tried in full, once, and then without it at once.
    rig.requests.clear();
    rig.advance(3600);
    let result = rig
        .poll(BUDGET, |url| if url.contains("$expand") { (500, Vec::new(), String::new()) } else { answer(&[], None) });
    assert!(result.unwrap().gaps.is_empty(), "no event lacks anything");
    let expanded: Vec<_> = rig.requests.iter().map(|url| url.contains("$expand")).collect();
    assert!(expanded.windows(2).any(|pair| pair == [true, false]), "{expanded:?}");
    assert!(!expanded.windows(2).any(|pair| pair == [true, true]), "{expanded:?}");
    assert!(expanded.len() <= 6, "each slice is asked for twice at the most: {:?}", rig.requests);
}

#[test]
fn a_record_that_is_too_large_with_what_is_expanded_comes_without_it() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let small = alert("1", "2026-01-01T11:20:00Z");
    let large = |size: usize| {
        let alerts = format!(r#"{{"alerts":["{}"],"#, "x".repeat(size));
        alert("7", "2026-01-01T11:30:00Z").replacen('{', &alerts, 1)
    };
    let answered = |url: &str, size| {
        let row = if url.contains("$expand") { large(400) } else { large(size) };
        answer(&[small.clone(), row], None)
    };
    let batch = rig.poll(BUDGET, |url| answered(url, 0)).unwrap();
    assert_eq!(keys(&batch), ["1@2026-01-01T11:20:00.0000000Z", "7@2026-01-01T11:30:00.0000000Z"]);
    let without: Vec<_> = batch.events.iter().map(|event| event.attributes.len()).collect();
    assert_eq!((without, rig.requests.len()), (vec![0, 1], 2));
    let [gap] = &batch.gaps[..] else { panic!("{:?}", batch.gaps) };
    assert_eq!(gap.cause, GapCause::Partial);
    assert!(matches!(batch.next, NextPoll::After(_)));
    // The overlap brings it again, and it is known.
    for _ in 0..3 {
        rig.advance(300);
        rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(rig.machine.last.clone())).unwrap();
        rig.machine.limits.event_bytes = 300;
        rig.requests.clear();
        let again = rig.poll(BUDGET, |url| answered(url, 0)).unwrap();
        assert_eq!((keys(&again).len(), again.gaps.len(), rig.requests.len()), (0, 0, 1), "{:?}", rig.requests);
    }
    // One that is too large even so is a gap, told once.
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let batch = rig.poll(BUDGET, |url| answered(url, 500)).unwrap();
    assert_eq!(batch.gaps.iter().map(|gap| gap.cause.clone()).collect::<Vec<_>>(), [GapCause::Unreadable]);
    rig.advance(300);
    assert!(rig.poll(BUDGET, |url| answered(url, 500)).unwrap().gaps.is_empty());
}

#[test]
fn a_record_that_was_missing_when_it_was_asked_for_without_what_is_expanded_comes_later() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let alerts = format!(r#"{{"alerts":["{}"],"#, "x".repeat(400));
    let small = alert("7", "2026-01-01T11:30:00Z");
    let large = small.replacen('{', &alerts, 1);
    let answered = |url: &str, is_partial: bool| match (url.contains("$expand"), is_partial) {
        (true, _) => answer(std::slice::from_ref(&large), None),
        (false, false) => answer(std::slice::from_ref(&small), None),
        // The part that is missing holds it.
        (false, true) => (206, Vec::new(), answer(&[], None).2),
    };
    let first = rig.poll(BUDGET, |url| answered(url, true)).unwrap();
    assert_eq!((keys(&first).len(), first.gaps.len()), (0, 1), "{:?}", first.gaps);
    rig.advance(300);
    let second = rig.poll(BUDGET, |url| answered(url, false)).unwrap();
    assert_eq!(keys(&second), ["7@2026-01-01T11:30:00.0000000Z"]);
}

#[test]
fn the_batch_that_carries_what_lacks_something_says_so() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    let rows = [alert("1", "2026-01-01T11:01:00Z"), alert("2", "2026-01-01T11:02:00Z")];
    let answered = |url: &str| {
        if url.contains("$expand") { (500, Vec::new(), String::new()) } else { answer(&rows, None) }
    };
    let mut first = rig.poll(Budget { max_events: 1, ..BUDGET }, answered);
    for _ in 0..3 {
        if first.is_err() {
            first = rig.poll(Budget { max_events: 1, ..BUDGET }, answered);
        }
    }
    let first = first.unwrap();
    assert_eq!((first.events.len(), first.gaps.len(), first.next), (1, 1, NextPoll::Now));
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(first.checkpoint))).unwrap();
    let second = rig.poll(BUDGET, answered).unwrap();
    assert_eq!((second.events.len(), second.gaps.len()), (1, 1));
    assert_eq!(second.gaps[0].key, first.gaps[0].key);
}

#[test]
fn an_instance_that_dies_before_the_smaller_record_came_loses_nothing() {
    let mut rig = Rig::of("incidents", &format!(r#"{START},"overlap":"PT3H""#), &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let alerts = format!(r#"{{"alerts":["{}"],"#, "x".repeat(400));
    let small = alert("7", "2026-01-01T11:30:00Z");
    let large = small.replacen('{', &alerts, 1);
    let answered = |url: &str| answer(&[if url.contains("$expand") { large.clone() } else { small.clone() }], None);
    // Two requests: for the token, and for the slice in full.
    let first = rig.poll(Budget { max_requests: 2, ..BUDGET }, answered).unwrap();
    assert_eq!((keys(&first).len(), first.next), (0, NextPoll::Now));
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(first.checkpoint))).unwrap();
    rig.machine.limits.event_bytes = 300;
    let second = rig.poll(BUDGET, answered).unwrap();
    assert_eq!(keys(&second), ["7@2026-01-01T11:30:00.0000000Z"]);
}

/// A record at this stamp that is too large with what is expanded, as such and without it.
fn too_large(at: &str) -> (String, String) {
    let small = alert("7", at);
    let alerts = format!(r#"{{"alerts":["{}"],"#, "x".repeat(400));
    (small.replacen('{', &alerts, 1), small)
}

#[test]
fn a_record_that_is_too_large_comes_though_the_range_that_showed_it_was_halved_before() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    (rig.machine.limits.event_bytes, rig.machine.limits.suspicious_rows) = (300, 2);
    let at = "2026-01-01T11:50:00Z";
    let (large, small) = too_large(at);
    let mut asked = 0;
    let batch = rig.poll(BUDGET, |url| {
        if url.contains("$skip=") {
            return answer(&[], None);
        }
        // Another row each time, so that no two passes are alike.
        asked += 1;
        let mut rows = Vec::new();
        if covers(url, "2026-01-01T11:10:00Z") {
            rows.push(alert(&format!("other-{asked}"), "2026-01-01T11:10:00Z"));
        }
        if covers(url, at) {
            rows.push(if url.contains("$expand") { large.clone() } else { small.clone() });
        }
        answer(&rows, None)
    });
    let batch = batch.unwrap();
    assert!(batch.counters.iter().any(|(name, _)| *name == "splits"), "{:?}", batch.counters);
    assert!(keys(&batch).contains(&"7@2026-01-01T11:50:00.0000000Z"), "{:?}: {:?}", keys(&batch), rig.requests);
}

#[test]
fn a_record_that_is_too_large_comes_though_the_start_moves_back_before() {
    let mut rig = Rig::of("incidents", "", &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let at = "2026-01-01T10:55:00Z";
    let (large, small) = too_large(at);
    let mut asked = 0;
    let batch = rig.poll(BUDGET, |url| {
        asked += 1;
        let row = if url.contains("$expand") { &large } else { &small };
        let (status, _, body) = answer(if covers(url, at) { std::slice::from_ref(row) } else { &[] }, None);
        // The first answer does not say what the service's clock does.
        let date = (asked > 1).then(|| ("date", "Thu, 01 Jan 2026 11:50:00 GMT".to_owned()));
        (status, date.into_iter().collect(), body)
    });
    let batch = batch.unwrap();
    assert!(rig.requests.iter().any(|url| read(url).contains("ge 2026-01-01T09:50:00")), "{:?}", rig.requests);
    assert_eq!(keys(&batch), ["7@2026-01-01T10:55:00.0000000Z"], "{:?}", rig.requests);
}

#[test]
fn a_record_that_is_too_large_comes_though_the_service_fails_when_it_is_asked_for_without_what_is_expanded() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    rig.machine.limits.event_bytes = 300;
    let at = "2026-01-01T11:50:00Z";
    let (large, small) = too_large(at);
    let mut failed = 0;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let polled = rig.poll(BUDGET, |url| {
            if !url.contains("$expand") && failed == 0 {
                failed += 1;
                return (503, Vec::new(), String::new());
            }
            let row = if url.contains("$expand") { &large } else { &small };
            answer(if covers(url, at) { std::slice::from_ref(row) } else { &[] }, None)
        });
        seen.extend(polled.into_iter().flat_map(|batch| batch.events).map(|event| event.subject));
        rig.advance(10);
    }
    assert_eq!((seen, failed), (vec!["7".to_owned()], 1), "{:?}", rig.requests);
}

#[test]
fn a_range_in_passes_that_is_asked_for_without_what_is_expanded_is_read_from_its_beginning() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    (rig.machine.limits.event_bytes, rig.machine.limits.suspicious_rows) = (300, 2);
    let (large, small) = too_large("2026-01-01T11:50:00Z");
    let other = alert("8", "2026-01-01T11:10:00Z");
    let batch = rig
        .poll(BUDGET, |url| {
            let row = if url.contains("$expand") { &large } else { &small };
            let rows = [other.clone(), row.clone()];
            answer(if url.contains("$skip=") { &[] } else { &rows }, None)
        })
        .unwrap();
    assert_eq!((batch.events.len(), rig.requests.len()), (2, 10), "one and two passes of two pages, twice");
}

#[test]
fn events_that_lack_something_are_told_of_in_one_gap_that_reaches_to_each_of_them() {
    let at = |time: &str| Tick::parse(&format!("2026-01-01T{time}Z")).unwrap();
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    let state = State::begin(&rig.machine.config, None, rig.now.wall);
    // A round of an older version, which ends and begins in the midst of a millisecond.
    let (since, end) = (at("11:00:00.0005"), at("11:10:00.0003"));
    let round = Some(Round { until: end, at: since, end });
    rig.machine.resume(&State { round, plain: true, ..state }.to_text()).unwrap();
    let rows = [("a", "11:00:00.0003"), ("b", "11:05:00"), ("c", "11:10:00.0006")];
    let rows = rows.map(|(id, time)| alert(id, &format!("2026-01-01T{time}Z")));
    let mut asked = 0;
    let batch = rig.poll(BUDGET, |_| {
        asked += 1;
        answer(if asked == 1 { &rows } else { &[] }, None)
    });
    let batch = batch.unwrap();
    let [gap] = &batch.gaps[..] else { panic!("{:?}", batch.gaps) };
    assert_eq!((gap.since, gap.until), (at("11:00:00.0003"), at("11:10:00.0006").plus(1)), "{gap:?}");
    assert!(gap.detail.contains("so 3 events came without their alerts"), "{}", gap.detail);
}

#[test]
fn what_fails_alone_comes_without_what_is_expanded_before_it_is_given_up() {
    // In the midst of the range, or where each older half begins.
    let stamps = ["2026-01-01T11:30:00.0000000Z", "2026-01-01T11:00:00.0000000Z"];
    for (at, works_plain) in stamps.into_iter().flat_map(|at| [(at, true), (at, false)]) {
        let row = alert("7", at);
        let stamp = Tick::parse(at).unwrap();
        let beside = [stamp.minus(TICKS_PER_SECOND), stamp.plus(TICKS_PER_SECOND)].map(|at| at.to_string());
        // What does not fail comes with what is expanded.
        let near = stamp.plus(TICKS_PER_SECOND / 2).to_string();
        let mut rig = Rig::of("incidents", START, &Position::Resume(None));
        let (mut events, mut gaps, mut is_done) = (Vec::new(), Vec::new(), false);
        while !is_done {
            assert!(rig.requests.len() < 150, "{:?}", rig.requests.last());
            let polled = rig.poll(BUDGET, |url| {
                let is_short = !beside.iter().any(|at| covers(url, at));
                match (covers(url, at), works_plain && is_short && !url.contains("$expand")) {
                    (true, false) => (500, Vec::new(), String::new()),
                    (true, true) => answer(std::slice::from_ref(&row), None),
                    (false, _) if covers(url, &near) => answer(&[alert("8", &near)], None),
                    (false, _) => answer(&[], None),
                }
            });
            if let Ok(batch) = polled {
                events.extend(batch.events.into_iter().map(|event| (event.subject, event.attributes.len())));
                gaps.extend(batch.gaps.into_iter().map(|gap| gap.cause));
                is_done = matches!(batch.next, NextPoll::After(_));
            }
            rig.advance(10);
        }
        let (seven, eight) = (("7".to_owned(), 1), ("8".to_owned(), 0));
        let expected = if works_plain {
            (vec![seven, eight], vec![GapCause::Partial])
        } else {
            (vec![eight], vec![GapCause::Unreadable])
        };
        assert_eq!((events, gaps), expected, "{at} {works_plain}");
    }
}

#[test]
fn a_record_that_is_too_large_among_more_than_a_page_at_one_tick_is_looked_at_once() {
    let at = "2026-01-01T11:30:00Z";
    let start = Tick::parse(at).unwrap();
    let (large, small) = too_large(at);
    let rows: Vec<_> = ["1", "2", "3", "4"].iter().map(|id| alert(id, at)).collect();
    let range = Position::Range(start, start.plus(1));
    let mut rig = Rig::of("incidents", r#","limit":2"#, &range);
    rig.machine.limits.event_bytes = 300;
    let batch = rig.poll(Budget { max_requests: 200, ..BUDGET }, |url| {
        let skip: usize = url.split("skip=").nth(1).map_or(0, |skip| skip.parse().unwrap());
        let row = if url.contains("$expand") { &large } else { &small };
        let all = [&rows[..], std::slice::from_ref(row)].concat();
        answer(&all[skip.min(5)..(skip + 2).min(5)], None)
    });
    let batch = batch.unwrap();
    assert_eq!((batch.events.len(), batch.next), (5, NextPoll::Ended), "{:?}", batch.gaps);
    let known = rig.machine.state.as_ref().unwrap().ring.clone();
    assert!(known.contains(fingerprint(&format!("gap:unreadable:{:016x}", XxHash64::oneshot(0, large.as_bytes())))));
}
