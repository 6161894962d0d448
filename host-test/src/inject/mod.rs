//! Faults that are put into a scenario as it is run, and what has to be true all the same.
//!
//! The run goes on after whatever happens, as the live host and the person who looks after it would: it waits, and polls
//! again at the checkpoint that was stored last. Everything that comes without the fault has to come with it, or a gap that
//! says what does not; and nothing else may come.

mod fault;
mod link;
mod run;
mod verdict;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;

use scenario::{Answer, Scenario, Traffic, is_secret};
use source_host::{Component, Limits};

pub use fault::{FaultError, Injection, every_fault, fault_list};
pub use verdict::Injected;

use crate::finding::Finding;
use crate::report::Report;
use crate::run::{paused, replay_within};
use fault::{Bytes, Fault, What};
use run::Run;

/// A scenario that is as expected as long as nothing goes wrong.
#[derive(Debug)]
pub struct Injector<'a> {
    scenario: &'a Scenario,
    component: &'a Component,
    limits: &'a Limits,
    /// What comes without a fault.
    undisturbed: Report,
    traffic: Arc<Traffic>,
}

/// Why a fault was not injected.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The machine gives no runtime.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The scenario is not as expected even without a fault.
    #[error("{name} is not as expected without a fault")]
    Unexpected {
        /// Its name.
        name: String,
        /// What is not.
        findings: Vec<Finding>,
    },
    /// The scenario loses instances by itself.
    #[error("{name} has `traps` of its own in scenario.json")]
    Traps {
        /// Its name.
        name: String,
    },
    /// There is no such place.
    #[error("{injection} does not strike in {name}: {why}")]
    Misplaced {
        /// The scenario.
        name: String,
        /// The fault.
        injection: String,
        /// Why not.
        why: String,
    },
}

impl InjectError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "free some memory or file handles",
            Self::Unexpected { .. } => "see to that first: host-test replay says more without --inject",
            Self::Traps { .. } => "leave this scenario out, or remove its `traps`",
            Self::Misplaced { .. } => "name another place with @N, or none: then one that suits is looked for",
        }
    }
}

impl<'a> Injector<'a> {
    /// Replays a scenario without a fault, which says what has to come.
    ///
    /// # Errors
    ///
    /// It is not as expected, or loses instances by itself.
    pub fn new(scenario: &'a Scenario, component: &'a Component, limits: &'a Limits) -> Result<Self, InjectError> {
        if !scenario.settings.faults.traps.is_empty() {
            return Err(InjectError::Traps { name: scenario.name.clone() });
        }
        let undisturbed = replay_within(scenario, component, limits)?;
        let mut findings = undisturbed.findings(scenario);
        // Where nothing says what is expected, what comes without a fault is.
        findings.retain(|finding| !matches!(finding, Finding::Missing { .. }));
        if !findings.is_empty() {
            return Err(InjectError::Unexpected { name: scenario.name.clone(), findings });
        }
        // Which credential a request carries depends on how many were had before it.
        let traffic = scenario.traffic.changed(|interaction| {
            interaction.request.headers.retain(|(name, _)| !is_secret(name));
        });
        Ok(Self { scenario, component, limits, undisturbed, traffic: Arc::new(traffic) })
    }

    /// Runs the scenario with these faults: once, or where one of them says `each`, once for each byte.
    ///
    /// # Errors
    ///
    /// A fault does not strike; the machine gives no runtime.
    pub fn inject(&self, injection: &Injection) -> Result<Vec<Injected>, InjectError> {
        let placed = self.placed(injection);
        let runs = self.each(&placed)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        // They have nothing in common, and a body has thousands of bytes.
        let parts = std::thread::scope(|scope| {
            let part = |part| scope.spawn(move || self.several(part));
            let parts: Vec<_> = runs.chunks(runs.len().div_ceil(threads).max(1)).map(part).collect();
            parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect::<Vec<_>>()
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn several(&self, injections: &[Injection]) -> Result<Vec<Injected>, InjectError> {
        injections.iter().map(|injection| self.once(injection)).collect()
    }

    /// With a place for every fault.
    fn placed(&self, injection: &Injection) -> Injection {
        let largest = self.largest_answer();
        let place = |fault: &Fault| {
            let suits = if fault.what.is_of_polls() { 1 } else { largest };
            Fault { at: Some(fault.at.unwrap_or(suits)), ..fault.clone() }
        };
        Injection { faults: injection.faults.iter().map(place).collect() }
    }

    /// The request with the largest answer, the first of them: the one that something can be lost of.
    fn largest_answer(&self) -> u32 {
        let sizes = (1..).zip(&self.undisturbed.timeline.exchanges).map(|(number, _)| (self.body(number), number));
        let largest = sizes.max_by_key(|(size, number)| (*size, std::cmp::Reverse(*number)));
        largest.map_or(1, |(_, number)| number)
    }

    /// The length of the body that answers a request.
    fn body(&self, number: u32) -> usize {
        let exchange = self.undisturbed.timeline.exchanges.get(number.saturating_sub(1) as usize);
        match exchange.and_then(|exchange| exchange.interaction.as_ref()).map(|interaction| &interaction.answer) {
            Some(Answer::Response(response)) => response.body.len(),
            _ => 0,
        }
    }

    fn each(&self, injection: &Injection) -> Result<Vec<Injection>, InjectError> {
        let [fault] = &injection.faults[..] else { return Ok(vec![injection.clone()]) };
        let at = |what: fn(Bytes) -> What| {
            let length = self.body(fault.at.unwrap_or(1));
            (0..=length)
                .map(|bytes| Injection { faults: vec![Fault { what: what(Bytes::At(bytes)), ..fault.clone() }] })
                .collect::<Vec<_>>()
        };
        let runs = match fault.what {
            What::Cut(Bytes::Each) => at(What::Cut),
            What::Stall(Bytes::Each) => at(What::Stall),
            _ => return Ok(vec![injection.clone()]),
        };
        if runs.len() == 1 {
            return Err(self.misplaced(injection, "no answer with a body comes there"));
        }
        Ok(runs)
    }

    fn once(&self, injection: &Injection) -> Result<Injected, InjectError> {
        let run = paused()?.block_on(Run::go(self, injection.faults.clone()));
        let ran = run.map_err(|why| self.misplaced(injection, &why))?;
        Ok(Injected::of(self, injection, ran))
    }

    fn misplaced(&self, injection: &Injection, why: &str) -> InjectError {
        InjectError::Misplaced {
            name: self.scenario.name.clone(),
            injection: injection.to_string(),
            why: why.to_owned(),
        }
    }

    /// The events and gaps that have to come.
    fn wanted(&self) -> BTreeSet<&str> {
        self.undisturbed.events.lines().collect()
    }
}
