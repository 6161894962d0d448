//! What a failure changes, and when it is told.

use crate::contract::{Delay, Diagnostic, Failure, Fault, GapCause, Level, NextPoll};
use crate::failure::transport_failure;
use crate::http::{TransportFailure, TransportFailureKind};
use crate::progress::{PATIENCE, Resolution};
use crate::tick::{Now, Tick};

use super::{Ask, Embargo, Machine, Mode, Output, Purpose, pages};

/// How often such a slice must fail beside a neighbour that can be read before it is given up.
const STRIKES: u32 = 3;

impl Machine {
    pub(super) fn token_transport_failed(&mut self, failure: &TransportFailure) {
        self.failing = Some(transport_failure(failure, &self.config.token_endpoint.url, &self.config));
    }

    pub(super) fn transport_failed(&mut self, ask: &Ask, failure: &TransportFailure) {
        let mut told = transport_failure(failure, &self.config.api_endpoint.url, &self.config);
        self.redact(&mut told, None);
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

    /// A failure that a shorter slice may cure. After some of them in a row the neighbour is asked before the slice: where
    /// that one can be read, the fault lies in the slice, and there is no need to wait.
    pub(super) fn slice_failed(&mut self, ask: &Ask, mut failure: Failure) {
        if !matches!(ask.purpose, Purpose::Slice | Purpose::Check | Purpose::Pass) {
            return self.give_up(ask, failure);
        }
        let was_frozen = self.drop_answer();
        let expands = self.config.expanded().is_some();
        let Some(state) = &mut self.state else { return };
        let is_alone = state.failures > PATIENCE;
        state.failures = if is_alone { PATIENCE } else { state.failures + 1 };
        // Before the fault is looked for in the service, less is asked for of each row. Where that fails as well, it says
        // nothing of what is expanded.
        let gets_plain = !is_alone && state.failures == PATIENCE && expands && !state.plain;
        if !is_alone {
            state.plain = gets_plain;
        }
        if gets_plain {
            state.failures = PATIENCE - 1;
        }
        // On its own a slice is halved down to its grain, so that little is given up with what cannot be read.
        let is_grain = is_alone && state.round.is_some_and(|round| round.end.0 - round.at.0 <= state.grain);
        // What is asked for plain stays as long as it is: halved as well, the rest of a round would be halved down to a tick.
        let may_halve = !gets_plain && (is_alone || state.failures < PATIENCE);
        let is_halved = was_frozen || (may_halve && !is_grain && state.halve(Resolution::of(&self.config)));
        if is_alone && !is_halved && expands && !state.plain {
            state.plain = true;
        } else if is_alone && !is_halved {
            self.strike(failure.fault_mut().map_or("", |fault| &fault.message));
        }
        if !(is_alone || gets_plain) || delay_of(&failure).is_some() {
            self.failing = Some(failure);
        }
    }

    /// A slice that is not halved any more failed beside a neighbour that could be read; after some of these it is given up.
    fn strike(&mut self, why: &str) {
        let Some(state) = &mut self.state else { return };
        state.strikes += 1;
        if state.strikes < STRIKES {
            return;
        }
        self.give_up_range(GapCause::Unreadable, format!("the service keeps failing on this range alone: {why}"));
    }

    /// Tells a failure that asking for less does not cure. An answer that it ended between two pages, or between two passes, is
    /// begun anew: asked for by halves, it takes fewer requests, so that a limit on them is not met at the same one for ever.
    fn give_up(&mut self, ask: &Ask, failure: Failure) {
        let is_pass = ask.purpose == Purpose::Pass;
        if is_pass && self.is_least() {
            // It takes as many whenever it is read: with a limit on requests it is gone on with, and else it is begun anew.
            if !matches!(failure, Failure::Throttled(_)) {
                self.pages = None;
            }
            self.failing = Some(failure);
            return;
        }
        if is_pass || self.pages.is_some() {
            return self.give_up_pages(failure);
        }
        self.drop_answer();
        // A limit on requests tells nothing of the neighbour, which is asked for again.
        if ask.purpose == Purpose::Neighbour
            && !matches!(failure, Failure::Throttled(_))
            && let Some(state) = &mut self.state
        {
            // The service is down, or the fault lies in the neighbour: the slice has its turn again.
            state.failures = PATIENCE - 1;
            state.plain = false;
            state.turns = state.turns.saturating_add(1);
        }
        self.failing = Some(failure);
    }

    /// Tells a failure of an answer in pages.
    pub(super) fn give_up_pages(&mut self, failure: Failure) {
        if !self.drop_answer() {
            self.halve();
        }
        self.failing = Some(failure);
    }

    /// Takes out of a failure what a server may have repeated: the token, and what a link to a further page holds.
    pub(super) fn redact(&self, failure: &mut Failure, link: Option<&str>) {
        if let Some(bearer) = self.tokens.last() {
            failure.redact(bearer);
        }
        // What was made of the configuration holds none.
        let asked_for = self.pages.as_ref().filter(|pages| !pages.seen.pass.by_skip).map(|pages| pages.next.as_str());
        let planned = &self.config.api_endpoint.url;
        for secret in link.into_iter().chain(asked_for).flat_map(|link| pages::secrets_of(link, planned)) {
            failure.redact(&secret);
        }
    }

    /// Ends the poll with a failure: after the batch that was gathered before it, or with what was learned from it.
    pub(super) fn end_failing(&mut self, mut failure: Failure, now: Now) -> Output {
        let after = delay_of(&failure);
        if self.poll.has_output() {
            self.put_off(failure, now);
            return self.finish(after.map_or(NextPoll::Now, NextPoll::After));
        }
        if after.is_some() {
            self.put_off(failure.clone(), now);
        }
        let text = self.checkpoint_text();
        if self.mode != Mode::Probe
            && self.last.as_ref() != Some(&text)
            && let Some(fault) = failure.fault_mut()
        {
            fault.checkpoint = Some(text.clone());
            self.last = Some(text);
        }
        Output::Done(Err(failure))
    }

    /// Ends the poll where a quota is used up. What was gathered is not all that there is now, and no promise to the service
    /// has to outlive this instance: so the next poll, which finds the same, tells it.
    pub(super) fn end_throttled(&mut self, failure: Failure, now: Now) -> Output {
        if self.poll.has_output() { self.finish(NextPoll::Now) } else { self.end_failing(failure, now) }
    }

    /// Leaves a failure to be told by the next poll, and by those after it until its delay is over.
    fn put_off(&mut self, failure: Failure, now: Now) {
        let until = delay_of(&failure).map(|after| now.monotonic.saturating_add(after));
        self.embargo = Some(Embargo { failure, until });
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
        // The first poll fixes the start, and this failure has no room for a checkpoint: it is told by the next one.
        if self.last.is_none() {
            return self.finish(NextPoll::Now);
        }
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

pub(super) fn implausible_clock(now: Tick) -> Failure {
    Failure::Unavailable(Delay {
        after: None,
        fault: Fault {
            code: "clock.implausible".to_owned(),
            message: format!("The local clock says {now}, and `start` is measured from now: it would lie years back."),
            hint: Some("set the clock of this machine, or write `start` as a time".to_owned()),
            ..Fault::default()
        },
    })
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
