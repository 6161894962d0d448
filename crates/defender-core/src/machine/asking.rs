//! Which request comes next.

use crate::checkpoint::{Round, State};
use crate::contract::{Failure, Fault, GapCause, NextPoll};
use crate::failure::quota_failure;
use crate::http::Request;
use crate::progress::{PATIENCE, Resolution};
use crate::query::{Query, request_to, url_of};
use crate::tick::{Now, TICKS_PER_SECOND, Tick, Ticks};
use crate::token::token_request;

use super::{Ask, Machine, Mode, Output, Phase, Purpose};

/// How long a neighbour of a failing slice is.
const NEIGHBOUR: i64 = 60 * TICKS_PER_SECOND;

/// How many of the ticks or milliseconds that bounds tell apart lie between a slice and its nearest neighbour: their requests,
/// each at most one of them wider on each side, share none.
const APART: i64 = 3;

/// When a round was begun long ago. None that began near now takes so long, however slow the service is: rounds that followed
/// each other at once would leave it no pause.
const LONG_AGO: Ticks = 6 * 3600 * TICKS_PER_SECOND;

/// How far the smallest call of a probe looks back.
const PROBE: i64 = 60 * TICKS_PER_SECOND;

impl Machine {
    /// Says what the driver must do next.
    pub fn step(&mut self, now: Now) -> Output {
        loop {
            let output = match std::mem::replace(&mut self.phase, Phase::Idle) {
                Phase::Idle => self.decide(now),
                Phase::Reading(reading) => self.read(reading, now),
                waiting @ (Phase::TokenBody { .. } | Phase::ErrorBody { .. }) => {
                    self.phase = waiting;
                    Some(Output::ReadBody)
                }
                Phase::TokenSent(_) | Phase::Sent(..) => Some(Output::Done(Err(Failure::Internal(Fault {
                    code: "driver.unanswered".to_owned(),
                    message: "the driver asked what is next before it said what came of the request".to_owned(),
                    ..Fault::default()
                })))),
            };
            if let Some(output) = output {
                return output;
            }
        }
    }

    /// Decides what to ask, or that the poll is over.
    fn decide(&mut self, now: Now) -> Option<Output> {
        if let Some(failure) = self.failing.take() {
            return Some(self.end_failing(failure, now));
        }
        if self.lost_answer {
            return Some(self.give_up_answer(now));
        }
        let (ask, next) = self.next_ask(now);
        let Some(ask) = ask else { return Some(self.finish(next)) };
        if let Some(exhausted) = self.calls.exhausted(now.monotonic) {
            return Some(self.end_throttled(quota_failure(exhausted, &self.config), now));
        }
        let ready = self.config.credential.access_token();
        let Some(bearer) = ready.or_else(|| self.tokens.bearer(now)) else {
            if self.is_spent(2, now) {
                return Some(self.finish(NextPoll::Now));
            }
            let request = token_request(&self.config);
            self.poll.requests += 1;
            self.poll.counters.token_renewals += 1;
            self.phase = Phase::TokenSent(ask);
            return Some(Output::Send(request));
        };
        let request = self.request(&ask, bearer);
        if self.is_spent(1, now) {
            return Some(self.finish(NextPoll::Now));
        }
        self.poll.requests += 1;
        self.calls.count(now.monotonic);
        self.phase = Phase::Sent(ask, now.wall);
        Some(Output::Send(request))
    }

    /// Whether the poll has no room for so many more requests.
    fn is_spent(&self, requests: u32, now: Now) -> bool {
        let is_over = self.poll.requests > 0 && self.poll.is_over(now);
        is_over || self.poll.requests + requests > self.poll.budget.max_requests
    }

    /// What to ask; where there is nothing, when to poll again.
    fn next_ask(&mut self, now: Now) -> (Option<Ask>, NextPoll) {
        if let Some(pages) = &self.pages {
            return (Some(pages.ask.clone()), NextPoll::Now);
        }
        if let Some(ask) = self.follow_ups.front() {
            return (Some(ask.clone()), NextPoll::Now);
        }
        let Some(state) = &mut self.state else { return (None, NextPoll::Ended) };
        match self.mode {
            Mode::Probe if state.answered => (None, NextPoll::Ended),
            Mode::Probe => {
                let since = now.wall.minus(PROBE);
                (Some(Ask { purpose: Purpose::Probe, since, until: now.wall, limit: Some(1) }), NextPoll::Now)
            }
            Mode::Single if state.answered => (None, NextPoll::Ended),
            Mode::Single => (Some(single(&self.config, state, now)), NextPoll::Now),
            Mode::Running { .. } if state.is_ended() => (None, NextPoll::Ended),
            Mode::Running { .. } => {
                let wait = self.config.poll_interval.unsigned_abs().saturating_mul(100);
                let service_now = now.wall.minus(self.ahead);
                // One round a poll: after its end the host waits, but for what came since a round that was begun long ago.
                if let Some(end) = self.poll.ended_round {
                    let is_long_ago = end < service_now.minus(self.config.settle).minus(LONG_AGO);
                    return (None, if is_long_ago { NextPoll::Now } else { NextPoll::After(wait) });
                }
                let Some(round) = state.round(&self.config, service_now) else {
                    return (None, NextPoll::After(wait));
                };
                let limit = self.config.limit;
                if state.failures == PATIENCE {
                    return (Some(neighbour(round, state.turns, limit, Resolution::of(&self.config))), NextPoll::Now);
                }
                (Some(Ask { purpose: Purpose::Slice, since: round.at, until: round.end, limit }), NextPoll::Now)
            }
        }
    }

