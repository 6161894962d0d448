//! What services that speak OData do, and no document says.

use defender_core::Limits;
use defender_core::tick::Tick;

use crate::api::Facts;
use crate::history::Item;
use crate::random::Random;

use super::{MILLISECOND, StartsAt};

/// How many worlds in a thousand have each quirk.
const CLAMPED: u64 = 200;
const COARSE: u64 = 250;
const UNSETTLED: u64 = 300;
const SKIP_IGNORED: u64 = 60;
const SHORT_OF_CALLS: u64 = 60;

/// What a service does without saying so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quirks {
    /// The most rows of a page, where that is fewer than `$top` and neither a link nor a word tells of the others.
    pub(crate) clamp: Option<usize>,
    /// Whether the bounds of a filter are cut to milliseconds before they are compared.
    pub(crate) is_coarse: bool,
    pub(crate) unsettled: Unsettled,
    /// Whether `$skip` is read over, and the first page shown again.
    pub(crate) ignores_skip: bool,
    /// After how many calls in a row it wants a pause, where it is that short of them.
    pub(crate) calls_in_a_row: Option<u64>,
}

/// What comes in another order on each request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Unsettled {
    #[default]
    Nothing,
    /// What has one stamp.
    Ties,
    /// Everything where no order is asked for, and what has one stamp otherwise.
    Unasked,
    /// Everything, whatever is asked for.
    Everything,
}

impl Quirks {
    pub(super) fn decide(facts: &Facts, limits: &Limits, random: &mut Random) -> Self {
        // A page of fewer rows than are doubted is believed to be whole.
        let least = facts.doubted.min(limits.suspicious_rows as usize);
        let clamp = least + random.index(15);
        let is_clamped = random.chance(CLAMPED) && clamp < facts.most;
        let is_coarse = random.chance(COARSE);
        let unsettled = random.pick(&[Unsettled::Ties, Unsettled::Unasked, Unsettled::Everything]);
        Self {
            clamp: is_clamped.then_some(clamp),
            is_coarse,
            unsettled: if random.chance(UNSETTLED) { unsettled } else { Unsettled::Nothing },
            ignores_skip: random.chance(SKIP_IGNORED),
            calls_in_a_row: random.chance(SHORT_OF_CALLS).then(|| 1 + random.below(4)),
        }
    }

    /// Whether all rows come in another order on each request that asks for an order, or for none.
    pub(crate) fn shuffles(&self, is_asked_for: bool) -> bool {
        match self.unsettled {
            Unsettled::Nothing | Unsettled::Ties => false,
            Unsettled::Unasked => !is_asked_for,
            Unsettled::Everything => true,
        }
    }

    /// A bound of a filter as the service reads it.
    pub(crate) fn bound(&self, at: Tick) -> Tick {
        if self.is_coarse { at.minus(at.0.rem_euclid(MILLISECOND)) } else { at }
    }
}

/// The start beside a thing, and the end of a range as well: a request that is cut there shows too little, or too much.
pub(super) fn within_a_millisecond(start: StartsAt, history: &[Item], random: &mut Random) -> StartsAt {
    let middle = history.len() / 2;
    let since = history[random.index(middle.max(1))].stamp.plus(random.between(0, 1));
    let until = history[middle + random.index(history.len() - middle)].stamp.plus(random.between(1, 3));
    match start {
        StartsAt::Range(..) => StartsAt::Range(since, until.max(since.plus(1))),
        StartsAt::At(_) => StartsAt::At(since),
        StartsAt::Now | StartsAt::Ago(_) => start,
    }
}
