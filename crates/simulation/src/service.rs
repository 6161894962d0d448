//! The model of the service: the token endpoint and that of the API, as documented and as they may be.

mod answer;
mod detections;
mod updated;

use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::api::Api;
use crate::body::{Body, Ending, failure};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::expected::REACH;
use crate::history::{Item, Show};
use crate::odata;
use crate::random::Random;
use crate::world::{DAY, Fault, HOUR, Trouble, Window, World};

use detections::Query;
pub(crate) use detections::visible;
use updated::{Calls, Cursor};

/// The service of one run.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    world: &'a World,
    random: Random,
    tokens: Vec<(String, Tick)>,
    issued: u64,
    /// Before when, on the monotonic clock, each endpoint must not be asked: tokens, the API.
    not_before: [u64; 2],
    limit: Option<usize>,
    /// What a link to a further page begins with, and its number follows.
    skip_token: String,
    /// Further pages, by the number in the link.
    pages: Vec<Page<'a>>,
    /// The calls of the API that the present instance knows of.
    calls: Calls,
    /// How far the local clock was ahead at the last request, in ticks.
    skew: Option<Ticks>,
    /// Since when no request of the API was answered, for an outage of a day.
    out_since: Option<Tick>,
    /// The bounds of the last request of the API.
    pub(crate) asked: (Tick, Tick),
    /// When that was.
    pub(crate) asked_at: Tick,
    /// Whether it asks for what only `$expand` brings.
    expands: bool,
    /// Whether a request with `$orderby` was ever refused.
    refused_order: bool,
    /// Whether a further page was asked for since the first one.
    turned: bool,
    /// The numbers in the history of what the pages of the present answer showed.
    pages_before: Vec<usize>,
    /// How many rows the last page had.
    last_page: usize,
    /// The calls since it wanted a pause.
    in_a_row: u64,
    /// What was not answered, or not in full.
    pub(crate) failed: Vec<FailedAsk>,
    /// Prints the rows of every answer.
    verbose: bool,
}

/// A further page of an answer.
#[derive(Debug)]
struct Page<'a> {
    what: PageOf<'a>,
    /// Whether its link leads nowhere any more, however often it is followed.
    has_run_out: bool,
}

/// What a further page shows.
#[derive(Debug)]
enum PageOf<'a> {
    /// Rows that were chosen with the first page.
    Rows(Vec<Row<'a>>),
    /// What is there by the time that it is asked for.
    Present(odata::Query, Cursor),
}

/// One row of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) item: &'a Item,
    pub(crate) show: &'a Show,
    is_bare: bool,
}

impl Row<'_> {
    fn bytes(&self) -> &[u8] {
        self.show.bare.as_deref().filter(|_| self.is_bare).unwrap_or(&self.show.record)
    }
}

/// A request of the API that was not answered, or not in full: what it asked for, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FailedAsk {
    pub(crate) first: Tick,
    pub(crate) last: Tick,
    pub(crate) what: Failing,
    /// How often.
    pub(crate) times: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failing {
    /// No answer, or one that broke off.
    Failed,
    /// The same where it asked for what `$expand` brings.
    FailedExpanded,
    /// 206.
    Partial,
    /// 400 for a page that `$skip` asked for.
    SkipRefused,
    /// The first page in place of the one that `$skip` asked for.
    SkipIgnored,
    /// A page without rows behind a full one, which `$skip` asked for: nothing tells that there are no more.
    Doubtful,
    /// The last page of rows that came in another order each time, and so not each of them once.
    Unsettled,
}

/// What is asked for.
enum Wanted {
    Page(usize),
    Detections(Query),
    Updated(odata::Query),
}

/// What comes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(ResponseHead, Body),
    Failed(TransportFailure),
}

/// Whether a request is for a further page.
pub(crate) fn is_of_page(request: &Request) -> bool {
    request.url.contains("$skiptoken=")
}

impl<'a> Service<'a> {
    pub(crate) fn new(world: &'a World, limit: Option<u32>, verbose: bool) -> Self {
        Self {
            world,
            random: Random::new(world.seed ^ 0xFACE),
            tokens: Vec::new(),
            issued: 0,
            not_before: [0; 2],
            limit: limit.map(|limit| limit as usize),
            skip_token: world.api.skip_token(),
            pages: Vec::new(),
            calls: Calls::default(),
            skew: None,
            out_since: None,
            asked: (Tick::MIN, Tick::MIN),
            asked_at: Tick::MIN,
            expands: false,
            refused_order: false,
            turned: false,
            pages_before: Vec::new(),
            last_page: 0,
            in_a_row: 0,
            failed: Vec::new(),
            verbose,
        }
    }

