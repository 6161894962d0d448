//! What a component returned, in the form that a scenario records.

use std::time::Duration;

use chrono::{DateTime, Utc};
use scenario::{Budget, FailureOutcome, NextOutcome, NoticeOutcome, PollOutcome, Position, duration_text, time_text};
use source_host::{Batch, Diagnostic, Failure, Fault, Instant, Level, NextPoll};

pub(crate) fn budget(budget: &Budget) -> source_host::Budget {
    source_host::Budget {
        max_events: budget.max_events,
        max_bytes: budget.max_bytes,
        max_requests: budget.max_requests,
        max_duration: u64::try_from(budget.max_duration.as_nanos()).unwrap_or(u64::MAX),
    }
}

pub(crate) fn position(position: &Position) -> source_host::Position {
    match position {
        Position::Resume(checkpoint) => source_host::Position::Resume(checkpoint.clone()),
        Position::Range(since, until) => source_host::Position::Range((instant(*since), instant(*until))),
    }
}

fn instant(time: DateTime<Utc>) -> Instant {
    Instant { seconds: time.timestamp(), nanoseconds: time.timestamp_subsec_nanos() }
}

/// A batch; `at`, `requests` and what else the host knows are left to the caller.
pub(crate) fn batch(batch: &Batch) -> PollOutcome {
    let mut outcome = PollOutcome {
        events: batch.events.len(),
        gaps: batch.gaps.len(),
        next: Some(match batch.next {
            NextPoll::Now => NextOutcome::Now,
            NextPoll::After(nanoseconds) => NextOutcome::after(nanoseconds),
            NextPoll::Ended => NextOutcome::Ended,
        }),
        watermark: batch.watermark.as_ref().map(instant_text),
        notices: diagnostics(&batch.notices),
        counters: batch.counters.iter().cloned().collect(),
        checkpoint: Some(PollOutcome::checkpoint_value(&batch.checkpoint)),
        ..PollOutcome::default()
    };
    for (name, value) in batch.events.iter().flat_map(|event| &event.attributes) {
        outcome.count_attribute(name, value);
    }
    outcome
}

/// A failure, as for [`batch`].
pub(crate) fn failure(failure: &Failure) -> PollOutcome {
    let (told, checkpoint) = match failure {
        Failure::InvalidConfig(problems) => {
            (FailureOutcome { problems: diagnostics(problems), ..empty("invalid-config") }, None)
        }
        Failure::Unauthenticated(fault) => of_fault("unauthenticated", fault, None),
        Failure::Forbidden(fault) => of_fault("forbidden", fault, None),
        Failure::Throttled(delay) => of_fault("throttled", &delay.fault, delay.after),
        Failure::Unavailable(delay) => of_fault("unavailable", &delay.fault, delay.after),
        Failure::Rejected(fault) => of_fault("rejected", fault, None),
        Failure::UnusableCheckpoint(fault) => of_fault("unusable-checkpoint", fault, None),
        Failure::BudgetTooSmall(least) => (budget_too_small(least), None),
        Failure::Internal(fault) => of_fault("internal", fault, None),
    };
    PollOutcome { failure: Some(told), checkpoint, ..PollOutcome::default() }
}

pub(crate) fn diagnostics(diagnostics: &[Diagnostic]) -> Vec<NoticeOutcome> {
    let notice = |diagnostic: &Diagnostic| NoticeOutcome {
        level: match diagnostic.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        code: diagnostic.code.clone(),
        pointer: diagnostic.pointer.clone(),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    };
    diagnostics.iter().map(notice).collect()
}

fn empty(kind: &'static str) -> FailureOutcome {
    FailureOutcome { kind, ..FailureOutcome::default() }
}

fn of_fault(kind: &'static str, fault: &Fault, after: Option<u64>) -> (FailureOutcome, Option<serde_json::Value>) {
    let told = FailureOutcome {
        code: fault.code.clone(),
        message: fault.message.clone(),
        hint: fault.hint.clone(),
        status: fault.status,
        request_id: fault.request_id.clone(),
        after: after.map(|nanoseconds| duration_text(Duration::from_nanos(nanoseconds))),
        ..empty(kind)
    };
    (told, fault.checkpoint.as_deref().map(PollOutcome::checkpoint_value))
}

fn budget_too_small(least: &source_host::Budget) -> FailureOutcome {
    let least_budget = [
        ("max-events", u64::from(least.max_events)),
        ("max-bytes", least.max_bytes),
        ("max-requests", u64::from(least.max_requests)),
        ("max-duration", least.max_duration),
    ];
    FailureOutcome { least_budget: least_budget.into(), ..empty("budget-too-small") }
}

/// A time, or its numbers where it is outside what a calendar knows.
fn instant_text(instant: &Instant) -> String {
    DateTime::from_timestamp(instant.seconds, instant.nanoseconds)
        .map_or_else(|| format!("{}s {}ns", instant.seconds, instant.nanoseconds), time_text)
}
