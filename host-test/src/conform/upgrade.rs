//! What an older version left behind goes on working.

use std::time::Duration;

use scenario::Scenario;
use source_host::{AccessPlan, Component, Limits, Source};

use super::law::Law;
use super::run::{Poll, Setup};
use super::verdict::Findings;
use super::{Bench, compare, pure, spread};

const HINT: &str = "read what released versions wrote, for ever, or name the old identity in `accepts`";

pub(super) async fn check(bench: &mut Bench<'_>, plan: &AccessPlan, previous: &Component) {
    let old = match Source::plan(previous, &bench.scenario.config, bench.limits).await {
        Ok(Ok(old)) => old,
        Ok(Err(_)) => {
            bench.findings.skip(Law::Upgrade, "the older component refuses config.json");
            return;
        }
        Err(error) => {
            bench.findings.skip(Law::Upgrade, format!("the older component failed: {error}"));
            return;
        }
    };
    if plan.identity != old.identity && !plan.accepts.contains(&old.identity) {
        let found =
            format!("expected the identity `{}` or one that `accepts` it, found `{}`", old.identity, plan.identity);
        bench.findings.add(Law::Upgrade, "the plan", found, HINT);
    }
    let policy = pure::policy(&old, &mut bench.findings);
    let first = {
        let name = "the run of the older component".to_owned();
        Setup { name, component: previous, policy: &policy, ..bench.first() }.run().await
    };
    if first.lost.is_some() || !first.mismatches.is_empty() {
        bench.findings.skip(Law::Upgrade, "the older component does not replay this scenario");
        return;
    }
    let schedule: Vec<Duration> = first.polls.iter().map(|poll| poll.began).collect();
    for after in spread(&first) {
        // Without a checkpoint nothing is left behind.
        if first.polls[..after as usize].iter().all(|poll| poll.checkpoint().is_none()) {
            continue;
        }
        let mut resumed = bench.resumed(&first, after, &schedule).run().await;
        resumed.name = format!("a run of this component from the checkpoint of poll {after} of the older one");
        compare::nothing_lost(&first, after, &resumed, Law::Upgrade, &mut bench.findings);
        if let (Some(Poll { answer: Err(failure), .. }), true) =
            (resumed.polls.first(), after as usize == first.polls.len())
        {
            refused(bench, failure, after);
        }
    }
}

/// A configuration that is refused now, and was not before.
pub(super) async fn refused_config(
    scenario: &Scenario,
    previous: &Component,
    limits: &Limits,
    findings: &mut Findings,
) {
    if let Ok(Ok(_)) = Source::plan(previous, &scenario.config, limits).await {
        let found = "expected it to be taken, as the older component takes it; it is refused";
        findings.add(Law::Upgrade, "config.json", found, "take what released versions took");
    }
}

fn refused(bench: &mut Bench<'_>, failure: &source_host::Failure, after: u32) {
    if let source_host::Failure::UnusableCheckpoint(fault) = failure {
        let found = format!("expected it to be taken; it is unusable: {}", fault.message);
        bench.findings.add(Law::Upgrade, format!("the checkpoint of poll {after} of the older component"), found, HINT);
    }
}
