//! The host of a run: polls, delivers, stores, waits, and dies.

use defender_core::checkpoint::State;
use defender_core::config::{Config, Start};
use defender_core::contract::{Batch, Budget, Failure, NextPoll, Position};
use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};
use defender_core::{Input, Machine, Output};

use crate::body::{Body, Piece, failure};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::random::Random;
use crate::reference::Reference;
use crate::service::{Reply, Service, is_of_page};
use crate::world::{HOUR, MINUTE, StartsAt, World};

/// More polls than any run needs.
const MOST_POLLS: u32 = 20_000;

/// How long the host backs off where it is told no delay.
const BACK_OFFS: [Ticks; 4] = [10 * TICKS_PER_SECOND, MINUTE, 5 * MINUTE, HOUR / 2];

macro_rules! say {
    ($host:expr, $($text:tt)*) => {
        if $host.verbose {
            println!("{} {}", $host.clock.service, format_args!($($text)*));
        }
    };
}

/// What a run was told to do, beyond what its seed says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) verbose: bool,
    /// Die at this step, once, and at no other.
    pub(crate) kill_at: Option<u64>,
    /// Never die.
    pub(crate) survive: bool,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    world: &'a World,
    config: Config,
    orders: Orders,
    verbose: bool,
    random: Random,
    clock: Clock,
    service: Service<'a>,
    reference: Reference<'a>,
    pub(crate) met: Coverage,
    machine: Option<Machine>,
    body: Option<Body>,
    /// Since when the answer is held, where it was not read to its end by one poll.
    held_since: Option<Tick>,
    position: Position,
    /// What the position says; none before the first poll.
    state: Option<State>,
    stored: Position,
    /// What a budget must have at least.
    floor: Budget,
    pub(crate) steps: u64,
    pub(crate) polls: u32,
}

/// What a poll brought.
enum Came {
    /// Events, gaps, or a failure.
    Something,
    /// Nothing yet.
    MoreToRead,
    /// Nothing, and all is read.
    Nothing,
}

/// The host died.
struct Died;

/// Why a step did not go on.
enum Stop {
    Died,
    Violation(String),
}

impl From<Died> for Stop {
    fn from(_: Died) -> Self {
        Self::Died
    }
}

impl From<String> for Stop {
    fn from(violation: String) -> Self {
        Self::Violation(violation)
    }
}

impl<'a> Host<'a> {
    pub(crate) fn new(world: &'a World, orders: Orders) -> Self {
        let config = Config::parse(&world.config).unwrap_or_else(|problems| panic!("{problems:?}"));
        let limit = config.limit;
        let mut met = Coverage::default();
        met.add(match (world.start, config.start) {
            (StartsAt::Range(..), _) => Met::StartRange,
            (_, Start::Now) => Met::StartNow,
            (_, Start::Ago(_)) => Met::StartAgo,
            (_, Start::At(_)) => Met::StartAt,
        });
        if world.history.last().is_some_and(|last| last.stamp < world.begins) {
            met.add(Met::Backfill);
        }
        let first = match world.start {
            StartsAt::Range(since, until) => Position::Range(since, until),
            StartsAt::Now | StartsAt::Ago(_) | StartsAt::At(_) => Position::Resume(None),
        };
        Self {
            world,
            config,
            orders,
            verbose: orders.verbose,
            random: Random::new(world.seed ^ 0x4057),
            clock: Clock::new(world.begins, world.jumps.clone()),
            service: Service::new(world, limit, orders.verbose),
            reference: Reference::new(world),
            met,
            machine: None,
            body: None,
            held_since: None,
            position: first.clone(),
            state: None,
            stored: first,
            floor: Budget { max_events: 1, max_bytes: 1, max_requests: 2, max_duration: 1 },
            steps: 0,
            polls: 0,
        }
    }

