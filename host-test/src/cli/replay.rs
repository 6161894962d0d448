//! `host-test replay`.

use std::path::{Path, PathBuf};

use scenario::Scenario;
use source_host::Component;

use super::{Output, Refusal, Status, component, indented, limits, say, write_whole};
use crate::{Finding, Replayed, Report, page, replay_within, update};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario folders.
    #[arg(required = true, value_name = "SCENARIO")]
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
    #[command(flatten)]
    limits: limits::LimitArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<Status, Refusal> {
    // Wrong scenarios are told before anything is compiled or run.
    let scenarios = args.scenarios.iter().map(|folder| load(folder)).collect::<Result<Vec<_>, _>>()?;
    let component = component::load(args.component.as_deref())?;
    let count = scenarios.len();
    let mut worst = Status::AsExpected;
    let mut replays = Vec::new();
    for scenario in scenarios {
        let (status, report, findings) = one(&scenario, &component, args, output)?;
        worst = worst.max(status);
        if args.report.is_some() {
            replays.push(Replayed { scenario, report, findings });
        }
    }
    if count > 1 {
        say(&format!("{count} scenarios replayed"));
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
    if findings.is_empty() {
        say(&format!("{}: as expected\n  {report}", report.name));
        return;
    }
    say(&format!("{}: not as expected\n  {report}", report.name));
    for finding in findings {
        say(&indented(&finding.to_string()));
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
