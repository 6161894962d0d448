//! Checks the laws of the contract for any source, by a scenario.
//!
//! A source is run over the recording again and again: as recorded, with other clocks and chunks, on a fresh instance for
//! every poll, from every checkpoint, with the smallest budgets. What comes out is compared.

mod bad_input;
mod compare;
mod each;
mod law;
mod pure;
mod recording;
mod run;
mod schema;
mod secrets;
mod upgrade;
mod verdict;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use scenario::{ChunkSizes, Order, Request, Scenario};
use source_host::{Budget, Component, Description, Limits, Policy, Position};

pub use law::Law;
pub use verdict::{Break, State, Verdict};

use crate::convert;
use crate::drive::MOST_POLLS;
use crate::run::paused;
use run::{Poll, Run, Setup};
use secrets::Watch;
use verdict::Findings;

/// Reading on is tried from so many checkpoints of a run, spread over it.
const MOST_CHECKPOINTS: usize = 64;

/// A run with a smaller budget ends after so many polls.
const MOST_TIGHT_POLLS: u32 = 40;

/// Checks the laws of the contract for a component, by a scenario.
///
/// `previous` is an older version whose configurations and checkpoints have to go on working. Takes as long as the
/// computing does: a few dozen replays.
///
/// # Errors
///
/// The machine gives no runtime.
pub fn conform(
    scenario: &Scenario,
    component: &Component,
    previous: Option<&Component>,
    limits: &Limits,
) -> std::io::Result<Verdict> {
    let runtime = paused()?;
    Ok(runtime.block_on(Bench::check(scenario, component, previous, limits)))
}

/// What is checked, and what was found so far.
struct Bench<'a> {
    scenario: &'a Scenario,
    component: &'a Component,
    limits: &'a Limits,
    policy: Policy,
    description: Description,
    findings: Findings,
}

impl<'a> Bench<'a> {
    async fn check(
        scenario: &'a Scenario,
        component: &'a Component,
        previous: Option<&'a Component>,
        limits: &'a Limits,
    ) -> Verdict {
        let mut findings = Findings::default();
        let mut watch = Watch::of(scenario);
        if let Some((description, plan)) = pure::check(scenario, component, limits, &mut findings, &mut watch).await {
            let policy = pure::policy(&plan, &mut findings);
            let mut bench = Self { scenario, component, limits, policy, description, findings };
            let (first, others) = bench.runs().await;
            bench.look_through(&first, &others, &watch);
            bad_input::check(&mut bench, &watch).await;
            match previous {
                Some(previous) => upgrade::check(&mut bench, &plan, previous).await,
                None => bench.findings.skip(Law::Upgrade, "no older component was named with --previous"),
            }
            findings = bench.findings;
        } else if let Some(previous) = previous {
            upgrade::refused_config(scenario, previous, limits, &mut findings).await;
        }
        findings.verdict(&scenario.name, |text| watch.hide(text))
    }

    /// The first run, and all others.
    async fn runs(&mut self) -> (Run, Vec<Run>) {
        let first = self.first().run().await;
        self.recorded(&first);
        if first.lost.is_some() || !first.mismatches.is_empty() {
            self.skip_comparing();
            return (first, Vec::new());
        }
        let schedule: Vec<Duration> = first.polls.iter().map(|poll| poll.began).collect();
        let again = self.again().run().await;
        compare::same_bytes(&first, &again, &mut self.findings);
        let fresh = self.freely("a run with a fresh instance for every poll", &schedule).fresh().run().await;
        compare::same_things(&first, &fresh, &mut self.findings);
        let mut others = vec![again, fresh];
        for after in spread(&first) {
            let setup = self.resumed(&first, after, &schedule);
            let resumed = setup.run().await;
            compare::nothing_lost(&first, after, &resumed, Law::Resume, &mut self.findings);
            others.push(resumed);
        }
        for budget in self.tight(&first) {
            others.push(self.freely(&budget.0, &schedule).within(budget.1).run().await);
        }
        (first, others)
    }

    fn skip_comparing(&mut self) {
        for law in [Law::Resume, Law::Memory, Law::SameBytes] {
            self.findings.skip(law, "the first run did not come to its end");
        }
    }

    fn recorded(&mut self, first: &Run) {
        let mend = "correct the recording, or find out why the source asks otherwise: `host-test replay` shows more";
        // What comes after the first says nothing.
        if let Some(mismatch) = first.mismatches.first() {
            self.findings.add(Law::Recorded, &first.name, mismatch.to_string(), mend);
        }
        if first.mismatches.is_empty() && first.lost.is_none() {
            for unused in &first.unused {
                self.findings.add(Law::Recorded, &first.name, unused.to_string(), mend);
            }
        }
    }

