//! A ring that cannot hold the keys of the present slice.

use super::*;
use crate::checkpoint::Round;
use crate::tick::TICKS_PER_SECOND;

fn tick(time: &str) -> Tick {
    Tick::parse(&format!("2026-01-01T{time}Z")).unwrap()
}

/// A rig whose ring holds so many keys, each in a minute of its own.
fn rig(members: &str, keys: usize) -> Rig {
    let mut rig = Rig::new(members, &Position::Resume(None));
    rig.machine.limits.checkpoint_bytes = HEADER_BYTES + keys * crate::ring::Ring::KEY_BYTES;
    rig
}

/// Rows of these minutes of an hour.
fn rows(hour: u8, minutes: std::ops::Range<u8>) -> Vec<String> {
    minutes.map(|minute| row(&format!("r{minute:02}"), &format!("2026-01-01T{hour}:{minute:02}:30Z"))).collect()
}

/// A service that has these rows.
fn service(all: &[String]) -> impl Fn(&str) -> Answer {
    move |url| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let asked = bound("sinceTimeUtc=")..=bound("untilTimeUtc=");
        let at = |row: &&String| Tick::parse(row.split("Utc\":\"").nth(1).unwrap().trim_end_matches("\"}")).unwrap();
        let inside: Vec<_> = all.iter().filter(|row| asked.contains(&at(row))).cloned().collect();
        ok(format!("[{}]", inside.join(",")))
    }
}

/// The ranges that are not read again any more.
fn shortened(batch: &Batch) -> Vec<(Tick, Tick)> {
    assert_eq!(batch.notices.iter().filter(|notice| notice.code == "overlap.shortened").count(), batch.gaps.len());
    assert!(batch.gaps.iter().all(|gap| gap.cause == GapCause::Other("overlap-shortened")), "{:?}", batch.gaps);
    batch.gaps.iter().map(|gap| (gap.since, gap.until)).collect()
}

fn state(batch: &Batch, config: &Config) -> State {
    State::from_text(&batch.checkpoint, &config.identity()).unwrap()
}

