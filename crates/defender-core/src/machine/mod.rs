//! The pull engine: decides which request comes next, and turns answers into batches.
//!
//! The driver is a loop: [`Machine::begin`], then [`Machine::step`] until it is [`Output::Done`], telling
//! [`Machine::handle`] what came of every other output. `docs/pull-engine.md` explains why nothing is lost.

mod asking;
mod calls;
mod deliver;
mod edges;
mod failing;
mod pages;
mod passes;
mod poll;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;

use crate::checkpoint::{HEADER_BYTES, MAX_CHECKPOINT_BYTES, Round, State, is_same};
use crate::config::{Config, SingleRequest, Start};
use crate::contract::{Batch, Budget, Event, Failure, Level, Position};
use crate::http::{Request, ResponseHead, TransportFailure};
use crate::progress::{Answer, Resolution};
use crate::tick::{Now, Tick};
use crate::token::TokenCache;

use calls::Calls;
use deliver::Unexpanded;
use edges::Edges;
use pages::Pages;
use passes::Passes;
use poll::Poll;
use reading::Reading;

/// The largest record that is delivered, in bytes; a larger one is a gap.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// No clock that is right stands before this.
const MADE_AFTER: &str = "2025-01-01T00:00:00Z";

/// What the driver must do next.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Send this request, dropping the answer before it, and tell what came of it.
    Send(Request),
    /// Read the next chunk of the answer.
    ReadBody,
    /// The poll is over. The answer is kept for the next one where [`Machine::wants_body`] says so.
    Done(Result<Batch, Failure>),
}

/// What came of an output. Without `Debug`, since a chunk may hold the token.
pub enum Input<'a> {
    /// The answer's status and headers.
    ResponseHead(ResponseHead),
    /// A piece of its body, of any size.
    BodyChunk(&'a [u8]),
    /// Its body is complete.
    BodyEnd,
    /// No answer came, or its body broke off.
    TransportFailed(TransportFailure),
}

/// Bounds that tests make smaller.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest checkpoint, in bytes.
    pub checkpoint_bytes: usize,
    /// The largest record, in bytes.
    pub event_bytes: usize,
    /// From how many rows on an answer may have been cut without anybody having asked for it.
    pub suspicious_rows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { checkpoint_bytes: MAX_CHECKPOINT_BYTES, event_bytes: MAX_EVENT_BYTES, suspicious_rows: 1000 }
    }
}

/// One source that is being read. Its `Debug` shows no answer: that of the token endpoint holds the token.
pub struct Machine {
    config: Config,
    limits: Limits,
    mode: Mode,
    tokens: TokenCache,
    /// Where reading stands; none until the first poll has fixed the start.
    state: Option<State>,
    /// The text of the checkpoint that was handed out or taken in last: the one that the present poll began at.
    last: Option<String>,
    /// The checkpoint that stands in while the ring cannot hold the present slice.
    frozen: Option<String>,
    /// Up to where the ring has lost keys of the present slice.
    forgot_until: Option<Tick>,
    phase: Phase,
    /// Requests that a finding made necessary, before the next slice.
    follow_ups: VecDeque<Ask>,
    /// The answer that the follow-ups check for having been cut.
    suspect: Option<Suspect>,
    /// The pages of the present answer that have been read, while there are further ones.
    pages: Option<Box<Pages>>,
    /// The passes over a slice that is read page by page.
    passes: Passes,
    /// The events of the batch that lack what `$expand` asks for.
    unexpanded: Option<Unexpanded>,
    /// The hashes of the slice's records that are too large with what `$expand` asks for.
    too_large: Vec<u64>,
    /// The calls of the API.
    calls: Calls,
    /// Whether a page by `$skip` was refused once.
    refused_skip: bool,
    /// What the header `Warning` of the last partial answer said.
    warning: Option<String>,
    /// Whether the service refused what was asked for with `$orderby`.
    is_unordered: bool,
    /// A record that did not fit the last batch.
    held: Option<Held>,
    /// What ends the poll.
    failing: Option<Failure>,
    /// A failure that is told after the batch before it, and when it ends on the monotonic clock.
    embargo: Option<Embargo>,
    /// Whether a token was renewed since the service accepted one.
    renewed: bool,
    /// Whether a checkpoint of an answer that cannot be asked for again was resumed.
    lost_answer: bool,
    /// How far the local clock was ahead of the service's at the last answer, in ticks, where that is more than a minute.
    ahead: i64,
    /// The difference of the clocks that was told last, in ticks.
    told_skew: Option<i64>,
    poll: Poll,
}

