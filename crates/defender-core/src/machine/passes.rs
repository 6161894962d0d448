//! A range of things that are updated in place, read page by page because it cannot be halved.
//!
//! What is updated while pages are turned leaves the range, and what follows it moves up past the reader, unseen. So the range is
//! read again from its first page until two passes saw the same rows, each of them once: had a row left during the earlier pass,
//! the later one would lack it.

use crate::contract::GapCause;
use crate::progress::Resolution;
use crate::protocol::Paging;
use crate::row::fingerprint;

use super::deliver::gap_key;
use super::reading::{Reading, Seen};
use super::{Ask, Machine, Purpose};

/// How many passes are made over a range whose rows never come alike.
const MOST: u32 = 5;

/// The least rows of a page that are taken for the largest page that a service makes.
const LEAST_CAP: u32 = 10;

/// One pass over the pages of a range.
#[derive(Clone, Debug, Default)]
pub(super) struct Pass {
    /// The fingerprints of its rows.
    keys: Vec<u64>,
    /// The rows of the pages that have been turned.
    pub(super) turned: u32,
    /// The rows of the first page, once it has been turned, and those of the last one that was.
    first_and_last: Option<(u32, u32)>,
    /// Whether the last page that was turned had no link, so that the next one is asked for by `$skip`.
    pub(super) by_skip: bool,
}

/// The passes over the present range.
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// What the last one saw, in the order of the fingerprints.
    before: Option<Vec<u64>>,
    made: u32,
}

impl Pass {
    /// Takes note of a row with this fingerprint.
    pub(super) fn see(&mut self, fingerprint: u64) {
        self.keys.push(fingerprint);
    }

    /// A page is turned after so many rows of all pages.
    pub(super) fn turn(&mut self, rows: u32, by_skip: bool) {
        let last = rows - self.turned;
        self.first_and_last = Some((self.first_and_last.map_or(last, |(first, _)| first), last));
        self.turned = rows;
        self.by_skip = by_skip;
    }

    /// Whether it ends with a page by `$skip` without rows, after one as full as the first, which had as many as make a page full:
    /// there may be more, which `$skip` does not reach.
    fn ends_in_doubt(&self, rows: u32, full: Option<u32>) -> bool {
        let is_full = |(first, last)| last >= first && full.is_some_and(|full| first >= full);
        self.by_skip && rows == self.turned && self.first_and_last.is_some_and(is_full)
    }
}

impl Machine {
    /// Has the present slice read page by page; false where its API does not update in place.
    pub(super) fn read_in_passes(&mut self, ask: &Ask) -> bool {
        let Some(round) = self.slice() else { return false };
        if !self.config.protocol.updates_in_place() {
            return false;
        }
        let (since, until) = (round.at, round.end);
        self.follow_ups.push_back(Ask { purpose: Purpose::Pass, since, until, limit: ask.limit });
        true
    }

    /// Where the rows after a page are that names no link; none where there are no more, or links led here.
    pub(super) fn skip(&self, page: &Reading) -> Option<String> {
        let on_page = page.seen.rows - page.seen.pass.turned;
        let first = page.seen.pass.first_and_last.map(|(first, _)| first);
        let goes_on = match self.config.protocol.odata.as_ref()?.paging {
            Paging::Links => {
                let full = first.unwrap_or_else(|| self.page_size().unwrap_or(u32::MAX).min(self.suspicious_rows()));
                on_page >= full && (first.is_none() || page.seen.pass.by_skip)
            }
            // A service may cut its pages shorter than they were asked for.
            Paging::Skip => true,
        };
        (goes_on && on_page > 0).then(|| self.url(&page.ask, page.seen.rows))
    }

    /// A pass has come to its end.
    pub(super) fn end_pass(&mut self, reading: &Reading) {
        let Reading { ask, seen, .. } = reading;
        let Seen { rows, pass, .. } = seen;
        // Pages of a longer range are not turned where they hold more than the first one: it is halved.
        let first = pass.first_and_last.map_or(*rows, |(first, _)| first);
        if !self.is_least() && (*rows > first || self.page_size().is_some_and(|full| *rows >= full)) {
            if first >= LEAST_CAP
                && let Some(state) = &mut self.state
            {
                state.cap = Some(first);
            }
            return self.split(ask, first, seen.edges.span());
        }
        let mut keys = pass.keys.clone();
        keys.sort_unstable();
        let is_repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
        let is_whole = !is_repeated && self.passes.before.as_ref() == Some(&keys);
        if pass.first_and_last.is_none() || is_whole {
            if pass.ends_in_doubt(*rows, self.page_size()) {
                let why = format!(
                    "the service shows nothing after {rows} rows, which lie too close together to be asked for apart, so some may \
                     be missing"
                );
                return self.give_up_range(&why);
            }
            if let Some(state) = self.state.as_mut().filter(|_| *rows == first) {
                state.whole = state.whole.max(first);
            }
            return self.close_slice(&seen.answer());
        }
        self.passes.before = Some(keys);
        self.passes.made += 1;
        if self.passes.made < MOST {
            return;
        }
        self.drop_follow_ups();
        if !self.halve() {
            self.give_up_range(
                "its pages show other rows each time that they are read, and lie too close together to be asked for apart",
            );
        }
    }

    /// How many rows make a page full, where that is known.
    fn page_size(&self) -> Option<u32> {
        self.state.as_ref()?.page(&self.config)
    }

    /// The service refuses a further page. A slice that is long enough is halved; of another one a single refusal may be a
    /// mishap, or a link may have run out, so that the pass is begun anew. How far the service goes is learned anew each time: it
    /// may come to allow more.
    pub(super) fn page_refused(&mut self, ask: &Ask) {
        let Some(pages) = self.pages.take() else { return };
        let Seen { rows, pass, .. } = &pages.seen;
        if !self.is_least() {
            return self.split(ask, *rows, None);
        }
        let goes_on = if pass.by_skip {
            !std::mem::replace(&mut self.refused_skip, true)
        } else {
            self.passes.made += 1;
            self.passes.made < MOST
        };
        if !goes_on {
            return self.give_up_range(&format!(
                "the service refuses to go on after {rows} rows, which lie too close together to be asked for apart"
            ));
        }
        if pass.by_skip {
            self.pages = Some(pages);
        }
    }

    /// Whether the present slice is too short to be halved.
    fn is_least(&self) -> bool {
        self.state.as_ref().is_none_or(|state| state.is_least(Resolution::of(&self.config)))
    }

    fn give_up_range(&mut self, why: &str) {
        let Some(round) = self.slice() else { return };
        // The overlap brings it again.
        let told = fingerprint(&gap_key(&GapCause::Truncated, round.at, round.end));
        if !self.remembers(told) {
            self.tell_gap(GapCause::Truncated, round.at, round.end, why.to_owned());
            self.remember(told, round.end.minus(1));
        }
        self.give_up_slice();
    }
}
