//! What should have been delivered: everything that was asked for and has shown up, but for what is excused here.

use defender_core::contract::{Gap, GapCause};
use defender_core::tick::Tick;

use crate::history::Detection;
use crate::world::World;

/// How many ticks beside a detection one request of a single tick may reach.
pub(crate) const REACH: i64 = 3;

/// Why a detection need not have been delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Excuse {
    /// It was not asked for.
    Outside,
    /// It showed up later than the overlap allows.
    TooLate,
    /// A gap says that an answer was cut on its tick.
    Truncated,
    /// A gap says that its range, or its own record, cannot be read.
    Unreadable,
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

impl Account<'_> {
    /// Why a detection that was visible before the watermark need not have been delivered; none where it is lost.
    pub(crate) fn excuse(&self, d: &Detection) -> Option<Excuse> {
        if d.stamp < self.start || d.stamp >= self.bound {
            return Some(Excuse::Outside);
        }
        if d.lateness() > self.world.overlap {
            return Some(Excuse::TooLate);
        }
        let covers = |gap: &&Gap| gap.since <= d.stamp && d.stamp < gap.until;
        let by_gap = self.gaps.iter().filter(covers).find_map(|gap| match gap.cause {
            GapCause::Truncated => Some(Excuse::Truncated),
            GapCause::Unreadable => (!is_of_record(gap) || d.looks.oversize).then_some(Excuse::Unreadable),
            // The first reading finds everything that is there on time.
            GapCause::Other(_) => (d.lateness() > 0).then_some(Excuse::LateInGap),
            GapCause::Expired | GapCause::Partial => None,
        });
        by_gap.or_else(|| self.is_behind_a_hidden_cap(d).then_some(Excuse::HiddenCap))
    }

    /// A cap that cuts rows of several ticks shows itself, and has no crowd like this.
    fn is_behind_a_hidden_cap(&self, d: &Detection) -> bool {
        let crowd = self.world.history.iter().filter(|other| (other.stamp.0 - d.stamp.0).abs() <= REACH).count();
        !self.knows_cap && self.world.service.cap.is_some_and(|cap| crowd > cap.rows)
    }
}

/// Whether a gap `unreadable` means one record that is too large, not a range.
pub(crate) fn is_of_record(gap: &Gap) -> bool {
    gap.detail.contains("larger than")
}
