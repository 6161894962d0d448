//! `simulate`: runs seeds, and says what was met and what was violated.

use std::process::ExitCode;
use std::time::Instant;

use simulation::Api;

const USAGE: &str =
    "usage: simulate [--seeds N] [--from SEED] [--threads N] | --seed SEED [--kill-at STEP] [-v] | --kill-matrix SEED
       each with --api NAME for one API, siem, alerts, graph, incidents or xdr-incidents, instead of the seed's own";

/// What the command line says.
struct Options {
    api: Option<Api>,
    seeds: u64,
    from: u64,
    threads: usize,
    seed: Option<u64>,
    kill_at: Option<u64>,
    matrix: Option<u64>,
    verbose: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("error: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = options.matrix {
        return match simulation::kill_matrix(options.api.unwrap_or_else(|| Api::of(seed)), seed, options.threads) {
            Ok((steps, coverage)) => {
                print!("{coverage}");
                println!("seed {seed}: killed at each of {steps} steps, nothing lost");
                ExitCode::SUCCESS
            }
            Err(violation) => failed(&violation),
        };
    }
    if let Some(seed) = options.seed {
        return match simulation::run_one(options.api, seed, options.verbose, options.kill_at) {
            Ok(coverage) => {
                print!("{coverage}");
                println!("seed {seed}: as it must be");
                ExitCode::SUCCESS
            }
            Err(violation) => failed(&violation),
        };
    }
    many(&options)
}

fn failed(violation: &simulation::Violation) -> ExitCode {
    eprintln!("error: {violation}");
    ExitCode::FAILURE
}

fn many(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let report = simulation::run_many(options.api, options.from, options.seeds, options.threads);
    let seconds = begun.elapsed().as_secs_f64();
    print!("{}", report.coverage);
    #[expect(clippy::cast_precision_loss, reason = "a rate for a person")]
    let rate = report.seeds as f64 / seconds;
    println!("{} seeds, {} polls, {seconds:.1} s, {rate:.0} seeds a second", report.seeds, report.polls);
    for violation in &report.violations {
        eprintln!("error: {violation}");
    }
    let missing = report.coverage.missing();
    // A handful of seeds is not meant to meet everything.
    let is_standard = options.seeds >= simulation::STANDARD_SEEDS && options.api.is_none();
    if is_standard {
        for what in &missing {
            eprintln!("error: never met: {what}");
        }
    }
    let is_good = report.violations.is_empty() && (missing.is_empty() || !is_standard);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut options = Options {
        api: None,
        seeds: simulation::STANDARD_SEEDS,
        from: 0,
        threads,
        seed: None,
        kill_at: None,
        matrix: None,
        verbose: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "-v" {
            options.verbose = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("`{name}` lacks its value, or is no option"))?;
        if name == "--api" {
            options.api = Some(Api::named(&value).ok_or_else(|| format!("`{value}` is the name of no API"))?);
            continue;
        }
        let number = value.parse::<u64>().map_err(|_| format!("`{value}` after `{name}` is no number"))?;
        match name.as_str() {
            "--seeds" => options.seeds = number,
            "--from" => options.from = number,
            "--threads" => options.threads = usize::try_from(number).unwrap_or(threads),
            "--seed" => options.seed = Some(number),
            "--kill-at" => options.kill_at = Some(number),
            "--kill-matrix" => options.matrix = Some(number),
            _ => return Err(format!("`{name}` is no option")),
        }
    }
    Ok(options)
}
