//! The loop of a run: poll, take down what came, wait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use scenario::{Outcome, PollOutcome, Settings, Until, time_text};
use source_host::{Batch, Budget, CallError, Failure, NextPoll, Position, Source, Transport, batch_lines};

use crate::clock::VirtualClock;
use crate::convert;
use crate::timeline::Span;

/// What the host waits after a lost instance, and after a failure of time that names no delay.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A run that should come to an end by itself is stopped after so many polls.
pub(crate) const MOST_POLLS: u32 = 100_000;

/// What answers the requests of a run.
#[async_trait]
pub(crate) trait Link: Transport {
    /// How many requests arrived here.
    fn requests(&self) -> usize;

    /// Whether what comes from now on says nothing more.
    fn is_broken(&self) -> bool {
        false
    }

    /// Returns when so many requests arrived here; the last of them is never answered.
    async fn reach(&self, _requests: usize) {
        std::future::pending().await
    }
}

/// How waits between polls pass.
#[async_trait]
pub(crate) trait Pace: Send + Sync {
    /// Is told of a poll, from 1 on, before it begins.
    fn polling(&self, _number: u32) {}

    /// Waits so long on the clock of the run, and says whether it goes on.
    async fn wait(&self, length: Duration) -> bool;
}

/// At once, on a clock that is paused.
pub(crate) struct Virtually;

#[async_trait]
impl Pace for Virtually {
    async fn wait(&self, length: Duration) -> bool {
        tokio::time::sleep(length).await;
        true
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// The events and gaps, one line each.
    pub(crate) events: String,
    /// What each poll returned.
    pub(crate) outcome: Outcome,
    /// When each poll was, one that lost its instance included.
    pub(crate) spans: Vec<Span>,
}

/// Why a run did not come to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The instance was lost.
    Lost(CallError),
    /// There was no end of it.
    Endless,
}

/// A run, the way the settings of a scenario say.
pub(crate) struct Drive<'a> {
    /// What the source is called in its events.
    pub(crate) name: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) clock: &'a VirtualClock,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) pace: &'a dyn Pace,
}

/// What comes after a poll.
enum Step {
    /// The next one, after this wait.
    Wait(Duration),
    /// Nothing: the run is over.
    Over,
}

impl Drive<'_> {
    /// Polls to the end. `taken` holds what came, also where that is not reached.
    pub(crate) async fn run(&self, source: &mut Source, taken: &mut Taken) -> Result<(), Broken> {
        let mut position = convert::position(&self.settings.position);
        for number in 1..=MOST_POLLS {
            self.pace.polling(number);
            let step = self.poll(source, &mut position, number, taken).await.map_err(Broken::Lost)?;
            let Step::Wait(wait) = step else { return Ok(()) };
            let faults = &self.settings.faults;
            self.clock.jump(faults.clock_jump_after(number));
            if faults.fresh_instance_after(number) {
                source.discard_instance();
            }
            if !self.pace.wait(wait).await {
                return Ok(());
            }
        }
        Err(Broken::Endless)
    }

    async fn poll(
        &self,
        source: &mut Source,
        position: &mut Position,
        number: u32,
        taken: &mut Taken,
    ) -> Result<Step, CallError> {
        let at = time_text(self.clock.now());
        let budget = convert::budget(&self.settings.budget);
        let before = self.link.requests();
        let lines = taken.spans.last().map_or(0, |span| span.lines.end);
        let began = self.clock.elapsed();
        let trap = self.settings.faults.trap_in(number).map(|request| before + request as usize);
        let answer = poll_or_trap(source, position, &budget, &*self.link, trap).await;
        let asked = before..self.link.requests();
        let requests = asked.len();
        taken.spans.push(Span { began, ended: self.clock.elapsed(), requests: asked, lines: lines..lines });
        let Some(answer) = answer else {
            let lost = PollOutcome { at, requests, lost: true, ..PollOutcome::default() };
            taken.outcome.polls.push(lost);
            return Ok(self.unless_over(DEFAULT_WAIT, number));
        };
        let answer = answer?;
        let (outcome, checkpoint, step) = match answer {
            Ok(batch) => {
                taken.events.push_str(&String::from_utf8_lossy(&batch_lines(self.name, &batch)));
                if let Some(span) = taken.spans.last_mut() {
                    span.lines.end += batch.events.len() + batch.gaps.len();
                }
                (convert::batch(&batch), Some(batch.checkpoint), self.after_batch(&batch.next, number))
            }
            Err(failure) => {
                let step = wait_after(&failure).map_or(Step::Over, |wait| self.unless_over(wait, number));
                (convert::failure(&failure), taught(&failure).map(str::to_owned), step)
            }
        };
        taken.outcome.polls.push(PollOutcome { at, requests, ..outcome });
        if checkpoint.is_some() {
            *position = Position::Resume(checkpoint);
        }
        Ok(if self.link.is_broken() { Step::Over } else { step })
    }

    fn after_batch(&self, next: &NextPoll, number: u32) -> Step {
        match (next, self.settings.until) {
            (NextPoll::Ended, _) | (NextPoll::After(_), Until::CaughtUp) => Step::Over,
            (NextPoll::Now, _) => self.unless_over(Duration::ZERO, number),
            (NextPoll::After(nanoseconds), _) => self.unless_over(Duration::from_nanos(*nanoseconds), number),
        }
    }

    fn unless_over(&self, wait: Duration, number: u32) -> Step {
        match self.settings.until {
            Until::Polls(polls) if number >= polls => Step::Over,
            _ => Step::Wait(wait),
        }
    }
}

/// Polls a source, and loses its instance at a request, counted through the whole run, or as it returns where it makes fewer.
/// Then there is no answer.
pub(crate) async fn poll_or_trap(
    source: &mut Source,
    position: &Position,
    budget: &Budget,
    link: &dyn Link,
    trap: Option<usize>,
) -> Option<Result<Result<Batch, Failure>, CallError>> {
    let Some(request) = trap else { return Some(source.poll(position, budget).await) };
    let lost = tokio::select! {
        biased;
        () = link.reach(request) => None,
        // A trap of its own is one that nobody asked for.
        answer = source.poll(position, budget) => answer.err().map(Err),
    };
    source.discard_instance();
    lost
}

/// How long to wait after a failure that passes by itself.
pub(crate) fn wait_after(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => {
            Some(delay.after.map_or(DEFAULT_WAIT, Duration::from_nanos))
        }
        _ => None,
    }
}

/// What a failure left to store.
pub(crate) fn taught(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => delay.fault.checkpoint.as_deref(),
        Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::UnusableCheckpoint(fault)
        | Failure::Internal(fault) => fault.checkpoint.as_deref(),
        Failure::InvalidConfig(_) | Failure::BudgetTooSmall(_) => None,
    }
}
