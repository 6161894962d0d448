//! What a run does, told while it happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::bindings::{Batch, Failure};
use crate::instance::CallError;
use crate::runner::{Outcome, RunError};

/// Whom a run tells what it does: [`Metrics`](crate::Metrics), or a program's own counters.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Takes note of what the named source does. Called from many threads, several times a poll; nothing goes on before
    /// it returns.
    fn observe(&self, source: &str, step: &Step<'_>);
}

/// What a source does.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Its run begins.
    Began,
    /// A poll begins.
    Polling,
    /// A request was sent, and answered with this status, or came to nothing.
    Answered(Option<u16>),
    /// So many bytes of the bodies of answers were read, decoded.
    Received(u64),
    /// A poll brought a batch.
    Batch(&'a Batch),
    /// A poll failed.
    Failed(&'a Failure),
    /// A poll cost the instance.
    Lost(&'a CallError),
    /// The component said that there is more and did not move, which costs the instance as well.
    Stuck,
    /// What the component handed over breaks a promise, and nothing of it counts. That costs the instance as well.
    Broken(&'a str),
    /// The named sink took a batch.
    Taken(&'a str),
    /// All sinks took a batch.
    Delivered(&'a Batch),
    /// A checkpoint was stored.
    Stored,
    /// It waits so long before it does anything.
    Waiting(Wait, Duration),
    /// Its run ended.
    Ended(Outcome),
    /// Its run ended, and a person has to look at it.
    GaveUp(&'a RunError),
}

/// What a source waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// It has caught up, and the next poll is due later.
    Schedule,
    /// The service is too busy, or cannot be reached.
    Service,
    /// An instance was lost.
    Instance,
    /// An output lost track of what it took.
    Output,
    /// A secret is not there.
    Secret,
    /// The requests that it may make are used up, its own or those that it shares with other sources; or the service of those
    /// wants nobody.
    Quota,
}

impl Wait {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Schedule, Self::Service, Self::Instance, Self::Output, Self::Secret, Self::Quota];

    /// It in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Service => "service",
            Self::Instance => "instance",
            Self::Output => "output",
            Self::Secret => "secret",
            Self::Quota => "quota",
        }
    }
}

/// Tells all of them.
impl Observer for Vec<Arc<dyn Observer>> {
    fn observe(&self, source: &str, step: &Step<'_>) {
        for observer in self {
            observer.observe(source, step);
        }
    }
}
