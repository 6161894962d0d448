//! Between the values of the core and those of the contract, without any decision.

use defender_core::contract as core;
use defender_core::tick::Tick;

use crate::bindings::contract as wit;

pub(crate) fn position(at: wit::Position) -> core::Position {
    match at {
        wit::Position::Resume(checkpoint) => core::Position::Resume(checkpoint),
        wit::Position::Range((since, until)) => core::Position::Range(tick(since), tick(until)),
    }
}

pub(crate) fn budget(budget: wit::Budget) -> core::Budget {
    let wit::Budget { max_events, max_bytes, max_requests, max_duration } = budget;
    core::Budget { max_events, max_bytes, max_requests, max_duration }
}

pub(crate) fn batch(batch: core::Batch) -> wit::Batch {
    wit::Batch {
        events: batch.events.into_iter().map(event).collect(),
        gaps: batch.gaps.into_iter().map(gap).collect(),
        checkpoint: batch.checkpoint,
        next: match batch.next {
            core::NextPoll::Now => wit::NextPoll::Now,
            core::NextPoll::After(nanoseconds) => wit::NextPoll::After(nanoseconds),
            core::NextPoll::Ended => wit::NextPoll::Ended,
        },
        watermark: batch.watermark.map(instant),
        notices: diagnostics(batch.notices),
        counters: batch.counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
    }
}

fn event(event: core::Event) -> wit::Event {
    wit::Event {
        key: event.key,
        subject: event.subject,
        kind: event.kind.to_owned(),
        occurred: event.occurred.map(instant),
        visible: event.visible.map(instant),
        content_type: event.content_type.to_owned(),
        body: match event.body {
            core::Payload::Text(text) => wit::Payload::Text(text),
            core::Payload::Binary(bytes) => wit::Payload::Binary(bytes),
        },
        attributes: event.attributes,
    }
}

fn gap(gap: core::Gap) -> wit::Gap {
    wit::Gap {
        key: gap.key,
        kind: gap.kind.to_owned(),
        since: instant(gap.since),
        until: instant(gap.until),
        cause: match gap.cause {
            core::GapCause::Truncated => wit::GapCause::Truncated,
            core::GapCause::Expired => wit::GapCause::Expired,
            core::GapCause::Unreadable => wit::GapCause::Unreadable,
            core::GapCause::Partial => wit::GapCause::Partial,
            core::GapCause::Other(word) => wit::GapCause::Other(word.to_owned()),
        },
        subject: gap.subject,
        detail: gap.detail,
    }
}

// Out of line, since `poll` and `probe` would each have a copy.
#[inline(never)]
pub(crate) fn failure(failure: core::Failure) -> wit::Failure {
    match failure {
        core::Failure::InvalidConfig(problems) => wit::Failure::InvalidConfig(diagnostics(problems)),
        core::Failure::Unauthenticated(told) => wit::Failure::Unauthenticated(fault(told)),
        core::Failure::Forbidden(told) => wit::Failure::Forbidden(fault(told)),
        core::Failure::Throttled(told) => wit::Failure::Throttled(delay(told)),
        core::Failure::Unavailable(told) => wit::Failure::Unavailable(delay(told)),
        core::Failure::Rejected(told) => wit::Failure::Rejected(fault(told)),
        core::Failure::UnusableCheckpoint(told) => wit::Failure::UnusableCheckpoint(fault(told)),
        core::Failure::BudgetTooSmall(least) => wit::Failure::BudgetTooSmall(wit::Budget {
            max_events: least.max_events,
            max_bytes: least.max_bytes,
            max_requests: least.max_requests,
            max_duration: least.max_duration,
        }),
        core::Failure::Internal(told) => wit::Failure::Internal(fault(told)),
    }
}

fn delay(delay: core::Delay) -> wit::Delay {
    wit::Delay { after: delay.after, fault: fault(delay.fault) }
}

fn fault(fault: core::Fault) -> wit::Fault {
    wit::Fault {
        code: fault.code,
        message: fault.message,
        hint: fault.hint,
        status: fault.status,
        request_id: fault.request_id,
        checkpoint: fault.checkpoint,
    }
}

pub(crate) fn diagnostics(all: Vec<core::Diagnostic>) -> Vec<wit::Diagnostic> {
    let one = |diagnostic: core::Diagnostic| wit::Diagnostic {
        level: match diagnostic.level {
            core::Level::Error => wit::Level::Error,
            core::Level::Warning => wit::Level::Warning,
            core::Level::Note => wit::Level::Note,
        },
        code: diagnostic.code,
        pointer: diagnostic.pointer,
        message: diagnostic.message,
        hint: diagnostic.hint,
    };
    all.into_iter().map(one).collect()
}

pub(crate) fn description(description: &core::Description) -> wit::Description {
    wit::Description {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        config_schema: description.config_schema.to_owned(),
        documentation: description.documentation.to_owned(),
        max_checkpoint_bytes: description.max_checkpoint_bytes,
        max_event_bytes: description.max_event_bytes,
    }
}

pub(crate) fn plan(plan: core::AccessPlan) -> wit::AccessPlan {
    let origin = |origin: core::Origin| wit::Origin {
        scheme: origin.scheme,
        host: origin.host,
        port: origin.port,
        purpose: origin.purpose.to_owned(),
    };
    let secret = |secret: core::SecretUse| wit::SecretUse {
        pointer: secret.pointer.to_owned(),
        origin: secret.origin,
        place: match secret.place {
            core::SecretPlace::FormField(name) => wit::SecretPlace::FormField(name.to_owned()),
            core::SecretPlace::Bearer => wit::SecretPlace::Bearer,
        },
        captures: secret.captures.into_iter().map(str::to_owned).collect(),
        bearer_at: secret.bearer_at,
    };
    wit::AccessPlan {
        origins: plan.origins.into_iter().map(origin).collect(),
        secrets: plan.secrets.into_iter().map(secret).collect(),
        identity: plan.identity,
        accepts: plan.accepts,
        effective_config: plan.effective_config,
        notes: diagnostics(plan.notes),
    }
}

fn instant(tick: Tick) -> wit::Instant {
    let (seconds, nanoseconds) = tick.to_unix();
    wit::Instant { seconds, nanoseconds }
}

fn tick(instant: wit::Instant) -> Tick {
    Tick::from_unix(instant.seconds, instant.nanoseconds)
}
