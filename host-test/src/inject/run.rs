//! A run with faults in it, that goes on after whatever happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use scenario::{Outcome, PollOutcome, Until, time_text};
use source_host::{Batch, Budget, CallError, Failure, NextPoll, Policy, Position, Source, SourceParts, batch_lines};

use super::Injector;
use super::fault::Fault;
use super::link::Link;
use crate::clock::VirtualClock;
use crate::convert;
use crate::drive::{DEFAULT_WAIT, Taken, taught, wait_after};
use crate::finding::Finding;
use crate::report::Report;
use crate::run::{look_for_leaks, lost};
use crate::timeline::{Span, Timeline};

/// A run makes so many polls more than one without a fault, and for each time that one strikes.
const MORE_POLLS: usize = 20;

/// What a run came to.
pub(super) struct Ran {
    pub(super) report: Report,
    /// What went otherwise than without a fault, in the order of time.
    pub(super) steps: Vec<Step>,
}

/// Something that went wrong, and how it went on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The poll failed with this kind and code, and was made again after a while.
    Again { poll: u32, failure: String, after: Duration },
    /// The poll failed in a way that does not pass: somebody has to start the source again.
    Ended { poll: u32, failure: String },
    /// The poll lost its instance, as it was to.
    Lost { poll: u32 },
    /// The instance was thrown away after this poll, as it was to be.
    Killed { poll: u32 },
}

pub(super) struct Run<'a> {
    injector: &'a Injector<'a>,
    clock: Arc<VirtualClock>,
    link: Arc<Link>,
    taken: Taken,
    steps: Vec<Step>,
    /// What has not come yet.
    missing: BTreeSet<&'a str>,
    /// Which poll of the undisturbed run is next, from 0 on.
    index: usize,
    position: Position,
    budget: Budget,
}

/// What comes after a poll.
enum Next {
    Poll(Duration),
    Over,
}

impl<'a> Run<'a> {
    /// Runs to the end, inside a runtime whose time is paused. Says why where a fault does not strike.
    pub(super) async fn go(injector: &'a Injector<'a>, faults: Vec<Fault>) -> Result<Ran, String> {
        let scenario = injector.scenario;
        let clock = Arc::new(VirtualClock::starting_at(scenario.settings.starts));
        let struck: usize = faults.iter().map(|fault| fault.times as usize).sum();
        let chunks = scenario.settings.faults.chunks.clone();
        let link = Arc::new(Link::new(Arc::clone(&injector.traffic), chunks, Arc::clone(&clock), faults));
        let mut run = Self {
            injector,
            clock,
            link,
            taken: Taken::default(),
            steps: Vec::new(),
            missing: injector.wanted(),
            index: 0,
            position: convert::position(&scenario.settings.position),
            budget: convert::budget(&scenario.settings.budget),
        };
        let most = injector.undisturbed.timeline.polls.len() + struck + MORE_POLLS;
        let broken = run.polls(most).await.err();
        let mismatch = run.link.mismatch();
        if let Some(why) = run.link.misplaced() {
            return Err(why);
        }
        if let (None, None, Some((fault, 0))) = (&broken, &mismatch, run.link.left()) {
            let (polls, requests) = (run.taken.spans.len(), run.link.requests());
            return Err(format!("{fault} was not reached in {polls} polls and {requests} requests"));
        }
        let mut findings: Vec<Finding> = broken.into_iter().collect();
        if let Some(mismatch) = mismatch.filter(|_| !run.missing.is_empty()) {
            findings.push(Finding::Unmatched(mismatch));
        }
        Ok(run.ran(findings))
    }

    fn ran(self, faults: Vec<Finding>) -> Ran {
        let mut report = Report {
            name: self.injector.scenario.name.clone(),
            timeline: Timeline { exchanges: self.link.take_exchanges(), polls: self.taken.spans },
            events: self.taken.events,
            outcome: self.taken.outcome,
            requests: self.link.requests(),
            virtual_time: self.clock.elapsed(),
            faults,
        };
        look_for_leaks(self.injector.scenario, &mut report);
        Ran { report, steps: self.steps }
    }

