//! A range of things that are updated in place, read page by page: because it cannot be halved, or to see whether it has to be.
//!
//! What is updated while pages are turned leaves the range, and what follows it moves up past the reader, unseen. So the range is
//! read again from its first page until two passes saw the same rows, each of them once: had a row left during the earlier pass,
//! the later one would lack it.

use crate::contract::GapCause;
use crate::progress::Resolution;
use crate::protocol::Paging;

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

    /// How many rows the first page had, after so many of all pages.
    fn first(&self, rows: u32) -> u32 {
        self.first_and_last.map_or(rows, |(first, _)| first)
    }

    /// Whether the last page shows nothing that those before it did not, as where a service ignores `$skip`.
    fn repeats_pages(&self) -> bool {
        let (before, page) = self.keys.split_at(self.keys.len().min(self.turned as usize));
        !before.is_empty() && page.iter().all(|key| before.contains(key))
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
        if on_page == 0 || page.seen.pass.repeats_pages() {
            return None;
        }
        let goes_on = match self.config.protocol.odata.as_ref()?.paging {
            Paging::Links => {
                let full = first.unwrap_or_else(|| self.page_size().unwrap_or(u32::MAX).min(self.suspicious_rows()));
                on_page >= full && (first.is_none() || page.seen.pass.by_skip)
            }
            // A service may cut its pages shorter than they were asked for.
            Paging::Skip => true,
        };
        goes_on.then(|| self.url(&page.ask, page.seen.rows))
    }

    /// Whether a pass turns its pages after so many rows: a longer range that has more than its first page is halved.
    pub(super) fn may_turn(&self, page: &Reading) -> bool {
        self.is_least() || page.seen.rows <= page.seen.pass.first(page.seen.rows)
    }

    /// A pass has come to its end.
    pub(super) fn end_pass(&mut self, reading: &mut Reading) {
        let Reading { ask, seen, .. } = reading;
        let (rows, first) = (seen.rows, seen.pass.first(seen.rows));
        if !self.is_least() && (rows > first || self.page_size().is_some_and(|full| rows >= full)) {
            if rows > first && !seen.pass.repeats_pages() {
                self.learn_page(ask, first, seen.pass.by_skip);
            }
            return self.split(ask, first, seen.edges.span());
        }
        let mut keys = std::mem::take(&mut seen.pass.keys);
        keys.sort_unstable();
        let is_repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
        let is_whole = !is_repeated && self.passes.before.as_ref() == Some(&keys);
        if is_whole || seen.pass.first_and_last.is_none() {
            return self.end_passes(seen);
        }
        self.passes.before = Some(keys);
        self.passes.made += 1;
        if self.passes.made < MOST {
            return;
        }
        if !self.is_least() {
            return self.split(ask, rows, None);
        }
        let why = "its pages show other rows each time that they are read, or rows twice, and lie too close together to be asked \
                   for apart";
        self.give_up_range(GapCause::Truncated, why.to_owned());
    }

    /// The passes have shown all that there is, as far as pages go.
    fn end_passes(&mut self, seen: &Seen) {
        let rows = seen.rows;
        if seen.pass.ends_in_doubt(rows, self.page_size()) {
            let why = format!(
                "the service shows nothing after {rows} rows, which lie too close together to be asked for apart, so some may be \
                 missing"
            );
            return self.give_up_range(GapCause::Truncated, why);
        }
        if let Some(state) = self.state.as_mut().filter(|_| rows == seen.pass.first(rows)) {
            state.whole = state.whole.max(rows);
        }
        self.close_slice(&seen.answer());
    }

    /// The service makes pages of so many rows, which is less than was asked for.
    fn learn_page(&mut self, ask: &Ask, rows: u32, is_silent: bool) {
        if rows < LEAST_CAP || ask.limit == Some(rows) {
            return;
        }
        if is_silent {
            self.learn_cap(rows);
        } else if let Some(state) = &mut self.state {
            state.cap = Some(rows);
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
            let why = format!(
                "the service refuses to go on after {rows} rows, which lie too close together to be asked for apart"
            );
            return self.give_up_range(GapCause::Truncated, why);
        }
        if pass.by_skip {
            self.pages = Some(pages);
        }
    }

    /// Whether the present slice is too short to be halved.
    pub(super) fn is_least(&self) -> bool {
        self.state.as_ref().is_none_or(|state| state.is_least(Resolution::of(&self.config)))
    }
}
