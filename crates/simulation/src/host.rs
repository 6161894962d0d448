//! The host of a run: polls, delivers, stores, waits, and dies.

use defender_core::checkpoint::{HEADER_BYTES, State};
use defender_core::config::{Config, Start};
use defender_core::contract::{Batch, Budget, Failure, NextPoll, Position};
use defender_core::ring::Ring;
use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::coverage::{Coverage, Met};
use crate::line::{Line, Orders, Stop, brief};
use crate::reference::Reference;
use crate::subject::Subject;
use crate::world::{HOUR, MINUTE, StartsAt, World};

/// More polls than any run needs. A local clock that is a day behind for good, polled every minute for a range that a low cap
/// cuts to pieces, takes some ten thousands until it has caught up.
const MOST_POLLS: u32 = 200_000;

/// How long the host backs off where it is told no delay.
const BACK_OFFS: [Ticks; 4] = [10 * TICKS_PER_SECOND, MINUTE, 5 * MINUTE, HOUR / 2];

macro_rules! say {
    ($host:expr, $($text:tt)*) => {
        if $host.line.verbose() {
            println!("{} {}", $host.line.clock.service, format_args!($($text)*));
        }
    };
}

/// One run of a subject.
#[derive(Debug)]
pub(crate) struct Host<'a, S> {
    world: &'a World,
    config: Config,
    pub(crate) line: Line<'a>,
    reference: Reference<'a>,
    /// Where the present first poll has to begin, and a range to end.
    begins: Begins,
    subject: S,
    position: Position,
    /// What the position says; none before the first poll.
    state: Option<State>,
    stored: Position,
    /// What a budget must have at least.
    floor: Budget,
    pub(crate) polls: u32,
    /// Whether a range was said to be over.
    has_ended: bool,
}

/// Where a source has to begin, by the clocks and the answers that it was given, whatever it makes of them.
#[derive(Clone, Copy, Debug)]
struct Begins {
    /// By the local clock.
    start: Tick,
    /// Whether it is a time before now, which the service's clock may still correct.
    is_relative: bool,
    /// Whether it may begin earlier.
    is_latest: bool,
    bound: Option<Tick>,
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

impl<'a, S: Subject> Host<'a, S> {
    pub(crate) fn new(world: &'a World, orders: Orders, subject: S) -> Self {
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
        let first = match (world.start, world.takes_over) {
            (StartsAt::Range(since, until), _) => Position::Range(since, until),
            (_, Some(cursor)) => {
                met.add(Met::TakenOver);
                Position::Resume(Some(world.checkpoint_of_siem(cursor)))
            }
            (StartsAt::Now | StartsAt::Ago(_) | StartsAt::At(_), None) => Position::Resume(None),
        };
        Self {
            world,
            config,
            line: Line::new(world, orders, limit, met),
            reference: Reference::new(world),
            begins: Begins { start: Tick::MAX, is_relative: false, is_latest: false, bound: None },
            subject,
            position: first.clone(),
            state: None,
            stored: first,
            floor: Budget { max_events: 1, max_bytes: 1, max_requests: 2, max_duration: 1 },
            polls: 0,
            has_ended: false,
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
                Err(Stop::Violation(what)) => return Err(format!("{}: {what}", self.line.clock.service)),
            };
            let is_over = self.line.clock.service >= self.world.quiet_from && self.may_end();
            match came {
                Came::Something => quiet_polls = 0,
                Came::Nothing if is_over => quiet_polls += 1,
                Came::Nothing | Came::MoreToRead => {}
            }
        }
        Ok(())
    }

    fn may_end(&self) -> bool {
        match self.world.start {
            StartsAt::Range(..) => self.has_ended,
            StartsAt::Now | StartsAt::Ago(_) | StartsAt::At(_) => self.reference.is_complete(),
        }
    }

