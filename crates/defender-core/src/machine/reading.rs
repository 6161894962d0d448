//! What comes back: the token, an error, an answer that is read as it arrives.

use crate::answer::{AnswerReader, Found};
use crate::checkpoint::State;
use crate::config::{Config, Emit};
use crate::contract::{Failure, GapCause, Level, NextPoll};
use crate::failure::{PageFault, no_answer, page_failure, quote, refusal};
use crate::http::{ResponseHead, TransportFailure, TransportFailureKind};
use crate::progress::{Answer, PATIENCE, Resolution};
use crate::row::fingerprint;
use crate::secret::Secret;
use crate::tick::{Now, TICKS_PER_SECOND, Tick};
use crate::token::{Claims, read_token};

use super::deliver::Taken;
use super::edges::Edges;
use super::pages::link_in;
use super::passes::Pass;
use super::{Ask, Input, Machine, Mode, Output, Phase, Purpose, Suspect};

/// How much of a token answer or of an error is looked at, in bytes.
const MAX_SMALL_BODY: usize = 64 * 1024;

/// How much of the beginning of an answer is kept to quote from, in bytes.
const EXCERPT: usize = 1024;

/// From which difference on the two clocks are worth a notice, in ticks.
const NOTABLE_SKEW: i64 = 60 * TICKS_PER_SECOND;

/// An answer that is being read. Its `Debug` shows none of it.
pub(super) struct Reading {
    pub(super) ask: Ask,
    pub(super) seen: Seen,
    pub(super) head: ResponseHead,
    reader: AnswerReader,
    begins_with: Vec<u8>,
    /// Why the body broke off.
    broke: Option<TransportFailure>,
}

/// What an answer has shown so far, in all its pages.
#[derive(Default)]
pub(super) struct Seen {
    /// When its first page was asked for, on the local clock: it may be held for long, and tells nothing of what came later.
    sent: Tick,
    /// What the service's clock said then.
    date: Option<Tick>,
    pub(super) rows: u32,
    /// The first and the last rows of those in the slice.
    pub(super) edges: Edges,
    /// Whether a check shows what the answer that it checks lacked.
    shows_more: bool,
    /// Whether the service said that a part is missing.
    pub(super) is_partial: bool,
    /// What it showed, where that is compared with another answer.
    pub(super) pass: Pass,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("ask", &self.ask).field("rows", &self.seen.rows).finish_non_exhaustive()
    }
}

impl Reading {
    /// Where the next page of the answer is.
    pub(super) fn next_link(&self) -> Option<&str> {
        self.reader.next_link()
    }
}

impl Seen {
    /// What closes the slice.
    pub(super) fn answer(&self) -> Answer {
        Answer { sent: self.sent, date: self.date, rows: self.rows, is_partial: self.is_partial }
    }
}

