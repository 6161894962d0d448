//! The loop of one source: poll, deliver, store, wait.

mod deliveries;
mod error;
mod failing;
mod options;
mod promise;
mod said;
mod settle;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::backoff::Backoff;
use crate::bindings::{Batch, Budget, Delay, Failure, Fault, NextPoll, Position};
use crate::observer::{self, Wait};
use crate::quota::{Quota, Reservation, Share};
use crate::sink::SinkError;
use crate::source::Source;
use deliveries::{Deliveries, Room};
use settle::Settler;

pub use error::RunError;
pub use options::RunOptions;
pub use said::report;
pub use settle::{SharedSink, Sinks, share};

/// The longest single wait of a run to the end.
const LONGEST_WAIT_ONCE: Duration = Duration::from_secs(60);
/// The longest wait that the host chooses by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How often in a row an output may lose track of what it took.
const UNSETTLED: u32 = 3;
/// How long the outputs may take for what is under way when a run is told to stop.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

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
    /// Polls in a row in which the source held itself back.
    held_back: u32,
    requests: u64,
    /// Of the requests that it has together with others, until it ends.
    share: Option<Share>,
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
        let share = options.quota.as_ref().map(Quota::join);
        let settler = Settler::begin(store, sinks.into(), &options)
            .await
            .inspect_err(|error| options.tell(&observer::Step::GaveUp(error)))?;
        let longest = if options.once { LONGEST_WAIT_ONCE.saturating_mul(2) } else { LONGEST_WAIT };
        Ok(Self {
            source,
            budget: options.budget,
            least_requests: Quota::LEAST,
            position: position(settler.checkpoint().cloned(), &options),
            deliveries: Deliveries::begin(settler, options.in_flight),
            options,
            time_failures: Backoff::new(Duration::from_secs(1), longest),
            lost: Backoff::new(Duration::from_millis(100), LONGEST_WAIT),
            unsettled: Backoff::new(Duration::from_millis(100), LONGEST_WAIT),
            held_back: 0,
            requests: 0,
            share,
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
        self.share = None;
        self.options.tell(&match &ended {
            Ok(outcome) => observer::Step::Ended(*outcome),
            Err(error) => observer::Step::GaveUp(error),
        });
        ended
    }

    /// The same where nobody says stop: until the source has ended, or has caught up as asked with `once`. The program may be
    /// killed at any time; the next one reads on from the stored checkpoint.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_to_end(&mut self) -> Result<Outcome, RunError> {
        let (_nobody, stop) = watch::channel(false);
        self.run(stop).await
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
            let (reserved, _turn) = loop {
                // What others have to give back is waited for before a turn is taken from them.
                let reserved = match &options.quota {
                    Some(quota) => Some(reserve(quota, *least_requests, budget.max_requests, options).await?),
                    None => None,
                };
                let turn = options.turns.next().await;
                // Another source may have been told to come back later while this one waited for its turn.
                if !options.quota.as_ref().is_some_and(|quota| quota.is_paused()) {
                    break (reserved, turn);
                }
            };
            options.tell(&observer::Step::Polling);
            budget.max_requests = reserved.as_ref().map_or(budget.max_requests, |reserved| reserved.requests);
            let of_source = tracing::info_span!("poll", source = options.name);
            let polled = source.poll(position, &budget).instrument(of_source).await;
            if let Some(reserved) = reserved {
                reserved.settle(source.requests());
            }
            // Before the turn goes to another one, which would ask at once.
            if let (Ok(Err(Failure::Throttled(Delay { after: Some(after), .. }))), Some(quota)) =
                (&polled, &options.quota)
            {
                quota.pause(Duration::from_nanos(*after));
            }
            Ok::<_, RunError>((room, polled))
        };
        let polled = tokio::select! {
            biased;
            () = failed => None,
            polled = polling => Some(polled),
        };
        let (room, polled) = match polled {
            Some(Ok(polled)) => polled,
            Some(Err(error)) => {
                self.settle().await?;
                return Err(error);
            }
            None => return Err(self.deliveries.failure().await),
        };
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
        self.held_back = 0;
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
                    // What came before a refusal with a delay is handed out at once, and the rest after the delay.
                    return match self.source.put_off().filter(|_| progress) {
                        Some(status) => self.wait_out(put_off(status, nanoseconds)),
                        None => Ok(Step::End(Outcome::CaughtUp)),
                    };
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

/// What a batch does not say that was handed out before the service put off a request.
fn put_off(status: u16, after: u64) -> Delay {
    let fault = Fault {
        code: format!("http.status-{status}"),
        message: format!(
            "the service answered the last request of a poll with HTTP {status}, and there is more to read"
        ),
        hint: None,
        status: Some(status),
        request_id: None,
        checkpoint: None,
    };
    Delay { after: Some(after), fault }
}

async fn reserve<'a>(
    quota: &'a Quota,
    least: u32,
    most: u32,
    options: &RunOptions,
) -> Result<Reservation<'a>, RunError> {
    let told = |wait| options.tell(&observer::Step::Waiting(Wait::Quota, wait));
    let patience = options.once.then_some(LONGEST_WAIT_ONCE);
    quota.reserve(least, most, patience, told).await.map_err(|wait| RunError::Quota { wait })
}

fn position(checkpoint: Option<String>, options: &RunOptions) -> Position {
    match (checkpoint, options.range) {
        (Some(checkpoint), _) => Position::Resume(Some(checkpoint)),
        (None, Some(range)) => Position::Range(range),
        (None, None) => Position::Resume(None),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say stop.
        std::future::pending::<()>().await;
    }
}
