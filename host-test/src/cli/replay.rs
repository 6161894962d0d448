//! `host-test replay`.

use std::path::{Path, PathBuf};

use scenario::Scenario;
use source_host::Component;

use super::{Output, Refusal, Status, component, say};
use crate::{Finding, Report, replay, update};

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
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<Status, Refusal> {
    // Wrong scenarios are told before anything is compiled or run.
    let scenarios = args.scenarios.iter().map(|folder| load(folder)).collect::<Result<Vec<_>, _>>()?;
    let component = component::load(args.component.as_deref())?;
    let mut worst = Status::AsExpected;
    for scenario in &scenarios {
        worst = worst.max(one(scenario, &component, args, output)?);
    }
    if scenarios.len() > 1 {
        say(&format!("{} scenarios replayed", scenarios.len()));
    }
    Ok(worst)
}

fn load(folder: &Path) -> Result<Scenario, Refusal> {
    Ok(Scenario::load(folder)?)
}

fn one(scenario: &Scenario, component: &Component, args: &Args, output: &mut Output) -> Result<Status, Refusal> {
    let report = replay(scenario, component).map_err(|error| Refusal {
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
        return Ok(Status::AsExpected);
    }
    tell(scenario, &report, &findings, args);
    Ok(status(&findings))
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

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
