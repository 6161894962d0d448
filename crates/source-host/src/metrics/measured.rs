//! What was counted of one source, and what it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bindings::{Batch, Delay, Failure, Fault, Instant};
use crate::instance::CallError;
use crate::observer::{Step, Wait};
use crate::runner::RunError;
use crate::sink::cause;

/// Names that a component or a service makes up are told apart up to this number.
const NAMES: usize = 64;

/// What was counted of one source.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) polls: u64,
    pub(super) poll_time: Duration,
    pub(super) requests: BTreeMap<Option<u16>, u64>,
    pub(super) received: u64,
    pub(super) events: u64,
    pub(super) gaps: Counts<String>,
    pub(super) errors: Counts<(&'static str, String)>,
    pub(super) waits: [Duration; Wait::ALL.len()],
    pub(super) counters: Counts<String>,
    pub(super) restarts: u64,
    pub(super) stores: u64,
    pub(super) deliveries: BTreeMap<String, u64>,
    /// On the wall clock.
    pub(super) watermark: Option<Instant>,
    /// How old the newest event of the last batch that had some was at its delivery, in seconds.
    pub(super) lag: Option<f64>,
    pub(super) phase: Phase,
    /// Since when it is in this phase, and when something happened in it for the last time, on the monotonic clock.
    pub(super) since: Duration,
    pub(super) moved: Duration,
    /// Failures of time in a row, and what the last one was.
    pub(super) outage: Option<Outage>,
}

/// What a source is about.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Starting,
    Polling,
    Delivering,
    /// Until then, on the monotonic clock.
    Waiting(Duration),
    Ended,
    Failed(Ailment),
}

/// Why a source failed.
#[derive(Clone, Debug)]
pub(super) struct Ailment {
    pub(super) error: String,
    pub(super) code: Option<String>,
    pub(super) hint: Option<String>,
}

/// A service that cannot be read for now.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) since: Duration,
    pub(super) failures: u64,
    pub(super) code: String,
    pub(super) message: String,
}