    /// What holds for each poll of each run.
    fn look_through(&mut self, first: &Run, others: &[Run], watch: &Watch) {
        let all: Vec<&Run> = std::iter::once(first).chain(others).collect();
        for run in &all {
            self.findings.polls += run.polls.len();
            each::check(run, &self.description, &mut self.findings);
            watch.run(run, &mut self.findings);
        }
        compare::keys(&all, &mut self.findings);
    }

    /// As recorded.
    fn first(&self) -> Setup<'_> {
        let settings = &self.scenario.settings;
        Setup {
            name: "the first run".to_owned(),
            component: self.component,
            scenario: self.scenario,
            policy: &self.policy,
            limits: self.limits,
            traffic: Arc::clone(&self.scenario.traffic),
            order: Order::Strict,
            chunks: settings.faults.chunks.clone(),
            spent: &[],
            after: 0,
            position: convert::position(&settings.position),
            budget: convert::budget(&settings.budget),
            fresh: false,
            schedule: &[],
            monotonic: Duration::ZERO,
            wanted: BTreeSet::new(),
            insists: false,
            most_polls: MOST_POLLS,
        }
    }

    /// As recorded, with what must not matter changed.
    fn again(&self) -> Setup<'_> {
        Setup {
            name: "a second run, in pieces of 7 bytes and with another monotonic clock".to_owned(),
            traffic: recording::in_pieces(&self.scenario.traffic, 7),
            chunks: ChunkSizes::Every(7),
            monotonic: Duration::from_secs(86_461),
            ..self.first()
        }
    }

    /// In any order, any number of times.
    fn freely<'s>(&'s self, name: &str, schedule: &'s [Duration]) -> Setup<'s> {
        Setup {
            name: name.to_owned(),
            traffic: recording::at_once(&self.scenario.traffic),
            order: Order::Free,
            schedule,
            ..self.first()
        }
    }

    /// On a fresh instance at the checkpoint after so many polls.
    fn resumed<'s>(&'s self, first: &'s Run, after: u32, schedule: &'s [Duration]) -> Setup<'s> {
        let name = match after {
            0 => "a run from the beginning, answered in any order".to_owned(),
            _ => format!("a run from the checkpoint of poll {after}"),
        };
        let last = after.checked_sub(1).and_then(|index| first.polls.get(index as usize));
        let spent: &[Request] = last.map_or(&[], |poll| &first.asked[..poll.asked]);
        let free = self.freely(&name, schedule);
        let position = first.polls[..after as usize]
            .iter()
            .rev()
            .find_map(Poll::checkpoint)
            .map_or_else(|| free.position.clone(), |checkpoint| Position::Resume(Some(checkpoint.to_owned())));
        let wanted = first.polls[after as usize..].iter().flat_map(Poll::idents).collect();
        Setup { spent, after, position, wanted, ..free }
    }

    /// The smallest budgets with which something comes.
    fn tight(&self, first: &Run) -> Vec<(String, Budget)> {
        let given = convert::budget(&self.scenario.settings.budget);
        let largest = first.polls.iter().flat_map(Poll::events).map(|event| event.body.as_bytes().len()).max();
        let largest = largest.map_or(given.max_bytes, |bytes| bytes as u64);
        vec![
            ("a run with one event a poll".to_owned(), Budget { max_events: 1, ..given }),
            (format!("a run with {largest} bytes a poll"), Budget { max_bytes: largest.min(given.max_bytes), ..given }),
            ("a run with one request a poll".to_owned(), Budget { max_requests: 1, ..given }),
        ]
    }
}

impl Setup<'_> {
    fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    fn within(self, budget: Budget) -> Self {
        Self { budget, schedule: &[], insists: true, most_polls: MOST_TIGHT_POLLS, ..self }
    }
}

/// After how many polls reading on is tried: from the beginning, and after each poll that left a checkpoint.
fn spread(first: &Run) -> Vec<u32> {
    let left: Vec<u32> = std::iter::once(0)
        .chain(first.polls.iter().filter(|poll| poll.checkpoint().is_some()).map(|poll| poll.number))
        .collect();
    let step = left.len().div_ceil(MOST_CHECKPOINTS).max(1);
    left.iter().copied().step_by(step).collect()
}
