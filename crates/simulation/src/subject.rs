//! What is tried: the machine of the core, or a component around it.

use defender_core::config::Config;
use defender_core::contract::{Batch, Budget, Failure, Position};
use defender_core::{Input, Limits, Machine, Output};

use crate::body::Piece;
use crate::line::{Line, Stop};

/// A source that is polled in instances which come and go.
pub trait Subject {
    /// Whether the instance that is kept goes on from a position.
    fn is_at(&self, position: &Position) -> bool;

    /// Begins a fresh instance at a position, and hands it the token of the one before where it can and `hands_tokens_on`.
    ///
    /// # Errors
    ///
    /// It cannot begin there, which is a violation.
    fn begin_anew(&mut self, position: &Position, hands_tokens_on: bool) -> Result<(), String>;

    /// Polls the instance, which calls [`Line::begin`] before and [`Line::end`] after.
    ///
    /// # Errors
    ///
    /// The host died on the way, or something was violated.
    fn poll(&mut self, at: &Position, budget: Budget, line: &mut Line<'_>) -> Result<Result<Batch, Failure>, Stop>;

    /// The instance is gone.
    fn discard(&mut self);
}

/// The machine itself.
#[derive(Debug)]
pub(crate) struct Core {
    config: Config,
    limits: Limits,
    machine: Option<Machine>,
}

impl Core {
    pub(crate) fn new(config: &str, limits: Limits) -> Self {
        let config = Config::parse(config).unwrap_or_else(|problems| panic!("{problems:?}"));
        Self { config, limits, machine: None }
    }
}

impl Subject for Core {
    fn is_at(&self, position: &Position) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.is_at(position))
    }

    fn begin_anew(&mut self, position: &Position, hands_tokens_on: bool) -> Result<(), String> {
        let mut fresh = Machine::with_limits(self.config.clone(), position, self.limits)
            .map_err(|failure| format!("a checkpoint of its own cannot be used: {failure:?}"))?;
        if let Some(mut before) = self.machine.take()
            && hands_tokens_on
        {
            fresh.take_tokens(&mut before);
        }
        self.machine = Some(fresh);
        Ok(())
    }

    fn poll(&mut self, _: &Position, budget: Budget, line: &mut Line<'_>) -> Result<Result<Batch, Failure>, Stop> {
        let Some(machine) = &mut self.machine else { return Err("no machine".to_owned().into()) };
        line.begin();
        if let Err(failure) = machine.begin(budget, line.now()) {
            return Ok(Err(failure));
        }
        loop {
            line.step()?;
            match machine.step(line.now()) {
                Output::Done(done) => {
                    line.end(machine.wants_body());
                    return Ok(done);
                }
                Output::Send(request) => {
                    let input = match line.send(&request)? {
                        Ok(head) => Input::ResponseHead(head),
                        Err(failure) => Input::TransportFailed(failure),
                    };
                    machine.handle(input, line.now());
                }
                Output::ReadBody => match line.read()? {
                    Piece::Chunk(chunk) => machine.handle(Input::BodyChunk(&chunk), line.now()),
                    Piece::End => machine.handle(Input::BodyEnd, line.now()),
                    Piece::Failed(failure) => machine.handle(Input::TransportFailed(failure), line.now()),
                },
            }
        }
    }

    fn discard(&mut self) {
        self.machine = None;
    }
}