/// Counts by name, of a bounded number of names.
#[derive(Debug)]
pub(super) struct Counts<K>(pub(super) BTreeMap<K, u64>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Counts<K> {
    /// Counts under this name, or where there are too many under the one for all others.
    fn add(&mut self, name: K, others: impl FnOnce() -> K, count: u64) {
        let name = if self.0.len() < NAMES || self.0.contains_key(&name) { name } else { others() };
        *self.0.entry(name).or_default() += count;
    }
}

impl Measured {
    pub(super) fn note(&mut self, step: &Step<'_>, wall: Duration, now: Duration) {
        if let (Phase::Polling, Step::Batch(_) | Step::Failed(_) | Step::Lost(_)) = (&self.phase, step) {
            self.polls += 1;
            self.poll_time += now.saturating_sub(self.since);
        }
        self.moved = now;
        match step {
            Step::Began => self.enter(Phase::Starting, now),
            Step::Polling => self.enter(Phase::Polling, now),
            Step::Answered(status) => *self.requests.entry(*status).or_default() += 1,
            Step::Received(bytes) => self.received += bytes,
            Step::Batch(batch) => {
                self.outage = None;
                self.enter(Phase::Delivering, now);
                for (name, count) in &batch.counters {
                    self.counters.add(name.clone(), || "other".to_owned(), *count);
                }
            }
            Step::Failed(failure) => {
                if !failure.is_own_pace() {
                    let (kind, code) = kind(failure);
                    self.failed(kind, code.unwrap_or_default());
                }
                self.enter(Phase::Delivering, now);
                if let Failure::Throttled(Delay { fault, .. }) | Failure::Unavailable(Delay { fault, .. }) = failure {
                    self.suffer(fault, now);
                }
            }
            Step::Lost(error) => {
                self.restarts += 1;
                self.failed("lost", word(error));
                self.enter(Phase::Delivering, now);
            }
            Step::Stuck => {
                self.restarts += 1;
                self.failed("stuck", "");
            }
            Step::Broken(_) => {
                self.restarts += 1;
                self.failed("broken", "");
                self.enter(Phase::Delivering, now);
            }
            Step::Taken(sink) => match self.deliveries.get_mut(*sink) {
                Some(count) => *count += 1,
                None => drop(self.deliveries.insert((*sink).to_owned(), 1)),
            },
            Step::Delivered(batch) => self.delivered(batch, wall),
            Step::Stored => self.stores += 1,
            Step::Waiting(wait, length) => {
                if let Some(waited) = self.waits.get_mut(*wait as usize) {
                    *waited += *length;
                }
                if *wait == Wait::Output {
                    self.failed("output", "unsettled");
                }
                self.enter(Phase::Waiting(now + *length), now);
            }
            Step::Ended(_) => self.enter(Phase::Ended, now),
            Step::GaveUp(error) => {
                // What the component answered was counted as its failure.
                match error {
                    RunError::Sink(_) => self.failed("output", "failed"),
                    RunError::State(_) => self.failed("state", ""),
                    RunError::Denied(_) => self.failed("denied", ""),
                    RunError::Quota { .. } | RunError::Share { .. } => self.failed("quota", ""),
                    _ => {}
                }
                self.enter(Phase::Failed(Ailment::of(error)), now);
            }
        }
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    fn delivered(&mut self, batch: &Batch, wall: Duration) {
        self.events += batch.events.len() as u64;
        for gap in &batch.gaps {
            self.gaps.add(cause(&gap.cause).to_owned(), || "other".to_owned(), 1);
        }
        self.watermark = batch.watermark.or(self.watermark);
        let newest = batch.events.iter().filter_map(|event| event.visible).map(seconds).reduce(f64::max);
        // A clock that was set back makes nothing older than it is.
        self.lag = newest.map(|newest| (wall.as_secs_f64() - newest).max(0.0)).or(self.lag);
    }

    fn failed(&mut self, kind: &'static str, code: &str) {
        self.errors.add((kind, code.to_owned()), || (kind, "other".to_owned()), 1);
    }

    fn suffer(&mut self, fault: &Fault, now: Duration) {
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: now,
            failures: 0,
            code: String::new(),
            message: String::new(),
        });
        outage.failures += 1;
        outage.code.clone_from(&fault.code);
        outage.message.clone_from(&fault.message);
    }
}

impl Ailment {
    fn of(error: &RunError) -> Self {
        let fault = error.fault();
        let text = error.to_string();
        Self {
            error: fault.map_or_else(|| text.clone(), |fault| format!("{text}: {}", fault.message)),
            code: fault.map(|fault| fault.code.clone()),
            hint: error.hint(),
        }
    }
}

/// An instant in seconds since 1970.
pub(super) fn seconds(instant: Instant) -> f64 {
    instant.seconds as f64 + f64::from(instant.nanoseconds) / 1e9
}

/// Who acts, in a word of the contract, and the code where there is one.
fn kind(failure: &Failure) -> (&'static str, Option<&str>) {
    match failure {
        Failure::InvalidConfig(_) => ("invalid-config", None),
        Failure::Unauthenticated(fault) => ("unauthenticated", Some(&fault.code)),
        Failure::Forbidden(fault) => ("forbidden", Some(&fault.code)),
        Failure::Throttled(delay) => ("throttled", Some(&delay.fault.code)),
        Failure::Unavailable(delay) => ("unavailable", Some(&delay.fault.code)),
        Failure::Rejected(fault) => ("rejected", Some(&fault.code)),
        Failure::UnusableCheckpoint(fault) => ("unusable-checkpoint", Some(&fault.code)),
        Failure::BudgetTooSmall(_) => ("budget-too-small", None),
        Failure::Internal(fault) => ("internal", Some(&fault.code)),
    }
}

fn word(error: &CallError) -> &'static str {
    match error {
        CallError::Trapped { .. } => "trapped",
        CallError::Memory { .. } => "memory",
        CallError::Cpu { .. } => "cpu",
        CallError::Deadline { .. } => "deadline",
        CallError::Copied { .. } => "copied",
        CallError::Handles { .. } => "handles",
        CallError::Contract { .. } => "contract",
        CallError::Exhausted { .. } => "exhausted",
        CallError::Dead => "dead",
    }
}
