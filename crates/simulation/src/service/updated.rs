//! The endpoint of an API whose things are updated in place: it shows each as it is at present, and pages through that.

use std::collections::VecDeque;

use defender_core::http::Request;
use defender_core::tick::Tick;

use crate::api::{Api, Filter};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::odata::Query;
use crate::world::{Fault, LinkKind, Order, Unsettled};

use super::{Failing, Page, PageOf, Reply, Row, Service};

/// The error that every refusal shows.
const ERROR: &[u8] = b"{\"error\":{\"code\":\"x\",\"message\":\"y\",\"target\":\"z\"}}";

/// Where a page begins, in the order of the answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cursor {
    /// After as many rows as `$skip` says.
    First,
    /// After so many rows of those that are there.
    Skip(usize),
    /// After what is stamped so, and has this number in the history.
    After(Tick, usize),
}

/// When the API was asked, in nanoseconds on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<u64>);

impl Calls {
    /// Counts a call; an error where there are more than are allowed.
    pub(super) fn count(&mut self, api: Api, now: u64, met: &mut Coverage) -> Result<(), String> {
        let Some(facts) = api.facts() else { return Ok(()) };
        self.0.push_back(now);
        for (calls, seconds) in facts.quotas {
            let since = now.saturating_sub(seconds * 1_000_000_000);
            let made = self.0.iter().rev().take_while(|at| **at > since).count();
            if made > *calls {
                return Err(format!("{made} calls in {seconds} s, and {calls} are allowed"));
            }
            if made == *calls {
                met.add(if *seconds == 60 { Met::MinuteUsedUp } else { Met::HourUsedUp });
            }
        }
        let most = facts.quotas.iter().map(|(calls, _)| *calls).max().unwrap_or(0);
        while self.0.len() > most {
            self.0.pop_front();
        }
        Ok(())
    }
}

impl<'a> Service<'a> {
    /// The query of a request; an error where it is not as documented.
    pub(super) fn updated_query(&mut self, request: &Request, met: &mut Coverage) -> Result<Query, String> {
        let facts = self.world.api.facts().ok_or("no such API")?;
        let stamp = if self.world.is_first_seen { facts.created } else { facts.updated };
        let query = Query::read(request, facts, stamp)?;
        if facts.is_graph && !query.orders && !self.refused_order {
            return Err(format!("no `$orderby`: {}", request.url));
        }
        if Some(query.top) != self.limit {
            return Err(format!("`$top` is not the configured one: {}", request.url));
        }
        let is_again = self.asked == (query.first, query.last) && query.skip == 0;
        if is_again && self.turned {
            met.add(Met::PassAgain);
        }
        self.turned = false;
        self.asked = (query.first, query.last);
        self.expands = query.expands;
        if facts.expand.is_some() && !query.expands {
            met.add(Met::WithoutExpand);
        }
        if query.skip > 0 {
            met.add(Met::Skipped);
        }
        if self.world.is_first_seen {
            met.add(Met::ByCreation);
        }
        let quirks = &self.world.service.updated.quirks;
        Ok(Query { first: quirks.bound(query.first), last: quirks.bound(query.last), ..query })
    }

