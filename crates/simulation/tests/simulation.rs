//! Runs of the model: many seeds, and one killed at every step.

use simulation::{STANDARD_SEEDS, kill_matrix, run_many};

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[test]
fn nothing_is_lost_invented_or_repeated_and_every_rule_and_fault_is_met() {
    let report = run_many(0, STANDARD_SEEDS, threads());
    let violations: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let missing = report.coverage.missing();
    assert!(missing.is_empty(), "never met:\n{}\n{}", missing.join("\n"), report.coverage);
}

#[test]
fn a_host_that_dies_at_any_step_loses_nothing() {
    let mut steps = 0;
    for seed in simulation::MATRIX_SEEDS {
        match kill_matrix(seed) {
            Ok((killed, _)) => steps += killed,
            Err(violation) => panic!("{violation}"),
        }
    }
    assert!(steps > 1000, "only {steps} steps");
}