    /// A host that died does not know what it was told to wait for.
    pub(crate) fn forgets_promises(&mut self) {
        self.not_before = [0; 2];
        self.calls = Calls::default();
    }

    /// A fresh instance to which nothing is handed on does not know how often the one before asked.
    pub(crate) fn forgets_calls(&mut self) {
        self.calls = Calls::default();
    }

    /// The present answer breaks off, or is none.
    pub(crate) fn fails(&mut self) {
        self.note(if self.expands { Failing::FailedExpanded } else { Failing::Failed });
    }

    fn note(&mut self, what: Failing) {
        let (first, last) = self.asked;
        let same = |ask: &&mut FailedAsk| (ask.first, ask.last, ask.what) == (first, last, what);
        match self.failed.iter_mut().rev().find(same) {
            Some(ask) => ask.times += 1,
            None => self.failed.push(FailedAsk { first, last, what, times: 1 }),
        }
    }

    /// Answers a request; an error where no such request may be sent.
    pub(crate) fn answer(&mut self, request: &Request, clock: &mut Clock, met: &mut Coverage) -> Result<Reply, String> {
        let is_token = request.method == Method::Post;
        let early = self.not_before[usize::from(!is_token)].saturating_sub(clock.now().monotonic);
        if early > 0 {
            return Err(format!(
                "a request came {} ms before Retry-After allows it: {}",
                early / 1_000_000,
                request.url
            ));
        }
        if let Some(before) = self.skew.replace(clock.skew).filter(|before| *before != clock.skew) {
            met.add(if clock.skew > before { Met::JumpedAhead } else { Met::JumpedBack });
        }
        if self.window(clock).is_some_and(|window| window.until.0 - window.from.0 >= DAY) {
            self.out_since.get_or_insert(clock.service);
        }
        if !is_token {
            self.calls.count(self.world.api, clock.now().monotonic, met)?;
        }
        let latency = self.world.service.latency * TICKS_PER_SECOND;
        clock.advance(self.random.between(0, latency));
        let reply = if is_token { self.token(clock, met) } else { self.records(request, clock, met)? };
        match &reply {
            _ if is_token => {}
            Reply::Answer(head, _)
                if head.status == 206 && self.world.api.facts().is_some_and(|facts| facts.is_graph) =>
            {
                self.note(Failing::Partial);
            }
            Reply::Answer(head, _) if matches!(head.status, 200 | 204) => {}
            Reply::Answer(..) | Reply::Failed(_) => self.fails(),
        }
        if !is_token && matches!(&reply, Reply::Answer(head, _) if head.status == 200) {
            let since = self.out_since.take();
            if since.is_some_and(|since| clock.service.0 - since.0 >= DAY - HOUR) {
                met.add(Met::DayOutage);
            }
        }
        if is_of_page(request) && !matches!(&reply, Reply::Answer(head, _) if head.status == 200) {
            met.add(Met::PageFailed);
        }
        if let Reply::Failed(failure) = &reply
            && failure.kind == TransportFailureKind::Timeout
        {
            clock.advance(60 * TICKS_PER_SECOND);
        }
        clock.advance(self.random.between(0, latency));
        Ok(reply)
    }

    fn window(&self, clock: &Clock) -> Option<&Window> {
        let windows = &self.world.service.windows;
        windows.iter().find(|window| window.from <= clock.service && clock.service < window.until)
    }

    fn trouble(&self, clock: &Clock) -> Option<Trouble> {
        self.window(clock).map(|window| window.what)
    }

    fn is_faulty(&mut self, rate: u64, clock: &Clock) -> bool {
        clock.service < self.world.quiet_from && self.random.chance(rate)
    }

