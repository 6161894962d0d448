//! The loop of one source: poll, deliver, store, wait.

mod deliveries;
mod error;
mod promise;
mod said;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::backoff::{Backoff, spread};
use crate::bindings::{AccessPlan, Batch, Budget, Delay, Failure, Fault, Instant, NextPoll, Position};
use crate::instance::CallError;
use crate::observer::{self, Observer, Wait};
use crate::policy::Denial;
use crate::quota::Quota;
use crate::sink::SinkError;
use crate::source::Source;
use crate::turns::Turns;
use deliveries::{Deliveries, Room};
use settle::Settler;

pub use error::RunError;
pub use said::report;
pub use settle::{SharedSink, Sinks, share};

/// Failures of time in a row that a run to the end waits out.
const PATIENCE: u32 = 10;
/// The longest single wait of a run to the end.
const LONGEST_WAIT_ONCE: Duration = Duration::from_secs(60);
/// The longest wait that the host chooses by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Instances that a run with an end may lose, or that may fail to move, in a row. One without an end goes on trying, with
/// waits that grow.
const LOST_INSTANCES: u32 = 3;
/// A token, and one answer.
const LEAST_REQUESTS: u32 = 2;
/// How often in a row an output may lose track of what it took.
const UNSETTLED: u32 = 3;
/// How long the outputs may take for what is under way when a run is told to stop.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

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
    /// What one poll may bring, where nothing is said. Small batches cost no time, and large ones memory: a batch is
    /// there three times for a moment, in the component, in the host and as lines.
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

    fn tell(&self, step: &observer::Step<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(&self.name, step);
        }
    }

    fn has_end(&self) -> bool {
        self.once || self.range.is_some() || self.forget_at_end
    }
}

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It caught up, as asked with `once`.
    CaughtUp,
    /// A bounded source was read to its end.
    Ended,
    /// It was told to stop.
    Stopped,
    /// The reader of its output went away.
    Closed,
}

/// What a run delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Events.
    pub events: u64,
    /// Gaps.
    pub gaps: u64,
    /// Requests, refused ones included.
    pub requests: u64,
}

/// The loop of one source.
pub struct Runner {
    source: Source,
    options: RunOptions,
    deliveries: Deliveries,
    budget: Budget,
    /// Requests without which a poll does not get on.
    least_requests: u32,
    position: Position,
    time_failures: Backoff,
    lost: Backoff,
    unsettled: Backoff,
    requests: u64,
}

/// What to do after a poll.
enum Step {
    Again,
    Wait(Wait, Duration),
    End(Outcome),
}

impl Runner {
    /// A run that reads on from what the store holds, and delivers each batch to all of the sinks.
    ///
    /// # Errors
    ///
    /// The state cannot be read, or belongs to another source; or a sink is not fit to be added to.
    pub async fn new(
        mut source: Source,
        options: RunOptions,
        store: Box<dyn crate::CheckpointStore>,
        sinks: impl Into<Sinks>,
    ) -> Result<Self, RunError> {
        if let Some(observer) = &options.observer {
            source.tell(&options.name, observer);
        }
        if let Some(quota) = &options.quota {
            quota.join();
        }
        let settler = Settler::begin(store, sinks.into(), &options).await?;
        let longest = if options.once { LONGEST_WAIT_ONCE.saturating_mul(2) } else { LONGEST_WAIT };
        Ok(Self {
            source,
            budget: options.budget,
            least_requests: LEAST_REQUESTS,
            position: position(settler.checkpoint().cloned(), &options),
            deliveries: Deliveries::begin(settler, options.in_flight),
            options,
            time_failures: Backoff::new(Duration::from_secs(1), longest),
            lost: Backoff::new(Duration::from_millis(100), LONGEST_WAIT),
            unsettled: Backoff::new(Duration::from_millis(100), LONGEST_WAIT),
            requests: 0,
        })
    }

