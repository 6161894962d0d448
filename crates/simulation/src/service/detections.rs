//! The endpoint of the SIEM API: detections, which never change.

use defender_core::tick::{Tick, Ticks};

use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::world::{Fault, Order, World};

use super::{Page, PageOf, Reply, Row, Service};

/// The parameters of a request for detections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) since: Tick,
    pub(super) until: Tick,
    pub(super) limit: Option<usize>,
}

impl<'a> Service<'a> {
    /// The answer proper.
    pub(super) fn detections(
        &mut self,
        query: Query,
        fault: Option<Fault>,
        clock: &mut Clock,
        met: &mut Coverage,
    ) -> Reply {
        let habits = &self.world.service;
        let hits = |(first, last): &(Tick, Tick)| {
            let reaches_up = if habits.until_is_open { *first < query.until } else { *first <= query.until };
            let reaches_down = if habits.since_is_open { query.since < *last } else { query.since <= *last };
            reaches_up && reaches_down
        };
        if habits.poison.iter().any(hits) {
            met.add(Met::Poisoned);
            return self.reply(500, b"{\"error\":{\"code\":\"x\",\"message\":\"y\"}}".to_vec(), clock, met);
        }
        let mut rows = visible(self.world, query.since, query.until, clock.service);
        for (bound, is_open, open, closed) in [
            (query.since, habits.since_is_open, Met::OpenSince, Met::ClosedSince),
            (query.until, habits.until_is_open, Met::OpenUntil, Met::ClosedUntil),
        ] {
            if self.world.history.iter().any(|d| d.stamp == bound && d.appears() <= clock.service) {
                met.add(if is_open { open } else { closed });
            }
        }
        if let Some(limit) = query.limit.filter(|limit| rows.len() > *limit) {
            met.add(Met::LimitCut);
            rows.drain(..rows.len() - limit);
        }
        if let Some(cap) = habits.cap.filter(|cap| rows.len() > cap.rows) {
            if cap.keeps_newest {
                met.add(Met::CapCutNewest);
                rows.drain(..rows.len() - cap.rows);
            } else {
                met.add(Met::CapCutOldest);
                rows.truncate(cap.rows);
            }
        }
        for at in (0..rows.len()).rev() {
            if self.random.chance(habits.twice) {
                met.add(Met::DuplicatedRow);
                let again = rows[at];
                rows.insert(self.random.index(rows.len() + 1), again);
            }
        }
        if rows.len() > 1 {
            met.add(match habits.order {
                Order::Ascending => Met::Ascending,
                Order::Descending => Met::Descending,
                Order::Shuffled => Met::Shuffled,
            });
        }
        match habits.order {
            Order::Ascending => {}
            Order::Descending => rows.reverse(),
            Order::Shuffled => self.random.shuffle(&mut rows),
        }
        if rows.is_empty() && fault.is_none() && self.random.chance(100) {
            met.add(Met::NoContent);
            return self.reply(204, Vec::new(), clock, met);
        }
        self.page(rows, None, fault, clock, met)
    }

    /// As many of these rows as a page holds, and a link to the others.
    pub(super) fn page(
        &mut self,
        mut rows: Vec<Row<'a>>,
        of: Option<usize>,
        fault: Option<Fault>,
        clock: &mut Clock,
        met: &mut Coverage,
    ) -> Reply {
        let habits = &self.world.service;
        let mut link = None;
        if let Some(size) = habits.page.filter(|size| rows.len() > *size) {
            if of.is_none() {
                met.add(Met::FirstPage);
                if rows.len() >= self.world.limits.suspicious_rows as usize {
                    met.add(Met::CheckInPages);
                }
            }
            let is_empty = self.random.chance(50);
            let others = rows.split_off(if is_empty { 0 } else { size });
            if is_empty {
                met.add(Met::EmptyPage);
            }
            let next = format!("{}{}", self.skip_token, self.pages.len());
            self.pages.push(Page { what: PageOf::Rows(others), has_run_out: false });
            link = Some(self.spoiled(next, of, clock, met));
        }
        self.answer_of(200, &rows, of.is_some(), link.as_deref(), fault, clock, met)
    }

    /// The query of a request; an error where no such request may be sent.
    pub(super) fn query(&self, url: &str) -> Result<Query, String> {
        let (_, query) = url.split_once('?').ok_or("a request for detections without a query")?;
        let (mut since, mut until, mut limit) = (None, None, None);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sinceTimeUtc", value)) => since = Tick::parse(value),
                Some(("untilTimeUtc", value)) => until = Tick::parse(value),
                Some(("limit", value)) => limit = value.parse::<usize>().ok(),
                _ => return Err(format!("a parameter that a running source never sends: {pair}")),
            }
        }
        let (Some(since), Some(until)) = (since, until) else { return Err(format!("not both ends are stated: {url}")) };
        let width: Ticks = until.0 - since.0;
        if limit != self.limit && (limit.is_some() || width > 3) {
            return Err(format!("`limit` is not the configured one: {url}"));
        }
        if width < 3 {
            return Err(format!("the ends are not a tick wider than the slice: {url}"));
        }
        Ok(Query { since, until, limit })
    }
}

/// What a request for detections shows at a time, oldest first.
pub(crate) fn visible(world: &World, since: Tick, until: Tick, at: Tick) -> Vec<Row<'_>> {
    let habits = &world.service;
    let history = &world.history;
    let begin = history.partition_point(|d| if habits.since_is_open { d.stamp <= since } else { d.stamp < since });
    let end = history.partition_point(|d| if habits.until_is_open { d.stamp < until } else { d.stamp <= until });
    let between = history.get(begin..end).unwrap_or_default().iter();
    between.filter_map(|item| Some(Row { item, show: item.shown_at(at)?, is_bare: false })).collect()
}