    /// Polls until everything that should come has come, or says what is wrong.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let mut quiet_polls = 0;
        while quiet_polls < 3 {
            self.polls += 1;
            if self.polls > MOST_POLLS {
                return Err(format!("no end after {MOST_POLLS} polls; the state is {:?}", self.state));
            }
            let came = match self.poll() {
                Ok(came) => came,
                Err(Stop::Died) => {
                    self.die();
                    Came::Something
                }
                Err(Stop::Violation(what)) => return Err(format!("{}: {what}", self.clock.service)),
            };
            let is_over = self.clock.service >= self.world.quiet_from && self.may_end();
            match came {
                Came::Something => quiet_polls = 0,
                Came::Nothing if is_over => quiet_polls += 1,
                Came::Nothing | Came::MoreToRead => {}
            }
        }
        Ok(())
    }

    fn may_end(&self) -> bool {
        matches!(self.world.start, StartsAt::Range(..)) || self.reference.is_complete()
    }

    /// One step that the host may not survive.
    fn step(&mut self) -> Result<(), Died> {
        self.steps += 1;
        let dies = match self.orders {
            Orders { kill_at: Some(step), .. } => step == self.steps,
            Orders { survive: true, .. } => false,
            _ => {
                let rate = self.world.host.kill;
                rate > 0 && self.clock.service < self.world.quiet_from && self.random.below(10_000) < rate
            }
        };
        if dies { Err(Died) } else { Ok(()) }
    }

    fn die(&mut self) {
        self.met.add(Met::Killed);
        if self.stored != self.position {
            self.met.add(Met::Rewound);
        }
        self.machine = None;
        self.body = None;
        self.position = self.stored.clone();
        self.state = self.parsed(&self.position);
        self.service.forgets_promises();
        self.reference.killed();
        let pause = self.random.pick(&[0, 1, 60, 600]) * TICKS_PER_SECOND;
        self.clock.advance(pause);
        say!(self, "KILLED at step {}; on from {}", self.steps, brief(&self.position));
    }

    fn parsed(&self, position: &Position) -> Option<State> {
        match position {
            Position::Resume(Some(text)) => State::from_text(text, &self.config.identity()).ok(),
            Position::Resume(None) | Position::Range(..) => None,
        }
    }

    /// Polls once.
    fn poll(&mut self) -> Result<Came, Stop> {
        self.step()?;
        let is_fresh = self.prepare()?;
        let is_first = self.state.is_none();
        if is_first {
            self.note_start();
        }
        let budget = self.budget();
        let now = self.clock.now();
        say!(self, "poll {} {} {budget:?}", self.polls, if is_fresh { "fresh" } else { "kept" });
        let Some(machine) = &mut self.machine else { return Ok(Came::Something) };
        let done = match machine.begin(budget, now) {
            Ok(()) => self.drive()?,
            Err(failure) => {
                if !is_fresh && !matches!(failure, Failure::BudgetTooSmall(_)) {
                    self.met.add(Met::FailureAfterBatch);
                }
                Err(failure)
            }
        };
        self.step()?;
        match done {
            Ok(batch) => self.take(batch, is_fresh),
            Err(failure) => self.fail(failure, is_first, budget).map(|()| Came::Something),
        }
    }

    /// Sees to it that there is a machine at the position; says whether it is a fresh one.
    fn prepare(&mut self) -> Result<bool, String> {
        let wants_fresh = self.random.chance(self.world.host.fresh);
        if !wants_fresh && self.machine.as_ref().is_some_and(|machine| machine.is_at(&self.position)) {
            self.met.add(Met::KeptPoll);
            return Ok(false);
        }
        self.met.add(Met::FreshPoll);
        self.body = None;
        if self.state.as_ref().is_some_and(|state| state.frozen) {
            self.met.add(Met::FrozenResumed);
        }
        let mut fresh = Machine::with_limits(self.config.clone(), &self.position, self.world.limits)
            .map_err(|failure| format!("a checkpoint of its own cannot be used: {failure:?}"))?;
        if let Some(mut before) = self.machine.take()
            && self.world.host.hands_tokens_on
        {
            fresh.take_tokens(&mut before);
        }
        self.machine = Some(fresh);
        Ok(true)
    }

    fn note_start(&mut self) {
        let wall = self.clock.now().wall;
        let (start, bound) = match self.world.start {
            StartsAt::Now => (wall, None),
            StartsAt::Ago(ago) => (wall.minus(ago), None),
            StartsAt::At(at) => (at, None),
            StartsAt::Range(since, until) => (since, Some(until)),
        };
        self.reference.starts(start, bound);
    }

    fn budget(&mut self) -> Budget {
        let habits = &self.world.host;
        Budget {
            max_events: self.random.pick(&habits.max_events).max(self.floor.max_events),
            max_bytes: self.random.pick(&habits.max_bytes).max(self.floor.max_bytes),
            max_requests: self.random.pick(&habits.max_requests).max(self.floor.max_requests),
            max_duration: self.random.pick(&habits.max_duration).max(self.floor.max_duration),
        }
    }

    /// Does what the machine says until the poll is over.
    fn drive(&mut self) -> Result<Result<Batch, Failure>, Stop> {
        if self.body.is_some() {
            self.met.add(Met::HeldAnswer);
        }
        let mut is_first = self.body.is_none();
        loop {
            self.step()?;
            let now = self.clock.now();
            let Some(machine) = &mut self.machine else { return Err("no machine".to_owned().into()) };
            match machine.step(now) {
                Output::Done(done) => {
                    let keeps = machine.wants_body() && self.body.is_some();
                    self.body = self.body.take().filter(|_| keeps);
                    self.held_since = keeps.then_some(self.clock.service);
                    return Ok(done);
                }
                Output::Send(request) => {
                    self.body = None;
                    self.held_since = None;
                    say!(self, "  > {}", request.url);
                    if std::mem::take(&mut is_first) && is_of_page(&request) {
                        self.met.add(Met::PageInLaterPoll);
                    }
                    let reply = self.service.answer(&request, &mut self.clock, &mut self.met)?;
                    self.step()?;
                    let now = self.clock.now();
                    let Some(machine) = &mut self.machine else { continue };
                    match reply {
                        Reply::Answer(head, body) => {
                            say!(self, "  < {} {:?}", head.status, head.headers);
                            self.body = Some(body);
                            machine.handle(Input::ResponseHead(head), now);
                        }
                        Reply::Failed(failure) => {
                            say!(self, "  < {failure:?}");
                            machine.handle(Input::TransportFailed(failure), now);
                        }
                    }
                }
                Output::ReadBody => self.read_body()?,
            }
        }
    }

    fn read_body(&mut self) -> Result<(), Stop> {
        let Some(body) = &mut self.body else {
            return Err("asked to read a body where there is none".to_owned().into());
        };
        let mut piece = body.next(&mut self.clock);
        if let Some(since) = self.held_since.take()
            && self.clock.service.0 - since.0 > self.world.service.patience
        {
            self.met.add(Met::HeldAnswerBroke);
            piece = Piece::Failed(failure(defender_core::http::TransportFailureKind::Broken));
        }
        self.step()?;
        let now = self.clock.now();
        let Some(machine) = &mut self.machine else { return Ok(()) };
        match piece {
            Piece::Chunk(chunk) => machine.handle(Input::BodyChunk(&chunk), now),
            Piece::End => machine.handle(Input::BodyEnd, now),
            Piece::Failed(failure) => {
                say!(self, "  < the body: {failure:?}");
                machine.handle(Input::TransportFailed(failure), now);
            }
        }
        Ok(())
    }

    /// Delivers a batch and stores its checkpoint.
    fn take(&mut self, batch: Batch, is_fresh: bool) -> Result<Came, Stop> {
        say!(
            self,
            "  = {:?}, watermark {:?}, {:?}",
            batch.next,
            batch.watermark.map(|w| w.to_string()),
            batch.counters
        );
        for event in &batch.events {
            say!(self, "    event {} visible {:?}", event.key, event.visible.map(|at| at.to_string()));
        }
        for gap in &batch.gaps {
            say!(self, "    gap {:?} {} .. {} {}", gap.cause, gap.since, gap.until, gap.detail);
        }
        for notice in &batch.notices {
            say!(self, "    notice {} {}", notice.code, notice.message);
            if notice.code == "clock.skew" {
                self.met.add(Met::SkewTold);
            }
        }
        for (name, count) in &batch.counters {
            match *name {
                "duplicates" => self.met.add_many(Met::Duplicate, *count),
                "splits" => self.met.add_many(Met::Split, *count),
                _ => {}
            }
        }
        let has_output = !batch.events.is_empty() || !batch.gaps.is_empty();
        let is_same = matches!(&self.position, Position::Resume(Some(text)) if *text == batch.checkpoint);
        if batch.next == NextPoll::Now && is_same && (is_fresh || !has_output) {
            return Err(format!("no progress: the checkpoint is still {}", batch.checkpoint).into());
        }
        if batch.next == NextPoll::Now && self.body.is_some() {
            self.met.add(Met::MidSlice);
        }
        if let Ok(state) = State::from_text(&batch.checkpoint, &self.config.identity()) {
            self.shows(&state);
        }
        self.reference.takes(&batch, self.clock.service, self.service.asked, &mut self.met)?;
        let next = batch.next;
        if self.clock.service < self.world.quiet_from && self.random.chance(self.world.host.slow_sink) {
            self.met.add(Met::SlowSink);
            let minutes = self.random.pick(&[2, 30, 180]);
            self.clock.advance(minutes * MINUTE);
        }
        self.step()?;
        self.moves_to(batch.checkpoint)?;
        self.step()?;
        match next {
            NextPoll::Now => {}
            NextPoll::After(wait) => {
                if !has_output {
                    self.met.add(Met::QuietPoll);
                }
                self.wait(wait);
            }
            NextPoll::Ended => {
                self.met.add(Met::RangeEnded);
                self.clock.advance(HOUR);
            }
        }
        Ok(match next {
            _ if has_output => Came::Something,
            NextPoll::Now => Came::MoreToRead,
            NextPoll::After(_) | NextPoll::Ended => Came::Nothing,
        })
    }

    fn wait(&mut self, nanoseconds: u64) {
        let is_impatient = self.random.chance(self.world.host.impatient) && self.clock.service < self.world.quiet_from;
        if is_impatient {
            self.met.add(Met::Impatient);
            self.clock.sleep(self.random.below(nanoseconds.max(1)));
        } else {
            self.clock.sleep(nanoseconds);
        }
    }

    /// A checkpoint was handed out: it is where to go on from, and is stored now or later.
    fn moves_to(&mut self, text: String) -> Result<(), String> {
        if text.len() > self.world.limits.checkpoint_bytes {
            return Err(format!("a checkpoint of {} bytes: {text}", text.len()));
        }
        let state = State::from_text(&text, &self.config.identity())
            .map_err(|failure| format!("a checkpoint that cannot be read: {failure:?}: {text}"))?;
        if text.contains("kanarie") {
            return Err(format!("a secret is in the checkpoint: {text}"));
        }
        say!(self, "    checkpoint {}", text.split(",\"keys\"").next().unwrap_or_default());
        if let Some(before) = &self.state {
            self.compare(before.clone(), &state)?;
        }
        self.shows(&state);
        self.state = Some(state);
        self.position = Position::Resume(Some(text));
        if self.random.chance(self.world.host.store) {
            self.stored = self.position.clone();
            self.reference.stored();
        }
        Ok(())
    }

    /// A state is handed out, in a batch or with a failure.
    fn shows(&mut self, state: &State) {
        self.reference.sees(state);
        // Up to the first answer a start before now may still be corrected by the service's clock.
        if self.state.as_ref().is_none_or(|before| !before.anchored) {
            self.reference.starts(state.start, state.bound);
        }
    }

    fn compare(&mut self, before: State, after: &State) -> Result<(), String> {
        let went_back = after.cursor < before.cursor || after.reread < before.reread || after.start != before.start;
        // A start before now is measured once more on the service's clock, by the first answer.
        let is_anchored = !before.anchored && after.anchored && after.start <= before.start;
        if went_back && !is_anchored {
            return Err(format!("a checkpoint went back: from {} to {}", before.to_text(), after.to_text()));
        }
        let new_slice = before.round.zip(after.round).is_some_and(|(a, b)| a.until == b.until && a.at < b.at);
        let held_back = before.round.is_some_and(|round| after.round.is_none() && after.cursor < round.until);
        for (is_so, what) in [
            (new_slice, Met::ManySlices),
            (held_back, Met::CursorHeldBack),
            (after.length < before.length, Met::Shorter),
            (after.length > before.length, Met::Longer),
            (after.cap.is_some() && before.cap.is_none(), Met::CapLearned),
            (after.whole > before.whole, Met::ProvenWhole),
            (after.frozen, Met::Frozen),
        ] {
            if is_so {
                self.met.add(what);
            }
        }
        Ok(())
    }

    fn fail(&mut self, mut failure: Failure, is_first: bool, budget: Budget) -> Result<(), Stop> {
        let told = format!("{failure:?}");
        say!(self, "  ! {told}");
        if told.contains("kanarie") {
            return Err(format!("a secret is shown: {told}").into());
        }
        let checkpoint = failure.fault_mut().and_then(|fault| fault.checkpoint.take());
        let may_carry = failure.fault_mut().is_some();
        let delay = match &failure {
            Failure::Throttled(delay) => {
                self.met.add(Met::Throttled);
                delay.after
            }
            Failure::Unavailable(delay) => {
                self.met.add(Met::Unavailable);
                delay.after
            }
            Failure::Unauthenticated(_) => {
                self.met.add(Met::Unauthenticated);
                None
            }
            Failure::Forbidden(_) => {
                self.met.add(Met::Forbidden);
                None
            }
            Failure::Rejected(_) => {
                self.met.add(Met::Rejected);
                None
            }
            Failure::BudgetTooSmall(least) => {
                self.met.add(Met::BudgetTooSmall);
                return self.raise_floor(*least, budget).map_err(Stop::from);
            }
            Failure::InvalidConfig(_) | Failure::UnusableCheckpoint(_) | Failure::Internal(_) => {
                return Err(format!("a failure that nothing explains: {failure:?}").into());
            }
        };
        if is_first && may_carry {
            if checkpoint.is_none() {
                return Err(format!("the first poll did not fix the start: {failure:?}").into());
            }
            self.met.add(Met::FirstPollFailed);
        }
        if let Some(text) = checkpoint {
            self.met.add(Met::Learned);
            self.moves_to(text)?;
            self.step()?;
        }
        match delay {
            Some(delay) => self.wait(delay),
            None => {
                let pause = self.random.pick(&BACK_OFFS);
                self.clock.advance(pause);
            }
        }
        Ok(())
    }

    fn raise_floor(&mut self, least: Budget, given: Budget) -> Result<(), String> {
        let Budget { max_events, max_bytes, max_requests, max_duration } = least;
        self.floor = Budget {
            max_events: max_events.max(self.floor.max_events),
            max_bytes: max_bytes.max(self.floor.max_bytes),
            max_requests: max_requests.max(self.floor.max_requests),
            max_duration: max_duration.max(self.floor.max_duration),
        };
        let is_more = max_events > given.max_events
            || max_bytes > given.max_bytes
            || max_requests > given.max_requests
            || max_duration > given.max_duration;
        if is_more { Ok(()) } else { Err(format!("{given:?} is refused as too small, and {least:?} is asked for")) }
    }
}

/// A position in a line.
fn brief(position: &Position) -> String {
    match position {
        Position::Resume(None) => "the beginning".to_owned(),
        Position::Resume(Some(text)) => text.split(",\"keys\"").next().unwrap_or_default().to_owned(),
        Position::Range(since, until) => format!("the range {since} .. {until}"),
    }
}
