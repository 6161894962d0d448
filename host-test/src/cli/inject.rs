//! `host-test replay --inject`.

use std::io;
use std::path::PathBuf;

use scenario::Scenario;
use source_host::{Component, Limits};

use super::terminal::{Paint, draw};
use super::{Output, Refusal, Status, indented};
use crate::{Finding, InjectError, Injected, Injection, Injector, Replayed, every_fault, fault_list};

/// What `--inject` takes.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Every form that there is.
    List,
    /// A run for each of them.
    All,
    /// One run, or one for each byte.
    Run(Injection),
}

/// Reads what stands after `--inject`.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "list" => Ok(Wanted::List),
        "all" => Ok(Wanted::All),
        fault => fault
            .parse()
            .map(Wanted::Run)
            .map_err(|error: crate::FaultError| format!("{error}\n  hint: {}", error.hint())),
    }
}

/// So many runs that are not well are told of those that differ in one byte only.
const TOLD_RUNS: usize = 3;

/// Says all forms.
pub(super) fn list(output: &mut Output) -> Result<Status, Refusal> {
    output.write(&fault_list())?;
    Ok(Status::AsExpected)
}

/// The runs that are wanted, in their order.
fn injections(wanted: &[Wanted]) -> Vec<Injection> {
    let one = |wanted: &Wanted| match wanted {
        Wanted::List => Vec::new(),
        Wanted::All => every_fault(),
        Wanted::Run(injection) => vec![injection.clone()],
    };
    wanted.iter().flat_map(one).collect()
}

/// How a command is written again.
pub(super) struct Again {
    pub(super) folder: PathBuf,
    pub(super) component: Option<PathBuf>,
}

impl Again {
    fn line(&self, injection: &str) -> String {
        let component = self.component.as_ref().map(|file| format!(" --component {}", file.display()));
        let component = component.unwrap_or_default();
        format!("again: host-test replay {} --inject {injection}{component}", self.folder.display())
    }
}

/// What a scenario came to.
pub(super) struct Came {
    pub(super) status: Status,
    /// Whether any fault struck.
    pub(super) struck: bool,
    /// The runs, for a report.
    pub(super) runs: Vec<Replayed>,
}

/// Runs a scenario with each of the faults, and says what each came to. A fault without a place that finds none is left out,
/// and that is told.
pub(super) fn run(
    scenario: &Scenario,
    component: &Component,
    limits: &Limits,
    wanted: &[Wanted],
    again: &Again,
    output: &mut Output,
) -> Result<Came, Refusal> {
    let paint = Paint::of(&io::stdout());
    let injector = match Injector::new(scenario, component, limits) {
        Ok(injector) => injector,
        Err(InjectError::Unexpected { findings, .. }) => {
            output.write(&unexpected(scenario, &findings, paint))?;
            let is_config = matches!(findings[..], [Finding::Config { .. }, ..]);
            let status = if is_config { Status::Unusable } else { Status::NotAsExpected };
            return Ok(Came { status, struck: true, runs: Vec::new() });
        }
        Err(error @ InjectError::Traps { .. }) => {
            output.write(&format!("{error}, and is left out\n"))?;
            return Ok(Came { status: Status::AsExpected, struck: false, runs: Vec::new() });
        }
        Err(error) => return Err(refusal(&error)),
    };
    let injections = injections(wanted);
    let (mut well, mut struck, mut shown) = (0, 0, Vec::new());
    for (number, injection) in (1..).zip(&injections) {
        draw(&format!("{}: {injection}, {number} of {}", scenario.name, injections.len()));
        let runs = match injector.inject(injection) {
            Ok(runs) => runs,
            Err(error @ InjectError::Misplaced { .. }) if !injection.is_placed() => {
                output.write(&format!("{error}\n"))?;
                continue;
            }
            Err(error) => return Err(refusal(&error)),
        };
        struck += 1;
        output.write(&told(scenario, injection, &runs, again, paint))?;
        well += usize::from(runs.iter().all(Injected::is_well));
        // Of many that differ in a byte, one shows what there is to see.
        let one = runs.iter().position(|run| !run.is_well()).unwrap_or_default();
        shown.extend(runs.into_iter().nth(one));
    }
    draw("");
    if injections.len() > 1 {
        let left_out = injections.len() - struck;
        let rest = if left_out > 0 { format!(", {left_out} do not strike here") } else { String::new() };
        output.write(&format!("{}: {well} of {struck} faults with nothing lost{rest}\n", scenario.name))?;
    }
    let status = if well == struck { Status::AsExpected } else { Status::NotAsExpected };
    Ok(Came { status, struck: struck > 0, runs: shown.into_iter().map(|run| replayed(scenario, run)).collect() })
}

fn unexpected(scenario: &Scenario, findings: &[Finding], paint: Paint) -> String {
    let mut text = format!("{}: {} without a fault\n", scenario.name, paint.red("not as expected"));
    for finding in findings {
        text += &format!("{}\n", indented(&paint.finding(finding)));
    }
    text + "  hint: see to that first; host-test replay says more without --inject\n"
}

/// One verdict; of several runs that differ in a byte, how many there were, and the first ones that are not well.
fn told(scenario: &Scenario, injection: &Injection, runs: &[Injected], again: &Again, paint: Paint) -> String {
    let verdict = |run: &Injected| {
        let what = match &run.findings[..] {
            [] => paint.green("nothing lost"),
            [Finding::Lost { .. }, ..] => paint.red("lost"),
            [Finding::Invented { .. }, ..] => paint.red("invented"),
            [Finding::Unmatched(_), ..] => paint.red("asks for what was not recorded"),
            _ => paint.red("broken"),
        };
        let mut text = format!("{} with {}: {what}\n", scenario.name, run.injection);
        for finding in &run.findings {
            text += &format!("{}\n", indented(&paint.finding(finding)));
        }
        if matches!(run.findings[..], [Finding::Unmatched(_), ..]) {
            text += "    hint: a `range` beside the interaction answers shorter ranges of time, and one with \"times\": \"any\" anything else\n";
        }
        text += &format!("{}\n", indented(&run.told()));
        if !run.is_well() {
            text += &format!("  {}\n", again.line(&run.injection));
        }
        text
    };
    if let [run] = runs {
        return verdict(run);
    }
    // All of them are at one place, also where none was named.
    let place = runs.first().and_then(|run| run.injection.split_once('@')).map_or("1", |(_, place)| place);
    let injection = injection.clone().at(place.parse().unwrap_or(1));
    let bad: Vec<&Injected> = runs.iter().filter(|run| !run.is_well()).collect();
    if bad.is_empty() {
        let words: std::collections::BTreeSet<String> = runs.iter().map(Injected::in_words).collect();
        let words: String = words.iter().map(|words| format!("  {words}\n")).collect();
        let name = &scenario.name;
        return format!("{name} with {injection}: {} in {} runs\n{words}", paint.green("nothing lost"), runs.len());
    }
    let mut text: String = bad.iter().take(TOLD_RUNS).map(|run| verdict(run)).collect();
    text += &format!("{} with {injection}: {} of {} runs are not well\n", scenario.name, bad.len(), runs.len());
    text
}

fn replayed(scenario: &Scenario, run: Injected) -> Replayed {
    let mut scenario = scenario.clone();
    scenario.settings.why = format!("With {}: {}. {}", run.injection, run.in_words(), scenario.settings.why);
    let name = format!("{} with {}", run.report.name, run.injection);
    let report = crate::Report { name, ..run.report };
    Replayed { scenario, report, findings: run.findings }
}

fn refusal(error: &InjectError) -> Refusal {
    Refusal::new(error, error.hint())
}
