//! What a machine begins with.

use super::super::loses_its_answer;
use super::*;

#[test]
fn a_round_that_was_begun_long_ago_is_followed_by_one_up_to_now() {
    let rows = ["2026-01-01T11:30:00Z", "2026-01-01T14:30:00Z"];
    let answered = |url: &str| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let asked = bound("sinceTimeUtc=")..=bound("untilTimeUtc=");
        let shown = rows.iter().filter(|at| asked.contains(&Tick::parse(at).unwrap()));
        ok(format!("[{}]", shown.map(|at| row(at, at)).collect::<Vec<_>>().join(",")))
    };
    let mut rig = Rig::new(r#","start":"2026-01-01T10:00:00Z""#, &Position::Resume(None));
    // Two requests: for the token, and for the first of two slices.
    let first = rig.poll(Budget { max_requests: 2, ..BUDGET }, answered).unwrap();
    assert_eq!(first.next, NextPoll::Now);
    let then = rig.now;
    for (hours, batches) in [(5, vec![(1, false)]), (7, vec![(1, true), (1, false)])] {
        let position = Position::Resume(Some(first.checkpoint.clone()));
        rig.machine = Machine::new(rig.machine.config.clone(), &position).unwrap();
        rig.now = then;
        rig.advance(hours * 3600);
        for (events, goes_on) in batches {
            let batch = rig.poll(BUDGET, answered).unwrap();
            assert_eq!((batch.events.len(), batch.next == NextPoll::Now), (events, goes_on), "after {hours} hours");
        }
    }
}

#[test]
fn a_range_has_a_length_and_no_request() {
    let rig = Rig::new("", &Position::Resume(None));
    let single = Rig::new(r#","request":{"ago":"PT1H"}"#, &Position::Resume(None)).machine.config;
    let (early, late) = (rig.now.wall, rig.now.wall.plus(1));
    let code = |config: &Config, since, until| match Machine::new(config.clone(), &Position::Range(since, until)) {
        Err(Failure::InvalidConfig(found)) => found[0].code.clone(),
        other => format!("{other:?}"),
    };
    let running = &rig.machine.config;
    assert!(Machine::new(running.clone(), &Position::Range(early, late)).is_ok());
    assert_eq!(code(running, early, early), "range.empty");
    assert_eq!(code(running, late, early), "range.empty");
    assert_eq!(code(&single, early, late), "range.with-request");
}

#[test]
fn an_answer_is_lost_where_it_was_delivered_in_part_and_cannot_be_asked_for_again() {
    let config = |request| Rig::new(&format!(r#","request":{request}"#), &Position::Resume(None)).machine.config;
    let closed = config(r#"{"sinceTimeUtc":"2026-01-01T11:00:00Z","untilTimeUtc":"2026-01-01T12:00:00Z"}"#);
    let open = config(r#"{"ago":"PT1H"}"#);
    let now = Tick::parse(NOW).unwrap();
    for (config, asked, answered, keys, is_frozen, is_lost) in [
        (&open, true, false, 1, false, true),
        (&open, false, false, 1, false, false),
        (&open, true, true, 1, false, false),
        (&open, true, false, 0, false, false),
        (&closed, true, false, 1, false, false),
        (&closed, true, false, 1, true, true),
    ] {
        let mut state = State::begin(config, None, now);
        (state.asked, state.answered) = (asked.then_some(now), answered);
        (0..keys).for_each(|key| state.ring.insert(key, now));
        let request = config.request.as_ref().unwrap();
        let what = format!("{asked} {answered} {keys} {is_frozen}");
        assert_eq!(loses_its_answer(request, &state, is_frozen), is_lost, "{what}");
    }
}

#[test]
fn a_machine_is_at_the_checkpoint_that_it_handed_out_and_at_no_other() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    let at = |text: &str| rig.machine.is_at(&Position::Resume(Some(text.to_owned())));
    assert!(at(&batch.checkpoint) && !at("") && !rig.machine.is_at(&Position::Resume(None)));
}
