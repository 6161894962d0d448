//! Runs of the model: many seeds, and one killed at every step.

use simulation::{Coverage, MATRIX_SEEDS, STANDARD_SEEDS, kill_matrix, missing_in_matrix, run_many};

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many seeds: the standard number, or that of `SEEDS`, which is fewer where many changes are tried in a row.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().map_or(STANDARD_SEEDS, |seeds| seeds.parse().expect("SEEDS is a number"))
}

#[test]
fn nothing_is_lost_invented_or_repeated_and_every_rule_and_fault_is_met() {
    let report = run_many(None, 0, seeds(), threads());
    let violations: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    // Few seeds do not meet everything.
    let missing = if report.seeds < STANDARD_SEEDS { Vec::new() } else { report.coverage.missing() };
    assert!(missing.is_empty(), "never met:\n{}\n{}", missing.join("\n"), report.coverage);
}

#[test]
fn a_host_that_dies_at_any_step_loses_nothing() {
    let (mut steps, mut coverage) = (0, Coverage::default());
    for (api, seed) in MATRIX_SEEDS {
        let (killed, met) = kill_matrix(api, seed, threads()).unwrap_or_else(|violation| panic!("{violation}"));
        steps += killed;
        coverage.merge(&met);
    }
    let missing = missing_in_matrix(&coverage);
    assert!(missing.is_empty(), "never met in {steps} deaths:\n{}\n{coverage}", missing.join("\n"));
}