    /// The page of a query that begins at a cursor.
    pub(super) fn updated(
        &mut self,
        query: &Query,
        cursor: Cursor,
        of: Option<usize>,
        fault: Option<Fault>,
        clock: &mut Clock,
        met: &mut Coverage,
    ) -> Reply {
        let world = self.world;
        let habits = &world.service;
        let now = clock.service;
        let skip = match cursor {
            Cursor::First if habits.updated.quirks.ignores_skip => 0,
            Cursor::First => query.skip,
            Cursor::Skip(skip) => skip,
            Cursor::After(..) => 0,
        };
        if query.orders && habits.updated.refuses_order {
            met.add(Met::OrderRefused);
            self.refused_order = true;
            return self.reply(400, ERROR.to_vec(), clock, met);
        }
        if habits.updated.most_skip.is_some_and(|most| skip > most) {
            met.add(Met::SkipRefused);
            self.note(Failing::SkipRefused);
            return self.reply(400, ERROR.to_vec(), clock, met);
        }
        if habits.poison.iter().any(|(first, last)| *first <= query.last && query.first <= *last) {
            met.add(Met::Poisoned);
            return self.reply(500, ERROR.to_vec(), clock, met);
        }
        if query.expands && habits.updated.expand_fails.iter().any(|(from, until)| *from <= now && now < *until) {
            met.add(Met::ExpandFails);
            return self.reply(500, ERROR.to_vec(), clock, met);
        }
        let missing = habits.updated.missing.filter(|missing| missing.from <= now && now < missing.until);
        let mut all = self.present(query, now);
        self.unsettle(query, &mut all);
        let rows: Vec<_> =
            all.iter().filter(|(_, row)| missing.is_none_or(|missing| missing.source != row.item.source)).collect();
        if rows.len() < all.len() {
            met.add(Met::RowMissing);
        }
        let begins = match cursor {
            Cursor::First | Cursor::Skip(_) => skip.min(rows.len()),
            Cursor::After(stamp, number) => self.place_after(&rows, stamp, number),
        };
        let rest = rows.get(begins..).unwrap_or_default();
        let most = [habits.page, habits.updated.quirks.clamp].into_iter().flatten().fold(query.top, usize::min);
        let (page, beyond) = rest.split_at(most.min(rest.len()));
        let bare = |(_, row): &&(usize, Row<'a>)| Row { is_bare: !query.expands, ..*row };
        let page_rows: Vec<Row<'a>> = page.iter().copied().map(|numbered| bare(&numbered)).collect();
        if query.expands && page_rows.iter().any(|row| row.item.breaks_expand) {
            met.add(Met::ExpandBreaks);
            return self.reply(500, ERROR.to_vec(), clock, met);
        }
        let last = page.last().map(|(number, row)| (row.item.stamp, *number));
        let (shown, left) = (page.iter().map(|(number, _)| *number).collect::<Vec<_>>(), beyond.len());
        self.note_turn(query, skip, of.is_some(), &shown, now, met);
        self.note_quirks(&rows, &shown, left, met);
        if query.skip > 0 && skip == 0 && !shown.is_empty() {
            met.add(Met::SkipIgnored);
            self.note(Failing::SkipIgnored);
        }
        if query.skip > 0 && shown.is_empty() && self.last_page >= most {
            met.add(Met::Doubtful);
            self.note(Failing::Doubtful);
        }
        self.last_page = shown.len();
        let link = self.link_behind(query, skip + shown.len(), last, left, shown.len() == most, of, clock, met);
        if left > 0 {
            met.add(match (shown.len() < query.top, link.is_some()) {
                (false, _) => Met::TopCut,
                (true, true) => Met::PageShortOfTop,
                (true, false) => Met::PageShortInSilence,
            });
        }
        if page_rows.len() > 1 {
            met.add(match (habits.updated.quirks.shuffles(query.orders), habits.order) {
                (true, _) => Met::Shuffled,
                (false, Order::Descending) if !query.orders => Met::Descending,
                (false, _) => Met::Ascending,
            });
        }
        let status = if missing.is_some() { 206 } else { 200 };
        let mut reply = self.answer_of(status, &page_rows, of.is_some(), link.as_deref(), fault, clock, met);
        if missing.is_some()
            && let Reply::Answer(head, _) = &mut reply
        {
            met.add(Met::PartMissing);
            head.headers.push(("Warning".to_owned(), "199 - \"Microsoft/WDATP/401/228\"".to_owned()));
        }
        reply
    }

    /// What a query shows at a time with the numbers in the history, in the order that it asks for or that the service likes.
    fn present(&self, query: &Query, now: Tick) -> Vec<(usize, Row<'a>)> {
        let Some(facts) = self.world.api.facts() else { return Vec::new() };
        let history = &self.world.history;
        let begin = history.partition_point(|item| item.stamp < query.first);
        let end = history.partition_point(|item| item.stamp <= query.last);
        let between = history.iter().enumerate().take(end).skip(begin);
        let is_chosen = |row: &Row<'_>| {
            query.words.iter().all(|(filter, words)| {
                let word = match filter {
                    Filter::Severity => row.show.severity,
                    Filter::Status => row.show.status,
                    Filter::Source => facts.sources[row.item.source],
                };
                words.iter().any(|chosen| chosen == word)
            })
        };
        let row = |(number, item): (usize, &'a crate::history::Item)| {
            Some((number, Row { item, show: item.shown_at(now)?, is_bare: false }))
        };
        let mut rows: Vec<_> = between.filter_map(row).filter(|(_, row)| is_chosen(row)).collect();
        if !query.orders && self.world.service.order == Order::Descending {
            rows.reverse();
        }
        rows
    }

