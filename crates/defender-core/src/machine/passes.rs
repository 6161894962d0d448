//! A range of things that are updated in place, read page by page because it cannot be halved.
//!
//! What is updated while pages are turned leaves the range, and what follows it moves up past the reader, unseen. So the range is
//! read again from its first page until two passes saw the same rows, each of them once: had a row left during the earlier pass,
//! the later one would lack it.

use crate::contract::GapCause;
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

    /// Whether it ends with a page by `$skip` without rows, after one as full as the first: there may be more, which `$skip`
    /// does not reach.
    fn ends_in_doubt(&self, rows: u32) -> bool {
        self.by_skip && rows == self.turned && self.first_and_last.is_some_and(|(first, last)| last >= first)
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
        let page_size = self.state.as_ref().and_then(|state| state.page(&self.config));
        let first = page.seen.pass.first_and_last.map(|(first, _)| first);
        let goes_on = match self.config.protocol.odata.as_ref()?.paging {
            Paging::Links => {
                let is_full = first.or(page_size).is_some_and(|full| on_page >= full);
                is_full && (first.is_none() || page.seen.pass.by_skip)
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
        let is_tick = ask.until.0 - ask.since.0 <= 1;
        // Pages of a longer range are not turned where they hold more than the first one: it is halved.
        let first = pass.first_and_last.map_or(*rows, |(first, _)| first);
        if !is_tick && (*rows > first || ask.limit.is_some_and(|limit| *rows >= limit)) {
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
            if pass.ends_in_doubt(*rows) {
                let why = format!(
                    "the service shows nothing after {rows} rows, all of which have one stamp, so some may be missing"
                );
                return self.give_up_range(&why);
            }
            return self.close_slice(&seen.answer());
        }
        self.passes.before = Some(keys);
        self.passes.made += 1;
        if self.passes.made < MOST {
            return;
        }
        self.drop_follow_ups();
        if !self.state.as_mut().is_some_and(|state| state.halve()) {
            self.give_up_range(
                "its pages show other rows each time that they are read, and all of them have one stamp",
            );
        }
    }

    /// Whether the page that was asked for is one by `$skip`.
    pub(super) fn is_skipping(&self) -> bool {
        self.pages.as_deref().is_some_and(|pages| pages.seen.pass.by_skip)
    }

    /// A tick is given up whose further rows the service refuses. How far it goes is learned anew each time: it may come to
    /// allow more.
    pub(super) fn give_up_pages_of_tick(&mut self) {
        let Some(pages) = self.pages.take() else { return };
        let rows = pages.seen.rows;
        self.give_up_range(&format!("the service refuses to go on after {rows} rows, and all of them have one stamp"));
    }

    fn give_up_range(&mut self, why: &str) {
        let Some(round) = self.slice() else { return };
        self.tell_gap(GapCause::Truncated, round.at, round.end, why.to_owned());
        self.give_up_slice();
    }
}
