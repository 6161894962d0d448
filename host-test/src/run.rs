//! Polls a component the way a scenario says.

use std::sync::Arc;
use std::time::Duration;

use scenario::{Order, Outcome, PollOutcome, Scenario, Until, time_text};
use source_host::{
    CallError, Component, Failure, Limits, NextPoll, Policy, Position, Source, SourceParts, batch_lines,
};

use crate::clock::VirtualClock;
use crate::convert;
use crate::finding::Finding;
use crate::report::Report;
use crate::transport::RecordedTransport;

/// What the host waits after a failure of time that names no delay.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A run that should come to an end by itself is stopped after so many polls.
const MOST_POLLS: u32 = 100_000;

/// Replays a scenario through a component and reports what came out.
///
/// Takes as long as the computing does; waits and latencies pass on a virtual clock.
///
/// # Errors
///
/// The machine gives no runtime.
pub fn replay(scenario: &Scenario, component: &Component) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // The clock has to be made where time is paused.
    Ok(runtime.block_on(async { Run::new(scenario).through(component).await }))
}

/// What comes after a poll.
enum Step {
    /// The next one, after this wait.
    Wait(Duration),
    /// Nothing: the run is over.
    Over,
}

struct Run<'s> {
    scenario: &'s Scenario,
    clock: Arc<VirtualClock>,
    transport: Arc<RecordedTransport>,
    position: Position,
    report: Report,
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let settings = &scenario.settings;
        let traffic = Arc::clone(&scenario.traffic);
        let report = Report {
            name: scenario.name.clone(),
            events: String::new(),
            outcome: Outcome::default(),
            requests: 0,
            virtual_time: Duration::ZERO,
            faults: Vec::new(),
        };
        Self {
            scenario,
            clock: Arc::new(VirtualClock::starting_at(settings.starts)),
            transport: Arc::new(RecordedTransport::new(traffic, Order::Strict, settings.faults.chunks.clone())),
            position: convert::position(&settings.position),
            report,
        }
    }

    async fn through(mut self, component: &Component) -> Report {
        if let Err(finding) = self.polls(component).await {
            self.report.faults.push(finding);
        }
        self.report.faults.extend(self.transport.mismatches().into_iter().map(Finding::Unmatched));
        if self.report.faults.is_empty() {
            self.report.faults.extend(self.transport.unused().into_iter().map(Finding::Unused));
        }
        self.report.requests = self.transport.requests();
        self.report.virtual_time = self.clock.elapsed();
        self.look_for_leaks();
        self.report
    }

    async fn polls(&mut self, component: &Component) -> Result<(), Finding> {
        let limits = Limits::default();
        let config = self.scenario.config.clone();
        let plan = match Source::plan(component, &config, &limits).await.map_err(broken)? {
            Ok(plan) => plan,
            Err(problems) => {
                self.report.outcome.invalid_config = convert::diagnostics(&problems);
                return Ok(());
            }
        };
        let policy = Policy::planned(&plan).map_err(|error| Finding::Broken {
            message: format!("the plan names an origin that is none: {error}"),
            hint: "this is a bug of the source",
        })?;
        let parts = SourceParts {
            config,
            policy,
            transport: Arc::clone(&self.transport) as Arc<dyn source_host::Transport>,
            clock: Arc::clone(&self.clock) as Arc<dyn source_host::Clock>,
            limits,
        };
        let mut source = Source::new(component, parts);
        for number in 1..=MOST_POLLS {
            let Step::Wait(wait) = self.poll(&mut source, number).await.map_err(broken)? else { return Ok(()) };
            let faults = &self.scenario.settings.faults;
            self.clock.jump(faults.clock_jump_after(number));
            if faults.fresh_instance_after(number) {
                source.discard_instance();
            }
            tokio::time::sleep(wait).await;
        }
        Err(Finding::Endless { polls: MOST_POLLS })
    }

    async fn poll(&mut self, source: &mut Source, number: u32) -> Result<Step, CallError> {
        let at = time_text(self.clock.now());
        let budget = convert::budget(&self.scenario.settings.budget);
        let before = self.transport.requests();
        let answer = source.poll(&self.position, &budget).await?;
        let requests = self.transport.requests() - before;
        let (outcome, checkpoint, step) = match answer {
            Ok(batch) => {
                self.report.events.push_str(&String::from_utf8_lossy(&batch_lines(&self.scenario.name, &batch)));
                let step = self.after_batch(&batch.next, number);
                (convert::batch(&batch), Some(batch.checkpoint), step)
            }
            Err(failure) => {
                let (checkpoint, wait) = taught(&failure);
                let step = wait.map_or(Step::Over, |wait| self.unless_over(wait, number));
                (convert::failure(&failure), checkpoint, step)
            }
        };
        self.report.outcome.polls.push(PollOutcome { at, requests, ..outcome });
        if checkpoint.is_some() {
            self.position = Position::Resume(checkpoint);
        }
        Ok(if self.transport.mismatches().is_empty() { step } else { Step::Over })
    }

    fn after_batch(&self, next: &NextPoll, number: u32) -> Step {
        match (next, self.scenario.settings.until) {
            (NextPoll::Ended, _) | (NextPoll::After(_), Until::CaughtUp) => Step::Over,
            (NextPoll::Now, _) => self.unless_over(Duration::ZERO, number),
            (NextPoll::After(nanoseconds), _) => self.unless_over(Duration::from_nanos(*nanoseconds), number),
        }
    }

    fn unless_over(&self, wait: Duration, number: u32) -> Step {
        match self.scenario.settings.until {
            Until::Polls(polls) if number >= polls => Step::Over,
            _ => Step::Wait(wait),
        }
    }

    /// Looks through everything that a person or a store would get to see.
    fn look_for_leaks(&mut self) {
        let report = &self.report;
        let mut outputs = vec![
            ("an event".to_owned(), report.events.clone()),
            ("what a poll returned".to_owned(), report.outcome.text()),
        ];
        outputs.extend(report.faults.iter().map(|fault| ("a message".to_owned(), fault.to_string())));
        let leaks: Vec<Finding> = outputs
            .into_iter()
            .filter_map(|(output, text)| {
                let secret = self.scenario.canaries.find(text.as_bytes())?.to_owned();
                Some(Finding::Leak { output, secret })
            })
            .collect();
        if !leaks.is_empty() {
            // Nothing else is said, since it may hold the secret.
            self.report.faults = leaks;
            self.report.events.clear();
            self.report.outcome = Outcome::default();
        }
    }
}

fn broken(error: CallError) -> Finding {
    Finding::Broken { message: error.to_string(), hint: error.hint() }
}

/// What a failure left to store, and how long to wait where it passes by itself.
fn taught(failure: &Failure) -> (Option<String>, Option<Duration>) {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => {
            (delay.fault.checkpoint.clone(), Some(delay.after.map_or(DEFAULT_WAIT, Duration::from_nanos)))
        }
        Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::UnusableCheckpoint(fault)
        | Failure::Internal(fault) => (fault.checkpoint.clone(), None),
        Failure::InvalidConfig(_) | Failure::BudgetTooSmall(_) => (None, None),
    }
}
