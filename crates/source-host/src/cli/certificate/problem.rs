//! Why a file is not opened, and how a person is told.

use std::io;
use std::path::Path;

use source_host::Denial;

use super::Certificate;
use super::pbe::MOST_ROUNDS;
use crate::cli::config::SecretFrom;

/// Why something cannot be opened.
#[derive(Debug, PartialEq)]
pub(super) enum Problem {
    /// It is not written as its format asks.
    Damaged,
    WrongPassword,
    /// By what it is protected.
    Unsupported(String),
    /// How many rounds of hashing it asks for.
    TooManyRounds(u64),
}

impl From<der::Error> for Problem {
    fn from(_: der::Error) -> Self {
        Self::Damaged
    }
}

impl Certificate {
    pub(super) fn unreadable(&self, path: &Path, why: io::Error) -> Denial {
        self.denial(format!("{} cannot be read: {why}", path.display()), "put it there, readable for this user")
    }

    /// Why a key or a file of keys was not opened; `advice` says how to have it in another form.
    pub(super) fn locked(&self, what: &str, problem: Problem, advice: &str) -> Denial {
        match problem {
            Problem::Damaged => self.denial(
                format!("{what} is damaged or cut short, or has something behind it"),
                &format!("copy it here again, byte by byte, or export it again; if another program opens it, {advice}"),
            ),
            Problem::WrongPassword => match &self.from.password {
                None => self.denial(
                    format!("{what} needs a password, or is damaged"),
                    "say beside it where that is kept: password = { env = \"NAME\" } or password = { file = \"PATH\" }",
                ),
                Some(from) => {
                    let place = match from {
                        SecretFrom::Env(name) => format!("the environment variable {name}"),
                        SecretFrom::File(path) => path.display().to_string(),
                    };
                    self.denial(
                        format!("{what} is not opened by the password from {place}, or is damaged"),
                        "put the password there that it was exported with, or export it again",
                    )
                }
            },
            Problem::Unsupported(algorithm) => {
                self.denial(format!("{what} is protected with {algorithm}, which is not supported"), advice)
            }
            Problem::TooManyRounds(rounds) => self.denial(
                format!(
                    "{what} asks for {rounds} rounds of hashing for one of its parts, and all may take {MOST_ROUNDS}"
                ),
                "export it again with fewer, such as 100000",
            ),
        }
    }
}