    fn token(&mut self, clock: &mut Clock, met: &mut Coverage) -> Reply {
        met.add(Met::TokenRenewed);
        if self.trouble(clock) == Some(Trouble::NoConnection) {
            met.add(Met::Outage);
            return Reply::Failed(failure(TransportFailureKind::Connect));
        }
        if self.is_faulty(self.world.service.token_fault_rate, clock) {
            return match self.random.below(6) {
                0 => {
                    met.add(Met::TokenRefused);
                    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: no"}"#;
                    self.reply(401, body.into(), clock, met)
                }
                1 => {
                    met.add(Met::TokenThrottled);
                    self.delayed(429, 0, clock, met)
                }
                2 => {
                    met.add(Met::TokenGarbage);
                    let garbage = ["<html>log in</html>", "", "{\"token_type\":\"Bearer\"}", "[1,2", "null"];
                    let body = self.random.pick(&garbage);
                    self.reply(200, body.into(), clock, met)
                }
                3 => {
                    met.add(Met::TokenBroken);
                    self.delayed(503, 0, clock, met)
                }
                4 => {
                    met.add(Met::TokenBroken);
                    let kinds =
                        [TransportFailureKind::Timeout, TransportFailureKind::Dns, TransportFailureKind::Broken];
                    Reply::Failed(failure(self.random.pick(&kinds)))
                }
                _ => {
                    met.add(Met::TokenBroken);
                    self.ending(200, b"{\"expires_in\":\"3599\",\"acc".to_vec(), Ending::Breaks, clock, met)
                }
            };
        }
        self.issued += 1;
        let (stated, lives) = self.world.service.token_life;
        let token = format!("kanarie-token-{}", self.issued);
        let body = match self.issued % 3 {
            0 => format!(r#"{{"token_type":"Bearer","expires_in":{stated},"access_token":"{token}"}}"#),
            1 => format!(
                r#"{{"token_type":"Bearer","expires_in":"{stated}","expires_on":"1","not_before":"1","access_token":"{token}"}}"#
            ),
            _ => format!(r#"{{ "access_token" : "{token}" , "expires_in" : {stated} , "ext_expires_in" : 0 }}"#),
        };
        self.tokens.push((token, clock.service.plus(lives * TICKS_PER_SECOND)));
        self.reply(200, body.into_bytes(), clock, met)
    }

    fn records(&mut self, request: &Request, clock: &mut Clock, met: &mut Coverage) -> Result<Reply, String> {
        met.add(Met::Request);
        self.asked_at = clock.service;
        let wanted = self.wanted(request, met)?;
        match self.trouble(clock) {
            Some(Trouble::NoConnection) => {
                met.add(Met::Outage);
                return Ok(Reply::Failed(failure(TransportFailureKind::Connect)));
            }
            Some(Trouble::Slow) => {
                met.add(Met::Outage);
                return Ok(Reply::Failed(failure(TransportFailureKind::Timeout)));
            }
            Some(Trouble::Failing) => {
                met.add(Met::Streak);
                return Ok(self.delayed(503, 1, clock, met));
            }
            Some(Trouble::Throttling) => {
                met.add(Met::Streak429);
                return Ok(self.delayed(429, 1, clock, met));
            }
            Some(Trouble::Refusing) => {
                met.add(Met::Streak401);
                return Ok(self.reply(401, Vec::new(), clock, met));
            }
            None => {}
        }
        let bearer = request.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.as_str());
        let bearer =
            bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or("a request without a bearer token")?;
        if !self.tokens.iter().any(|(token, until)| token == bearer && clock.service < *until) {
            met.add(Met::TokenEnded);
            return Ok(self.reply(401, Vec::new(), clock, met));
        }
        if let Some(most) = self.world.service.updated.quirks.calls_in_a_row {
            self.in_a_row += 1;
            if self.in_a_row > most {
                self.in_a_row = 0;
                met.add(Met::ShortOfCalls);
                return Ok(self.paused(clock, met));
            }
        }
        let fault = if self.is_faulty(self.world.service.fault_rate, clock) {
            Some(self.random.pick(&self.world.service.faults))
        } else {
            None
        };
        if let Some(reply) = fault.and_then(|fault| self.instead(fault, clock, met)) {
            if let (Reply::Answer(head, _), Wanted::Updated(query)) = (&reply, &wanted)
                && head.status == 400
            {
                self.refused_order |= query.orders;
                if query.skip > 0 {
                    self.note(Failing::SkipRefused);
                }
            }
            return Ok(reply);
        }
        match wanted {
            Wanted::Detections(query) => Ok(self.detections(query, fault, clock, met)),
            Wanted::Updated(query) => Ok(self.updated(&query, Cursor::First, None, fault, clock, met)),
            Wanted::Page(page) => {
                // A tick of many pages that run out each time could not be told from one that cannot be read.
                let is_tick = self.world.api == Api::Siem && self.asked.1.0 - self.asked.0.0 <= REACH;
                let rate = if is_tick { 0 } else { self.world.service.expired_links };
                if self.pages[page].has_run_out || (rate > 0 && self.is_faulty(rate, clock)) {
                    self.pages[page].has_run_out = true;
                    met.add(Met::LinkRanOut);
                    let status = self.random.pick(&[400, 404, 410]);
                    return Ok(self.reply(status, b"{\"error\":{\"code\":\"x\"}}".to_vec(), clock, met));
                }
                met.add(Met::LaterPage);
                Ok(match &self.pages[page].what {
                    PageOf::Rows(rows) => {
                        let rows = rows.clone();
                        self.page(rows, Some(page), fault, clock, met)
                    }
                    PageOf::Present(query, cursor) => {
                        let (query, cursor) = (query.clone(), *cursor);
                        self.updated(&query, cursor, Some(page), fault, clock, met)
                    }
                })
            }
        }
    }

    /// What a request asks for; an error where no such request may be sent.
    fn wanted(&mut self, request: &Request, met: &mut Coverage) -> Result<Wanted, String> {
        if let Some(page) = request.url.strip_prefix(&self.skip_token) {
            return match page.parse::<usize>() {
                Ok(page) if page < self.pages.len() => Ok(Wanted::Page(page)),
                _ => Err(format!("a link that was never given: {}", request.url)),
            };
        }
        if self.world.api.facts().is_some() {
            return self.updated_query(request, met).map(Wanted::Updated);
        }
        let query = self.query(&request.url)?;
        self.asked = (query.since, query.until);
        if self.limit.is_some() && query.limit.is_none() {
            met.add(Met::WithoutLimit);
        }
        Ok(Wanted::Detections(query))
    }

    /// What comes in place of an answer.
    fn instead(&mut self, fault: Fault, clock: &mut Clock, met: &mut Coverage) -> Option<Reply> {
        let failed = |kind, as_what: Met, met: &mut Coverage| {
            met.add(as_what);
            Reply::Failed(failure(kind))
        };
        Some(match fault {
            Fault::Timeout => failed(TransportFailureKind::Timeout, Met::Timeout, met),
            Fault::Connect => failed(TransportFailureKind::Connect, Met::ConnectFailed, met),
            Fault::Dns => failed(TransportFailureKind::Dns, Met::ConnectFailed, met),
            Fault::Reset => failed(TransportFailureKind::Broken, Met::Reset, met),
            Fault::TooLarge => failed(TransportFailureKind::TooLarge, Met::TooLarge, met),
            Fault::Failed => {
                met.add(Met::Status5xx);
                let status = self.random.pick(&[500, 502, 503, 504]);
                self.delayed(status, 1, clock, met)
            }
            Fault::Throttled => {
                met.add(Met::Status429);
                self.delayed(429, 1, clock, met)
            }
            Fault::Revoked => {
                met.add(Met::TokenRevoked);
                self.tokens.clear();
                self.reply(401, Vec::new(), clock, met)
            }
            Fault::Forbidden => self.reply(403, b"no".to_vec(), clock, met),
            Fault::Html => {
                met.add(Met::Html);
                self.reply(200, b"<!DOCTYPE html><title>Log in</title>".to_vec(), clock, met)
            }
            Fault::ErrorObject => {
                met.add(Met::ErrorObject);
                self.reply(200, b"{\"error\":{\"code\":\"x\"}}".to_vec(), clock, met)
            }
            Fault::OtherStatus => {
                met.add(Met::OtherStatus);
                // Where 206 is documented, it tells something that is so.
                let has_206 = self.world.api.facts().is_some_and(|facts| facts.is_graph);
                let status = self.random.pick(&[302, 400, 404, 202, if has_206 { 203 } else { 206 }]);
                self.reply(status, b"[]".to_vec(), clock, met)
            }
            Fault::Cut | Fault::Broken | Fault::Stalled | Fault::Malformed => return None,
        })
    }

    /// Spoils a link for once, where that happens; `of` is the page that it stands on.
    fn spoiled(&mut self, link: String, of: Option<usize>, clock: &Clock, met: &mut Coverage) -> String {
        if !self.is_faulty(self.world.service.bad_links, clock) {
            return link;
        }
        if let Some(page) = of.filter(|_| self.random.chance(500)) {
            met.add(Met::LinkAgain);
            return format!("{}{page}", self.skip_token);
        }
        met.add(Met::LinkElsewhere);
        let (_, place) = self.skip_token.split_once("://").unwrap_or_default();
        let (host, path) = place.split_once('/').unwrap_or_default();
        match self.random.below(6) {
            0 => format!("https://elsewhere.example/{path}0"),
            1 => format!("http://{host}/{path}0"),
            2 => format!("https://{host}:444/{path}0"),
            3 => format!("https://u:kanarie@{host}/api/alerts"),
            4 => "//elsewhere.example/kanarie".to_owned(),
            _ => "kanarie".to_owned(),
        }
    }
}