    fn die(&mut self) {
        self.line.met.add(Met::Killed);
        if self.stored != self.position {
            self.line.met.add(Met::Rewound);
        }
        self.subject.discard();
        self.line.hangs_up();
        self.position = self.stored.clone();
        self.state = self.parsed(&self.position);
        self.line.service.forgets_promises();
        self.line.skews.clear();
        self.reference.killed();
        let pause = self.line.random.pick(&[0, 1, 60, 600]) * TICKS_PER_SECOND;
        self.line.clock.advance(pause);
        say!(self, "KILLED at step {}; on from {}", self.line.steps, brief(&self.position));
    }

    fn parsed(&self, position: &Position) -> Option<State> {
        match position {
            Position::Resume(Some(text)) => State::from_text(text, &self.config.identity()).ok(),
            Position::Resume(None) | Position::Range(..) => None,
        }
    }

    /// Polls once.
    fn poll(&mut self) -> Result<Came, Stop> {
        self.line.step()?;
        let is_fresh = self.prepare()?;
        let is_first = self.state.is_none();
        if is_first {
            self.note_start();
        }
        self.reference.polls(self.line.clock.service);
        let budget = self.budget();
        say!(self, "poll {} {} {budget:?}", self.polls, if is_fresh { "fresh" } else { "kept" });
        let done = self.subject.poll(&self.position, budget, &mut self.line)?;
        self.line.step()?;
        match done {
            Ok(batch) => self.take(batch, is_fresh),
            Err(failure) => {
                if !is_fresh && !self.line.has_asked() && !matches!(failure, Failure::BudgetTooSmall(_)) {
                    self.line.met.add(Met::FailureAfterBatch);
                }
                self.fail(failure, is_first, budget)
            }
        }
    }

    /// Sees to it that there is an instance at the position; says whether it is a fresh one.
    fn prepare(&mut self) -> Result<bool, String> {
        let wants_fresh = self.line.random.chance(self.world.host.fresh);
        if !wants_fresh && self.subject.is_at(&self.position) {
            self.line.met.add(Met::KeptPoll);
            return Ok(false);
        }
        self.line.met.add(Met::FreshPoll);
        self.line.hangs_up();
        if self.state.as_ref().is_some_and(|state| state.frozen) {
            self.line.met.add(Met::FrozenResumed);
        }
        if !self.world.host.hands_tokens_on {
            self.line.service.forgets_calls();
        }
        self.subject.begin_anew(&self.position, self.world.host.hands_tokens_on)?;
        Ok(true)
    }

    fn note_start(&mut self) {
        let wall = self.line.clock.now().wall;
        let (start, is_relative, bound) = match (self.world.takes_over, self.world.start) {
            (Some(cursor), _) => (cursor.minus(self.world.overlap), false, None),
            (None, StartsAt::Now) => (wall, true, None),
            (None, StartsAt::Ago(ago)) => (wall.minus(ago), true, None),
            (None, StartsAt::At(at)) => (at, false, None),
            (None, StartsAt::Range(since, until)) => (since, false, Some(until)),
        };
        self.begins = Begins { start, is_relative, is_latest: self.world.takes_over.is_some(), bound };
        self.line.skews.clear();
        self.reference.starts(start, bound);
        self.reference.begins(self.line.clock.service);
    }

