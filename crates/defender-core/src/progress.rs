//! Which slice is asked for next, and what a complete one moves.

use crate::checkpoint::{Round, State};
use crate::config::{Config, Start};
use crate::ring::Ring;
use crate::tick::{TICKS_PER_SECOND, Tick, Ticks};

#[cfg(test)]
mod tests;

/// How often a slice fails before its neighbour is tried. One more in `failures` means that the neighbour was read.
pub(crate) const PATIENCE: u32 = 3;

/// For how long a range is read again of which the service said that a part is missing, beyond the overlap.
const PARTIAL_PATIENCE: Ticks = 24 * 3600 * TICKS_PER_SECOND;

/// How finely ranges can be asked for, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Resolution {
    /// Slices meet at whole multiples of it.
    pub(crate) seams: Ticks,
    /// No slice is made shorter than this.
    pub(crate) least: Ticks,
}

impl Resolution {
    const TICK: Self = Self { seams: 1, least: 1 };

    /// A service of OData may cut bounds to milliseconds before it compares, and shows what lies at the end of a request. What
    /// has a whole millisecond for a stamp would be read twice where the one before it were a slice of its own.
    const MILLISECOND: Self = Self { seams: TICKS_PER_SECOND / 1000, least: 2 * TICKS_PER_SECOND / 1000 };

    pub(crate) fn of(config: &Config) -> Self {
        if config.protocol.updates_in_place() { Self::MILLISECOND } else { Self::TICK }
    }

    /// Where a slice that begins here ends at the earliest, unless a round does before.
    fn least_from(self, at: Tick) -> Tick {
        at.floor(self.seams).plus(self.least)
    }
}

/// What closes a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// When it was asked for, on the local clock.
    pub sent: Tick,
    /// When the service dated it.
    pub date: Option<Tick>,
    /// How many rows it had.
    pub rows: u32,
    /// Whether the service said that a part is missing.
    pub is_partial: bool,
}

impl State {
    /// Where a source that has never been polled begins.
    pub fn begin(config: &Config, range: Option<(Tick, Tick)>, now: Tick) -> Self {
        let start = match (range, config.start) {
            (Some((since, _)), _) => since,
            (None, Start::Now) => now,
            (None, Start::Ago(ago)) => now.minus(ago),
            (None, Start::At(at)) => at,
        };
        Self {
            identity: config.identity(),
            start,
            anchored: range.is_some() || matches!(config.start, Start::At(_)),
            bound: range.map(|(_, until)| until),
            cursor: start,
            reread: start,
            watermark: None,
            round: None,
            length: config.slice,
            cap: None,
            whole: 0,
            failures: 0,
            strikes: 0,
            turns: 0,
            grain: 1,
            plain: false,
            partial: None,
            frozen: false,
            asked: None,
            answered: false,
            ring: Ring::default(),
        }
    }

    /// The first answer shows what the service's clock says: a start before now means that one's. Where the local clock is
    /// ahead, the start moves back by `skew` ticks, and what was asked for is asked for again; true then.
    pub fn anchor(&mut self, skew: Ticks) -> bool {
        let moves = !self.anchored && skew > 0;
        self.anchored = true;
        if moves {
            self.start = self.start.minus(skew);
            self.cursor = self.start;
            self.reread = self.start;
            self.round = None;
            // What failed was another slice.
            self.failures = 0;
            self.plain = false;
        }
        moves
    }

    /// Where a source begins that reads on from the checkpoint of another API of the same tenant. What that one would have read
    /// again may show up late in this one too, and its clock of visibility is another one: so the overlap comes once more.
    pub fn take_over(config: &Config, other: &Self) -> Self {
        let start = other.reread.min(other.cursor).minus(config.overlap);
        // A range that was read to its end has a last tick to begin at.
        let start = other.bound.map_or(start, |bound| start.min(bound.minus(1)));
        Self { anchored: other.anchored, bound: other.bound, ..Self::begin(config, Some((start, Tick::MAX)), start) }
    }

    /// The service's clock stands at `now`: what lies after it is not asked for, but for the rest of the present slice.
    pub fn end_round_at(&mut self, config: &Config, now: Tick) {
        if let Some(round) = &mut self.round {
            round.until = round.until.min(now.minus(config.settle)).max(round.end);
        }
    }

    /// Whether nothing has been asked for yet.
    pub fn is_untouched(&self) -> bool {
        self.round.is_none() && self.cursor == self.start && self.watermark.is_none() && self.ring.is_empty()
    }

    /// Whether a closed range has been read to its end.
    pub fn is_ended(&self) -> bool {
        self.round.is_none() && self.bound.is_some_and(|bound| self.cursor >= bound)
    }

