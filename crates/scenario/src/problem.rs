//! What is wrong with a scenario folder, as sentences.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong: what, where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// The line in it, from 1 on.
    pub line: Option<usize>,
    /// JSON Pointer of the value to blame; empty for the whole document.
    pub pointer: String,
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file or folder.
    pub(crate) fn of_file(file: impl Into<PathBuf>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { file: file.into(), line: None, pointer: String::new(), message: message.into(), hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": ")?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A scenario that cannot be run, with everything that is known to be wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct UnusableScenario {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for UnusableScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
