//! A ring that cannot hold the keys of the present slice.

use super::*;
use crate::tick::TICKS_PER_SECOND;

#[test]
fn a_fresh_instance_at_each_poll_gets_through_one_tick_though_later_minutes_fill_the_ring() {
    let limits = Limits { checkpoint_bytes: HEADER_BYTES + 400, ..Limits::default() };
    let rig = Rig::new(r#","start":"PT1H""#, &Position::Resume(None));
    let config = rig.machine.config.clone();
    let at = Tick::parse("2026-01-01T11:30:57Z").unwrap();
    let mut state = State::begin(&config, None, rig.now.wall);
    state.round = Some(crate::checkpoint::Round { until: at.plus(20_000_000_000), at, end: at.plus(1) });
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