impl Machine {
    /// Takes what came of the last output.
    pub fn handle(&mut self, input: Input<'_>, now: Now) {
        match (std::mem::replace(&mut self.phase, Phase::Idle), input) {
            (Phase::TokenSent(ask), Input::ResponseHead(head)) => {
                self.phase = Phase::TokenBody { ask, head, body: Vec::new() };
            }
            (Phase::TokenSent(_) | Phase::TokenBody { .. }, Input::TransportFailed(failure)) => {
                self.token_transport_failed(&failure);
            }
            (Phase::TokenBody { ask, head, mut body }, Input::BodyChunk(chunk)) => {
                if keep(&mut body, chunk) {
                    self.phase = Phase::TokenBody { ask, head, body };
                } else {
                    self.token_answered(&head, &body, now);
                }
            }
            (Phase::TokenBody { head, body, .. }, Input::BodyEnd) => self.token_answered(&head, &body, now),
            (Phase::Sent(ask, sent), Input::ResponseHead(head)) => self.answered(ask, sent, head, now),
            (Phase::Sent(ask, _), Input::TransportFailed(failure)) => self.transport_failed(&ask, &failure),
            (Phase::ErrorBody { ask, head, mut body }, Input::BodyChunk(chunk)) => {
                if keep(&mut body, chunk) {
                    self.phase = Phase::ErrorBody { ask, head, body };
                } else {
                    self.service_refused(&ask, &head, &body, now);
                }
            }
            // The status tells enough where the body of an error breaks off.
            (Phase::ErrorBody { ask, head, body }, Input::BodyEnd | Input::TransportFailed(_)) => {
                self.service_refused(&ask, &head, &body, now);
            }
            (Phase::Reading(mut reading), Input::BodyChunk(chunk)) => {
                let room = EXCERPT.saturating_sub(reading.begins_with.len()).min(chunk.len());
                reading.begins_with.extend_from_slice(chunk.get(..room).unwrap_or_default());
                reading.reader.push(chunk);
                self.phase = Phase::Reading(reading);
            }
            (Phase::Reading(mut reading), Input::BodyEnd) => {
                reading.reader.end();
                self.phase = Phase::Reading(reading);
            }
            (Phase::Reading(mut reading), Input::TransportFailed(failure)) => {
                // What came before it is read first.
                reading.broke = Some(failure);
                reading.reader.end();
                self.phase = Phase::Reading(reading);
            }
            // An input that nothing asked for changes nothing; the next step says so to the driver.
            (phase, _) => self.phase = phase,
        }
    }

    fn token_answered(&mut self, head: &ResponseHead, body: &[u8], now: Now) {
        match read_token(head, body, now, &self.config) {
            Ok(token) => self.tokens.store(token),
            Err(failure) => self.failing = Some(failure),
        }
    }

    fn answered(&mut self, ask: Ask, sent: Tick, head: ResponseHead, now: Now) {
        match head.status {
            401 if !self.renewed && self.config.credential.access_token().is_none() => {
                self.renewed = true;
                self.tokens.clear();
                // The same request comes again with a new token.
            }
            200 | 204 => self.answer_begins(ask, sent, head, now),
            206 if self.config.protocol.says_partial => self.answer_begins(ask, sent, head, now),
            _ => self.phase = Phase::ErrorBody { ask, head, body: Vec::new() },
        }
    }

    fn answer_begins(&mut self, ask: Ask, sent: Tick, head: ResponseHead, now: Now) {
        self.refused_skip = false;
        if head.status == 206 {
            let secrets = self.config.credential.secrets();
            self.warning = head.header("warning").map(|warning| quote(warning, &secrets));
        }
        self.renewed = false;
        if self.compare_clocks(&head, now) {
            return;
        }
        if ask.purpose == Purpose::Single
            && let Some(state) = &mut self.state
        {
            state.asked.get_or_insert(now.wall);
        }
        let mut reader = AnswerReader::new(self.config.protocol.records, self.limits.event_bytes);
        if head.status == 204 {
            reader.push(b"[]");
            reader.end();
        }
        let mut seen = Seen { sent, date: head.date(), is_partial: head.status == 206, ..Seen::default() };
        if let Some(pages) = &mut self.pages {
            seen = pages.goes_on(seen.is_partial);
        }
        let reading = Reading { ask, seen, head, reader, begins_with: Vec::new(), broke: None };
        self.phase = Phase::Reading(Box::new(reading));
    }