/// What the machine is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Running { range: Option<(Tick, Tick)> },
    Single,
    Probe,
}

/// What the machine waits for.
#[derive(Debug)]
enum Phase {
    Idle,
    TokenSent(Ask),
    TokenBody {
        ask: Ask,
        head: ResponseHead,
        body: Vec<u8>,
    },
    /// A request of the API, and when it was sent on the local clock.
    Sent(Ask, Tick),
    ErrorBody {
        ask: Ask,
        head: ResponseHead,
        body: Vec<u8>,
    },
    Reading(Box<Reading>),
}

/// One request of the API. Rows at or after `since` and before `until` are its own.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Ask {
    purpose: Purpose,
    since: Tick,
    until: Tick,
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// The present slice.
    Slice,
    /// What lies below or above the rows of an answer that may have been cut.
    Check,
    /// The present slice, page by page.
    Pass,
    /// A neighbour of a slice that keeps failing.
    Neighbour,
    /// The one request of the configuration.
    Single,
    /// The smallest request, to prove the permission.
    Probe,
}

/// An answer that may have been cut.
#[derive(Clone, Debug)]
struct Suspect {
    answer: Answer,
    /// Its first and its last rows.
    edges: Edges,
}

#[derive(Debug)]
struct Held {
    event: Event,
    fingerprint: u64,
    at: Tick,
}

#[derive(Debug)]
struct Embargo {
    failure: Failure,
    /// Nanoseconds on the monotonic clock; none for a failure that is told once.
    until: Option<u64>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("mode", &self.mode).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Whether what is left of a single request's answer is lost with the answer: asked again, it would be another one.
fn loses_its_answer(request: &SingleRequest, state: &State, is_frozen: bool) -> bool {
    let is_partly_delivered = state.asked.is_some() && !state.answered && !state.ring.is_empty();
    is_partly_delivered && (!request.can_be_made_again() || is_frozen)
}

impl Machine {
    /// A machine that reads on from a position.
    ///
    /// # Errors
    ///
    /// [`Failure::UnusableCheckpoint`], and [`Failure::InvalidConfig`] for a range that has no length.
    pub fn new(config: Config, position: &Position) -> Result<Self, Failure> {
        Self::with_limits(config, position, Limits::default())
    }

    /// The same with other bounds.
    ///
    /// # Errors
    ///
    /// As [`Machine::new`].
    pub fn with_limits(config: Config, position: &Position, limits: Limits) -> Result<Self, Failure> {
        let range = match position {
            Position::Range(since, until) if since < until && config.request.is_none() => Some((*since, *until)),
            Position::Range(since, until) => return Err(failing::no_range(*since, *until, config.request.is_some())),
            Position::Resume(_) => None,
        };
        let mode = if config.request.is_some() { Mode::Single } else { Mode::Running { range } };
        let mut machine = Self::idle(config, mode, limits);
        if let Position::Resume(Some(text)) = position {
            machine.resume(text)?;
        }
        Ok(machine)
    }

    /// A machine whose one poll proves credentials and permission with the smallest calls.
    pub fn probe(config: Config) -> Self {
        Self::idle(config, Mode::Probe, Limits::default())
    }

    fn idle(config: Config, mode: Mode, limits: Limits) -> Self {
        let calls = Calls::new(config.protocol.quotas);
        Self {
            config,
            limits,
            mode,
            tokens: TokenCache::new(),
            state: None,
            last: None,
            frozen: None,
            forgot_until: None,
            phase: Phase::Idle,
            follow_ups: VecDeque::new(),
            suspect: None,
            pages: None,
            passes: Passes::default(),
            unexpanded: None,
            too_large: Vec::new(),
            calls,
            refused_skip: false,
            warning: None,
            is_unordered: false,
            held: None,
            failing: None,
            embargo: None,
            renewed: false,
            lost_answer: false,
            ahead: 0,
            told_skew: None,
            poll: Poll::default(),
        }
    }

    fn resume(&mut self, text: &str) -> Result<(), Failure> {
        let mut state = State::from_text_of(text, &self.config.identity(), &self.config.accepts())?;
        if state.identity != self.config.identity() {
            return self.take_over(&state);
        }
        match (&self.config.request, state.asked) {
            (Some(request), Some(_)) => {
                self.lost_answer = loses_its_answer(request, &state, state.frozen);
            }
            // A request that failed before it was sent.
            (Some(_), None) if state.is_untouched() => {}
            (Some(_), None) | (None, Some(_)) => return Err(failing::other_kind_of_checkpoint(state.asked.is_some())),
            (None, None) => self.thaw(&mut state),
        }
        self.state = Some(state);
        self.last = Some(text.to_owned());
        Ok(())
    }

