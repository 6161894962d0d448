//! The model of the service: the token endpoint and the detections endpoint, as documented and as they may be.

use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::body::{Body, Ending, failure};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::expected::REACH;
use crate::history::Detection;
use crate::random::Random;
use crate::world::{DAY, Fault, HOUR, Order, Trouble, Window, World};

/// The service of one run.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    world: &'a World,
    random: Random,
    tokens: Vec<(String, Tick)>,
    issued: u64,
    /// Before when, on the monotonic clock, each endpoint must not be asked: tokens, detections.
    not_before: [u64; 2],
    limit: Option<usize>,
    /// The rows of further pages, by the number in the link.
    pages: Vec<Page<'a>>,
    /// How far the local clock was ahead at the last request, in ticks.
    skew: Option<Ticks>,
    /// Since when no request for detections was answered, for an outage of a day.
    out_since: Option<Tick>,
    /// The bounds of the last request for detections.
    pub(crate) asked: (Tick, Tick),
    /// Prints the rows of every answer.
    verbose: bool,
}

/// A further page of an answer.
#[derive(Debug)]
struct Page<'a> {
    rows: Vec<&'a Detection>,
    /// Whether its link leads nowhere any more, however often it is followed.
    has_run_out: bool,
}

/// What comes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(ResponseHead, Body),
    Failed(TransportFailure),
}

/// What a link to a further page begins with, and its number follows. It is a secret that must show up nowhere.
const SKIP_TOKEN: &str = "https://wdatp-alertexporter-eu.windows.com/api/alerts?$skiptoken=kanarie-page-";

/// Whether a request is for a further page.
pub(crate) fn is_of_page(request: &Request) -> bool {
    request.url.starts_with(SKIP_TOKEN)
}