    /// Compares the local clock with the service's; true where the answer is of no use since the start was mistaken.
    fn compare_clocks(&mut self, head: &ResponseHead, now: Now) -> bool {
        let Some(date) = head.date() else { return false };
        let skew = now.wall.0 - date.0;
        let is_notable = skew.abs() > NOTABLE_SKEW;
        if is_notable && (skew - self.told_skew.unwrap_or(0)).abs() > NOTABLE_SKEW {
            let seconds = skew.abs() / TICKS_PER_SECOND;
            let direction = if skew > 0 { "ahead of" } else { "behind" };
            self.poll.note(
                Level::Warning,
                "clock.skew",
                format!("the local clock is {seconds} s {direction} the service's"),
                Some(&format!(
                    "set the local clock: while it is wrong, {} come late, and none is lost",
                    self.config.protocol.things
                )),
            );
            self.told_skew = Some(skew);
        }
        let is_running = matches!(self.mode, Mode::Running { .. });
        let ahead = if is_notable { skew } else { 0 };
        self.ahead = ahead.max(0);
        if let Some(state) = self.state.as_mut().filter(|_| ahead > 0) {
            state.end_round_at(&self.config, date);
        }
        let is_mistaken = is_running && self.state.as_mut().is_some_and(|state| state.anchor(ahead));
        if is_mistaken {
            // An answer without `Date` may have come before, and left pages or a check to be asked for.
            self.drop_follow_ups();
            self.pages = None;
        }
        is_mistaken
    }

    /// Reads on in an answer; none when something else is next.
    pub(super) fn read(&mut self, mut reading: Box<Reading>, now: Now) -> Option<Output> {
        if let Some(held) = self.held.take() {
            if !self.poll.has_room_for(held.event.body.as_bytes().len()) {
                let too_small = self.too_small_for(held.event.body.as_bytes().len());
                self.held = Some(held);
                self.phase = Phase::Reading(reading);
                return Some(too_small);
            }
            self.deliver(held);
            self.note_more(&mut reading);
        }
        loop {
            if self.poll.is_full() {
                self.phase = Phase::Reading(reading);
                return Some(self.finish(NextPoll::Now));
            }
            match reading.reader.find() {
                Found::Record(range, mut row) => {
                    if self.config.emit == Emit::FirstSeen {
                        row.visible = row.occurred;
                    }
                    let visible = row.visible;
                    // A lone object that is no detection is something else that answered, such as an error.
                    if reading.reader.is_single_object() && !row.is_identified() {
                        self.is_no_answer(&reading);
                        return None;
                    }
                    reading.seen.rows = reading.seen.rows.saturating_add(1);
                    if visible.is_some_and(|at| self.lies_beyond(&reading.ask, at)) {
                        self.learn_cap_of_suspect();
                        reading.seen.shows_more = true;
                    }
                    let bytes = reading.reader.bytes(range);
                    if reading.ask.purpose == Purpose::Pass {
                        reading.seen.pass.see(fingerprint(&row.key(self.config.keyed_by(), bytes)));
                    }
                    match self.take_row(&reading.ask, row, bytes, &mut reading.seen.edges) {
                        Taken::Done { is_new: true } => self.note_more(&mut reading),
                        Taken::Done { is_new: false } => {}
                        Taken::Held { bytes } => {
                            self.phase = Phase::Reading(reading);
                            let is_empty = !self.poll.has_output();
                            return Some(if is_empty { self.too_small_for(bytes) } else { self.finish(NextPoll::Now) });
                        }
                    }
                }
                Found::Oversize(hash) => {
                    reading.seen.rows = reading.seen.rows.saturating_add(1);
                    if reading.ask.purpose == Purpose::Pass {
                        reading.seen.pass.see(hash);
                    }
                    self.take_oversize(&reading.ask, hash);
                }
                Found::NeedsMore => {
                    self.phase = Phase::Reading(reading);
                    let output = if self.poll.is_over(now) { self.finish(NextPoll::Now) } else { Output::ReadBody };
                    return Some(output);
                }
                Found::End => {
                    if !self.turn_page(&mut reading) {
                        self.complete(&mut reading, now);
                    }
                    return None;
                }
                Found::CutOff => {
                    let failure = reading.broke.clone().unwrap_or_else(|| TransportFailure {
                        kind: TransportFailureKind::Broken,
                        detail: "the body ended in the middle of the answer".to_owned(),
                    });
                    self.transport_failed(&reading.ask, &failure);
                    return None;
                }
                Found::Malformed(malformed) if malformed.from_the_start => {
                    self.is_no_answer(&reading);
                    return None;
                }
                Found::Malformed(malformed) => {
                    let failure = TransportFailure {
                        kind: TransportFailureKind::Broken,
                        detail: format!("the answer is no JSON at byte {}: {}", malformed.offset, malformed.what),
                    };
                    self.transport_failed(&reading.ask, &failure);
                    return None;
                }
            }
        }
    }