    /// Reads on from where a source of another API stood.
    fn take_over(&mut self, other: &State) -> Result<(), Failure> {
        if other.asked.is_some() {
            return Err(failing::other_kind_of_checkpoint(true));
        }
        let state = State::take_over(&self.config, other);
        let message = format!(
            "the checkpoint is of `{}`: this source begins at {}, so that what that one had read up to {} comes again as {}",
            other.identity, state.start, other.cursor, self.config.protocol.things
        );
        let hint = "join the two by the subject of the events, which is the id of the alert in both";
        self.poll.note(Level::Note, "checkpoint.taken-over", message, Some(hint));
        self.state = Some(state);
        Ok(())
    }

    /// Whether a poll at this position is the next one of this machine.
    pub fn is_at(&self, position: &Position) -> bool {
        match position {
            Position::Resume(Some(text)) => self.last.as_deref().is_some_and(|last| is_same(last, text)),
            Position::Resume(None) | Position::Range(..) => false,
        }
    }

    /// Hands the token on to a machine of the same configuration.
    pub fn take_tokens(&mut self, other: &mut Self) {
        self.tokens = std::mem::take(&mut other.tokens);
        self.calls = std::mem::replace(&mut other.calls, Calls::new(&[]));
        self.embargo = other.embargo.take().filter(|embargo| embargo.until.is_some());
    }

    /// Whether the rest of the present answer is wanted by the next poll.
    pub fn wants_body(&self) -> bool {
        matches!(self.phase, Phase::Reading(_))
    }

    /// Begins a poll.
    ///
    /// # Errors
    ///
    /// [`Failure::BudgetTooSmall`] for a budget that no poll can get on with; and the failure that the last batch left
    /// to be told, or whose delay is not over.
    pub fn begin(&mut self, budget: Budget, now: Now) -> Result<(), Failure> {
        let least = Budget { max_events: 1, max_bytes: 1, max_requests: 2, max_duration: 1 };
        let sufficient = Budget {
            max_events: budget.max_events.max(least.max_events),
            max_bytes: budget.max_bytes.max(least.max_bytes),
            max_requests: budget.max_requests.max(least.max_requests),
            max_duration: budget.max_duration.max(least.max_duration),
        };
        if sufficient != budget {
            return Err(Failure::BudgetTooSmall(sufficient));
        }
        if let Some(failure) = self.embargoed(now) {
            return Err(failure);
        }
        if self.state.is_none() {
            let range = match self.mode {
                Mode::Running { range } => range,
                Mode::Single | Mode::Probe => None,
            };
            if let Some(failure) = self.implausible_clock(range.is_some(), now) {
                return Err(failure);
            }
            self.state = Some(State::begin(&self.config, range, now.wall));
        }
        self.poll.begin(budget, now);
        Ok(())
    }

    /// A start that is measured from now is not fixed by a clock that was never set: all the years since then would be read.
    fn implausible_clock(&self, is_range: bool, now: Now) -> Option<Failure> {
        let is_measured =
            matches!(self.mode, Mode::Running { .. }) && !is_range && !matches!(self.config.start, Start::At(_));
        (is_measured && Some(now.wall) < Tick::parse(MADE_AFTER)).then(|| failing::implausible_clock(now.wall))
    }

    /// The present slice, where a round is under way.
    fn slice(&self) -> Option<Round> {
        self.state.as_ref()?.round
    }

    /// Goes on with the older half of the present slice; false where it is too short.
    fn halve(&mut self) -> bool {
        self.state.as_mut().is_some_and(|state| state.halve(Resolution::of(&self.config)))
    }

    /// What an answer made necessary is not asked for any more. That goes for what its slice alone can tell as well: another
    /// slice may not hold what was too large.
    fn drop_follow_ups(&mut self) {
        self.follow_ups.clear();
        self.suspect = None;
        self.passes = Passes::default();
        self.too_large.clear();
    }

    /// The bytes of a checkpoint that the ring may take.
    fn ring_bytes(&self) -> usize {
        self.limits.checkpoint_bytes.saturating_sub(HEADER_BYTES)
    }
}