#[test]
fn minutes_before_the_slice_make_room_and_are_told_as_a_shorter_overlap() {
    let mut rig = rig(r#","start":"2026-01-01T11:20:00Z","slice":"PT10M","settle":"PT20M""#, 10);
    let all = rows(11, 20..40);
    let batch = rig.poll(Budget { max_events: 20, ..BUDGET }, service(&all)).unwrap();
    assert_eq!((batch.events.len(), batch.next), (20, NextPoll::Now), "in the middle of the second slice");
    // Each of ten rows of the second slice takes the place of a minute of the first one, the last of which ends where it begins.
    let expected: Vec<_> = (20..30)
        .map(|minute| (tick(&format!("11:{minute}:00")), tick(&format!("11:{minute}:00")).plus(60 * TICKS_PER_SECOND)))
        .collect();
    assert_eq!(shortened(&batch), expected);
    let stands = state(&batch, &rig.machine.config);
    assert_eq!((stands.reread, stands.frozen), (tick("11:30:00"), false));
    let rest = rig.poll(BUDGET, service(&all)).unwrap();
    assert_eq!((rest.events.len(), rest.gaps.len()), (0, 0));
    rig.advance(60);
    rig.requests.clear();
    let again = rig.poll(BUDGET, service(&all)).unwrap();
    assert!(rig.requests[0].contains("sinceTimeUtc=2026-01-01T11:29:59.9999999Z"), "{:?}", rig.requests);
    assert_eq!((again.events.len(), again.gaps.len()), (0, 0));
}

#[test]
fn what_the_ring_forgot_of_a_slice_is_not_read_again_and_told() {
    let mut rig = rig(r#","start":"2026-01-01T11:00:00Z""#, 10);
    let all = rows(11, 0..30);
    let batch = rig.poll(BUDGET, service(&all)).unwrap();
    assert_eq!(batch.events.len(), 30);
    assert_eq!(shortened(&batch), [(tick("11:00:00"), tick("11:20:00"))]);
    let left = state(&batch, &rig.machine.config);
    assert_eq!(
        (left.reread, left.cursor, left.frozen, left.ring.len()),
        (tick("11:20:00"), tick("11:59:00"), false, 10)
    );
    assert_eq!(rig.machine.forgot_until, None);
    rig.advance(60);
    rig.requests.clear();
    let again = rig.poll(BUDGET, service(&all)).unwrap();
    assert!(rig.requests[0].contains("sinceTimeUtc=2026-01-01T11:19:59.9999999Z"), "{:?}", rig.requests);
    assert_eq!((again.events.len(), again.gaps.len()), (0, 0));
}

#[test]
fn a_frozen_checkpoint_is_the_same_until_its_slice_ends_and_a_failure_goes_on_from_it() {
    let mut rig = rig(r#","start":"2026-01-01T11:00:00Z""#, 10);
    let all = rows(11, 0..30);
    let body = format!("[{}", all.join(","));
    let first = rig.poll(Budget { max_events: 15, ..BUDGET }, |_| ok(body.clone())).unwrap();
    let frozen = state(&first, &rig.machine.config);
    assert!(frozen.frozen && frozen.ring.len() == 10, "{frozen:?}");
    assert!(rig.machine.forgot_until.is_some());
    let second = rig.poll(BUDGET, |_| panic!("the answer is there")).unwrap();
    assert_eq!(second.events.len(), 15, "what came before the body broke off");
    assert_eq!((rig.machine.forgot_until, rig.machine.wants_body()), (None, false));
    let failure = rig.poll(BUDGET, |_| panic!("the failure is told first")).unwrap_err();
    assert_eq!(failure.kind(), "unavailable");
    rig.requests.clear();
    let rest = rig.poll(Budget { max_requests: 1 + 1, ..BUDGET }, service(&all)).unwrap();
    // The older half, and none of it is told as lost though more than the ring holds came in between.
    assert!(rig.requests[0].contains("untilTimeUtc=2026-01-01T11:29:30.0000001Z"), "{:?}", rig.requests);
    assert!(shortened(&rest).iter().all(|(_, until)| *until <= tick("11:29:30")), "{:?}", rest.gaps);
}

#[test]
fn a_poll_that_gets_no_further_in_a_frozen_slice_goes_on_from_the_checkpoint() {
    let mut rig = rig(r#","start":"2026-01-01T11:00:00Z""#, 10);
    let all = rows(11, 0..30);
    let body = format!("[{},", all[..15].join(","));
    let first = rig.poll(Budget { max_events: 15, ..BUDGET }, |_| ok(body.clone())).unwrap();
    assert!(state(&first, &rig.machine.config).frozen);
    rig.machine.begin(Budget { max_duration: 1, ..BUDGET }, rig.now).unwrap();
    rig.advance(1);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("its time is over") };
    let thawed = state(&batch, &rig.machine.config);
    assert_eq!((batch.events.len(), batch.next, rig.machine.wants_body()), (0, NextPoll::Now, false));
    assert_eq!((thawed.frozen, thawed.round.unwrap().end), (false, tick("11:29:30")), "halved once");
}

#[test]
fn a_slice_that_was_cut_leaves_no_frozen_checkpoint() {
    let mut rig = rig(r#","start":"2026-01-01T11:00:00Z","limit":30"#, 10);
    let all = rows(11, 0..30);
    let batch = rig.poll(Budget { max_requests: 2, ..BUDGET }, service(&all)).unwrap();
    let left = state(&batch, &rig.machine.config);
    assert_eq!((batch.events.len(), batch.gaps.len(), batch.next), (30, 0, NextPoll::Now));
    assert_eq!((left.frozen, left.round.unwrap().end), (false, tick("11:29:30")));
    assert_eq!(rig.machine.forgot_until, None);
}

#[test]
fn a_single_request_of_more_rows_than_the_ring_holds_ends_with_a_checkpoint_that_says_so() {
    let mut rig = rig(r#","request":{"ago":"PT1H"}"#, 10);
    let all = rows(11, 0..30);
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", all.join(",")))).unwrap();
    let left = state(&batch, &rig.machine.config);
    assert_eq!((batch.events.len(), batch.next, left.answered, left.frozen), (30, NextPoll::Ended, true, false));
}

#[test]
fn a_fresh_instance_goes_on_from_a_frozen_checkpoint_with_the_keys_of_the_older_half() {
    let rig = Rig::new("", &Position::Resume(None));
    let config = &rig.machine.config;
    let thaw = |at: &str, end: &str, reread: &str| {
        let mut state = State::begin(config, None, rig.now.wall);
        (state.start, state.cursor, state.reread) = (tick("11:00:00"), tick(at), tick(reread));
        state.round = Some(Round { until: rig.now.wall, at: tick(at), end: tick(end) });
        state.frozen = true;
        for (key, minute) in (0..).zip(["11:10:00", "11:29:59.9999999", "11:30:00", "11:31:00", "11:32:00"]) {
            state.ring.insert(key, tick(minute));
        }
        let machine = Machine::new(config.clone(), &Position::Resume(Some(state.to_text()))).unwrap();
        let state = machine.state.as_ref().unwrap();
        assert!(!state.frozen);
        let keys: Vec<u64> = (0..5).filter(|key| state.ring.contains(*key)).collect();
        let gaps: Vec<_> = machine.poll.gaps.iter().map(|gap| (gap.since, gap.until)).collect();
        assert_eq!(machine.poll.notices.len(), gaps.len());
        (state.round.unwrap().end, keys, state.reread, gaps)
    };
    // The minute of the seam holds keys of what was read before, which cannot be read again.
    let seam = vec![(tick("11:00:00"), tick("11:30:20"))];
    assert_eq!(thaw("11:30:20", "11:30:40", "11:00:00"), (tick("11:30:30"), vec![0, 1], tick("11:30:20"), seam));
    let none = Vec::new;
    // It begins where the slice does, or nothing before the slice is read again anyway.
    assert_eq!(thaw("11:30:00", "11:30:40", "11:00:00"), (tick("11:30:20"), vec![0, 1], tick("11:00:00"), none()));
    assert_eq!(thaw("11:30:20", "11:30:40", "11:30:20"), (tick("11:30:30"), vec![0, 1], tick("11:30:20"), none()));
    assert_eq!(thaw("11:10:20", "11:50:20", "11:00:00"), (tick("11:30:20"), vec![0, 1], tick("11:00:00"), none()));
    // A half that ends with its minute loses none of it.
    assert_eq!(thaw("11:10:00", "11:50:00", "11:00:00"), (tick("11:30:00"), vec![0, 1], tick("11:00:00"), none()));
}

#[test]
fn of_one_tick_the_minutes_after_it_are_forgotten_and_its_own_is_kept() {
    let rig = Rig::new("", &Position::Resume(None));
    for at in ["11:30:00", "11:30:59.9999998"] {
        let mut state = State::begin(&rig.machine.config, None, rig.now.wall);
        state.start = tick("11:00:00");
        (state.cursor, state.reread) = (state.start, state.start);
        state.round = Some(Round { until: rig.now.wall, at: tick(at), end: tick(at).plus(1) });
        state.frozen = true;
        for (key, minute) in (0..).zip(["11:29:00", "11:30:00", "11:31:00", "11:32:00"]) {
            state.ring.insert(key, tick(minute));
        }
        let position = Position::Resume(Some(state.to_text()));
        let machine = Machine::new(rig.machine.config.clone(), &position).unwrap();
        let state = machine.state.as_ref().unwrap();
        let keys: Vec<u64> = (0..4).filter(|key| state.ring.contains(*key)).collect();
        assert_eq!((state.frozen, keys, state.reread), (false, vec![0, 1], tick("11:00:00")), "{at}");
    }
}

#[test]
fn a_fresh_instance_at_each_poll_gets_through_one_tick_though_later_minutes_fill_the_ring() {
    let limits = Limits { checkpoint_bytes: HEADER_BYTES + 400, ..Limits::default() };
    let rig = Rig::new(r#","start":"PT1H""#, &Position::Resume(None));
    let config = rig.machine.config.clone();
    let at = Tick::parse("2026-01-01T11:30:57Z").unwrap();
    let mut state = State::begin(&config, None, rig.now.wall);
    state.round = Some(Round { until: at.plus(20_000_000_000), at, end: at.plus(1) });
    (state.length, state.frozen) = (1, true);
    for minute in 1..=12 {
        state.ring.insert(minute as u64, at.plus(minute * 60 * TICKS_PER_SECOND));
    }
    let rows: Vec<String> = (0..6).map(|n| row(&format!("r{n}"), "2026-01-01T11:30:57Z")).collect();
    let body = format!("[{}]", rows.join(","));
    let mut checkpoint = state.to_text();
    let mut delivered = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let machine =
            Machine::with_limits(config.clone(), &Position::Resume(Some(checkpoint.clone())), limits).unwrap();
        let mut fresh = Rig { machine, now: rig.now, requests: Vec::new() };
        let batch = fresh.poll(Budget { max_events: 2, max_requests: 2, ..BUDGET }, |_| ok(body.clone())).unwrap();
        assert_ne!(batch.checkpoint, checkpoint, "it moves");
        delivered.extend(batch.events.into_iter().map(|event| event.key));
        checkpoint = batch.checkpoint;
        let now = State::from_text(&checkpoint, &config.identity()).unwrap();
        if now.round.is_none_or(|round| round.at > at) {
            assert_eq!(delivered.len(), 6);
            return;
        }
    }
    panic!("the slice has no end: {checkpoint}");
}
