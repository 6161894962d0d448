//! One run of a source over a recording, and what came of each poll.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use scenario::{ChunkSizes, Mismatch, Order, Request, Scenario, Traffic, Until, Unused};
use source_host::{
    Batch, Budget, CallError, Clock, Component, Event, Failure, Limits, NextPoll, Policy, Position, Source, SourceParts,
};

use super::recording::Recording;
use crate::clock::VirtualClock;
use crate::drive::{MOST_POLLS, taught, wait_after};

/// A version of a thing: its key and its bytes.
pub(super) type Ident = (String, Vec<u8>);

/// What one run differs in from the others.
#[derive(Clone)]
pub(super) struct Setup<'a> {
    /// What it is called in a sentence, such as `the first run`.
    pub(super) name: String,
    pub(super) component: &'a Component,
    pub(super) scenario: &'a Scenario,
    pub(super) policy: &'a Policy,
    pub(super) limits: &'a Limits,
    pub(super) traffic: Arc<Traffic>,
    pub(super) order: Order,
    pub(super) chunks: ChunkSizes,
    /// Requests that count as made already.
    pub(super) spent: &'a [Request],
    /// How many polls of the scenario are over.
    pub(super) after: u32,
    pub(super) position: Position,
    pub(super) budget: Budget,
    /// A fresh instance for every poll.
    pub(super) fresh: bool,
    /// When each poll of the scenario begins at the earliest, since it began.
    pub(super) schedule: &'a [Duration],
    /// What the monotonic clock reads in the beginning.
    pub(super) monotonic: Duration,
    /// What has to come; a number of polls is stretched for it.
    pub(super) wanted: BTreeSet<Ident>,
    /// Polls on with the budget that was asked for.
    pub(super) insists: bool,
    pub(super) most_polls: u32,
}

/// One poll.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    /// From 1 on, as the scenario counts.
    pub(super) number: u32,
    /// Since the scenario began.
    pub(super) began: Duration,
    /// How long it took although nothing made it wait.
    pub(super) slept: Duration,
    /// Whether the instance had been polled before.
    pub(super) kept: bool,
    pub(super) position: Position,
    pub(super) budget: Budget,
    /// Requests, refused ones included.
    pub(super) requests: u32,
    /// What was refused for its origin.
    pub(super) refused: Vec<String>,
    /// How many requests of the run had been made when it was over.
    pub(super) asked: usize,
    pub(super) answer: Result<Batch, Failure>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) polls: Vec<Poll>,
    pub(super) asked: Vec<Request>,
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) unused: Vec<Unused>,
    /// In which poll the instance was lost, and why.
    pub(super) lost: Option<(u32, CallError)>,
    pub(super) endless: bool,
}

impl Poll {
    pub(super) fn events(&self) -> &[Event] {
        self.answer.as_ref().map_or(&[], |batch| &batch.events)
    }

    /// What is stored after it.
    pub(super) fn checkpoint(&self) -> Option<&str> {
        match &self.answer {
            Ok(batch) => Some(&batch.checkpoint),
            Err(failure) => taught(failure),
        }
    }

    pub(super) fn idents(&self) -> impl Iterator<Item = Ident> {
        self.events().iter().map(ident)
    }
}

impl Run {
    pub(super) fn idents(&self) -> BTreeSet<Ident> {
        self.polls.iter().flat_map(Poll::idents).collect()
    }

    /// Where a poll is, in words.
    pub(super) fn place(&self, poll: &Poll) -> String {
        format!("poll {} of {}", poll.number, self.name)
    }
}

pub(super) fn ident(event: &Event) -> Ident {
    (event.key.clone(), event.body.as_bytes().to_vec())
}

/// A clock whose monotonic side began at another time.
struct Shifted {
    clock: Arc<VirtualClock>,
    monotonic: Duration,
}

impl Clock for Shifted {
    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + self.monotonic
    }
}