    fn service_refused(&mut self, ask: &Ask, head: &ResponseHead, body: &[u8], now: Now) {
        if head.status == 400 && self.ask_unordered() {
            return;
        }
        // Other refusals than these are of the request, which is the service's own here.
        let is_of_link = self.pages.is_some() && matches!(head.status, 400 | 402 | 404..=407 | 409..=428 | 430..=499);
        if head.status == 400 && self.pages.is_some() && ask.purpose == Purpose::Pass {
            return self.page_refused(ask);
        }
        let claims = self.bearer().and_then(Claims::read);
        let mut failure = if is_of_link {
            page_failure(PageFault::Refused, head, body, &self.config)
        } else {
            let is_permitted = claims.as_ref().and_then(|claims| claims.permits(&self.config));
            refusal(head, body, now, &self.config, is_permitted)
        };
        self.redact(&mut failure, link_in(body).as_deref());
        if let Some(claims) = claims {
            self.tell_claims(&mut failure, &claims, now);
        }
        self.service_failed(ask, failure, head.status);
    }

    /// The token that was sent last.
    fn bearer(&self) -> Option<&Secret> {
        self.config.credential.access_token().or_else(|| self.tokens.last())
    }

    /// Adds what the token says of itself to a refusal of it, and what to do about what looks wrong there.
    fn tell_claims(&self, failure: &mut Failure, claims: &Claims, now: Now) {
        let (Failure::Unauthenticated(fault) | Failure::Forbidden(fault)) = failure else { return };
        fault.message.push(' ');
        fault.message.push_str(&claims.sentence(now));
        for finding in claims.findings(&self.config, now) {
            fault.message.push(' ');
            fault.message.push_str(&finding.message);
            if let Some((ours, general)) = finding.hint.zip(fault.hint.take()) {
                fault.hint = Some(format!("{ours} {general}"));
            }
        }
    }

    /// Tells what the token of a probe says of itself.
    pub(super) fn note_token(&mut self, now: Now) {
        let Some(bearer) = self.bearer() else { return };
        let Some(claims) = Claims::read(bearer) else {
            let message =
                "the token is opaque, or the host keeps it: only the service can read whom it is for and what it permits".to_owned();
            return self.poll.note(Level::Note, "claims.opaque", message, None);
        };
        self.poll.note(Level::Note, "claims.token", claims.sentence(now), None);
        let findings = claims.findings(&self.config, now);
        self.poll.notices.extend(findings);
    }

    fn is_no_answer(&mut self, reading: &Reading) {
        let mut failure = no_answer(&reading.head, &reading.begins_with, &self.config);
        self.redact(&mut failure, reading.next_link());
        self.service_failed(&reading.ask, failure, reading.head.status);
    }

    /// An answer has been read to its end.
    fn complete(&mut self, reading: &mut Reading, now: Now) {
        let Reading { ask, seen: Seen { rows, shows_more, .. }, .. } = &*reading;
        self.pages = None;
        match ask.purpose {
            Purpose::Single | Purpose::Probe => {
                if ask.purpose == Purpose::Probe {
                    self.note_probe(*rows);
                    self.note_token(now);
                }
                if let Some(state) = &mut self.state {
                    state.answered = true;
                    state.frozen = false;
                }
                self.frozen = None;
            }
            Purpose::Slice if self.is_cut(ask, *rows) => self.split(ask, *rows, reading.seen.edges.span()),
            // A further page of things that are updated in place is not simply read: what is updated while the pages are turned
            // leaves them, and what follows it would be passed over.
            Purpose::Slice if reading.next_link().is_some() || self.is_suspicious(ask, *rows) => {
                if !self.read_in_passes(ask) {
                    self.check_for_a_cut(reading);
                }
            }
            Purpose::Slice => self.close_slice(&reading.seen.answer()),
            Purpose::Pass => self.end_pass(reading),
            Purpose::Check => {
                self.follow_ups.pop_front();
                let Some(suspected) = self.suspect.as_ref().map(|suspect| suspect.answer.rows) else { return };
                // As many rows as the suspected answer had may be cut as well, by rows of the tick that it begins at.
                if *shows_more || *rows >= suspected {
                    self.split(ask, suspected, None);
                } else if self.follow_ups.is_empty() {
                    self.is_whole();
                }
            }
            Purpose::Neighbour => {
                if let Some(state) = &mut self.state {
                    state.failures = PATIENCE + 1;
                }
            }
        }
    }

