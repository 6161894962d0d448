//! Judges what is delivered against what should have been.

use std::collections::HashMap;

use defender_core::checkpoint::State;
use defender_core::contract::{Batch, Event, Gap, GapCause};
use defender_core::tick::Tick;

use crate::coverage::{Coverage, Met};
use crate::expected::{Account, Excuse, REACH, is_of_record};
use crate::history::Detection;
use crate::service::visible;
use crate::world::World;

/// Judges what is delivered against what the service had.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    world: &'a World,
    by_record: HashMap<&'a [u8], usize>,
    by_key: HashMap<String, usize>,
    alerts: HashMap<&'a str, usize>,
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
    /// When the first poll was.
    began: Tick,
    watermark: Tick,
    /// Everything before it, in the order of the history, has been judged.
    judged: usize,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let count = world.history.len();
        Self {
            world,
            by_record: world.history.iter().enumerate().map(|(at, d)| (d.record.as_slice(), at)).collect(),
            by_key: HashMap::new(),
            alerts: HashMap::new(),
            delivered: vec![0; count],
            since_store: Vec::new(),
            may_repeat: vec![false; count],
            account: Account { world, start: Tick::MAX, bound: Tick::MAX, gaps: Vec::new(), knows_cap: false },
            is_full: false,
            was_full: false,
            forgotten: vec![false; count],
            began: Tick::MAX,
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

    /// A range has been read to its end: all of it that the service showed when it was begun has come.
    pub(crate) fn ends(&self, now: Tick, met: &mut Coverage) -> Result<(), String> {
        let range = self
            .world
            .history
            .iter()
            .enumerate()
            .filter(|(_, d)| d.stamp < self.account.bound && d.appears <= self.began);
        for (at, d) in range {
            self.judge(at, d, now, met).map_err(|what| format!("at the end of the range: {what}"))?;
        }
        Ok(())
    }

    /// The host stored a checkpoint.
    pub(crate) fn stored(&mut self) {
        self.since_store.clear();
    }

    /// The host died, and reads on from its last stored checkpoint.
    pub(crate) fn killed(&mut self) {
        for at in self.since_store.drain(..) {
            self.may_repeat[at] = true;
        }
        self.watermark = Tick::MIN;
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
        met: &mut Coverage,
    ) -> Result<(), String> {
        for gap in &batch.gaps {
            self.gap(gap, now, met)?;
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
        let Some(&at) = self.by_record.get(event.body.as_bytes()) else {
            return Err(format!(
                "delivered what the service never had: {}",
                String::from_utf8_lossy(event.body.as_bytes())
            ));
        };
        let d = &self.world.history[at];
        let wrong = |what: &str| Err(format!("{what}: {} ({})", event.key, shown(d)));
        if d.appears > now {
            return wrong("delivered before the service showed it");
        }
        if d.printed.is_some() && (d.stamp < self.account.start || d.stamp >= self.account.bound) {
            return wrong("delivered outside of what was asked for");
        }
        if event.visible != d.printed || d.full_id.as_ref().is_some_and(|id| *id != event.key) {
            return wrong("delivered with another stamp or key than its record has");
        }
        if event.subject != *d.alert.as_ref().unwrap_or(&event.key) {
            return wrong("delivered with another subject than its alert");
        }
        if *self.by_key.entry(event.key.clone()).or_insert(at) != at {
            return wrong("the key is another detection's");
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
            if let Some(alert) = &d.alert
                && self.alerts.insert(alert, at).is_some()
            {
                met.add(Met::SharedAlert);
            }
        }
        self.delivered[at] += 1;
        self.since_store.push(at);
        Ok(())
    }

    fn gap(&mut self, gap: &Gap, now: Tick, met: &mut Coverage) -> Result<(), String> {
        // What fails for ever is given up in pieces that grow with what was given up before.
        let is_poisoned = |(first, last): &(Tick, Tick)| {
            let meets = gap.since.minus(REACH) <= *last && *first <= gap.until.plus(REACH);
            meets && gap.until.0 - gap.since.0 <= 4 * (last.0 - first.0) + 2 * REACH
        };
        let is_true = match gap.cause {
            GapCause::Truncated => {
                met.add(Met::Truncated);
                let rows = visible(self.world, gap.since.minus(1), gap.until.plus(1), now).len();
                gap.until.0 - gap.since.0 == 1 && self.world.service.cap.is_some_and(|cap| rows >= cap.rows)
            }
            GapCause::Unreadable if is_of_record(gap) => {
                met.add(Met::Oversize);
                let rows = visible(self.world, gap.since, gap.until, now);
                rows.iter().any(|row| row.looks.oversize)
            }
            GapCause::Unreadable => {
                met.add(Met::Unreadable);
                self.world.service.poison.iter().any(is_poisoned)
            }
            GapCause::Other("overlap-shortened") => {
                met.add(Met::OverlapShortened);
                self.was_full
            }
            GapCause::Other(_) | GapCause::Partial | GapCause::Expired => false,
        };
        if !is_true || gap.since >= gap.until {
            return Err(format!("a gap that is not so: {gap:?}"));
        }
        self.account.gaps.push(gap.clone());
        Ok(())
    }

    /// A detection, whose number in the history is `at`, should have been delivered by now.
    fn judge(&self, at: usize, d: &Detection, now: Tick, met: &mut Coverage) -> Result<(), String> {
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
            return Ok(());
        }
        if let Some(excuse) = excuse {
            met.add(match excuse {
                Excuse::Outside | Excuse::TooLate => Met::BeyondOverlap,
                Excuse::Truncated => Met::LostToCap,
                Excuse::Unreadable => Met::LostToPoison,
                Excuse::LateInGap => Met::LateLostToShortOverlap,
                Excuse::HiddenCap => Met::CapNeverShown,
            });
            return Ok(());
        }
        let why = if d.appears > now { ", which the service does not even show yet" } else { "" };
        Err(format!("LOST: the watermark {} has passed {}{why}", self.watermark, shown(d)))
    }

    /// Counts what is special about a detection that is delivered.
    fn meets(&self, d: &Detection, (since, until): (Tick, Tick), met: &mut Coverage) {
        let looks = d.looks;
        let lateness = d.lateness();
        let on_edge = [since, since.plus(1), until.minus(2), until.minus(1)].contains(&d.stamp);
        for (is_so, what) in [
            (looks.old_alert_time, Met::OldAlertTime),
            (looks.short_fraction, Met::ShortFraction),
            (looks.no_zone, Met::NoZone),
            (looks.no_stamp && !looks.no_object, Met::NoStamp),
            (looks.odd && !looks.no_object, Met::OddMember),
            (looks.no_object, Met::NotAnObject),
            (looks.tied, Met::Tie),
            (looks.in_burst, Met::Burst),
            (d.full_id.is_none() && !looks.no_object, Met::NoFullId),
            (d.stamp == self.account.start, Met::AtTheStart),
            (on_edge, Met::OnSeam),
            (lateness > 0 && lateness <= self.world.overlap, Met::LateFound),
            (lateness > 0 && lateness == self.world.overlap, Met::LateAsOverlap),
        ] {
            if is_so {
                met.add(what);
            }
        }
    }
}

/// A detection in a message.
fn shown(d: &Detection) -> String {
    let key = d.full_id.clone().unwrap_or_else(|| String::from_utf8_lossy(&d.record).into_owned());
    let minutes = d.lateness() / defender_core::tick::TICKS_PER_SECOND;
    format!("{key} stamped {} and shown from {} on, {minutes} s later", d.stamp, d.appears)
}
