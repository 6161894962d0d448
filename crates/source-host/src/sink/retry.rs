//! Trying again what was not taken.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::SinkError;
use crate::backoff::Backoff;
use crate::policy::Denial;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why something is not taken now that may be taken later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trouble {
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// When to come back, where that was said.
    pub(super) wait: Option<Duration>,
    /// It is up to a person, who may take longer than a run with an end waits.
    pub(super) lasts: bool,
}

impl Trouble {
    /// What passes by itself.
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None, wait: None, lasts: false }
    }

    /// What a person has to put right.
    pub(super) fn lasting(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: Some(hint.into()), wait: None, lasts: true }
    }
}

/// A secret that is not there.
impl From<Denial> for Trouble {
    fn from(denial: Denial) -> Self {
        Self { why: denial.reason, hint: denial.hint, wait: None, lasts: true }
    }
}

/// The tries of one delivery.
pub(super) struct Tries<'a> {
    sink: &'a str,
    place: String,
    patience: Option<Duration>,
    backoff: Backoff,
    begun: Instant,
}

impl<'a> Tries<'a> {
    /// Those of the named sink at this place; without patience there is no last one.
    pub(super) fn new(sink: &'a str, place: String, patience: Option<Duration>) -> Self {
        Self { sink, place, patience, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), begun: Instant::now() }
    }

    /// Waits until it is time for the next one.
    pub(super) async fn wait(&mut self, trouble: Trouble) -> Result<(), SinkError> {
        let Trouble { why, hint, wait, lasts } = trouble;
        let wait = wait.unwrap_or_else(|| self.backoff.next());
        if self.patience.is_some_and(|patience| lasts || self.begun.elapsed() + wait > patience) {
            let hint = hint.unwrap_or_else(|| "start it again when the other end is well; nothing is lost".to_owned());
            return Err(refused(self.sink, &self.place, &why, hint));
        }
        let (sink, hint) = (self.sink, hint.as_deref());
        tracing::warn!(sink, hint, ?wait, "{} does not take the batch now: {why}", self.place);
        sleep(wait).await;
        Ok(())
    }
}

/// The named sink takes nothing any more.
pub(super) fn refused(sink: &str, place: &str, why: &str, hint: impl Into<String>) -> SinkError {
    SinkError::Failed {
        message: format!("the sink `{sink}` at {place} does not take events: {why}"),
        hint: hint.into(),
    }
}
