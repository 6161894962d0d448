//! The contract's values as the simulation has them.

use defender_core::contract as core;
use defender_core::tick::Tick;
use source_host as host;

pub(super) fn position(position: &core::Position) -> host::Position {
    match position {
        core::Position::Resume(checkpoint) => host::Position::Resume(checkpoint.clone()),
        core::Position::Range(since, until) => host::Position::Range((instant(*since), instant(*until))),
    }
}

fn instant(at: Tick) -> host::Instant {
    let (seconds, nanoseconds) = at.to_unix();
    host::Instant { seconds, nanoseconds }
}

fn tick(at: host::Instant) -> Tick {
    Tick::from_unix(at.seconds, at.nanoseconds)
}

pub(super) fn budget(budget: core::Budget) -> host::Budget {
    let core::Budget { max_events, max_bytes, max_requests, max_duration } = budget;
    host::Budget { max_events, max_bytes, max_requests, max_duration }
}

pub(super) fn batch(batch: host::Batch) -> core::Batch {
    core::Batch {
        events: batch.events.into_iter().map(event).collect(),
        gaps: batch.gaps.into_iter().map(gap).collect(),
        checkpoint: batch.checkpoint,
        next: match batch.next {
            host::NextPoll::Now => core::NextPoll::Now,
            host::NextPoll::After(nanoseconds) => core::NextPoll::After(nanoseconds),
            host::NextPoll::Ended => core::NextPoll::Ended,
        },
        watermark: batch.watermark.map(tick),
        notices: batch.notices.into_iter().map(diagnostic).collect(),
        counters: batch.counters.into_iter().map(|(name, count)| (word(name), count)).collect(),
    }
}

fn event(event: host::Event) -> core::Event {
    core::Event {
        key: event.key,
        subject: event.subject,
        kind: word(event.kind),
        occurred: event.occurred.map(tick),
        visible: event.visible.map(tick),
        content_type: word(event.content_type),
        body: match event.body {
            host::Payload::Text(text) => core::Payload::Text(text),
            host::Payload::Binary(bytes) => core::Payload::Binary(bytes),
        },
        attributes: event.attributes,
    }
}

fn gap(gap: host::Gap) -> core::Gap {
    core::Gap {
        key: gap.key,
        kind: word(gap.kind),
        since: tick(gap.since),
        until: tick(gap.until),
        cause: match gap.cause {
            host::GapCause::Truncated => core::GapCause::Truncated,
            host::GapCause::Expired => core::GapCause::Expired,
            host::GapCause::Unreadable => core::GapCause::Unreadable,
            host::GapCause::Partial => core::GapCause::Partial,
            host::GapCause::Other(cause) => core::GapCause::Other(word(cause)),
        },
        subject: gap.subject,
        detail: gap.detail,
    }
}

pub(super) fn failure(failure: host::Failure) -> core::Failure {
    match failure {
        host::Failure::InvalidConfig(problems) => {
            core::Failure::InvalidConfig(problems.into_iter().map(diagnostic).collect())
        }
        host::Failure::Unauthenticated(of) => core::Failure::Unauthenticated(fault(of)),
        host::Failure::Forbidden(of) => core::Failure::Forbidden(fault(of)),
        host::Failure::Throttled(of) => core::Failure::Throttled(delay(of)),
        host::Failure::Unavailable(of) => core::Failure::Unavailable(delay(of)),
        host::Failure::Rejected(of) => core::Failure::Rejected(fault(of)),
        host::Failure::UnusableCheckpoint(of) => core::Failure::UnusableCheckpoint(fault(of)),
        host::Failure::Internal(of) => core::Failure::Internal(fault(of)),
        host::Failure::BudgetTooSmall(least) => {
            let host::Budget { max_events, max_bytes, max_requests, max_duration } = least;
            core::Failure::BudgetTooSmall(core::Budget { max_events, max_bytes, max_requests, max_duration })
        }
    }
}

fn delay(of: host::Delay) -> core::Delay {
    core::Delay { after: of.after, fault: fault(of.fault) }
}

fn fault(of: host::Fault) -> core::Fault {
    let host::Fault { code, message, hint, status, request_id, checkpoint } = of;
    core::Fault { code, message, hint, status, request_id, checkpoint }
}

fn diagnostic(of: host::Diagnostic) -> core::Diagnostic {
    core::Diagnostic {
        level: match of.level {
            host::Level::Error => core::Level::Error,
            host::Level::Warning => core::Level::Warning,
            host::Level::Note => core::Level::Note,
        },
        code: of.code,
        pointer: of.pointer,
        message: of.message,
        hint: of.hint,
    }
}

/// One of the few words that the contract's strings are, which the core has as constants.
fn word(text: String) -> &'static str {
    const WORDS: [&str; 12] = [
        "detection",
        "alert",
        "incident",
        "application/json",
        "text/csv; header=absent",
        "overlap-shortened",
        "rows",
        "duplicates",
        "odd-records",
        "splits",
        "token-renewals",
        "",
    ];
    WORDS.into_iter().find(|word| *word == text).unwrap_or_else(|| panic!("`{text}` is a word that the core has not"))
}