    fn request(&self, ask: &Ask, bearer: &crate::secret::Secret) -> Request {
        let url = self.pages.as_ref().map_or_else(|| self.url(ask, 0), |pages| pages.next.clone());
        request_to(&self.config, url, bearer)
    }

    /// Where an ask goes, from a row on.
    pub(super) fn url(&self, ask: &Ask, skip: u32) -> String {
        let query = match (ask.purpose, &self.config.request) {
            (Purpose::Single, Some(request)) => Query {
                since: request.since,
                until: request.until,
                ago: request.ago.as_ref().map(|(text, _)| text.as_str()),
                limit: request.limit,
                filters: Some(&request.filters),
                ..Query::default()
            },
            (Purpose::Probe | Purpose::Single, _) => {
                let (since, until) = (Some(ask.since), Some(ask.until));
                Query { since, until, limit: ask.limit, is_plain: true, is_unordered: true, ..Query::default() }
            }
            (Purpose::Slice | Purpose::Check | Purpose::Pass | Purpose::Neighbour, _) => {
                let (before, behind) = self.margins(ask);
                Query {
                    since: Some(ask.since.minus(before)),
                    until: Some(ask.until.plus(behind)),
                    limit: ask.limit,
                    filters: Some(&self.config.filters),
                    is_plain: self.state.as_ref().is_some_and(|state| state.plain),
                    is_unordered: self.is_unordered,
                    skip,
                    ago: None,
                }
            }
        };
        url_of(&self.config, &query)
    }

    /// Has what was refused asked for again without `$orderby`, on which nothing rests: some tenants are said to be refused it.
    /// False where it was not asked for.
    pub(super) fn ask_unordered(&mut self) -> bool {
        let orders = self.config.protocol.odata.as_ref().is_some_and(|odata| odata.orders);
        let is_first = orders && !self.is_unordered && self.pages.is_none();
        if is_first {
            self.is_unordered = true;
        }
        is_first
    }

    /// How many ticks a request begins before its slice, and how many it ends after it. Whether the bounds of the SIEM API are
    /// open or closed is not documented: a tick more on each side makes both cover the slice. Those of OData are closed. Since a
    /// service may cut them to milliseconds, they are whole ones.
    pub(super) fn margins(&self, ask: &Ask) -> (Ticks, Ticks) {
        if !self.config.protocol.updates_in_place() {
            return (1, 1);
        }
        let Resolution { seams, .. } = Resolution::of(&self.config);
        (ask.since.0.rem_euclid(seams), (-ask.until.0).rem_euclid(seams))
    }

    /// The answer of a single request was lost with the instance that read it.
    fn give_up_answer(&mut self, now: Now) -> Output {
        self.lost_answer = false;
        if let Some(state) = &mut self.state {
            state.answered = true;
            let (since, until) = single_range(&self.config, state, now);
            let detail = "the answer of the single request was read in part by an instance that is gone, and cannot be asked \
                          for again: with `ago`, `limit` or an open end it would be another one";
            self.tell_gap(GapCause::Partial, since, until, detail.to_owned());
        }
        self.finish(NextPoll::Ended)
    }
}

/// A short range at some distance from the slice. Each turn goes farther away, after the slice and before it by turns,
/// since what makes the slice fail may reach beyond it.
pub(super) fn neighbour(round: Round, turns: u32, limit: Option<u32>, resolution: Resolution) -> Ask {
    let Round { until, at, end } = round;
    let distance = if turns < 2 { APART * resolution.seams } else { NEIGHBOUR.saturating_mul(1 << turns.min(24)) };
    let (before, after) = (at.minus(distance), end.plus(distance));
    let (since, until) = if turns.is_multiple_of(2) && after < until {
        (after, after.plus(NEIGHBOUR).min(until))
    } else {
        (before.minus(NEIGHBOUR), before)
    };
    Ask { purpose: Purpose::Neighbour, since, until, limit }
}

fn single(config: &crate::config::Config, state: &State, now: Now) -> Ask {
    let (since, until) = single_range(config, state, now);
    let limit = config.request.as_ref().and_then(|request| request.limit);
    Ask { purpose: Purpose::Single, since, until, limit }
}

/// The range that a single request means, from when it was sent.
fn single_range(config: &crate::config::Config, state: &State, now: Now) -> (Tick, Tick) {
    const TWO_HOURS: i64 = 2 * 3600 * TICKS_PER_SECOND;
    let asked = state.asked.unwrap_or(now.wall);
    let request = config.request.clone().unwrap_or_default();
    let until = request.until.unwrap_or(asked);
    let since = match (request.since, request.ago) {
        (Some(since), _) => since,
        (None, Some((_, ago))) => asked.minus(ago),
        (None, None) => until.minus(TWO_HOURS),
    };
    // A local clock that is behind may put what was asked for into its future.
    (since, until.max(since.plus(1)))
}
