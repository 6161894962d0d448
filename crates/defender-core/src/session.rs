//! What an instance keeps between the calls of its host: a cache, on which nothing depends.

use std::fmt;

use crate::checkpoint::MAX_CHECKPOINT_BYTES;
use crate::config::{Config, SCHEMA};
use crate::contract::{Budget, Description, Failure, Position};
use crate::machine::{MAX_EVENT_BYTES, Machine};
use crate::tick::Now;

/// The machine of the last poll, and the configuration that it was made of, which no `Debug` shows: it holds the secret.
#[derive(Default)]
pub struct Session {
    kept: Option<(String, Machine)>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.kept.as_ref().map(|(_, machine)| machine);
        f.debug_struct("Session").field("machine", &machine).finish_non_exhaustive()
    }
}

impl Session {
    /// The machine for a poll, begun: the one that is kept where it stands at this position, else a new one.
    ///
    /// # Errors
    ///
    /// Those of [`Config::parse`], [`Machine::new`] and [`Machine::begin`].
    pub fn begin(&mut self, config: &str, at: &Position, budget: Budget, now: Now) -> Result<&mut Machine, Failure> {
        let kept = self.kept.take().filter(|(of, _)| of == config);
        let machine = match kept {
            Some((_, machine)) if machine.is_at(at) => machine,
            other => {
                let mut machine = Machine::new(Config::parse(config).map_err(Failure::InvalidConfig)?, at)?;
                if let Some((_, mut before)) = other {
                    machine.take_tokens(&mut before);
                }
                machine
            }
        };
        let (_, machine) = self.kept.insert((config.to_owned(), machine));
        machine.begin(budget, now)?;
        Ok(machine)
    }

    /// Whether the rest of the answer that is being read is wanted by the next poll.
    pub fn wants_body(&self) -> bool {
        self.kept.as_ref().is_some_and(|(_, machine)| machine.wants_body())
    }
}

/// The machine that proves a configuration's credentials and permission.
///
/// # Errors
///
/// [`Failure::InvalidConfig`].
pub fn probe(config: &str, now: Now) -> Result<Machine, Failure> {
    let mut machine = Machine::probe(Config::parse(config).map_err(Failure::InvalidConfig)?);
    let budget = Budget { max_events: 1, max_bytes: MAX_EVENT_BYTES as u64, max_requests: 4, max_duration: u64::MAX };
    machine.begin(budget, now)?;
    Ok(machine)
}

/// What the source says of itself.
pub fn describe() -> Description {
    Description {
        name: "defender-source",
        version: env!("CARGO_PKG_VERSION"),
        config_schema: SCHEMA,
        documentation: "README.md of the project, and docs/ beside it",
        max_checkpoint_bytes: MAX_CHECKPOINT_BYTES as u32,
        max_event_bytes: MAX_EVENT_BYTES as u64,
    }
}