    async fn polls(&mut self, most: usize) -> Result<(), Finding> {
        let Some(mut source) = self.source().await? else { return Ok(()) };
        for number in (1..).take(most) {
            self.hold_the_clock().await;
            if self.missing.is_empty() {
                // What is asked from here on cannot stand in for anything that was lost.
                self.link.loosen();
            }
            let next = self.poll(&mut source, number).await?;
            if self.link.strikes_after(number) {
                self.steps.push(Step::Killed { poll: number });
                source.discard_instance();
            } else if matches!(next, Next::Over) || self.link.mismatch().is_some() {
                return Ok(());
            }
            match next {
                Next::Poll(wait) => tokio::time::sleep(wait).await,
                Next::Over if self.has_ended() => return Ok(()),
                Next::Over => {}
            }
        }
        Ok(())
    }

    /// None where the configuration is refused, as it then is without a fault.
    async fn source(&self) -> Result<Option<Source>, Finding> {
        let Injector { scenario, component, limits, .. } = self.injector;
        let planned = Source::plan(component, &scenario.config, limits).await.map_err(|error| lost(&error))?;
        let Some(policy) = planned.ok().and_then(|plan| Policy::planned(&plan).ok()) else { return Ok(None) };
        let parts = SourceParts {
            config: scenario.config.clone(),
            policy,
            transport: Arc::clone(&self.link) as Arc<dyn source_host::Transport>,
            clock: Arc::clone(&self.clock) as Arc<dyn source_host::Clock>,
            limits: (*limits).clone(),
        };
        Ok(Some(Source::new(component, parts)))
    }

    /// A poll that is made again sees the time at which it was made without a fault, so that it asks for the same.
    async fn hold_the_clock(&self) {
        let Some(span) = self.injector.undisturbed.timeline.polls.get(self.index) else { return };
        tokio::time::sleep(span.began.saturating_sub(self.clock.elapsed())).await;
        let faults = &self.injector.scenario.settings.faults;
        let polls = u32::try_from(self.index).unwrap_or(u32::MAX);
        let recorded: TimeDelta = (1..=polls).map(|poll| faults.clock_jump_after(poll)).sum();
        self.clock.set(span.began, recorded + self.link.jumped());
    }

    async fn poll(&mut self, source: &mut Source, number: u32) -> Result<Next, Finding> {
        let at = time_text(self.clock.now());
        let (began, before) = (self.clock.elapsed(), self.link.requests());
        let lines = self.taken.spans.last().map_or(0, |span| span.lines.end);
        let answer = tokio::select! {
            biased;
            () = self.link.lose() => None,
            answer = source.poll(&self.position, &self.budget) => Some(answer),
        };
        let requests = before..self.link.requests();
        let made = requests.len();
        self.taken.spans.push(Span { began, ended: self.clock.elapsed(), requests, lines: lines..lines });
        let (outcome, next) = match answer {
            None => {
                source.discard_instance();
                self.steps.push(Step::Lost { poll: number });
                (PollOutcome { lost: true, ..PollOutcome::default() }, Next::Poll(DEFAULT_WAIT))
            }
            Some(Err(error)) => return Err(self.lost_by_itself(&error, number)),
            Some(Ok(Ok(batch))) => (convert::batch(&batch), self.delivered(batch)),
            Some(Ok(Err(failure))) => (convert::failure(&failure), self.failed(source, &failure, number)),
        };
        self.taken.outcome.polls.push(PollOutcome { at, requests: made, ..outcome });
        Ok(next)
    }

    fn lost_by_itself(&self, error: &CallError, number: u32) -> Finding {
        match lost(error) {
            Finding::Broken { message, hint } => Finding::Broken { message: format!("poll {number}: {message}"), hint },
            other => other,
        }
    }

