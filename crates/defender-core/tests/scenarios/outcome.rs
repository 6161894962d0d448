//! What the core returned, in the form that a scenario records.

use std::time::Duration;

use chrono::{DateTime, Utc};
use defender_core::contract::{Batch, Budget, Diagnostic, Failure, Fault, Level, NextPoll, Position};
use defender_core::tick::Tick;
use scenario::{FailureOutcome, NextOutcome, NoticeOutcome, PollOutcome, duration_text, time_text};

pub(crate) fn budget(budget: &scenario::Budget) -> Budget {
    Budget {
        max_events: budget.max_events,
        max_bytes: budget.max_bytes,
        max_requests: budget.max_requests,
        max_duration: u64::try_from(budget.max_duration.as_nanos()).unwrap(),
    }
}

pub(crate) fn position(position: &scenario::Position) -> Position {
    match position {
        scenario::Position::Resume(checkpoint) => Position::Resume(checkpoint.clone()),
        scenario::Position::Range(since, until) => {
            Position::Range(Tick::from_datetime(*since), Tick::from_datetime(*until))
        }
    }
}

pub(crate) fn batch(batch: &Batch) -> PollOutcome {
    let mut outcome = PollOutcome {
        events: batch.events.len(),
        gaps: batch.gaps.len(),
        next: Some(match batch.next {
            NextPoll::Now => NextOutcome::Now,
            NextPoll::After(nanoseconds) => NextOutcome::after(nanoseconds),
            NextPoll::Ended => NextOutcome::Ended,
        }),
        watermark: batch.watermark.map(|watermark| time_text(date(watermark))),
        notices: diagnostics(&batch.notices),
        counters: batch.counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        checkpoint: Some(PollOutcome::checkpoint_value(&batch.checkpoint)),
        ..PollOutcome::default()
    };
    for (name, value) in batch.events.iter().flat_map(|event| &event.attributes) {
        outcome.count_attribute(name, value);
    }
    outcome
}

pub(crate) fn failure(failure: &Failure) -> PollOutcome {
    let told = match failure {
        Failure::InvalidConfig(problems) => {
            FailureOutcome { kind: "invalid-config", problems: diagnostics(problems), ..FailureOutcome::default() }
        }
        Failure::Unauthenticated(fault) => of_fault("unauthenticated", fault, None),
        Failure::Forbidden(fault) => of_fault("forbidden", fault, None),
        Failure::Throttled(delay) => of_fault("throttled", &delay.fault, delay.after),
        Failure::Unavailable(delay) => of_fault("unavailable", &delay.fault, delay.after),
        Failure::Rejected(fault) => of_fault("rejected", fault, None),
        Failure::UnusableCheckpoint(fault) => of_fault("unusable-checkpoint", fault, None),
        Failure::Internal(fault) => of_fault("internal", fault, None),
        Failure::BudgetTooSmall(least) => FailureOutcome {
            kind: "budget-too-small",
            least_budget: [
                ("max-events", u64::from(least.max_events)),
                ("max-bytes", least.max_bytes),
                ("max-requests", u64::from(least.max_requests)),
                ("max-duration", least.max_duration),
            ]
            .into(),
            ..FailureOutcome::default()
        },
    };
    let (_, checkpoint) = taught(failure, Duration::ZERO);
    let checkpoint = checkpoint.as_deref().map(PollOutcome::checkpoint_value);
    PollOutcome { failure: Some(told), checkpoint, ..PollOutcome::default() }
}

/// How long to wait where a failure passes by itself, and what it left to store.
pub(crate) fn taught(failure: &Failure, default: Duration) -> (Option<Duration>, Option<String>) {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => {
            (Some(delay.after.map_or(default, Duration::from_nanos)), delay.fault.checkpoint.clone())
        }
        Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::UnusableCheckpoint(fault)
        | Failure::Internal(fault) => (None, fault.checkpoint.clone()),
        Failure::InvalidConfig(_) | Failure::BudgetTooSmall(_) => (None, None),
    }
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

fn of_fault(kind: &'static str, fault: &Fault, after: Option<u64>) -> FailureOutcome {
    FailureOutcome {
        kind,
        code: fault.code.clone(),
        message: fault.message.clone(),
        hint: fault.hint.clone(),
        status: fault.status,
        request_id: fault.request_id.clone(),
        after: after.map(|nanoseconds| duration_text(Duration::from_nanos(nanoseconds))),
        ..FailureOutcome::default()
    }
}

fn date(tick: Tick) -> DateTime<Utc> {
    let (seconds, nanoseconds) = tick.to_unix();
    DateTime::from_timestamp(seconds, nanoseconds).unwrap()
}
