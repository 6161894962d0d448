//! What holds of every batch and of every failure.

use std::collections::BTreeSet;

use defender_core::MAX_EVENT_BYTES;
use defender_core::checkpoint::{MAX_CHECKPOINT_BYTES, State};
use defender_core::config::Format;
use defender_core::contract::{Batch, Budget, Event, Failure, Gap, GapCause, NextPoll, Payload, Position};
use defender_core::tick::Tick;
use serde_json::Value;

use super::asked::LEAST;
use super::setup::Setup;
use crate::answer::is_json;
use crate::failure::{check as check_failure, check_diagnostic};
use crate::{Reached, canary};

/// What the instance did before this poll.
pub(super) struct Before<'a> {
    /// The checkpoint that the poll began at.
    pub(super) checkpoint: Option<&'a str>,
    /// Whether the instance had polled before.
    pub(super) is_fresh: bool,
    /// The keys of what it had delivered.
    pub(super) delivered: &'a BTreeSet<String>,
    /// The answers that it was given, as far as it has read them.
    pub(super) fed: &'a [Vec<u8>],
}

pub(super) fn check_batch(batch: &Batch, budget: Budget, before: &Before<'_>, setup: &Setup, reached: &mut Reached) {
    assert!(batch.events.len() as u64 <= u64::from(budget.max_events));
    let bytes: u64 = batch.events.iter().map(|event| event.body.as_bytes().len() as u64).sum();
    assert!(bytes <= budget.max_bytes, "{bytes} bytes, and {} are allowed", budget.max_bytes);
    for event in &batch.events {
        check_event(event, before.fed, setup);
    }
    for gap in &batch.gaps {
        check_gap(gap, reached);
    }
    check_unexpanded(batch, reached);
    for notice in &batch.notices {
        check_diagnostic(notice);
        reached.insert(match notice.code.as_str() {
            "answer.cap" => "cap",
            "clock.skew" => "skew",
            "overlap.shortened" => "overlap-shortened",
            "checkpoint.taken-over" => "taken-over",
            _ => "notice",
        });
    }
    let names: BTreeSet<_> = batch.counters.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), batch.counters.len());
    if batch.counters.iter().any(|(name, _)| *name == "splits") {
        reached.insert("split");
    }
    let state = check_checkpoint(&batch.checkpoint, setup);
    if state.frozen {
        reached.insert("frozen");
    }
    let earlier = before.checkpoint.and_then(|text| State::from_text(text, &setup.config.identity()).ok());
    if let Some(earlier) = earlier {
        assert!(state.watermark >= earlier.watermark, "the watermark went back");
        // Where the local clock is ahead, the first answer moves a start before now.
        assert!(state.start == earlier.start || (!earlier.anchored && state.start < earlier.start));
        assert_eq!(state.bound, earlier.bound);
    }
    assert!(batch.watermark.is_none_or(|watermark| watermark > state.start));
    check_progress(batch, before, &state, setup, reached);
}

/// Rule 16: who polls again at once gets on.
fn check_progress(batch: &Batch, before: &Before<'_>, state: &State, setup: &Setup, reached: &mut Reached) {
    match batch.next {
        NextPoll::Now => {}
        NextPoll::After(wait) => {
            assert!(wait <= 24 * 3600 * 1_000_000_000, "{wait}");
            reached.insert("after");
            return;
        }
        NextPoll::Ended => {
            reached.insert("ended");
            return;
        }
    }
    let has_moved = before.checkpoint != Some(batch.checkpoint.as_str());
    let is_new = batch.events.iter().any(|event| !before.delivered.contains(&event.key)) || !batch.gaps.is_empty();
    if before.is_fresh {
        let least = if setup.api.updates() { LEAST } else { 1 };
        // More rows on one tick than the ring holds: docs/pull-engine.md tells that they are out of reach.
        let one_tick = state.frozen && state.round.is_some_and(|round| round.end.0 - round.at.0 <= least);
        assert!(has_moved || one_tick, "a fresh instance stands still at {}", batch.checkpoint);
        if !has_moved {
            reached.insert("one-tick-too-full");
        }
    } else {
        // While the ring is too full for the slice, what an answer says twice may come twice.
        let repeats = state.frozen && !batch.events.is_empty();
        assert!(
            has_moved || is_new || repeats,
            "the instance stands still at {}: {:?}",
            batch.checkpoint,
            batch.events
        );
        if !has_moved {
            reached.insert("events-alone");
        }
    }
}

