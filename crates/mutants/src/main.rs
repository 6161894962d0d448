//! Mutation testing: puts every small change of the code that decides into one build, and looks which of them no test notices.

mod find;
mod harmless;
mod rewrite;
mod site;
mod tree;
mod trial;
mod values;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};

use harmless::Harmless;
use site::Site;
use tree::Tree;
use trial::{Outcome, Suite, try_mutant};

const USAGE: &str = "usage: mutants [--list] [--only TEXT] [--again] [--quick] [--seeds N] [--jobs N] [FILE...]";

/// The files that decide: cursor, slices, keys, truncation, checkpoint, and what is read of an answer.
const FILES: [&str; 18] = [
    "crates/defender-core/src/answer.rs",
    "crates/defender-core/src/answer/envelope.rs",
    "crates/defender-core/src/checkpoint.rs",
    "crates/defender-core/src/machine/asking.rs",
    "crates/defender-core/src/machine/calls.rs",
    "crates/defender-core/src/machine/deliver.rs",
    "crates/defender-core/src/machine/edges.rs",
    "crates/defender-core/src/machine/failing.rs",
    "crates/defender-core/src/machine/mod.rs",
    "crates/defender-core/src/machine/pages.rs",
    "crates/defender-core/src/machine/passes.rs",
    "crates/defender-core/src/machine/poll.rs",
    "crates/defender-core/src/machine/reading.rs",
    "crates/defender-core/src/progress.rs",
    "crates/defender-core/src/query.rs",
    "crates/defender-core/src/ring.rs",
    "crates/defender-core/src/row.rs",
    "crates/defender-core/src/tick.rs",
];

/// How many seeds the simulation runs for a mutant that the other tests let pass.
const SEEDS: u64 = 300;

/// What the command line says.
struct Options {
    files: Vec<String>,
    /// Part of the names of those that are tried.
    only: Option<String>,
    /// Whether only the survivors of the last run are tried, without those that are known to change nothing.
    again: bool,
    list: bool,
    /// Whether the tests that take long are left out.
    quick: bool,
    seeds: u64,
    jobs: usize,
}

/// A mutant that can be tried.
struct Candidate {
    number: u32,
    name: String,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("error: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether those that no test notices are those that are known to change nothing.
fn run(options: &Options) -> Result<bool> {
    let text = fs::read_to_string(harmless::LIST).with_context(|| format!("cannot read {}", harmless::LIST))?;
    let harmless = Harmless::read(&text)?;
    let mut sources = BTreeMap::new();
    let mut next = 1;
    for path in &options.files {
        let source = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let sites = find::find(path, &source, next)?;
        next += u32::try_from(sites.iter().map(|site| site.mutants.len()).sum::<usize>())?;
        sources.insert(path.clone(), (source, sites));
    }
    if options.list {
        candidates(&sources).iter().for_each(|candidate| println!("{}", candidate.name));
        return Ok(true);
    }
    let built = PathBuf::from(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).join("mutants");
    fs::create_dir_all(&built)?;
    let tree = Tree { built: built.canonicalize()? };
    let mut timed = Vec::new();
    for suite in tree.build(&mut sources)? {
        timed.extend(suite.measured(options.seeds, options.quick)?);
    }
    // The quickest first: most mutants fall there.
    timed.sort_by_key(|(took, _)| *took);
    for (took, suite) in &timed {
        eprintln!("{:.1} s for {}", took.as_secs_f64(), suite.name);
    }
    let suites: Vec<_> = timed.into_iter().map(|(_, suite)| suite).collect();
    let outcomes = built.join("outcomes.tsv");
    let mut chosen = candidates(&sources);
    eprintln!("{} mutants, and {} that the compiler refused", chosen.len(), next as usize - 1 - chosen.len());
    let made = chosen.iter().map(|candidate| candidate.name.as_str()).collect();
    let unknown: Vec<_> = harmless.unknown(&options.files, &made).collect();
    ensure!(unknown.is_empty(), "{} lists what is no mutant any more:\n{}", harmless::LIST, unknown.join("\n"));
    if let Some(only) = &options.only {
        chosen.retain(|candidate| candidate.name.contains(only));
    }
    if options.again {
        let survivors = survivors(&outcomes)?;
        chosen.retain(|candidate| survivors.contains(&candidate.name) && !harmless.holds(&candidate.name));
    }
    Ok(report(&try_all(options, &suites, &chosen, &outcomes)?, &harmless))
}

fn candidates(sources: &BTreeMap<String, (String, Vec<Site>)>) -> Vec<Candidate> {
    let mutants = sources.values().flat_map(|(_, sites)| sites).flat_map(|site| &site.mutants);
    mutants.map(|mutant| Candidate { number: mutant.number, name: mutant.name.clone() }).collect()
}

/// Those that no test noticed in the last run.
fn survivors(outcomes: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(outcomes).with_context(|| format!("cannot read {}", outcomes.display()))?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("survived\t")).map(str::to_owned).collect())
}

/// Tries each of them, and writes down what came of it as it comes.
fn try_all<'a>(
    options: &Options,
    suites: &[Suite],
    chosen: &'a [Candidate],
    outcomes: &Path,
) -> Result<Vec<(&'a str, Outcome)>> {
    let file = Mutex::new(fs::File::create(outcomes).with_context(|| format!("cannot write {}", outcomes.display()))?);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tried = Vec::new();
        while let Some(Candidate { number, name }) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = try_mutant(suites, *number, options.seeds)?;
            if let Ok(mut file) = file.lock() {
                writeln!(file, "{outcome}\t{name}")?;
            }
            tried.push((name.as_str(), outcome));
        }
        Ok(tried)
    };
    let all: Vec<Result<Vec<_>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    Ok(all.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Prints those whose outcome is not as it should be, and how many were noticed by what; true where there is none of these.
fn report(tried: &[(&str, Outcome)], harmless: &Harmless) -> bool {
    let mut counts = BTreeMap::<String, usize>::new();
    for (_, outcome) in tried {
        *counts.entry(outcome.to_string()).or_default() += 1;
    }
    for (outcome, count) in &counts {
        eprintln!("{count:5} {outcome}");
    }
    let objections: Vec<_> = tried.iter().filter_map(|(name, outcome)| harmless.objection(name, outcome)).collect();
    objections.iter().for_each(|objection| println!("{objection}"));
    objections.is_empty()
}

fn options() -> Result<Options, String> {
    let jobs = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options =
        Options { files: Vec::new(), only: None, again: false, list: false, quick: false, seeds: SEEDS, jobs };
    let mut arguments = env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{name}` lacks its value"));
        let number = |text: String| text.parse().map_err(|_| format!("`{text}` after `{name}` is no number"));
        match name.as_str() {
            "--list" => options.list = true,
            "--again" => options.again = true,
            "--quick" => options.quick = true,
            "--only" => options.only = Some(value()?),
            "--seeds" => options.seeds = number(value()?)?,
            "--jobs" => options.jobs = usize::try_from(number(value()?)?).unwrap_or(jobs),
            _ if name.starts_with('-') => return Err(format!("`{name}` is no option")),
            _ => options.files.push(name),
        }
    }
    if options.files.is_empty() {
        options.files = FILES.map(str::to_owned).into();
    }
    Ok(options)
}