    /// Puts rows into another order than that of the request before, where the service has none.
    fn unsettle(&mut self, query: &Query, rows: &mut [(usize, Row<'a>)]) {
        let quirks = &self.world.service.updated.quirks;
        if quirks.unsettled == Unsettled::Nothing {
            return;
        }
        if quirks.shuffles(query.orders) {
            return self.random.shuffle(rows);
        }
        for ties in rows.chunk_by_mut(|(_, row), (_, next)| row.item.stamp == next.item.stamp) {
            self.random.shuffle(ties);
        }
    }

    /// The place of the first row behind one that may have left.
    fn place_after(&self, rows: &[&(usize, Row<'a>)], stamp: Tick, number: usize) -> usize {
        let is_behind = |(other, row): &&(usize, Row<'a>)| (row.item.stamp, *other) > (stamp, number);
        let newest_first = rows.first().zip(rows.last()).is_some_and(|(first, last)| first.0 > last.0);
        rows.partition_point(|row| if newest_first { is_behind(row) || row.0 == number } else { !is_behind(row) })
    }

    /// Notes what it means for the reader that this page comes after the one before.
    fn note_turn(&mut self, query: &Query, skip: usize, is_link: bool, shown: &[usize], now: Tick, met: &mut Coverage) {
        let is_further = is_link || query.skip > 0;
        if is_further {
            self.turned = true;
            let left = |number: &usize| self.world.history[*number].shown_at(now).is_none();
            if self.pages_before.iter().any(left) {
                met.add(Met::LeftBetweenPages);
            }
            if skip > 0 && self.pages_before.iter().any(|number| shown.contains(number)) {
                met.add(Met::ShownAgain);
            }
        } else {
            self.pages_before.clear();
        }
        self.pages_before.extend_from_slice(shown);
    }

    /// Notes what comes of what the service does, and no document says; `rows` are all that are there, and `shown` those of
    /// this page.
    fn note_quirks(&mut self, rows: &[&(usize, Row<'a>)], shown: &[usize], left: usize, met: &mut Coverage) {
        let quirks = &self.world.service.updated.quirks;
        let is_one_tick = rows.iter().all(|(_, row)| row.item.stamp == rows[0].1.item.stamp);
        if quirks.clamp == Some(shown.len()) && left > 0 && is_one_tick {
            met.add(Met::TickInSilence);
        }
        if quirks.unsettled != Unsettled::Nothing
            && left == 0
            && rows.iter().any(|(number, _)| !self.pages_before.contains(number))
        {
            met.add(Met::PassedOver);
            self.note(Failing::Unsettled);
        }
    }

    /// The link at the end of a page.
    #[expect(clippy::too_many_arguments, reason = "all that a link is made of")]
    fn link_behind(
        &mut self,
        query: &Query,
        skip: usize,
        last: Option<(Tick, usize)>,
        left: usize,
        is_full: bool,
        of: Option<usize>,
        clock: &Clock,
        met: &mut Coverage,
    ) -> Option<String> {
        let updated = &self.world.service.updated;
        let last = last.filter(|_| self.world.api.facts().is_some_and(|facts| facts.is_graph))?;
        if updated.links == LinkKind::None {
            if left > 0 {
                met.add(Met::NoLink);
            }
            return None;
        }
        if left == 0 {
            if !(updated.spare_link && is_full) {
                return None;
            }
            met.add(Met::SpareLink);
        }
        if of.is_none() {
            met.add(Met::FirstPage);
        }
        let cursor = match updated.links {
            LinkKind::None => return None,
            LinkKind::Skip => Cursor::Skip(skip),
            LinkKind::After => Cursor::After(last.0, last.1),
        };
        let next = format!("{}{}", self.skip_token, self.pages.len());
        self.pages.push(Page { what: PageOf::Present(query.clone(), cursor), has_run_out: false });
        Some(self.spoiled(next, of, clock, met))
    }
}
