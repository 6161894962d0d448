//! Judges what is delivered against what should have been.

use std::collections::HashMap;

use defender_core::checkpoint::State;
use defender_core::contract::{Batch, Event, Gap, GapCause};
use defender_core::tick::{Tick, Ticks};

use crate::coverage::{Coverage, Met};
use crate::expected::{Account, Excuse, REACH, is_of_record};
use crate::history::{Item, Show};
use crate::service::{FailedAsk, Failing, visible};
use crate::world::{MILLISECOND, World};

/// How often a tick fails at the least before it is given up: until its neighbour is asked, and then by itself.
const GIVEN_UP_AFTER: u32 = 6;

/// How a record is known: its item, by its number in the history, and how it looks then.
#[derive(Clone, Copy, Debug)]
struct Looked<'a> {
    at: usize,
    show: &'a Show,
    is_bare: bool,
}

/// All records of a world.
fn looks(world: &World) -> HashMap<&[u8], Looked<'_>> {
    let mut looks = HashMap::new();
    for (at, item) in world.history.iter().enumerate() {
        for show in &item.shows {
            looks.insert(show.record.as_slice(), Looked { at, show, is_bare: false });
            if let Some(bare) = &show.bare {
                looks.insert(bare, Looked { at, show, is_bare: true });
            }
        }
    }
    looks
}