    fn delivered(&mut self, batch: Batch) -> Next {
        let text = String::from_utf8_lossy(&batch_lines(&self.injector.scenario.name, &batch)).into_owned();
        for line in text.lines() {
            self.missing.remove(line);
        }
        self.taken.events.push_str(&text);
        if let Some(span) = self.taken.spans.last_mut() {
            span.lines.end += batch.events.len() + batch.gaps.len();
        }
        self.position = Position::Resume(Some(batch.checkpoint));
        // Until all of it has come the time stands still, unless the source is content.
        if !matches!(batch.next, NextPoll::Now) || self.has_all_of_this_poll() {
            self.index += 1;
        }
        let has_jumped = self.link.take_jumped();
        match batch.next {
            NextPoll::Ended => Next::Over,
            NextPoll::Now => Next::Poll(Duration::ZERO),
            NextPoll::After(_) if self.is_complete() && !has_jumped => Next::Over,
            NextPoll::After(nanoseconds) => Next::Poll(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Whether everything came that the same poll brings without a fault.
    fn has_all_of_this_poll(&self) -> bool {
        let Some(span) = self.injector.undisturbed.timeline.polls.get(self.index) else { return true };
        let lines = self.injector.undisturbed.events.lines().skip(span.lines.start).take(span.lines.len());
        lines.into_iter().all(|line| !self.missing.contains(line))
    }

    /// Whether nothing is missing, no fault is left, and as many polls were made as the scenario says.
    fn is_complete(&self) -> bool {
        let all = match self.injector.scenario.settings.until {
            Until::Polls(_) => self.index >= self.injector.undisturbed.timeline.polls.len(),
            Until::CaughtUp | Until::Ended => true,
        };
        all && self.missing.is_empty() && self.link.left().is_none()
    }

    /// Whether the source said that there is nothing more, ever.
    fn has_ended(&self) -> bool {
        let last = self.taken.outcome.polls.last().and_then(|poll| poll.next.as_ref());
        last == Some(&scenario::NextOutcome::Ended)
    }

    fn failed(&mut self, source: &mut Source, failure: &Failure, number: u32) -> Next {
        if let Some(checkpoint) = taught(failure) {
            self.position = Position::Resume(Some(checkpoint.to_owned()));
        }
        let told = convert::failure(failure).failure.unwrap_or_default();
        let name = format!("{} {}", told.kind, told.code).trim_end().to_owned();
        let undisturbed = self.injector.undisturbed.outcome.polls.get(self.index);
        let expected = undisturbed.and_then(|poll| poll.failure.as_ref());
        if expected.is_some_and(|expected| (expected.kind, &expected.code) == (told.kind, &told.code)) {
            // It fails without a fault as well.
            self.index += 1;
            return match wait_after(failure) {
                Some(wait) => Next::Poll(wait),
                None if self.is_complete() => Next::Over,
                None => self.started_again(source),
            };
        }
        if let Failure::BudgetTooSmall(least) = failure {
            self.grant(least);
        }
        match wait_after(failure) {
            Some(after) => {
                self.steps.push(Step::Again { poll: number, failure: name, after });
                Next::Poll(after)
            }
            None => {
                self.steps.push(Step::Ended { poll: number, failure: name });
                self.started_again(source)
            }
        }
    }

    fn started_again(&self, source: &mut Source) -> Next {
        source.discard_instance();
        Next::Poll(DEFAULT_WAIT)
    }

    fn grant(&mut self, least: &Budget) {
        let given = &mut self.budget;
        given.max_events = given.max_events.max(least.max_events);
        given.max_bytes = given.max_bytes.max(least.max_bytes);
        given.max_requests = given.max_requests.max(least.max_requests);
        given.max_duration = given.max_duration.max(least.max_duration);
    }
}

impl Ran {
    /// What each poll returned.
    pub(super) fn outcome(&self) -> &Outcome {
        &self.report.outcome
    }
}