    fn is_cut(&mut self, ask: &Ask, rows: u32) -> bool {
        // More rows than the cap, which one late arrival may have made believe, show that there is none.
        if let Some(state) = &mut self.state
            && ask.until.0 - ask.since.0 > 1
            && state.cap.is_some_and(|cap| rows > cap)
        {
            state.cap = None;
        }
        let cap = self.state.as_ref().and_then(|state| state.cap);
        ask.limit.is_some_and(|limit| rows >= limit) || cap.is_some_and(|cap| rows >= cap)
    }

    fn is_suspicious(&self, ask: &Ask, rows: u32) -> bool {
        let whole = self.state.as_ref().map_or(0, |state| state.whole);
        // Of one tick no end can be asked for alone.
        let can_be_checked = self.config.protocol.updates_in_place() || ask.until.0 - ask.since.0 > 1;
        rows >= self.suspicious_rows() && rows >= whole && can_be_checked
    }

    /// From how many rows on an answer may have been cut without a word.
    pub(super) fn suspicious_rows(&self) -> u32 {
        let odata = self.config.protocol.odata.as_ref();
        odata.map_or(self.limits.suspicious_rows, |odata| odata.suspicious.min(self.limits.suspicious_rows))
    }

    /// Asks for what lies up to the least and from the greatest stamp of an answer on. Something more there means that the
    /// service cut it. Both stamps are asked for again, since a cut may go through the rows of one tick.
    fn check_for_a_cut(&mut self, reading: &Reading) {
        let Reading { ask, seen, .. } = reading;
        let edges = &seen.edges;
        self.suspect = Some(Suspect { answer: seen.answer(), edges: edges.clone() });
        let check = |since, until| Ask { purpose: Purpose::Check, since, until, limit: ask.limit };
        match edges.span() {
            Some((least, greatest)) => {
                self.follow_ups.push_back(check(ask.since, least.plus(1)));
                self.follow_ups.push_back(check(greatest, ask.until));
            }
            None => self.follow_ups.push_back(check(ask.since, ask.until)),
        }
    }

    /// Whether a stamp of a check lies in the slice, and beyond what the answer that it checks held.
    fn lies_beyond(&self, ask: &Ask, at: Tick) -> bool {
        let (Some(suspect), Purpose::Check) = (&self.suspect, ask.purpose) else { return false };
        self.slice().is_some_and(|slice| slice.at <= at && at < slice.end)
            && suspect.edges.span().is_none_or(|(least, greatest)| at < least || greatest < at)
    }

    /// A row was delivered. One of a check shows more than the answer that it checks, unless the full ring has forgotten
    /// what was delivered before.
    fn note_more(&mut self, reading: &mut Reading) {
        reading.seen.shows_more = true;
        if self.forgot_until.is_none() {
            self.learn_cap_of_suspect();
        }
    }

    /// Nothing showed that the suspected answer was cut.
    fn is_whole(&mut self) {
        let Some(answer) = self.suspect.as_ref().map(|suspect| suspect.answer) else { return };
        if let Some(state) = &mut self.state {
            state.whole = state.whole.max(answer.rows);
        }
        self.close_slice(&answer);
    }

