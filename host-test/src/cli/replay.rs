//! `host-test replay`.

use std::io;
use std::path::{Path, PathBuf};

use scenario::Scenario;
use source_host::Component;

use super::inject::{Again, Wanted};
use super::terminal::{Paint, draw};
use super::{Output, Refusal, Status, component, indented, inject, limits, say, write_whole};
use crate::{Finding, Replayed, Report, page, replay_within, update};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario folders.
    #[arg(required_unless_present = "inject", value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// The component [default: target/defender_source.wasm, here or beside this program].
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Write what comes out as what is expected from now on. Look at the difference before you commit it.
    #[arg(long)]
    update: bool,
    /// Write what happened as one page of HTML: a time line, each request and answer, the events and the differences. An
    /// existing file is replaced.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Run with a fault in it, such as `refused`, `cut=100@2` (after 100 bytes of what answers request 2) or `kill@3` (after poll 3);
    /// `list` shows all, `all` runs each. May be given several times: each is a run of its own, and faults with commas between
    /// them are in one.
    #[arg(long, value_name = "FAULT", value_parser = inject::wanted, conflicts_with = "update")]
    inject: Vec<Wanted>,
    #[command(flatten)]
    limits: limits::LimitArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<Status, Refusal> {
    if args.inject.iter().any(|wanted| matches!(wanted, Wanted::List)) {
        return inject::list(output);
    }
    if args.scenarios.is_empty() {
        return Err(Refusal::new("no scenario is named", "name the folders that the faults are put into"));
    }
    // Wrong scenarios are told before anything is compiled or run.
    let scenarios = args.scenarios.iter().map(|folder| load(folder)).collect::<Result<Vec<_>, _>>()?;
    let component = component::load(args.component.as_deref())?;
    let count = scenarios.len();
    let mut worst = Status::AsExpected;
    let mut replays = Vec::new();
    let mut struck = false;
    for (number, scenario) in (1..).zip(scenarios) {
        if !args.inject.is_empty() {
            let again = Again { folder: scenario.folder.clone(), component: args.component.clone() };
            let limits = args.limits.limits();
            let came = inject::run(&scenario, &component, &limits, &args.inject, &again, output)?;
            worst = worst.max(came.status);
            struck |= came.struck;
            replays.extend(came.runs);
            continue;
        }
        draw(&format!("{}, {number} of {count}", scenario.name));
        let (status, report, findings) = one(&scenario, &component, args, output)?;
        worst = worst.max(status);
        if args.report.is_some() {
            replays.push(Replayed { scenario, report, findings });
        }
    }
    draw("");
    if count > 1 {
        say(&format!("{count} scenarios replayed"));
    }
    if !args.inject.is_empty() && !struck {
        return Err(Refusal::new("no fault struck", "name a scenario that makes requests, or a place with FAULT@N"));
    }
    if let Some(file) = &args.report {
        write_whole("report", file, &page(&replays))?;
    }
    Ok(worst)
}

fn load(folder: &Path) -> Result<Scenario, Refusal> {
    Ok(Scenario::load(folder)?)
}

fn one(
    scenario: &Scenario,
    component: &Component,
    args: &Args,
    output: &mut Output,
) -> Result<(Status, Report, Vec<Finding>), Refusal> {
    let report = replay_within(scenario, component, &args.limits.limits()).map_err(|error| Refusal {
        message: format!("no runtime: {error}"),
        hint: Some("free some memory or file handles".to_owned()),
    })?;
    output.write(&report.events)?;
    let findings = report.findings(scenario);
    if args.update && !findings.is_empty() && findings.iter().all(Finding::can_be_accepted) {
        let changed = update(scenario, &report)
            .map_err(|error| Refusal { message: error.to_string(), hint: None })?
            .join(" and ");
        say(&format!("{}: {report}\n  {changed} written; look at the difference before you commit it", report.name));
        return Ok((Status::AsExpected, report, Vec::new()));
    }
    tell(scenario, &report, &findings, args);
    Ok((status(&findings), report, findings))
}

fn status(findings: &[Finding]) -> Status {
    match findings {
        [] => Status::AsExpected,
        [Finding::Config { .. }, ..] => Status::Unusable,
        _ => Status::NotAsExpected,
    }
}

fn tell(scenario: &Scenario, report: &Report, findings: &[Finding], args: &Args) {
    let paint = Paint::of(&io::stderr());
    if findings.is_empty() {
        say(&format!("{}: {}\n  {report}", report.name, paint.green("as expected")));
        return;
    }
    say(&format!("{}: {}\n  {report}", report.name, paint.red("not as expected")));
    for finding in findings {
        say(&indented(&paint.finding(finding)));
    }
    if findings.iter().all(Finding::can_be_accepted) {
        let component = args.component.as_ref().map(|file| format!(" --component {}", file.display()));
        say(&format!(
            "  to accept this: host-test replay {} --update{}",
            scenario.folder.display(),
            component.unwrap_or_default()
        ));
    }
}
