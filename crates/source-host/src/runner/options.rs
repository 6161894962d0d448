//! What one run of a source is to do.

use std::sync::Arc;
use std::time::Duration;

use crate::bindings::{AccessPlan, Budget, Instant};
use crate::observer::{self, Observer};
use crate::quota::Quota;
use crate::turns::Turns;

/// What one run of a source is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What the source is called in the output and in logs.
    pub name: String,
    /// What the checkpoint belongs to, from the plan.
    pub identity: String,
    /// Identities whose checkpoints the source reads on from, from the plan.
    pub accepts: Vec<String>,
    /// A hash of the effective configuration; where it is another one than at the last run, that is logged.
    pub config_digest: String,
    /// What one poll may bring.
    pub budget: Budget,
    /// How many batches may be under way to the sinks, the one included that is polled meanwhile. With 1 nothing is
    /// polled before everything is delivered.
    pub in_flight: usize,
    /// Ends when the source has caught up, and does not wait longer than a minute.
    pub once: bool,
    /// One range, from the first instant on and before the second.
    pub range: Option<(Instant, Instant)>,
    /// Whether the checkpoint is of use once the source ended: not where the same range may be asked for again.
    pub forget_at_end: bool,
    /// Who is told what the run does.
    pub observer: Option<Arc<dyn Observer>>,
    /// How long to wait before the first poll, so that sources that start together do not poll together.
    pub first_poll_after: Duration,
    /// Turns that it takes with other sources.
    pub turns: Turns,
    /// Requests that it shares with other sources.
    pub quota: Option<Arc<Quota>>,
    /// The longest checkpoint that the component promises, in bytes.
    pub max_checkpoint_bytes: u32,
}

impl RunOptions {
    /// What one poll may bring, where nothing is said. Small batches cost time, since each carries a checkpoint of up to a
    /// quarter of a megabyte, and large ones memory: a batch is there three times for a moment, in the component, in the
    /// host and as lines.
    pub const BUDGET: Budget =
        Budget { max_events: 1_000, max_bytes: 4 << 20, max_requests: 50, max_duration: 60 * 1_000_000_000 };

    /// How many batches may be under way, where nothing is said: one is polled while another is delivered.
    pub const IN_FLIGHT: usize = 2;

    /// The longest checkpoint, where the component's own promise is not asked for.
    pub const MAX_CHECKPOINT_BYTES: u32 = 16 << 20;

    /// A run without an end of its own.
    #[must_use]
    pub fn of(name: &str, plan: &AccessPlan) -> Self {
        Self {
            name: name.to_owned(),
            identity: plan.identity.clone(),
            accepts: plan.accepts.clone(),
            config_digest: String::new(),
            budget: Self::BUDGET,
            in_flight: Self::IN_FLIGHT,
            once: false,
            range: None,
            forget_at_end: false,
            observer: None,
            first_poll_after: Duration::ZERO,
            turns: Turns::unlimited(),
            quota: None,
            max_checkpoint_bytes: Self::MAX_CHECKPOINT_BYTES,
        }
    }

    pub(super) fn tell(&self, step: &observer::Step<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(&self.name, step);
        }
    }

    pub(super) fn has_end(&self) -> bool {
        self.once || self.range.is_some() || self.forget_at_end
    }
}