    fn budget(&mut self) -> Budget {
        let habits = &self.world.host;
        Budget {
            max_events: self.line.random.pick(&habits.max_events).max(self.floor.max_events),
            max_bytes: self.line.random.pick(&habits.max_bytes).max(self.floor.max_bytes),
            max_requests: self.line.random.pick(&habits.max_requests).max(self.floor.max_requests),
            max_duration: self.line.random.pick(&habits.max_duration).max(self.floor.max_duration),
        }
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
        if format!("{:?} {:?}", batch.gaps, batch.notices).contains("kanarie") {
            return Err(format!("a secret in {:?} {:?}", batch.gaps, batch.notices).into());
        }
        for gap in &batch.gaps {
            say!(self, "    gap {:?} {} .. {} {}", gap.cause, gap.since, gap.until, gap.detail);
        }
        for notice in &batch.notices {
            say!(self, "    notice {} {}", notice.code, notice.message);
            if notice.code == "clock.skew" {
                self.line.met.add(Met::SkewTold);
            }
        }
        for (name, count) in &batch.counters {
            match *name {
                "duplicates" => self.line.met.add_many(Met::Duplicate, *count),
                "splits" => self.line.met.add_many(Met::Split, *count),
                _ => {}
            }
        }
        let has_output = !batch.events.is_empty() || !batch.gaps.is_empty();
        let is_same = matches!(&self.position, Position::Resume(Some(text)) if *text == batch.checkpoint);
        if batch.next == NextPoll::Now && is_same && (is_fresh || !has_output) {
            return Err(format!("no progress: the checkpoint is still {}", batch.checkpoint).into());
        }
        if batch.next == NextPoll::Now && self.line.holds_answer() {
            self.line.met.add(Met::MidSlice);
        }
        let state = State::from_text(&batch.checkpoint, &self.config.identity()).ok();
        if let Some(state) = &state {
            self.shows(state)?;
        }
        self.reference.forgets(self.forgotten(batch.events.len()));
        let service = &self.line.service;
        self.reference.takes(&batch, self.line.clock.service, service.asked, &service.failed, &mut self.line.met)?;
        let next = batch.next;
        if let Some(state) = state.filter(|state| state.round.is_none() && next != NextPoll::Now) {
            self.reference.ends_round(
                state.cursor,
                self.line.service.asked_at,
                self.line.clock.service,
                &mut self.line.met,
            )?;
        }
        if self.line.clock.service < self.world.quiet_from && self.line.random.chance(self.world.host.slow_sink) {
            self.line.met.add(Met::SlowSink);
            let minutes = self.line.random.pick(&[2, 30, 180]);
            self.line.clock.advance(minutes * MINUTE);
        }
        self.line.step()?;
        self.moves_to(batch.checkpoint)?;
        self.line.step()?;
        match next {
            NextPoll::Now => {}
            NextPoll::After(wait) => {
                if !has_output {
                    self.line.met.add(Met::QuietPoll);
                }
                self.wait(wait);
            }
            NextPoll::Ended => {
                self.line.met.add(Met::RangeEnded);
                self.has_ended = true;
                self.reference.ends(self.line.clock.service, &mut self.line.met)?;
                self.line.clock.advance(HOUR);
            }
        }
        Ok(match next {
            _ if has_output => Came::Something,
            NextPoll::Now => Came::MoreToRead,
            NextPoll::After(_) | NextPoll::Ended => Came::Nothing,
        })
    }

    /// From which stamp on keys may be forgotten, where those of so many events need not have had room beside those that the
    /// position holds. What lies before the slice that is read then is not read again, unless the service's clock held the cursor
    /// back.
    fn forgotten(&self, events: usize) -> Option<Tick> {
        let room = self.world.limits.checkpoint_bytes - HEADER_BYTES;
        let is_full = |held: usize| held + (events + 1) * Ring::KEY_BYTES > room;
        // Before the first checkpoint nothing is held.
        let Some(state) = &self.state else { return is_full(0).then_some(Tick::MIN) };
        let may_forget = state.frozen || is_full(state.ring.encoded_bytes());
        let reads_from = state.round.map_or(state.reread, |round| round.at.min(state.cursor));
        may_forget.then(|| reads_from.minus(MINUTE))
    }

