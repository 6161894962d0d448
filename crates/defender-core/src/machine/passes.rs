//! One tick of more rows than an answer holds, of things that are updated in place.
//!
//! It cannot be halved, so it is read page by page. What is updated meanwhile leaves the tick, and what follows it moves up
//! past the reader, unseen. So the tick is read again from its first page until two passes saw the same rows: had a row left
//! during the earlier one, the later one would lack it.

use super::reading::Reading;
use super::{Ask, Machine, Purpose};

/// What one pass over all pages saw: how many rows, and the sum of their keys in no order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Pass {
    pub(super) rows: u32,
    pub(super) sum: u64,
}

impl Pass {
    /// Takes note of a row with this fingerprint.
    pub(super) fn see(&mut self, fingerprint: u64) {
        self.rows = self.rows.saturating_add(1);
        self.sum = self.sum.wrapping_add(fingerprint);
    }
}

impl Machine {
    /// Has the tick read page by page whose answer was cut; false where its API does not update in place, or that was done.
    pub(super) fn read_in_passes(&mut self, ask: &Ask) -> bool {
        let Some(round) = self.state.as_ref().and_then(|state| state.round) else { return false };
        if self.config.protocol.odata.is_none() || ask.purpose == Purpose::Tick {
            return false;
        }
        let (since, until) = (round.at, round.end);
        self.follow_ups.push_back(Ask { purpose: Purpose::Tick, since, until, limit: ask.limit });
        true
    }

    /// A pass over all pages is complete: whether it shows that the one before was, or needed no second page.
    pub(super) fn is_whole_pass(&mut self, reading: &Reading) -> bool {
        let is_whole = reading.first_page.is_none() || self.pass == Some(reading.pass);
        self.pass = (!is_whole).then_some(reading.pass);
        is_whole
    }
}
