//! The one request of a configuration.

use super::*;

#[test]
fn every_row_of_its_answer_is_delivered_wherever_it_is_stamped() {
    let request = r#","request":{"sinceTimeUtc":"2026-01-01T11:00:00Z","untilTimeUtc":"2026-01-01T12:00:00Z"}"#;
    let mut rig = Rig::new(request, &Position::Resume(None));
    let (since, until) = (Tick::parse("2026-01-01T11:00:00Z").unwrap(), Tick::parse("2026-01-01T12:00:00Z").unwrap());
    let stamps = [since.minus(600_000_000), since.minus(1), since, until.minus(1), until, until.plus(1)];
    let rows: Vec<_> = stamps.iter().enumerate().map(|(n, at)| row(&n.to_string(), &at.to_string())).collect();
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", rows.join(",")))).unwrap();
    assert_eq!(batch.events.len(), stamps.len());
    // Each is remembered by its own minute.
    for minute in ["10:58", "10:59", "11:00", "11:59", "12:00"] {
        assert!(
            batch.checkpoint.contains(&format!(r#""2026-01-01T{minute}":""#)) || minute == "10:58",
            "{}",
            batch.checkpoint
        );
    }
}

#[test]
fn the_gap_of_a_lost_answer_has_a_length_and_is_told_once() {
    let mut rig = Rig::new(r#","request":{"sinceTimeUtc":"2026-01-01T12:00:01Z"}"#, &Position::Resume(None));
    let body = format!("[{},{}]", row("a", "2026-01-01T12:00:02Z"), row("b", "2026-01-01T12:00:02Z"));
    let first = rig.poll(Budget { max_events: 1, ..BUDGET }, |_| ok(body.clone())).unwrap();
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(first.checkpoint))).unwrap();
    let second = rig.poll(BUDGET, |_| panic!("nothing is asked")).unwrap();
    let since = Tick::parse("2026-01-01T12:00:01Z").unwrap();
    assert_eq!(second.gaps.iter().map(|gap| (gap.since, gap.until)).collect::<Vec<_>>(), [(since, since.plus(1))]);
    let third = rig.poll(BUDGET, |_| panic!("nothing is asked")).unwrap();
    assert_eq!((third.gaps.len(), third.next), (0, NextPoll::Ended));
}

#[test]
fn an_answer_that_comes_too_slowly_needs_a_larger_budget_and_is_kept() {
    let mut rig = Rig::new(r#","request":{"ago":"PT1H"}"#, &Position::Resume(None));
    let budget = Budget { max_duration: 1_000_000_000, max_requests: 3, ..BUDGET };
    let body = format!("[{}", row("a", "2026-01-01T11:30:00Z"));
    let head = ResponseHead { status: 200, headers: Vec::new() };
    rig.poll(BUDGET, |_| (503, Vec::new(), String::new())).unwrap_err();
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)));
    rig.machine.handle(Input::ResponseHead(head), rig.now);
    rig.machine.handle(Input::BodyChunk(body.as_bytes()), rig.now);
    rig.advance(1);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("its time is over") };
    assert_eq!(batch.events.len(), 1);
    rig.machine.begin(budget, rig.now).unwrap();
    rig.advance(1);
    let Output::Done(Err(refused)) = rig.machine.step(rig.now) else { panic!("nothing came") };
    assert_eq!(refused, Failure::BudgetTooSmall(Budget { max_duration: 2_000_000_000, max_requests: 6, ..BUDGET }));
    assert!(rig.machine.wants_body());
}
