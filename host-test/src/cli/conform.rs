//! `host-test conform`.

use std::io;
use std::path::{Path, PathBuf};

use scenario::Scenario;
use source_host::{Component, Engine, LoadError};

use super::terminal::{Paint, draw};
use super::{Output, Refusal, Status, limits, write_whole};
use crate::conform::{Break, Law, State, Verdict, conform};
use crate::junit::junit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario folders that were recorded for this component.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// The component.
    #[arg(long, value_name = "FILE")]
    component: PathBuf,
    /// A released version of the component, whose configurations and checkpoints have to go on working.
    #[arg(long, value_name = "OLD.wasm")]
    previous: Option<PathBuf>,
    /// Write what was checked as JUnit XML: a suite a scenario, a case a law. An existing file is replaced.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    limits: limits::LimitArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<Status, Refusal> {
    // Wrong scenarios are told before anything is compiled or run.
    let scenarios = args.scenarios.iter().map(|folder| Ok(Scenario::load(folder)?));
    let scenarios = scenarios.collect::<Result<Vec<_>, Refusal>>()?;
    let engine = Engine::new().map_err(|error| Refusal {
        message: format!("this machine runs no WebAssembly: {error:#}"),
        hint: Some("run it on a machine with a 64-bit processor".to_owned()),
    })?;
    let previous = args.previous.as_deref().map(|file| engine.load(file).map_err(|error| unusable(&error)));
    let previous = previous.transpose()?;
    let limits = args.limits.limits();
    let paint = Paint::of(&io::stdout());
    let verdicts = match load(&engine, &args.component)? {
        Loaded::Source(component) => {
            let mut verdicts = Vec::new();
            for (number, scenario) in (1..).zip(&scenarios) {
                draw(&format!("{}, {number} of {}", scenario.name, scenarios.len()));
                let verdict = conform(scenario, &component, previous.as_ref(), &limits).map_err(|error| Refusal {
                    message: format!("no runtime: {error}"),
                    hint: Some("free some memory or file handles".to_owned()),
                })?;
                output.write(&shown(&verdict, paint))?;
                verdicts.push(verdict);
            }
            verdicts
        }
        Loaded::Foreign(verdict) => {
            output.write(&shown(&verdict, paint))?;
            vec![verdict]
        }
    };
    if let Some(file) = &args.junit {
        write_whole("JUnit XML", file, &junit(&verdicts))?;
    }
    let broken = verdicts.iter().any(|verdict| verdict.broken().next().is_some());
    Ok(if broken { Status::NotAsExpected } else { Status::AsExpected })
}

enum Loaded {
    Source(Component),
    /// It imports what no source may, so it cannot even be run.
    Foreign(Verdict),
}

fn load(engine: &Engine, file: &Path) -> Result<Loaded, Refusal> {
    match engine.load(file) {
        Ok(component) => Ok(Loaded::Source(component)),
        Err(error @ LoadError::Imports { .. }) => {
            let place = "the component".to_owned();
            let broken = State::Broken(vec![Break { place, found: error.to_string(), hint: error.hint(), more: 0 }]);
            let state = |law| match law {
                Law::Imports => broken.clone(),
                _ => State::NotChecked("it cannot be run".to_owned()),
            };
            let laws = Law::ALL.into_iter().map(|law| (law, state(law))).collect();
            Ok(Loaded::Foreign(Verdict { scenario: "the component".to_owned(), laws, polls: 0 }))
        }
        Err(error) => Err(unusable(&error)),
    }
}

fn unusable(error: &LoadError) -> Refusal {
    Refusal { hint: Some(error.hint().to_owned()), message: error.to_string() }
}

/// How a verdict looks.
fn shown(verdict: &Verdict, paint: Paint) -> String {
    let broken = verdict.broken().count();
    let unchecked = verdict.laws.len() - verdict.kept() - broken;
    let told = if broken == 0 { paint.green("conforms") } else { paint.red("does not conform") };
    let mut text = format!(
        "{}: {told}\n  {} kept, {broken} broken, {unchecked} not checked, in {} polls\n",
        verdict.scenario,
        verdict.kept(),
        verdict.polls
    );
    for (law, breaks) in verdict.broken() {
        text += &format!("  {}  {}: {}\n", paint.red("broken"), law.id(), law.sentence());
        for found in breaks {
            text += &format!("    {}\n", found.to_string().replace('\n', "\n    "));
        }
    }
    for (reason, laws) in not_checked(verdict) {
        text += &format!("  not checked  {}: {reason}\n", laws.join(", "));
    }
    text
}

/// The laws that were not checked, by the reason.
fn not_checked(verdict: &Verdict) -> Vec<(&str, Vec<&'static str>)> {
    let mut reasons: Vec<(&str, Vec<&'static str>)> = Vec::new();
    for (law, state) in &verdict.laws {
        let State::NotChecked(reason) = state else { continue };
        match reasons.iter_mut().find(|(other, _)| other == reason) {
            Some((_, laws)) => laws.push(law.id()),
            None => reasons.push((reason, vec![law.id()])),
        }
    }
    reasons
}
