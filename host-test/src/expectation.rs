//! Accepting what a replay came to.

use std::io;
use std::path::PathBuf;

use scenario::{EXPECTED_EVENTS_FILE, EXPECTED_FILE, Scenario};

use crate::report::Report;

/// An expected file that cannot be written.
#[derive(Debug)]
pub struct UpdateError {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl std::fmt::Display for UpdateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cannot be written: {}\n  hint: check the permissions of the folder",
            self.file.display(),
            self.error
        )
    }
}

impl std::error::Error for UpdateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Writes what a replay came to as what is expected from now on, and returns the names of the files that changed.
///
/// # Errors
///
/// A file cannot be written; the other may have been.
pub fn update(scenario: &Scenario, report: &Report) -> Result<Vec<&'static str>, UpdateError> {
    let mut changed = Vec::new();
    if scenario.expected_events.as_ref() != Some(&report.events) {
        write(scenario, EXPECTED_EVENTS_FILE, &report.events)?;
        changed.push(EXPECTED_EVENTS_FILE);
    }
    let text = report.outcome.text();
    if scenario.expected.as_ref().is_none_or(|(expected, _)| *expected != text) {
        write(scenario, EXPECTED_FILE, &text)?;
        changed.push(EXPECTED_FILE);
    }
    Ok(changed)
}

fn write(scenario: &Scenario, name: &str, text: &str) -> Result<(), UpdateError> {
    let file = scenario.folder.join(name);
    std::fs::write(&file, text).map_err(|error| UpdateError { file, error })
}
