//! What follows upon a poll that brought nothing.

use std::time::Duration;

use super::{LONGEST_WAIT_ONCE, RunError, Runner, Step, promise};
use crate::backoff::spread;
use crate::bindings::{Budget, Delay, Failure, Fault, Position};
use crate::instance::CallError;
use crate::observer::{self, Wait};
use crate::policy::Denial;

/// Failures of time in a row that a run to the end waits out.
const PATIENCE: u32 = 10;
/// Instances that a run with an end may lose, or that may fail to move, in a row. One without an end goes on trying, with
/// waits that grow.
const LOST_INSTANCES: u32 = 3;

impl Runner {
    pub(super) async fn fail(&mut self, failure: Failure) -> Result<Step, RunError> {
        self.options.tell(&observer::Step::Failed(&failure));
        if let Some(checkpoint) = learned(&failure) {
            if let Some(broken) = promise::broken_by(&checkpoint, &self.options) {
                return self.break_off(broken).await;
            }
            self.position = Position::Resume(Some(checkpoint.clone()));
            self.deliveries.learn(checkpoint);
        }
        self.settle().await?;
        // A request that the policy refused is refused the next time as well, whatever the component makes of it.
        if let Some(denial) = self.source.denials().into_iter().next() {
            return Err(RunError::Denied(denial));
        }
        if let Some(missing) = self.source.missing_secret() {
            return self.wait_for_secret(missing);
        }
        let is_own_pace = failure.is_own_pace();
        match failure {
            Failure::Throttled(delay) if is_own_pace => self.keep_pace(delay),
            Failure::Throttled(delay) | Failure::Unavailable(delay) => self.wait_out(delay),
            Failure::BudgetTooSmall(needed) => self.raise_budget(needed),
            other => Err(RunError::from(other)),
        }
    }

    pub(super) fn wait_out(&mut self, delay: Delay) -> Result<Step, RunError> {
        let chosen = self.time_failures.next();
        // "At once", said again and again, would ask a service to death that is already too busy.
        let named = delay.after.filter(|after| *after > 0);
        let wait = named.map_or(chosen, Duration::from_nanos);
        let Fault { code, message, hint, status, request_id, .. } = &delay.fault;
        let failures = self.time_failures.failures();
        if self.options.once && (wait > LONGEST_WAIT_ONCE || failures > PATIENCE) {
            return Err(RunError::Waiting { failures, wait: Some(wait), fault: delay.fault });
        }
        let (hint, request_id) = (hint.as_deref(), request_id.as_deref());
        // A service tells many the same time.
        let wait = if named.is_some() { spread(wait) } else { wait };
        tracing::warn!(source = self.options.name, code, status, request_id, hint, wait = ?wait, "{message}");
        self.source.rest();
        Ok(Step::Wait(Wait::Service, wait))
    }

    /// Nothing failed, and so nobody is warned.
    fn keep_pace(&mut self, Delay { after, fault }: Delay) -> Result<Step, RunError> {
        self.held_back += 1;
        let wait = Duration::from_nanos(after.unwrap_or_default());
        if self.options.once && (wait > LONGEST_WAIT_ONCE || self.held_back > PATIENCE) {
            return Err(RunError::Waiting { failures: self.held_back, wait: Some(wait), fault });
        }
        let Fault { code, message, hint, .. } = &fault;
        tracing::info!(source = self.options.name, code, hint = hint.as_deref(), ?wait, "{message}");
        self.source.rest();
        Ok(Step::Wait(Wait::Quota, wait))
    }

    /// Whoever replaces a secret may be half-way, whatever the component makes of it.
    fn wait_for_secret(&mut self, missing: Denial) -> Result<Step, RunError> {
        if self.options.once {
            return Err(RunError::Secret(missing));
        }
        let wait = self.time_failures.next();
        tracing::warn!(source = self.options.name, hint = missing.hint.as_deref(), ?wait, "{missing}");
        Ok(Step::Wait(Wait::Secret, wait))
    }

    fn raise_budget(&mut self, needed: Budget) -> Result<Step, RunError> {
        if let Some(most) =
            self.options.quota.as_ref().map(|quota| quota.most()).filter(|most| needed.max_requests > *most)
        {
            return Err(RunError::Share { needed: needed.max_requests, most });
        }
        let now = self.budget;
        let raised = Budget {
            max_events: now.max_events.max(needed.max_events),
            max_bytes: now.max_bytes.max(needed.max_bytes),
            max_requests: now.max_requests.max(needed.max_requests),
            max_duration: now.max_duration.max(needed.max_duration),
        };
        let own = self.options.budget;
        // What a component asks for is met once, and not beyond what an operator would call the same size.
        let modest = raised.max_events <= own.max_events.saturating_mul(8)
            && raised.max_bytes <= own.max_bytes.saturating_mul(8)
            && raised.max_requests <= own.max_requests.saturating_mul(8)
            && raised.max_duration <= own.max_duration.saturating_mul(8);
        // With a quota it had fewer requests than its budget says.
        let waits = self.options.quota.is_some() && self.least_requests < needed.max_requests;
        self.least_requests = self.least_requests.max(needed.max_requests);
        if (raised == now && !waits) || !modest {
            return Err(RunError::Budget(needed));
        }
        tracing::warn!(source = self.options.name, budget = ?raised, "the budget of a poll was too small, and is raised");
        self.budget = raised;
        Ok(Step::Again)
    }

    pub(super) async fn lose(&mut self, error: CallError) -> Result<Step, RunError> {
        self.options.tell(&observer::Step::Lost(&error));
        tracing::warn!(source = self.options.name, hint = error.hint(), "the instance was lost: {error}");
        self.settle().await?;
        self.retry(RunError::Lost(error)).await
    }

    /// Nothing of what broke a promise is delivered or stored.
    pub(super) async fn break_off(&mut self, broken: String) -> Result<Step, RunError> {
        tracing::warn!(source = self.options.name, "the component does not keep to the contract: {broken}");
        self.options.tell(&observer::Step::Broken(&broken));
        self.source.discard_instance();
        self.retry(RunError::Broken(broken)).await
    }

    /// A fresh instance at the checkpoint. A run with an end gives up where that was tried too often.
    pub(super) async fn retry(&mut self, error: RunError) -> Result<Step, RunError> {
        let wait = self.lost.next();
        let failures = self.lost.failures();
        if failures >= LOST_INSTANCES {
            self.settle().await?;
            if self.options.has_end() {
                return Err(error);
            }
            // Its service may answer something else tomorrow, and the other sources of the process go on in any case.
            let hint = error.hint();
            tracing::error!(
                source = self.options.name,
                failures,
                ?wait,
                hint,
                "{error}; a fresh instance is tried again"
            );
        }
        Ok(Step::Wait(Wait::Instance, wait))
    }
}

/// What a failure taught, which is stored although no event belongs to it.
fn learned(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Throttled(delay) | Failure::Unavailable(delay) => delay.fault.checkpoint.clone(),
        Failure::Unauthenticated(fault)
        | Failure::Forbidden(fault)
        | Failure::Rejected(fault)
        | Failure::Internal(fault) => fault.checkpoint.clone(),
        // It said that the checkpoint at hand is of no use; nothing replaces it silently.
        Failure::UnusableCheckpoint(_) | Failure::InvalidConfig(_) | Failure::BudgetTooSmall(_) => None,
    }
}
