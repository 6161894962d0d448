//! Replays a scenario through a component.

use std::sync::Arc;

use scenario::{Order, Outcome, Scenario};
use source_host::{CallError, Component, Limits, Policy, Source, SourceParts};

use crate::clock::VirtualClock;
use crate::convert;
use crate::drive::{Broken, Drive, Link, MOST_POLLS, Taken, Virtually};
use crate::finding::Finding;
use crate::report::Report;
use crate::timeline::Timeline;
use crate::transport::RecordedTransport;

/// Replays a scenario through a component and reports what came out.
///
/// Takes as long as the computing does; waits and latencies pass on a virtual clock.
///
/// # Errors
///
/// The machine gives no runtime.
pub fn replay(scenario: &Scenario, component: &Component) -> std::io::Result<Report> {
    replay_within(scenario, component, &Limits::default())
}

/// Replays a scenario through a component that may use so much, as [`replay`] does with the live host's defaults.
///
/// # Errors
///
/// The machine gives no runtime.
pub fn replay_within(scenario: &Scenario, component: &Component, limits: &Limits) -> std::io::Result<Report> {
    let runtime = paused()?;
    // The clock has to be made where time is paused.
    Ok(runtime.block_on(async { Run::new(scenario, limits).through(component).await }))
}

/// A runtime whose clock stands still while anything is computed, and jumps to the next timer where nothing is.
pub(crate) fn paused() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

struct Run<'s> {
    scenario: &'s Scenario,
    limits: &'s Limits,
    clock: Arc<VirtualClock>,
    transport: Arc<RecordedTransport>,
    taken: Taken,
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario, limits: &'s Limits) -> Self {
        let chunks = scenario.settings.faults.chunks.clone();
        Self {
            scenario,
            limits,
            clock: Arc::new(VirtualClock::starting_at(scenario.settings.starts)),
            transport: Arc::new(RecordedTransport::new(Arc::clone(&scenario.traffic), Order::Strict, chunks)),
            taken: Taken::default(),
        }
    }

    async fn through(mut self, component: &Component) -> Report {
        let mut faults: Vec<Finding> = self.polls(component).await.err().into_iter().collect();
        faults.extend(self.transport.mismatches().into_iter().map(Finding::Unmatched));
        if faults.is_empty() {
            faults.extend(self.transport.unused().into_iter().map(Finding::Unused));
        }
        let mut report = Report {
            name: self.scenario.name.clone(),
            timeline: Timeline { exchanges: self.transport.take_exchanges(), polls: self.taken.spans },
            events: self.taken.events,
            outcome: self.taken.outcome,
            requests: self.transport.requests(),
            virtual_time: self.clock.elapsed(),
            faults,
        };
        look_for_leaks(self.scenario, &mut report);
        report
    }

    async fn polls(&mut self, component: &Component) -> Result<(), Finding> {
        let limits = self.limits.clone();
        let config = self.scenario.config.clone();
        let plan = match Source::plan(component, &config, &limits).await.map_err(|error| lost(&error))? {
            Ok(plan) => plan,
            Err(problems) => {
                self.taken.outcome.invalid_config = convert::diagnostics(&problems);
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
        let drive = Drive {
            name: &self.scenario.name,
            settings: &self.scenario.settings,
            clock: &self.clock,
            link: Arc::clone(&self.transport) as Arc<dyn Link>,
            pace: &Virtually,
        };
        drive.run(&mut source, &mut self.taken).await.map_err(|broken| match broken {
            Broken::Lost(error) => lost(&error),
            Broken::Endless => Finding::Endless { polls: MOST_POLLS },
        })
    }
}

/// Looks through everything that a person or a store would get to see.
pub(crate) fn look_for_leaks(scenario: &Scenario, report: &mut Report) {
    let mut outputs = vec![
        ("an event".to_owned(), report.events.clone()),
        ("what a poll returned".to_owned(), report.outcome.text()),
    ];
    outputs.extend(report.faults.iter().map(|fault| ("a message".to_owned(), fault.to_string())));
    let leaks: Vec<Finding> = outputs
        .into_iter()
        .filter_map(|(output, text)| {
            let secret = scenario.canaries.find(text.as_bytes())?.to_owned();
            Some(Finding::Leak { output, secret })
        })
        .collect();
    if !leaks.is_empty() {
        // Nothing else is said, since it may hold the secret.
        report.faults = leaks;
        report.events.clear();
        report.outcome = Outcome::default();
        report.timeline = Timeline::default();
    }
}

pub(crate) fn lost(error: &CallError) -> Finding {
    let hint = match error {
        CallError::Cpu { .. } => {
            "find out what it computes; if it is meant to, allow more with --cpu-time, and `cpu_time` in the live host"
        }
        CallError::Memory { .. } => {
            "let it hold less; or allow more with --memory-bytes, and `memory_bytes` in the live host"
        }
        CallError::Deadline { .. } => {
            "let it give up sooner; or allow more with --call-timeout, and `call_timeout` in the live host"
        }
        _ => error.hint(),
    };
    Finding::Broken { message: error.to_string(), hint }
}
