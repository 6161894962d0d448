//! What a failure changes, and when it is told.

use crate::contract::{Diagnostic, Failure, Fault, Level, NextPoll};
use crate::failure::transport_failure;
use crate::http::{TransportFailure, TransportFailureKind};
use crate::progress::PATIENCE;
use crate::tick::{Now, Tick};

use super::{Ask, Embargo, Machine, Mode, Output, Purpose};

impl Machine {
    pub(super) fn token_transport_failed(&mut self, failure: &TransportFailure) {
        self.failing = Some(transport_failure(failure, &self.config.token_endpoint.host, &self.config));
    }

    pub(super) fn transport_failed(&mut self, ask: &Ask, failure: &TransportFailure) {
        let told = transport_failure(failure, &self.config.api_endpoint.host, &self.config);
        match failure.kind {
            TransportFailureKind::Timeout | TransportFailureKind::TooLarge | TransportFailureKind::Broken => {
                self.slice_failed(ask, told);
            }
            TransportFailureKind::Denied
            | TransportFailureKind::Dns
            | TransportFailureKind::Connect
            | TransportFailureKind::Tls => self.give_up(ask, told),
        }
    }

    pub(super) fn service_failed(&mut self, ask: &Ask, failure: Failure, status: u16) {
        if status == 401 {
            self.tokens.clear();
            self.renewed = false;
        }
        match failure {
            Failure::Unavailable(_) => self.slice_failed(ask, failure),
            other => self.give_up(ask, other),
        }
    }

    /// A failure that a shorter slice may cure.
    fn slice_failed(&mut self, ask: &Ask, failure: Failure) {
        if !matches!(ask.purpose, Purpose::Slice | Purpose::Check) {
            return self.give_up(ask, failure);
        }
        let was_frozen = self.drop_answer();
        let Some(state) = &mut self.state else { return };
        state.failures = state.failures.saturating_add(1);
        let has_patience = state.failures < PATIENCE;
        if has_patience && !was_frozen {
            state.halve();
        }
        let can_ask = self.poll.requests < self.poll.budget.max_requests;
        match self.neighbour().filter(|_| can_ask && !has_patience) {
            Some(neighbour) => {
                self.slice_failure = Some(failure);
                self.follow_ups.push_back(neighbour);
            }
            None => self.failing = Some(failure),
        }
    }

    /// Tells a failure; that of a slice, where its neighbour failed as well.
    fn give_up(&mut self, ask: &Ask, failure: Failure) {
        self.drop_answer();
        self.failing = Some(match (ask.purpose, self.slice_failure.take(), failure) {
            (Purpose::Neighbour, Some(of_slice), Failure::Unavailable(_)) => of_slice,
            (_, _, failure) => failure,
        });
    }

    /// Ends the poll with a failure: after the batch that was gathered before it, or with what was learned from it.
    pub(super) fn end_failing(&mut self, mut failure: Failure, now: Now) -> Output {
        let after = delay_of(&failure);
        let until = after.map(|after| now.monotonic.saturating_add(after));
        if self.poll.has_output() {
            self.embargo = Some(Embargo { failure, until });
            return self.finish(after.map_or(NextPoll::Now, NextPoll::After));
        }
        if until.is_some() {
            self.embargo = Some(Embargo { failure: failure.clone(), until });
        }
        let text = self.checkpoint_text();
        if self.mode != Mode::Probe
            && self.poll.began_at.as_ref() != Some(&text)
            && let Some(fault) = failure.fault_mut()
        {
            fault.checkpoint = Some(text.clone());
            self.last = Some(text);
        }
        Output::Done(Err(failure))
    }

    /// The failure that the last poll left to be told, or whose delay is not over.
    pub(super) fn embargoed(&mut self, now: Now) -> Option<Failure> {
        let Embargo { mut failure, until } = self.embargo.take()?;
        let Some(until) = until else { return Some(failure) };
        let left = until.checked_sub(now.monotonic).filter(|left| *left > 0)?;
        self.embargo = Some(Embargo { failure: failure.clone(), until: Some(until) });
        if let Failure::Throttled(delay) | Failure::Unavailable(delay) = &mut failure {
            delay.after = Some(left);
        }
        Some(failure)
    }

    pub(super) fn too_small_for(&mut self, bytes: usize) -> Output {
        let mut budget = self.poll.budget;
        budget.max_bytes = budget.max_bytes.max(bytes as u64);
        Output::Done(Err(Failure::BudgetTooSmall(budget)))
    }
}

fn delay_of(failure: &Failure) -> Option<u64> {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => delay.after,
        Failure::InvalidConfig(_)
        | Failure::Unauthenticated(_)
        | Failure::Forbidden(_)
        | Failure::Rejected(_)
        | Failure::UnusableCheckpoint(_)
        | Failure::BudgetTooSmall(_)
        | Failure::Internal(_) => None,
    }
}

pub(super) fn no_range(since: Tick, until: Tick, is_single: bool) -> Failure {
    let (code, message, hint) = if is_single {
        let message = "a range cannot be read with `request` in the configuration".to_owned();
        ("range.with-request", message, "remove `request`")
    } else {
        let message = format!("the range from {since} to {until} has no length");
        ("range.empty", message, "give a first instant that lies before the second")
    };
    Failure::InvalidConfig(vec![Diagnostic {
        level: Level::Error,
        code: code.to_owned(),
        pointer: None,
        message,
        hint: Some(hint.to_owned()),
    }])
}

pub(super) fn other_kind_of_checkpoint(is_of_single: bool) -> Failure {
    let (single, running) = ("a single `request`", "a running source");
    let (was, now) = if is_of_single { (single, running) } else { (running, single) };
    Failure::UnusableCheckpoint(Fault {
        code: "checkpoint.mode".to_owned(),
        message: format!("the checkpoint is of {was}, and the configuration is of {now}"),
        hint: Some("give each of the two a state of its own".to_owned()),
        ..Fault::default()
    })
}