/// The batch that carries an event without what is expanded tells a gap of that.
fn check_unexpanded(batch: &Batch, reached: &mut Reached) {
    if batch.events.iter().any(|event| event.attributes.iter().any(|(name, _)| name == "without")) {
        assert!(batch.gaps.iter().any(|gap| gap.cause == GapCause::Partial), "{:?}", batch.gaps);
        reached.insert("came-without");
    }
}

/// A thing that is updated in place is known by its id, and each of its versions by the stamp as well.
fn check_object(event: &Event, body: &[u8], setup: &Setup) {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return };
    let Some(id) = members.get(setup.api.id).and_then(Value::as_str).filter(|id| !id.is_empty()) else { return };
    let stamp = |name: &str| members.get(name).and_then(Value::as_str).and_then(Tick::parse);
    let (updated, created) = (stamp(setup.api.updated), stamp(setup.api.created));
    assert_eq!(event.subject, id);
    assert_eq!(event.occurred, created);
    assert_eq!(event.visible, if setup.is_first_seen { created } else { updated });
    match updated {
        _ if setup.is_first_seen => assert_eq!(event.key, id),
        Some(updated) => assert_eq!(event.key, format!("{id}@{updated}")),
        None => assert!(event.attributes.iter().any(|(name, value)| name == "defects" && value.contains("no-stamp"))),
    }
}

fn check_event(event: &Event, fed: &[Vec<u8>], setup: &Setup) {
    let Event { key, subject, body: payload, attributes, .. } = event;
    let body = payload.as_bytes();
    assert_eq!(matches!(payload, Payload::Text(_)), std::str::from_utf8(body).is_ok());
    assert!(!key.is_empty() && !subject.is_empty() && !body.is_empty());
    let names: BTreeSet<_> = attributes.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), attributes.len());
    if setup.config.format == Format::Csv {
        let row = std::str::from_utf8(body);
        let columns = row.map(|row| row.split('"').step_by(2).map(|outside| outside.matches(',').count()).sum());
        assert_eq!(columns, Ok(50), "{}", String::from_utf8_lossy(body));
        return;
    }
    assert!(body.len() <= setup.limits.event_bytes.min(MAX_EVENT_BYTES));
    let shown = String::from_utf8_lossy(body);
    assert!(fed.iter().any(|fed| canary::find(fed, body).is_some()), "{shown} is no piece of an answer");
    assert!(is_json(body), "{shown} is no JSON");
    if setup.api.updates() {
        check_object(event, body, setup);
    }
}

fn check_gap(gap: &Gap, reached: &mut Reached) {
    canary::check(gap);
    assert!(gap.since < gap.until && !gap.key.is_empty() && !gap.detail.is_empty(), "{gap:?}");
    reached.insert(match gap.cause {
        GapCause::Truncated => "gap-truncated",
        GapCause::Unreadable if gap.detail.contains("larger than") => "gap-oversize",
        GapCause::Unreadable => "gap-unreadable",
        GapCause::Partial if gap.detail.contains("206") => "gap-missing-part",
        GapCause::Partial => "gap-partial",
        GapCause::Other(_) | GapCause::Expired => "gap-other",
    });
}

/// A checkpoint is short enough, holds no secret, says what it says, and a fresh instance reads on from it.
pub(super) fn check_checkpoint(text: &str, setup: &Setup) -> State {
    assert!(text.len() <= setup.limits.checkpoint_bytes.min(MAX_CHECKPOINT_BYTES), "{} bytes", text.len());
    canary::check_text(text);
    if !setup.is_probe {
        let machine = setup.machine(&Position::Resume(Some(text.to_owned())));
        assert!(machine.is_at(&Position::Resume(Some(text.to_owned()))) && !machine.wants_body());
    }
    let state = State::from_text(text, &setup.config.identity()).expect("a checkpoint is read back");
    assert_eq!(state.to_text(), text);
    state
}

pub(super) fn check_told(failure: &Failure, budget: Budget, setup: &Setup, reached: &mut Reached) {
    let mut failure = failure.clone();
    if let Some(text) = failure.fault_mut().and_then(|fault| fault.checkpoint.take()) {
        check_checkpoint(&text, setup);
        reached.insert("learned-from-failure");
    }
    assert!(!matches!(failure, Failure::Internal(_)), "{failure:?}");
    if let Failure::BudgetTooSmall(needed) = failure {
        let grows = needed.max_events >= budget.max_events
            && needed.max_bytes >= budget.max_bytes
            && needed.max_requests >= budget.max_requests
            && needed.max_duration >= budget.max_duration;
        assert!(grows && needed != budget, "{budget:?}, {needed:?}");
    }
    if failure.fault_mut().is_some_and(|fault| fault.code == "quota.used-up") {
        reached.insert("quota-used-up");
    }
    reached.insert(check_failure(failure));
}