    fn learn_cap_of_suspect(&mut self) {
        if let Some(rows) = self.suspect.as_ref().map(|suspect| suspect.answer.rows) {
            self.learn_cap(rows);
        }
    }

    /// The service cuts its answers at so many rows without a word.
    pub(super) fn learn_cap(&mut self, rows: u32) {
        let Some(state) = &mut self.state else { return };
        // At once, so that the checkpoint of this very batch knows it.
        if state.cap == Some(rows) {
            return;
        }
        state.cap = Some(rows);
        self.poll.note(
            Level::Warning,
            "answer.cap",
            format!("the service cuts its answers at {rows} rows without saying so; shorter ranges are asked for"),
            None,
        );
    }

    /// Goes on with the older half of a slice whose answer was cut. One that is too short for that is asked once without
    /// `limit`, or page by page where its rows are updated in place, and then is a gap.
    pub(super) fn split(&mut self, ask: &Ask, rows: u32, span: Option<(Tick, Tick)>) {
        self.poll.counters.splits += 1;
        let too_large = std::mem::take(&mut self.too_large);
        self.drop_follow_ups();
        self.frozen = None;
        self.forgot_until = None;
        let Some(state) = &mut self.state else { return };
        state.frozen = false;
        let newest = span.map(|(_, newest)| newest).filter(|_| self.config.protocol.updates_in_place());
        if state.cut_before(newest, Resolution::of(&self.config)) {
            return;
        }
        // It is the same slice.
        self.too_large = too_large;
        if self.read_in_passes(ask) {
            return;
        }
        let Some(round) = self.slice() else { return };
        if ask.limit.is_some() {
            self.follow_ups.push_back(Ask { purpose: Purpose::Slice, since: round.at, until: round.end, limit: None });
            return;
        }
        let detail = format!("the service cut its answer at {rows} rows, and all of them have one stamp");
        self.give_up_range(GapCause::Truncated, detail);
    }

    pub(super) fn close_slice(&mut self, answer: &Answer) {
        if self.ask_without_expand(answer) {
            return;
        }
        self.tell_what_is_missing(answer);
        self.leave_slice(|state, config| state.complete(config, answer));
    }

    /// Tells which part of a slice that has been read is not all that there is.
    fn tell_what_is_missing(&mut self, answer: &Answer) {
        let Some(state) = &mut self.state else { return };
        let Some(round) = state.round else { return };
        // What lies before it is read again as well, and may lack a part the next time: all of that is told.
        let told = state.partial.unwrap_or(state.reread.min(round.at));
        if answer.is_partial && told < round.end {
            state.partial = Some(round.end);
            let warning = self.warning.take().map(|warning| format!(" (`{warning}`)")).unwrap_or_default();
            let detail = format!(
                "the service answered with HTTP 206{warning}: a part is missing; it is read again, for a day at the most"
            );
            self.tell_gap(GapCause::Partial, told, round.end, detail);
        }
    }

    pub(super) fn leave_slice(&mut self, leave: impl FnOnce(&mut State, &Config)) {
        self.drop_follow_ups();
        let Some(state) = &mut self.state else { return };
        let Some(round) = state.round else { return };
        leave(state, &self.config);
        self.poll.ended_round = state.round.is_none().then_some(round.until);
        self.close_frozen_slice(round.end);
    }

    fn note_probe(&mut self, rows: u32) {
        let host = &self.config.api_endpoint.host;
        let message = format!("the token was accepted by {host}, which answered the smallest request with {rows} rows");
        self.poll.note(Level::Note, "probe.passed", message, None);
    }
}

/// Keeps a chunk of a small body; false when it is full.
fn keep(body: &mut Vec<u8>, chunk: &[u8]) -> bool {
    let room = MAX_SMALL_BODY.saturating_sub(body.len()).min(chunk.len());
    body.extend_from_slice(chunk.get(..room).unwrap_or_default());
    body.len() < MAX_SMALL_BODY
}