    fn wait(&mut self, nanoseconds: u64) {
        let is_impatient =
            self.line.random.chance(self.world.host.impatient) && self.line.clock.service < self.world.quiet_from;
        if is_impatient {
            self.line.met.add(Met::Impatient);
            self.line.clock.sleep(self.line.random.below(nanoseconds.max(1)));
        } else {
            self.line.clock.sleep(nanoseconds);
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
        self.shows(&state)?;
        self.state = Some(state);
        self.position = Position::Resume(Some(text));
        if let Some(from) = self.forgotten(0) {
            self.reference.forgets(Some(from));
        }
        if self.line.random.chance(self.world.host.store) {
            self.stored = self.position.clone();
            self.reference.stored();
        }
        Ok(())
    }

    /// A state is handed out, in a batch or with a failure: it begins where it has to.
    fn shows(&mut self, state: &State) -> Result<(), String> {
        self.reference.sees(state);
        if self.state.as_ref().is_some_and(|before| before.anchored) {
            return Ok(());
        }
        let Begins { start, is_relative, is_latest, bound } = self.begins;
        // Up to the first answer a start before now may still be corrected by the service's clock, where that is a minute
        // or more behind.
        let ahead = |skew: &Ticks| if *skew > MINUTE { *skew } else { 0 };
        let may_begin: Vec<Tick> = if is_relative && state.anchored {
            self.line.skews.iter().map(|skew| start.minus(ahead(skew))).collect()
        } else {
            vec![start]
        };
        let begins_well = may_begin.contains(&state.start) || is_latest && state.start <= start;
        if !begins_well || state.bound != bound {
            return Err(format!(
                "it begins at {} and ends at {:?}, and has to at one of {may_begin:?} and {bound:?}",
                state.start, state.bound
            ));
        }
        self.reference.starts(state.start, state.bound);
        Ok(())
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
                self.line.met.add(what);
            }
        }
        Ok(())
    }

    fn fail(&mut self, mut failure: Failure, is_first: bool, budget: Budget) -> Result<Came, Stop> {
        let told = format!("{failure:?}");
        say!(self, "  ! {told}");
        if told.contains("kanarie") {
            return Err(format!("a secret is shown: {told}").into());
        }
        let checkpoint = failure.fault_mut().and_then(|fault| fault.checkpoint.take());
        let may_carry = failure.fault_mut().is_some();
        let mut came = Came::Something;
        let delay = match &failure {
            Failure::Throttled(delay) => {
                self.line.met.add(Met::Throttled);
                if delay.fault.code == "quota.used-up" {
                    self.line.met.add(Met::QuotaKept);
                    came = Came::MoreToRead;
                }
                // It comes at every other poll for good.
                if self.world.service.updated.quirks.calls_in_a_row.is_some() {
                    came = Came::MoreToRead;
                }
                delay.after
            }
            Failure::Unavailable(delay) => {
                self.line.met.add(Met::Unavailable);
                delay.after
            }
            Failure::Unauthenticated(_) => {
                self.line.met.add(Met::Unauthenticated);
                None
            }
            Failure::Forbidden(_) => {
                self.line.met.add(Met::Forbidden);
                None
            }
            Failure::Rejected(_) => {
                self.line.met.add(Met::Rejected);
                None
            }
            Failure::BudgetTooSmall(least) => {
                self.line.met.add(Met::BudgetTooSmall);
                self.raise_floor(*least, budget)?;
                return Ok(Came::Something);
            }
            Failure::InvalidConfig(_) | Failure::UnusableCheckpoint(_) | Failure::Internal(_) => {
                return Err(format!("a failure that nothing explains: {failure:?}").into());
            }
        };
        if is_first && may_carry {
            if checkpoint.is_none() {
                return Err(format!("the first poll did not fix the start: {failure:?}").into());
            }
            self.line.met.add(Met::FirstPollFailed);
        }
        if let Some(text) = checkpoint {
            self.line.met.add(Met::Learned);
            self.moves_to(text)?;
            self.line.step()?;
        }
        match delay {
            Some(delay) => self.wait(delay),
            None => {
                let pause = self.line.random.pick(&BACK_OFFS);
                self.line.clock.advance(pause);
            }
        }
        Ok(came)
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