impl Setup<'_> {
    /// Polls to the end; inside a runtime whose time is paused.
    pub(super) async fn run(mut self) -> Run {
        let offset = self.schedule.get(self.after as usize).copied().unwrap_or_default();
        let starts = self.scenario.settings.starts + TimeDelta::from_std(offset).unwrap_or_default();
        let clock = Arc::new(VirtualClock::starting_at(starts));
        let faults = &self.scenario.settings.faults;
        (1..=self.after).for_each(|number| clock.jump(faults.clock_jump_after(number)));
        let link = Arc::new(Recording::new(Arc::clone(&self.traffic), self.order, self.chunks.clone(), self.spent));
        let parts = SourceParts {
            config: self.scenario.config.clone(),
            policy: self.policy.clone(),
            transport: Arc::clone(&link) as Arc<dyn source_host::Transport>,
            clock: Arc::new(Shifted { clock: Arc::clone(&clock), monotonic: self.monotonic }),
            limits: self.limits.clone(),
        };
        let mut source = Source::new(self.component, parts);
        let mut run = Run { name: self.name.clone(), ..Run::default() };
        let mut number = self.after;
        run.endless = loop {
            number += 1;
            let instances = source.instances();
            let began = clock.elapsed();
            let answer = source.poll(&self.position, &self.budget).await;
            let took = clock.elapsed() - began;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    run.lost = Some((number, error));
                    break false;
                }
            };
            let poll = Poll {
                number,
                began: offset + began,
                slept: if link.take_waited() { Duration::ZERO } else { took },
                kept: source.instances() == instances,
                position: self.position.clone(),
                budget: self.budget,
                requests: source.requests(),
                refused: self.refused(&source),
                asked: link.asked_count(),
                answer,
            };
            let wait = self.after(&poll, number);
            if let Some(checkpoint) = poll.checkpoint() {
                self.position = Position::Resume(Some(checkpoint.to_owned()));
            }
            run.polls.push(poll);
            let Some(wait) = wait.filter(|_| link.mismatches().is_empty()) else { break false };
            if number - self.after >= self.most_polls {
                break number - self.after >= MOST_POLLS;
            }
            clock.jump(faults.clock_jump_after(number));
            if self.fresh || faults.fresh_instance_after(number) {
                source.discard_instance();
            }
            let due = self.schedule.get(number as usize).copied().unwrap_or_default();
            tokio::time::sleep(wait.max(due.saturating_sub(offset + clock.elapsed()))).await;
        };
        (run.asked, run.mismatches, run.unused) = (link.asked(), link.mismatches(), link.unused());
        run
    }

    /// What was refused for its origin: what is beyond the number of requests comes last.
    fn refused(&self, source: &Source) -> Vec<String> {
        let beyond = source.requests().saturating_sub(self.budget.max_requests) as usize;
        let mut denials = source.denials();
        denials.truncate(denials.len().saturating_sub(beyond));
        denials.iter().map(ToString::to_string).collect()
    }

    /// How long to wait after a poll; none where the run is over.
    fn after(&mut self, poll: &Poll, number: u32) -> Option<Duration> {
        for ident in poll.idents() {
            self.wanted.remove(&ident);
        }
        let wait = match &poll.answer {
            Ok(Batch { next: NextPoll::Ended, .. }) => return None,
            Ok(Batch { next: NextPoll::Now, .. }) => Duration::ZERO,
            Ok(Batch { next: NextPoll::After(_), .. }) if self.scenario.settings.until == Until::CaughtUp => {
                return None;
            }
            Ok(Batch { next: NextPoll::After(nanoseconds), .. }) => Duration::from_nanos(*nanoseconds),
            Err(Failure::BudgetTooSmall(least)) if self.insists => {
                let given = &mut self.budget;
                given.max_events = given.max_events.max(least.max_events);
                given.max_bytes = given.max_bytes.max(least.max_bytes);
                given.max_requests = given.max_requests.max(least.max_requests);
                given.max_duration = given.max_duration.max(least.max_duration);
                Duration::ZERO
            }
            Err(failure) => wait_after(failure)?,
        };
        match self.scenario.settings.until {
            Until::Polls(polls) if number >= polls && self.wanted.is_empty() => None,
            Until::Polls(polls) if number >= polls.saturating_mul(2) + 2 => None,
            _ => Some(wait),
        }
    }
}