    /// The round that is under way, or a new one; none where nothing can be new yet.
    pub fn round(&mut self, config: &Config, now: Tick) -> Option<Round> {
        if self.round.is_none() && !self.is_ended() {
            let newest = now.minus(config.settle);
            let newest = self.bound.map_or(newest, |bound| newest.min(bound));
            // A clock that was set back leaves what has been read before: that may be read again.
            let until = newest.max(self.cursor);
            let from = self.reread.min(self.cursor);
            if from < until {
                self.begin_slice(from, until, Resolution::of(config));
            }
        }
        self.round
    }

    /// Begins the slice at `at`. A short rest joins the last slice, so that a quiet poll is one request.
    fn begin_slice(&mut self, at: Tick, until: Tick, resolution: Resolution) {
        let rest = until.0 - at.0;
        let end = if rest <= self.length.saturating_add(self.length / 2) {
            until
        } else {
            at.plus(self.length).floor(resolution.seams).max(resolution.least_from(at)).min(until)
        };
        self.round = Some(Round { until, at, end });
    }

    /// Whether the slice is too short to be halved.
    pub fn is_least(&self, resolution: Resolution) -> bool {
        self.round.is_none_or(|round| round.end <= resolution.least_from(round.at))
    }

    /// Goes on with the older half of the slice; false where it is too short.
    pub fn halve(&mut self, resolution: Resolution) -> bool {
        self.cut_before(None, resolution)
    }

    /// The same after an answer that was cut, whose newest row has this stamp: where all of its rows lie in the older half,
    /// that one would be cut again, and what lies before the newest row is asked for in its place.
    pub fn cut_before(&mut self, newest: Option<Tick>, resolution: Resolution) -> bool {
        if self.is_least(resolution) {
            return false;
        }
        let Some(round) = &mut self.round else { return false };
        let half = (round.end.0 - round.at.0) / 2;
        let middle = round.at.plus(half);
        let end = newest.map_or(middle, |newest| middle.min(newest.minus(1)));
        round.end = end.floor(resolution.seams).max(resolution.least_from(round.at));
        self.length = half;
        true
    }

    /// The slice is left behind, since a gap covers it. A range that is given up again and again is given up in ever longer
    /// pieces, or it would never end.
    pub fn pass_over(&mut self, config: &Config) {
        let Some(Round { at, end, .. }) = self.round else { return };
        let grain = self.grain.max(end.0 - at.0).saturating_mul(2).min(config.slice);
        self.complete(config, &Answer { sent: end.plus(config.settle).plus(config.overlap), ..Answer::default() });
        self.grain = grain;
    }

    /// The slice has been read.
    pub fn complete(&mut self, config: &Config, answer: &Answer) {
        let Some(Round { until, at, end }) = self.round else { return };
        let &Answer { sent, date, rows, is_partial } = answer;
        let service_now = date.unwrap_or(sent);
        // What lies before this slice was read earlier: this answer tells nothing of it, so nothing is passed over.
        if at <= self.cursor {
            self.cursor = self.cursor.max(end.min(service_now.minus(config.settle)));
        }
        // What was visible longer ago than the overlap has shown up by now, if it ever does.
        let settled = service_now.min(sent).minus(config.settle).minus(config.overlap);
        let read = end.min(if is_partial { settled.minus(PARTIAL_PATIENCE) } else { settled });
        if at <= self.reread && read > self.reread {
            self.reread = read;
            self.watermark = self.watermark.max(Some(read));
        }
        // What is not asked for again is not told of again.
        self.partial = self.partial.filter(|told| *told > self.reread);
        self.ring.forget_before(end.min(self.reread));
        let failures = self.failures;
        // After a slice that failed on its own, the next one has less patience: the fault may lie there.
        self.failures = if self.failures >= PATIENCE { PATIENCE - 1 } else { 0 };
        self.strikes = 0;
        self.turns = 0;
        self.grain = 1;
        // A slice whose keys did not fit the ring was too long.
        self.length = if self.frozen { (self.length / 2).max(1) } else { self.grown(config, rows).min(config.slice) };
        self.frozen = false;
        if self.plain {
            // The next slice is tried in full again: once, where it was a failure that made this one plain.
            self.plain = false;
            self.failures = failures.min(PATIENCE - 1);
        }
        if end < until {
            self.begin_slice(end, until, Resolution::of(config));
        } else {
            self.round = None;
        }
    }

    /// How many rows make an answer full, where that is known.
    pub fn page(&self, config: &Config) -> Option<u32> {
        let asked_for = config.limit.filter(|_| config.protocol.updates_in_place());
        self.cap.into_iter().chain(asked_for).min()
    }

    /// How long the next slice may be, after an answer of so many rows.
    fn grown(&self, config: &Config, rows: u32) -> Ticks {
        let factor = match self.page(config) {
            Some(cap) if rows.saturating_mul(3) >= cap => 1,
            Some(cap) if rows.saturating_mul(9) >= cap => 2,
            _ => 4,
        };
        self.length.saturating_mul(factor)
    }
}