    /// What was delivered so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let (events, gaps) = self.deliveries.delivered();
        Tally { events, gaps, requests: self.requests }
    }

    /// Polls until there is a reason to end. A `true` in `stop` is one: the poll in flight is given up, and what was
    /// delivered is accounted for, unless an output takes longer than three seconds for it.
    ///
    /// # Errors
    ///
    /// What only a person can change.
    pub async fn run(&mut self, stop: watch::Receiver<bool>) -> Result<Outcome, RunError> {
        self.options.tell(&observer::Step::Began);
        let ended = self.go_on(stop).await;
        self.options.tell(&match &ended {
            Ok(outcome) => observer::Step::Ended(*outcome),
            Err(error) => observer::Step::GaveUp(error),
        });
        ended
    }

    async fn go_on(&mut self, mut stop: watch::Receiver<bool>) -> Result<Outcome, RunError> {
        let first = std::mem::take(&mut self.options.first_poll_after);
        if !first.is_zero() {
            self.options.tell(&observer::Step::Waiting(Wait::Schedule, first));
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return self.stop().await,
            () = sleep(first) => {}
        }
        loop {
            let step = tokio::select! {
                biased;
                () = stopped(&mut stop) => return self.stop().await,
                step = self.step() => step,
            };
            let (what, wait) = match step {
                Ok(Step::Again) => continue,
                Ok(Step::Wait(what, wait)) => (what, wait),
                Ok(Step::End(outcome)) => return Ok(outcome),
                Err(RunError::Sink(SinkError::Closed)) => return Ok(Outcome::Closed),
                Err(RunError::Sink(SinkError::Unsettled(why))) => (Wait::Output, self.go_back(why).await?),
                Err(error) => return Err(error),
            };
            self.options.tell(&observer::Step::Waiting(what, wait));
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return self.stop().await,
                () = sleep(wait) => {}
            }
        }
    }

    /// One poll, and what follows from it.
    async fn step(&mut self) -> Result<Step, RunError> {
        let Self { deliveries, source, position, options, least_requests, .. } = self;
        let mut budget = self.budget;
        let (room, failed) = (deliveries.room(), deliveries.failed());
        let polling = async {
            // The poll waits until the outputs have room: this is all the back-pressure there is.
            let room = room.await?;
            // What others have to give back is waited for before a turn is taken from them.
            let reserved = match &options.quota {
                Some(quota) => {
                    let told = |wait| options.tell(&observer::Step::Waiting(Wait::Quota, wait));
                    Some(quota.reserve(*least_requests, budget.max_requests, told).await)
                }
                None => None,
            };
            let _turn = options.turns.next().await;
            options.tell(&observer::Step::Polling);
            budget.max_requests = reserved.as_ref().map_or(budget.max_requests, |reserved| reserved.requests);
            let polled = source.poll(position, &budget).await;
            if let Some(reserved) = reserved {
                reserved.settle(source.requests());
            }
            Ok::<_, RunError>((room, polled))
        };
        let polled = tokio::select! {
            biased;
            () = failed => None,
            polled = polling => Some(polled?),
        };
        let Some((room, polled)) = polled else { return Err(self.deliveries.failure().await) };
        self.requests += u64::from(self.source.requests());
        match polled {
            Ok(Ok(batch)) => self.take(batch, room).await,
            Ok(Err(failure)) => self.fail(failure).await,
            Err(lost) => self.lose(lost).await,
        }
    }

    async fn take(&mut self, batch: Batch, room: Room) -> Result<Step, RunError> {
        if let Some(broken) = promise::broken(&batch, &self.options) {
            return self.break_off(broken).await;
        }
        self.options.tell(&observer::Step::Batch(&batch));
        if self.time_failures.failures() > 0 {
            let failures = self.time_failures.failures();
            tracing::info!(source = self.options.name, failures, "the service answers again");
        }
        self.time_failures.reset();
        said::batch(&self.options.name, &batch, &self.budget);
        let moved = !matches!(&self.position, Position::Resume(Some(old)) if *old == batch.checkpoint);
        let progress = moved || !batch.events.is_empty() || !batch.gaps.is_empty();
        self.position = Position::Resume(Some(batch.checkpoint.clone()));
        let next = batch.next;
        self.deliveries.deliver(batch, room);
        match next {
            NextPoll::Now if progress => {
                self.lost.reset();
                Ok(Step::Again)
            }
            NextPoll::Now => {
                tracing::warn!(source = self.options.name, "the component says that there is more, and did not move");
                self.options.tell(&observer::Step::Stuck);
                self.source.discard_instance();
                self.retry(RunError::Stuck).await
            }
            NextPoll::After(nanoseconds) => {
                self.lost.reset();
                self.settle().await?;
                if self.options.once {
                    return Ok(Step::End(Outcome::CaughtUp));
                }
                let wait = Duration::from_nanos(nanoseconds);
                if self.options.range.is_some() {
                    tracing::info!(source = self.options.name, ?wait, "the end of the range can still change; waiting");
                }
                self.source.rest();
                Ok(Step::Wait(Wait::Schedule, wait))
            }
            NextPoll::Ended => {
                self.settle().await?;
                if self.options.forget_at_end {
                    self.deliveries.forget().await?;
                }
                Ok(Step::End(Outcome::Ended))
            }
        }
    }

    async fn fail(&mut self, failure: Failure) -> Result<Step, RunError> {
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
        if let (Failure::Throttled(Delay { after: Some(after), .. }), Some(quota)) = (&failure, &self.options.quota) {
            quota.pause(Duration::from_nanos(*after));
        }
        match failure {
            Failure::Throttled(delay) | Failure::Unavailable(delay) => self.wait_out(delay),
            Failure::BudgetTooSmall(needed) => self.raise_budget(needed),
            other => Err(RunError::from(other)),
        }
    }

    fn wait_out(&mut self, delay: Delay) -> Result<Step, RunError> {
        let chosen = self.time_failures.next();
        // "At once", said again and again, would ask a service to death that is already too busy.
        let named = delay.after.filter(|after| *after > 0);
        let wait = named.map_or(chosen, Duration::from_nanos);
        let Fault { code, message, hint, status, request_id, .. } = &delay.fault;
        if self.options.once && (wait > LONGEST_WAIT_ONCE || self.time_failures.failures() > PATIENCE) {
            return Err(RunError::Waiting { wait, fault: delay.fault });
        }
        let (hint, request_id) = (hint.as_deref(), request_id.as_deref());
        // A service tells many the same time.
        let wait = if named.is_some() { spread(wait) } else { wait };
        tracing::warn!(source = self.options.name, code, status, request_id, hint, wait = ?wait, "{message}");
        self.source.rest();
        Ok(Step::Wait(Wait::Service, wait))
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

    async fn lose(&mut self, error: CallError) -> Result<Step, RunError> {
        self.options.tell(&observer::Step::Lost(&error));
        tracing::warn!(source = self.options.name, hint = error.hint(), "the instance was lost: {error}");
        self.settle().await?;
        self.retry(RunError::Lost(error)).await
    }

    /// Nothing of what broke a promise is delivered or stored.
    async fn break_off(&mut self, broken: String) -> Result<Step, RunError> {
        tracing::warn!(source = self.options.name, "the component does not keep to the contract: {broken}");
        self.options.tell(&observer::Step::Broken(&broken));
        self.source.discard_instance();
        self.retry(RunError::Broken(broken)).await
    }

    /// A fresh instance at the checkpoint. A run with an end gives up where that was tried too often.
    async fn retry(&mut self, error: RunError) -> Result<Step, RunError> {
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

    async fn stop(&mut self) -> Result<Outcome, RunError> {
        match timeout(LAST_DELIVERY, self.settle()).await {
            Ok(Err(RunError::Sink(SinkError::Closed))) => Ok(Outcome::Closed),
            Ok(Err(RunError::Sink(SinkError::Unsettled(why)))) => {
                tracing::warn!(
                    source = self.options.name,
                    "{why}; what was not accounted for comes again at the next start"
                );
                Ok(Outcome::Stopped)
            }
            Ok(settled) => settled.map(|()| Outcome::Stopped),
            Err(_late) => {
                tracing::warn!(
                    source = self.options.name,
                    "the output did not take what is under way in time; it comes again at the next start"
                );
                self.deliveries.abandon();
                Ok(Outcome::Stopped)
            }
        }
    }

    /// Everything that was read is delivered and accounted for.
    async fn settle(&mut self) -> Result<(), RunError> {
        self.deliveries.settle().await?;
        self.unsettled.reset();
        Ok(())
    }

    /// Back to the stored checkpoint, since an output cannot tell what became of what came after it.
    async fn go_back(&mut self, why: String) -> Result<Duration, RunError> {
        let wait = self.unsettled.next();
        if self.unsettled.failures() > UNSETTLED {
            return Err(RunError::Sink(SinkError::Unsettled(why)));
        }
        tracing::warn!(source = self.options.name, "{why}; reading on from the stored checkpoint");
        self.position = position(self.deliveries.go_back().await?, &self.options);
        Ok(wait)
    }
}

fn position(checkpoint: Option<String>, options: &RunOptions) -> Position {
    match (checkpoint, options.range) {
        (Some(checkpoint), _) => Position::Resume(Some(checkpoint)),
        (None, Some(range)) => Position::Range(range),
        (None, None) => Position::Resume(None),
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

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say stop.
        std::future::pending::<()>().await;
    }
}
