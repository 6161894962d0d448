//! What should have been delivered: everything that was asked for and could be read, but for what is excused here.

use defender_core::contract::{Gap, GapCause};
use defender_core::tick::{Tick, Ticks};

use crate::history::Item;
use crate::world::{DAY, HOUR, World};

/// How many ticks beside a detection one request of a single tick may reach.
pub(crate) const REACH: i64 = 3;

/// For how long at least what was hidden while the service said that a part is missing is still found.
const FOUND_AGAIN: Ticks = DAY - HOUR;

/// Why an item need not have been delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Excuse {
    /// It was not asked for.
    Outside,
    /// No filter ever chose it, or it was never shown.
    Unwanted,
    /// It showed up later than the overlap allows.
    TooLate,
    /// A gap says that an answer was cut on its tick.
    Truncated,
    /// A gap says that its range, or its own record, cannot be read.
    Unreadable,
    /// A gap says that a part of its range was missing, and it was of that part for longer than is waited for.
    Hidden,
    /// It showed up late, in a range that a gap says is not read again.
    LateInGap,
    /// No answer could show that there is a cap, since all of it is of one tick.
    HiddenCap,
}

/// What a source was asked for, and what it told.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    pub(crate) world: &'a World,
    /// The first tick that is asked for, and the first one that is not any more.
    pub(crate) start: Tick,
    pub(crate) bound: Tick,
    pub(crate) gaps: Vec<Gap>,
    /// Whether the machine ever knew of a cap. It is asked for nothing else.
    pub(crate) knows_cap: bool,
}

/// A time in which an item could be read, whatever it looked like.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Tick,
    until: Tick,
    /// Since when, but for what hides its product.
    begins: Tick,
}

impl Account<'_> {
    /// Why an item that was visible before the watermark need not have been delivered; none where it is lost, unless it was
    /// gone before it could be read.
    pub(crate) fn excuse(&self, item: &Item) -> Option<Excuse> {
        if item.stamp < self.start || item.stamp >= self.bound {
            return Some(Excuse::Outside);
        }
        let spans = self.spans(item);
        if spans.is_empty() {
            return Some(Excuse::Unwanted);
        }
        let is_hidden = self.hidden(item).is_some();
        let covers = |gap: &&Gap| gap.since <= item.stamp && item.stamp < gap.until;
        let by_gap = self.gaps.iter().filter(covers).find_map(|gap| match gap.cause {
            GapCause::Truncated => Some(Excuse::Truncated),
            GapCause::Unreadable => (!is_of_record(gap) || item.looks.oversize).then_some(Excuse::Unreadable),
            // The first reading finds everything that is there on time.
            GapCause::Other(_) => (item.lateness() > 0 || is_hidden).then_some(Excuse::LateInGap),
            GapCause::Partial => {
                let is_for_long = self.hidden(item).is_some_and(|(from, until)| until.0 - from.0 > FOUND_AGAIN);
                is_for_long.then_some(Excuse::Hidden)
            }
            GapCause::Expired => None,
        });
        if by_gap.is_none() && !spans.iter().any(|span| self.is_on_time(item, span)) {
            return Some(Excuse::TooLate);
        }
        by_gap.or_else(|| self.is_behind_a_hidden_cap(item).then_some(Excuse::HiddenCap))
    }

    /// Whether an item could be read all the time between two, and not only by then.
    pub(crate) fn could_be_read(&self, item: &Item, from: Tick, until: Tick) -> bool {
        self.spans(item).iter().any(|span| span.from <= from && until < span.until && self.is_on_time(item, span))
    }

    /// Whether a gap says that what lies at a tick may not be all of it.
    pub(crate) fn tells_partial(&self, at: Tick) -> bool {
        self.gaps.iter().any(|gap| gap.cause == GapCause::Partial && gap.since <= at && at < gap.until)
    }

    /// Whether the service misses the product of an item at a time.
    pub(crate) fn is_missing_at(&self, item: &Item, at: Tick) -> bool {
        self.hidden(item).is_some_and(|(from, until)| from <= at && at < until)
    }

    /// Whether what is missing now has been missing for longer than is waited for, and was told.
    pub(crate) fn is_given_up(&self, item: &Item, now: Tick) -> bool {
        now.0 - item.stamp.0 > FOUND_AGAIN && self.tells_partial(item.stamp)
    }

    fn is_on_time(&self, item: &Item, span: &Span) -> bool {
        let is_found_again = span.from.0 - item.stamp.0 <= FOUND_AGAIN && span.begins < span.from;
        let lateness = if is_found_again { span.begins } else { span.from }.0 - item.stamp.0;
        lateness <= self.world.overlap
    }

    /// When an item could be read: while the filters choose how it looks, and its product is not missing.
    fn spans(&self, item: &Item) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for show in item.shows.iter().filter(|show| show.is_wanted) {
            match spans.last_mut() {
                Some(last) if last.until == show.from => last.until = show.until,
                _ => spans.push(Span { from: show.from, until: show.until, begins: show.from }),
            }
        }
        let Some((from, until)) = self.hidden(item) else { return spans };
        let cut = |span: Span| {
            let before = Span { until: span.until.min(from), ..span };
            let after = Span { from: span.from.max(until), ..span };
            [before, after].into_iter().filter(|span| span.from < span.until)
        };
        spans.into_iter().flat_map(cut).collect()
    }

    /// When the service misses the items of its product.
    fn hidden(&self, item: &Item) -> Option<(Tick, Tick)> {
        let missing = self.world.service.updated.missing?;
        (missing.source == item.source).then_some((missing.from, missing.until))
    }

    /// A cap that cuts rows of several ticks shows itself, and has no crowd like this.
    fn is_behind_a_hidden_cap(&self, item: &Item) -> bool {
        let crowd = self.world.history.iter().filter(|other| (other.stamp.0 - item.stamp.0).abs() <= REACH).count();
        !self.knows_cap && self.world.service.cap.is_some_and(|cap| crowd > cap.rows)
    }
}

/// Whether a gap `unreadable` means one record that is too large, not a range.
pub(crate) fn is_of_record(gap: &Gap) -> bool {
    gap.detail.contains("larger than")
}