/// Judges what is delivered against what the service had.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    world: &'a World,
    by_record: HashMap<&'a [u8], Looked<'a>>,
    by_key: HashMap<String, usize>,
    subjects: HashMap<&'a str, usize>,
    delivered: Vec<u32>,
    /// What was delivered since the last stored checkpoint.
    since_store: Vec<usize>,
    /// What a kill allows to come again.
    may_repeat: Vec<bool>,
    account: Account<'a>,
    /// Whether the ring may have no room for the keys of the present batch.
    is_full: bool,
    /// Whether that was ever so.
    was_full: bool,
    /// What the ring may have forgotten since it was delivered.
    forgotten: Vec<bool>,
    /// What was delivered without what `$expand` asks for.
    bare: Vec<bool>,
    /// When the first poll was.
    began: Tick,
    /// When the round began that is under way, by the stored checkpoint as well; none between two rounds.
    round: Option<Tick>,
    stored_round: Option<Tick>,
    watermark: Tick,
    /// Everything before it, in the order of the history, has been judged.
    judged: usize,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let count = world.history.len();
        Self {
            world,
            by_record: looks(world),
            by_key: HashMap::new(),
            subjects: HashMap::new(),
            delivered: vec![0; count],
            since_store: Vec::new(),
            may_repeat: vec![false; count],
            account: Account { world, start: Tick::MAX, bound: Tick::MAX, gaps: Vec::new(), knows_cap: false },
            is_full: false,
            was_full: false,
            forgotten: vec![false; count],
            bare: vec![false; count],
            began: Tick::MAX,
            round: None,
            stored_round: None,
            watermark: Tick::MIN,
            judged: 0,
        }
    }

    /// A first poll fixes where the source begins, and where a range ends.
    pub(crate) fn starts(&mut self, start: Tick, bound: Option<Tick>) {
        (self.account.start, self.account.bound) = (start, bound.unwrap_or(Tick::MAX));
    }

    /// The first poll begins.
    pub(crate) fn begins(&mut self, now: Tick) {
        self.began = now;
    }

    /// A range has been read to its end: all of it that could be read all the time since it was begun has come.
    pub(crate) fn ends(&self, now: Tick, met: &mut Coverage) -> Result<(), String> {
        self.judge_all(self.account.bound, self.began, now, met)
            .map_err(|what| format!("at the end of the range: {what}"))
    }

    /// A poll begins, and a round where none is under way.
    pub(crate) fn polls(&mut self, now: Tick) {
        self.round.get_or_insert(now);
    }

    /// A round is over, which has read everything before the cursor, up to the last request at `asked_at`: all that could be read
    /// all the time has come.
    pub(crate) fn ends_round(
        &mut self,
        cursor: Tick,
        asked_at: Tick,
        now: Tick,
        met: &mut Coverage,
    ) -> Result<(), String> {
        // A poll that has nothing to ask, as after the end of a range, is no round.
        let Some(began) = self.round.take().filter(|began| *began <= asked_at) else { return Ok(()) };
        met.add(Met::RoundJudged);
        // What is excused is counted where the watermark passes it.
        let mut excused = Coverage::default();
        let judged = self.judge_all(cursor, began, now, &mut excused);
        judged.map_err(|what| format!("at the end of the round since {began}: {what}"))
    }

    fn judge_all(&self, before: Tick, began: Tick, now: Tick, met: &mut Coverage) -> Result<(), String> {
        let history = self.world.history.iter().enumerate();
        for (at, item) in history.take_while(|(_, item)| item.stamp < before).skip(self.judged) {
            if self.delivered[at] == 0 && self.account.could_be_read(item, began, now) {
                self.judge(at, item, now, met)?;
            }
        }
        Ok(())
    }

    /// The host stored a checkpoint.
    pub(crate) fn stored(&mut self) {
        self.since_store.clear();
        self.stored_round = self.round;
    }

    /// The host died, and reads on from its last stored checkpoint.
    pub(crate) fn killed(&mut self) {
        for at in self.since_store.drain(..) {
            self.may_repeat[at] = true;
        }
        self.watermark = Tick::MIN;
        self.round = self.stored_round;
    }

    /// The ring may be too small for the keys of what is delivered next, and forget those from a stamp on.
    pub(crate) fn forgets(&mut self, from: Option<Tick>) {
        self.is_full = from.is_some();
        self.was_full |= self.is_full;
        for (forgotten, d) in self.forgotten.iter_mut().zip(&self.world.history) {
            *forgotten |= from.is_some_and(|from| d.stamp >= from);
        }
    }

    /// Whether everything has been judged.
    pub(crate) fn is_complete(&self) -> bool {
        self.judged == self.world.history.len()
    }

    /// A state that was handed out.
    pub(crate) fn sees(&mut self, state: &State) {
        self.account.knows_cap |= state.cap.is_some();
    }

    /// A batch is delivered, of an answer to the request with these bounds.
    pub(crate) fn takes(
        &mut self,
        batch: &Batch,
        now: Tick,
        asked: (Tick, Tick),
        failed: &[FailedAsk],
        met: &mut Coverage,
    ) -> Result<(), String> {
        for gap in &batch.gaps {
            self.gap(gap, now, failed, met)?;
        }
        for event in &batch.events {
            self.event(event, now, asked, met)?;
        }
        if let Some(watermark) = batch.watermark {
            if watermark < self.watermark {
                return Err(format!("the watermark went back from {} to {watermark}", self.watermark));
            }
            self.watermark = watermark;
        }
        while let Some(next) = self.world.history.get(self.judged).filter(|next| next.stamp < self.watermark) {
            self.judge(self.judged, next, now, met)?;
            self.judged += 1;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, now: Tick, asked: (Tick, Tick), met: &mut Coverage) -> Result<(), String> {
        let Some(&Looked { at, show, is_bare }) = self.by_record.get(event.body.as_bytes()) else {
            return Err(format!(
                "delivered what the service never had: {}",
                String::from_utf8_lossy(event.body.as_bytes())
            ));
        };
        let d = &self.world.history[at];
        let wrong = |what: &str| Err(format!("{what}: {} ({})", event.key, shown(d)));
        if show.from > now {
            return wrong("delivered before the service showed it");
        }
        if !show.is_wanted {
            return wrong("delivered though the filters leave it out");
        }
        if d.printed.is_some() && (d.stamp < self.account.start || d.stamp >= self.account.bound) {
            return wrong("delivered outside of what was asked for");
        }
        if event.visible != d.printed || d.key.as_ref().is_some_and(|key| *key != event.key) {
            return wrong("delivered with another stamp or key than its record has");
        }
        if event.subject != *d.subject.as_ref().unwrap_or(&event.key) {
            return wrong("delivered with another subject than it is of");
        }
        if event.kind != self.world.api.facts().map_or("detection", |facts| facts.kind) {
            return wrong("delivered as another kind of thing");
        }
        if event.attributes.iter().any(|(name, _)| name == "without") != is_bare {
            return wrong("it is not told truly whether something is left out");
        }
        if *self.by_key.entry(event.key.clone()).or_insert(at) != at {
            return wrong("the key is another one's");
        }
        if self.delivered[at] > 0 {
            if std::mem::take(&mut self.may_repeat[at]) {
                met.add(Met::RepeatedAfterKill);
            } else if self.is_full && self.forgotten[at] || std::mem::take(&mut self.forgotten[at]) {
                met.add(Met::Repeated);
            } else {
                return wrong("delivered twice");
            }
        } else {
            self.forgotten[at] &= self.is_full;
            self.meets(d, asked, met);
            if let Some(subject) = &d.subject
                && self.subjects.insert(subject, at).is_some()
            {
                met.add(Met::SharedAlert);
            }
        }
        if is_bare {
            met.add(if d.looks.oversize_expanded { Met::TooLargeExpanded } else { Met::DeliveredBare });
        }
        self.bare[at] |= is_bare;
        self.delivered[at] += 1;
        self.since_store.push(at);
        Ok(())
    }

    fn gap(&mut self, gap: &Gap, now: Tick, failed: &[FailedAsk], met: &mut Coverage) -> Result<(), String> {
        // What fails for ever is given up in pieces that grow with what was given up before.
        let reach = self.least().max(REACH);
        let is_poisoned = |(first, last): &(Tick, Tick)| {
            let meets = gap.since.minus(reach) <= *last && *first <= gap.until.plus(reach);
            meets && gap.until.0 - gap.since.0 <= 4 * (last.0 - first.0) + 2 * reach
        };
        let was_met = |what: &[Failing]| {
            failed.iter().any(|ask| what.contains(&ask.what) && ask.first <= gap.until && gap.since <= ask.last)
        };
        let is_least = gap.until.0 - gap.since.0 <= self.least();
        let between = || self.world.history.iter().filter(|d| gap.since <= d.stamp && d.stamp < gap.until);
        let is_true = match gap.cause {
            GapCause::Truncated => {
                met.add(Met::Truncated);
                let rows = visible(self.world, gap.since.minus(1), gap.until.plus(1), now).len();
                let is_capped = self.world.service.cap.is_some_and(|cap| rows >= cap.rows);
                let is_unreachable = was_met(&[Failing::SkipRefused, Failing::SkipIgnored, Failing::Doubtful]);
                let is_changing = !is_capped && !is_unreachable && self.changes(gap, now);
                if is_changing {
                    met.add(Met::GivenUpWhileChanging);
                }
                let is_unsettled = !(is_capped || is_unreachable || is_changing) && was_met(&[Failing::Unsettled]);
                if is_unsettled {
                    met.add(Met::GivenUpUnsettled);
                }
                is_least && (is_capped || is_unreachable || is_changing || is_unsettled)
            }
            GapCause::Unreadable if is_of_record(gap) => {
                met.add(Met::Oversize);
                between().any(|d| d.looks.oversize && d.appears() <= now)
            }
            GapCause::Unreadable => {
                met.add(Met::Unreadable);
                self.world.service.poison.iter().any(is_poisoned) || self.failed_often(gap, failed)
            }
            GapCause::Other("overlap-shortened") => {
                met.add(Met::OverlapShortened);
                self.was_full
            }
            GapCause::Partial => {
                let is_missing = was_met(&[Failing::Partial]);
                let is_too_large = |d: &Item| d.looks.oversize || d.looks.oversize_expanded;
                let is_bare = was_met(&[Failing::FailedExpanded]) || between().any(is_too_large);
                met.add(if is_missing { Met::PartMissingTold } else { Met::BareTold });
                is_missing || is_bare
            }
            GapCause::Other(_) | GapCause::Expired => false,
        };
        if !is_true || gap.since >= gap.until {
            return Err(format!("a gap that is not so: {gap:?}"));
        }
        self.account.gaps.push(gap.clone());
        Ok(())
    }

    /// How long the shortest range is of which a gap may tell: one tick; or the two milliseconds about one that is whole, where
    /// bounds may be read no finer.
    fn least(&self) -> Ticks {
        if self.world.api.facts().is_some() { 2 * MILLISECOND } else { 1 }
    }

    /// Whether something in the range of a gap, or on its closed end, came or went since the present round began. A range that
    /// begins within a millisecond is asked for, and turned in pages, from the whole one before.
    fn changes(&self, gap: &Gap, now: Tick) -> bool {
        let began = self.round.unwrap_or(self.began);
        let is_within = |at: Tick| began <= at && at <= now;
        let since = gap.since.minus(gap.since.0.rem_euclid(MILLISECOND));
        let mut items = self.world.history.iter().filter(|item| since <= item.stamp && item.stamp <= gap.until);
        items.any(|item| item.shows.iter().any(|show| is_within(show.from) || is_within(show.until)))
    }

    /// Whether the shortest range, which is many requests where it has many things, failed as often as it takes to give it up.
    fn failed_often(&self, gap: &Gap, failed: &[FailedAsk]) -> bool {
        // A request reaches a tick or up to a millisecond further on each side.
        let margins = if self.world.api.facts().is_some() { 2 * MILLISECOND } else { 2 };
        let longest = gap.until.0 - gap.since.0 + margins;
        let of_gap = failed
            .iter()
            .filter(|ask| ask.first <= gap.since && gap.until <= ask.last && ask.last.0 - ask.first.0 <= longest);
        let failures = of_gap.filter(|ask| matches!(ask.what, Failing::Failed | Failing::FailedExpanded));
        failures.map(|ask| ask.times).sum::<u32>() >= GIVEN_UP_AFTER
    }

    /// An item, whose number in the history is `at`, should have been delivered by now.
    fn judge(&self, at: usize, d: &Item, now: Tick, met: &mut Coverage) -> Result<(), String> {
        let excuse = self.account.excuse(d);
        if excuse == Some(Excuse::Outside) {
            if d.stamp.plus(1) == self.account.start {
                met.add(Met::TickBeforeTheStart);
            }
            return Ok(());
        }
        if self.delivered[at] > 0 {
            if excuse == Some(Excuse::TooLate) {
                met.add(Met::BeyondOverlapFound);
            }
            if d.shows.len() > 1 {
                met.add(Met::SeenOnce);
            }
            if self.bare[at] && !self.account.tells_partial(d.stamp) {
                return Err(format!("no gap says that something was left out of {}", shown(d)));
            }
            return Ok(());
        }
        if let Some(excuse) = excuse {
            met.add(match excuse {
                Excuse::Outside | Excuse::TooLate => Met::BeyondOverlap,
                Excuse::Unwanted => Met::LeftOutByFilter,
                Excuse::Truncated => Met::LostToCap,
                Excuse::Unreadable => Met::LostToPoison,
                Excuse::Hidden => Met::LostToMissingPart,
                Excuse::LateInGap => Met::LateLostToShortOverlap,
                Excuse::HiddenCap => Met::CapNeverShown,
            });
            return Ok(());
        }
        if self.account.is_missing_at(d, now) && d.shown_at(now).is_some_and(|show| show.is_wanted) {
            if self.account.is_given_up(d, now) {
                met.add(Met::LostToMissingPart);
                return Ok(());
            }
        } else if !self.account.could_be_read(d, now, now) && d.appears() <= now {
            met.add(Met::Superseded);
            return Ok(());
        }
        let why = if d.appears() > now { ", which the service does not even show yet" } else { "" };
        Err(format!("LOST: the watermark {} has passed {}{why}", self.watermark, shown(d)))
    }

    /// Counts what is special about a detection that is delivered.
    fn meets(&self, d: &Item, (since, until): (Tick, Tick), met: &mut Coverage) {
        let looks = d.looks;
        let lateness = d.lateness();
        let on_edge = [since, since.plus(1), until.minus(2), until.minus(1)].contains(&d.stamp);
        let quirks = &self.world.service.updated.quirks;
        let is_cut = |bound: Tick| quirks.bound(d.stamp) < d.stamp && (bound.0 - d.stamp.0).abs() < MILLISECOND;
        let is_in_cut_millisecond = is_cut(since) || is_cut(until);
        for (is_so, what) in [
            (looks.old_alert_time, Met::OldAlertTime),
            (looks.short_fraction, Met::ShortFraction),
            (looks.no_zone, Met::NoZone),
            (looks.no_stamp && !looks.no_object, Met::NoStamp),
            (looks.odd && !looks.no_object, Met::OddMember),
            (looks.no_object, Met::NotAnObject),
            (looks.tied, Met::Tie),
            (looks.in_burst, Met::Burst),
            (d.key.is_none() && !looks.no_object, Met::NoFullId),
            (d.stamp == self.account.start, Met::AtTheStart),
            (on_edge, Met::OnSeam),
            (lateness > 0 && lateness <= self.world.overlap, Met::LateFound),
            (lateness > 0 && lateness == self.world.overlap, Met::LateAsOverlap),
            (looks.update, Met::Update),
            (self.world.takes_over.is_some() && d.stamp < self.world.begins, Met::DeliveredAfterTakeOver),
            (looks.in_bulk, Met::InBulk),
            (looks.unknown_word, Met::UnknownWord),
            (is_in_cut_millisecond, Met::InCutMillisecond),
            (self.account.is_missing_at(d, d.appears()), Met::FoundAfterMissing),
        ] {
            if is_so {
                met.add(what);
            }
        }
    }
}

/// An item in a message.
fn shown(d: &Item) -> String {
    let seconds = d.lateness() / defender_core::tick::TICKS_PER_SECOND;
    let shows: Vec<_> = d.shows.iter().map(|show| format!("{} .. {}", show.from, show.until)).collect();
    format!("{} stamped {} and shown {seconds} s later: {}", d.name(), d.stamp, shows.join(", "))
}