/// The parameters of a request for detections.
#[derive(Clone, Copy, Debug)]
struct Query {
    since: Tick,
    until: Tick,
    limit: Option<usize>,
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
            pages: Vec::new(),
            skew: None,
            out_since: None,
            asked: (Tick::MIN, Tick::MIN),
            verbose,
        }
    }

    /// A host that died does not know what it was told to wait for.
    pub(crate) fn forgets_promises(&mut self) {
        self.not_before = [0; 2];
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
        let latency = self.world.service.latency * TICKS_PER_SECOND;
        clock.advance(self.random.between(0, latency));
        let reply = if is_token { self.token(clock, met) } else { self.detections(request, clock, met)? };
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

    fn detections(&mut self, request: &Request, clock: &mut Clock, met: &mut Coverage) -> Result<Reply, String> {
        met.add(Met::Request);
        let page = request.url.strip_prefix(SKIP_TOKEN).map(str::parse::<usize>);
        let query = match page {
            Some(Ok(page)) if page < self.pages.len() => Err(page),
            Some(_) => return Err(format!("a link that was never given: {}", request.url)),
            None => Ok(self.query(&request.url)?),
        };
        if let Ok(query) = query {
            self.asked = (query.since, query.until);
            if self.limit.is_some() && query.limit.is_none() {
                met.add(Met::WithoutLimit);
            }
        }
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
        let fault = if self.is_faulty(self.world.service.fault_rate, clock) {
            Some(self.random.pick(&self.world.service.faults))
        } else {
            None
        };
        if let Some(reply) = fault.and_then(|fault| self.instead(fault, clock, met)) {
            return Ok(reply);
        }
        let query = match query {
            Ok(query) => query,
            Err(page) => {
                // A tick of many pages that run out each time could not be told from one that cannot be read.
                let is_tick = self.asked.1.0 - self.asked.0.0 <= REACH;
                let rate = if is_tick { 0 } else { self.world.service.expired_links };
                if self.pages[page].has_run_out || (rate > 0 && self.is_faulty(rate, clock)) {
                    self.pages[page].has_run_out = true;
                    met.add(Met::LinkRanOut);
                    let status = self.random.pick(&[400, 404, 410]);
                    return Ok(self.reply(status, b"{\"error\":{\"code\":\"x\"}}".to_vec(), clock, met));
                }
                met.add(Met::LaterPage);
                let rows = self.pages[page].rows.clone();
                return Ok(self.page(rows, Some(page), fault, clock, met));
            }
        };
        let habits = &self.world.service;
        let hits = |(first, last): &(Tick, Tick)| {
            let reaches_up = if habits.until_is_open { *first < query.until } else { *first <= query.until };
            let reaches_down = if habits.since_is_open { query.since < *last } else { query.since <= *last };
            reaches_up && reaches_down
        };
        if self.world.service.poison.iter().any(hits) {
            met.add(Met::Poisoned);
            return Ok(self.reply(500, b"{\"error\":{\"code\":\"x\",\"message\":\"y\"}}".to_vec(), clock, met));
        }
        Ok(self.rows(query, fault, clock, met))
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
                let status = self.random.pick(&[302, 400, 404, 202, 206]);
                self.reply(status, b"[]".to_vec(), clock, met)
            }
            Fault::Cut | Fault::Broken | Fault::Stalled | Fault::Malformed => return None,
        })
    }

    /// The answer proper.
    fn rows(&mut self, query: Query, fault: Option<Fault>, clock: &mut Clock, met: &mut Coverage) -> Reply {
        let habits = &self.world.service;
        let mut rows = visible(self.world, query.since, query.until, clock.service);
        for (bound, is_open, open, closed) in [
            (query.since, habits.since_is_open, Met::OpenSince, Met::ClosedSince),
            (query.until, habits.until_is_open, Met::OpenUntil, Met::ClosedUntil),
        ] {
            if self.world.history.iter().any(|d| d.stamp == bound && d.appears <= clock.service) {
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
    fn page(
        &mut self,
        mut rows: Vec<&'a Detection>,
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
            link = Some(format!("{SKIP_TOKEN}{}", self.pages.len()));
            self.pages.push(Page { rows: others, has_run_out: false });
            if self.is_faulty(self.world.service.bad_links, clock) {
                link = match of.filter(|_| self.random.chance(500)) {
                    Some(page) => {
                        met.add(Met::LinkAgain);
                        Some(format!("{SKIP_TOKEN}{page}"))
                    }
                    None => {
                        met.add(Met::LinkElsewhere);
                        let elsewhere = [
                            "https://elsewhere.example/api/alerts?$skiptoken=kanarie-page-0",
                            "http://wdatp-alertexporter-eu.windows.com/api/alerts?$skiptoken=kanarie-page-0",
                            "https://wdatp-alertexporter-eu.windows.com:444/api/alerts?$skiptoken=kanarie-page-0",
                            "https://u:kanarie@wdatp-alertexporter-eu.windows.com/api/alerts",
                            "//elsewhere.example/kanarie",
                            "kanarie",
                        ];
                        Some(self.random.pick(&elsewhere).to_owned())
                    }
                };
            }
        }
        if self.verbose {
            for row in &rows {
                println!("    row {} {}", row.stamp, shown(row));
            }
        }
        let mut bytes = self.written(&rows, of.is_some(), link.as_deref(), met);
        let mut ending = Ending::End;
        if let Some(fault) = fault {
            let at = self.random.index(bytes.len());
            match fault {
                Fault::Cut => {
                    met.add(Met::BodyCut);
                    bytes.truncate(at);
                }
                Fault::Broken => {
                    met.add(Met::BodyBroke);
                    bytes.truncate(at);
                    ending = Ending::Breaks;
                }
                Fault::Stalled => {
                    met.add(Met::BodyStalled);
                    bytes.truncate(at);
                    ending = Ending::Stalls;
                }
                Fault::Malformed => {
                    met.add(Met::Malformed);
                    // Neither in a string nor outside one may such a byte stand.
                    let at = bytes.iter().skip(at).position(|byte| b",[]{}".contains(byte)).map_or(0, |rest| at + rest);
                    bytes.insert(at, 1);
                }
                Fault::Timeout
                | Fault::Connect
                | Fault::Dns
                | Fault::Reset
                | Fault::TooLarge
                | Fault::Failed
                | Fault::Throttled
                | Fault::Revoked
                | Fault::Forbidden
                | Fault::Html
                | Fault::ErrorObject
                | Fault::OtherStatus => {}
            }
        }
        self.ending(200, bytes, ending, clock, met)
    }

    fn written(&mut self, rows: &[&Detection], is_paged: bool, link: Option<&str>, met: &mut Coverage) -> Vec<u8> {
        let habits = &self.world.service;
        let join = if habits.pretty { &b",\r\n  "[..] } else { b"," };
        let array = rows.iter().map(|row| row.record.as_slice()).collect::<Vec<_>>().join(join);
        if habits.pretty {
            met.add(Met::Pretty);
        }
        if let [row] = rows
            && (row.alert.is_some() || row.full_id.is_some())
            && !row.looks.oversize
            && !is_paged
            && link.is_none()
            && self.random.chance(200)
        {
            met.add(Met::LoneObject);
            return array;
        }
        let (before, after) = if let Some(link) = link {
            let link = format!("\"@odata.nextLink\":\"{}\"", link.replace('$', "\\u0024"));
            if self.random.chance(500) {
                met.add(Met::LinkBefore);
                (
                    format!("{{\"@odata.context\":\"x\", {link} ,\"value\":["),
                    "],\"n\":{\"@odata.nextLink\":1}}".to_owned(),
                )
            } else {
                met.add(Met::LinkAfter);
                ("{\"n\":{\"@odata.nextLink\":1},\"value\":[".to_owned(), format!("],\"n\":[{{}}],{link}}}"))
            }
        } else if self.random.chance(habits.enveloped) {
            met.add(Met::Envelope);
            let before =
                "{\"@odata.context\":\"https://x/$metadata#[{\",\"n\":[1],\"@odata.nextLink\":null,\"value\":[";
            (before.to_owned(), "],\"later\":{\"value\":[]}}".to_owned())
        } else {
            met.add(Met::BareArray);
            ("[".to_owned(), "]".to_owned())
        };
        let mark = if self.random.chance(50) { "\u{feff}" } else { "" };
        let tail = if habits.pretty { "\r\n" } else { "" };
        [mark.as_bytes(), before.as_bytes(), &array, after.as_bytes(), tail.as_bytes()].concat()
    }

    /// An answer with `Retry-After` in one of its forms, or without. `endpoint` is 0 for tokens, 1 for detections.
    fn delayed(&mut self, status: u16, endpoint: usize, clock: &mut Clock, met: &mut Coverage) -> Reply {
        let mut reply = self.reply(status, b"wait".to_vec(), clock, met);
        let Reply::Answer(head, _) = &mut reply else { return reply };
        let seconds: i64 = self.random.pick(&[1, 1, 5, 30, 30, 300, 7200, 200_000]);
        let waits = seconds.min(86_400).unsigned_abs() * 1_000_000_000;
        let now = clock.now().monotonic;
        match self.random.below(3) {
            0 => {
                met.add(Met::RetryAfterSeconds);
                head.headers.push(("Retry-After".to_owned(), seconds.to_string()));
                self.not_before[endpoint] = now + waits;
            }
            1 => {
                met.add(Met::RetryAfterDate);
                let whole = Tick(clock.service.0 - clock.service.0.rem_euclid(TICKS_PER_SECOND));
                let at = whole.plus(seconds * TICKS_PER_SECOND);
                head.headers.push(("retry-after".to_owned(), http_date(at)));
                self.not_before[endpoint] = now + waits - (clock.service.0 - whole.0).unsigned_abs() * 100;
            }
            _ => {}
        }
        reply
    }

    fn reply(&mut self, status: u16, body: Vec<u8>, clock: &Clock, met: &mut Coverage) -> Reply {
        self.ending(status, body, Ending::End, clock, met)
    }

    fn ending(&mut self, status: u16, body: Vec<u8>, ending: Ending, clock: &Clock, met: &mut Coverage) -> Reply {
        let mut headers = vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())];
        if self.random.chance(self.world.service.no_date) {
            met.add(Met::NoDate);
        } else {
            headers.push(("Date".to_owned(), http_date(clock.service)));
        }
        let body = Body::new(body, ending, self.world.service.chunk, self.random.fork());
        if body.is_byte_by_byte() {
            met.add(Met::ByteByByte);
        }
        if status == 200 {
            for (is_so, what) in [
                (clock.skew > 0, Met::ClockAhead),
                (clock.skew < 0, Met::ClockBehind),
                (clock.skew > HOUR, Met::HoursAhead),
                (clock.skew < -HOUR, Met::HoursBehind),
            ] {
                if is_so {
                    met.add(what);
                }
            }
        }
        Reply::Answer(ResponseHead { status, headers }, body)
    }

    fn query(&self, url: &str) -> Result<Query, String> {
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

/// What a request shows at a time, oldest first.
pub(crate) fn visible(world: &World, since: Tick, until: Tick, at: Tick) -> Vec<&Detection> {
    let habits = &world.service;
    let history = &world.history;
    let begin = history.partition_point(|d| if habits.since_is_open { d.stamp <= since } else { d.stamp < since });
    let end = history.partition_point(|d| if habits.until_is_open { d.stamp < until } else { d.stamp <= until });
    history.get(begin..end).unwrap_or_default().iter().filter(|d| d.appears <= at).collect()
}

/// How a detection is called in messages.
pub(crate) fn shown(d: &Detection) -> String {
    d.full_id.clone().unwrap_or_else(|| String::from_utf8_lossy(&d.record).chars().take(60).collect())
}

fn http_date(at: Tick) -> String {
    let (seconds, _) = at.to_unix();
    let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
