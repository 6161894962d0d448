//! A recording that answers as recorded, but where a fault strikes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt as _;
use scenario::{
    Answer, ChunkSizes, Coding, Ending, Interaction, Mismatch, Order, RecordedFailure, Replay, Request, Response,
    Traffic,
};
use source_host::{Clock as _, HttpError, Timeouts, Transport, WasiBody};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fault::{Fault, What};
use crate::clock::VirtualClock;
use crate::timeline::Exchange;
use crate::transport::{give, plain_request};

/// A slow body comes in so many pieces.
const PIECES: usize = 8;

/// A transport that answers from a recording, and where a fault is due as that has it.
pub(super) struct Link {
    chunks: ChunkSizes,
    clock: Arc<VirtualClock>,
    origin: Instant,
    lost: Notify,
    state: Mutex<State>,
}

struct State {
    replay: Replay,
    faults: Vec<Fault>,
    /// How often each fault struck.
    struck: Vec<u32>,
    /// How far the clock was set.
    jumped: TimeDelta,
    /// Whether that was since this was last asked.
    has_jumped: bool,
    mismatches: Vec<Mismatch>,
    exchanges: Vec<Exchange>,
    misplaced: Option<String>,
}

/// What a request comes to.
enum Fate {
    Answered(Answer),
    /// Its instance is gone.
    Lost,
    Refused,
}

impl Link {
    /// Inside a runtime whose time is paused. Every fault has its place.
    pub(super) fn new(traffic: Arc<Traffic>, chunks: ChunkSizes, clock: Arc<VirtualClock>, faults: Vec<Fault>) -> Self {
        let state = State {
            replay: Replay::new(traffic, Order::Free),
            struck: vec![0; faults.len()],
            faults,
            jumped: TimeDelta::zero(),
            has_jumped: false,
            mismatches: Vec::new(),
            exchanges: Vec::new(),
            misplaced: None,
        };
        Self { chunks, clock, origin: Instant::now(), lost: Notify::new(), state: Mutex::new(state) }
    }

    /// Returns when an instance is to be lost.
    pub(super) async fn lose(&self) {
        self.lost.notified().await;
    }

    /// Answers what is asked at another time than it was recorded from now on.
    pub(super) fn loosen(&self) {
        self.state().replay.set_order(Order::Loose);
    }

    pub(super) fn requests(&self) -> usize {
        self.state().replay.requests()
    }

    pub(super) fn jumped(&self) -> TimeDelta {
        self.state().jumped
    }

    /// Whether the clock was set since this was last asked.
    pub(super) fn take_jumped(&self) -> bool {
        std::mem::take(&mut self.state().has_jumped)
    }

    pub(super) fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.state().exchanges)
    }

    pub(super) fn mismatch(&self) -> Option<Mismatch> {
        self.state().mismatches.first().cloned()
    }

    pub(super) fn misplaced(&self) -> Option<String> {
        self.state().misplaced.clone()
    }

    /// Whether a fault of polls is due after this one, from 1 on; then it has struck.
    pub(super) fn strikes_after(&self, poll: u32) -> bool {
        let state = &mut *self.state();
        let mut strikes = false;
        for (fault, struck) in state.faults.iter().zip(&mut state.struck) {
            if fault.what.is_of_polls() && is_due(fault, poll) {
                *struck += 1;
                strikes = true;
            }
        }
        strikes
    }

    /// The first fault that struck less often than it should.
    pub(super) fn left(&self) -> Option<(Fault, u32)> {
        let state = self.state();
        let found = state.faults.iter().zip(&state.struck).find(|(fault, struck)| **struck < fault.times);
        found.map(|(fault, struck)| (fault.clone(), *struck))
    }

    // What a thread left behind that panicked half-way is still what was asked and answered.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, request: Request, timeouts: Timeouts) -> Fate {
        let state = &mut *self.state();
        let found = state.replay.find(&request);
        let number = u32::try_from(state.replay.requests()).unwrap_or(u32::MAX);
        let at = self.origin.elapsed();
        let interaction = match found {
            Ok(interaction) => interaction,
            Err(mismatch) => {
                state.mismatches.push(*mismatch);
                state.exchanges.push(Exchange { at, request, interaction: None });
                return Fate::Refused;
            }
        };
        let mut met = Met { answer: interaction.answer.clone(), is_lost: false, timeouts };
        let mut lost_instance = false;
        for (fault, struck) in state.faults.iter().zip(&mut state.struck) {
            if fault.what.is_of_polls() || !is_due(fault, number) {
                continue;
            }
            *struck += 1;
            match &fault.what {
                What::Trap => lost_instance = true,
                What::Clock(by) => {
                    self.clock.jump(*by);
                    state.jumped += *by;
                    state.has_jumped = true;
                    state.replay.set_order(Order::Loose);
                }
                what => {
                    if let Err(why) = met.strike(what, &self.clock) {
                        state.misplaced.get_or_insert(format!("{fault} does not suit request {number}: {why}"));
                    }
                }
            }
        }
        if !met.is_lost && !lost_instance {
            state.replay.spend(&interaction);
        }
        let told = Interaction { answer: met.answer.clone(), ..(*interaction).clone() };
        state.exchanges.push(Exchange { at, request, interaction: Some(Arc::new(told)) });
        if lost_instance { Fate::Lost } else { Fate::Answered(met.answer) }
    }
}

fn is_due(fault: &Fault, number: u32) -> bool {
    let first = fault.at.unwrap_or(1);
    (first..first.saturating_add(fault.times)).contains(&number)
}

/// An answer on its way through the faults that strike it.
struct Met {
    answer: Answer,
    /// Whether it does not arrive whole and in time, so that it has to be had again.
    is_lost: bool,
    timeouts: Timeouts,
}

impl Met {
    fn strike(&mut self, what: &What, clock: &VirtualClock) -> Result<(), &'static str> {
        let retry_after = |value: String| instead(429, vec![("retry-after".to_owned(), value)]);
        match what {
            What::Fail(kind) => self.replace(Answer::Failure(RecordedFailure { kind: *kind, latency: Duration::ZERO })),
            What::Status(status) => self.replace(instead(*status, Vec::new())),
            What::RetryAfter(seconds) => self.replace(retry_after(seconds.to_string())),
            What::RetryAfterDate(seconds) => self.replace(retry_after(http_date(clock, *seconds))),
            What::Late(latency) => match &mut self.answer {
                Answer::Failure(failure) => failure.latency = *latency,
                Answer::Response(response) => {
                    response.latency = *latency;
                    self.is_lost |= *latency > self.timeouts.connect.saturating_add(self.timeouts.first_byte);
                }
            },
            body => self.strike_body(body)?,
        }
        Ok(())
    }

    fn strike_body(&mut self, what: &What) -> Result<(), &'static str> {
        let Answer::Response(response) = &mut self.answer else { return Err("no answer comes, and so no body") };
        let length = response.body.len();
        match what {
            What::Cut(bytes) | What::Stall(bytes) => {
                let at = bytes.of(length);
                if at > length {
                    return Err("its body is shorter");
                }
                let (cut, stall) = if matches!(what, What::Cut(_)) { (Some(at), None) } else { (None, Some(at)) };
                (response.cut, response.stall, self.is_lost) = (cut, stall, true);
            }
            What::Slow(pause) => {
                (response.pause, response.chunks) = (*pause, ChunkSizes::Every(length.div_ceil(PIECES).max(1)));
                self.is_lost |= *pause > self.timeouts.between_bytes;
            }
            What::Chunks(size) => response.chunks = ChunkSizes::Every(*size),
            What::Length(wrong) => {
                if length == 0 {
                    return Err("it has no body");
                }
                set_header(response, "content-length", Some(wrong.of(length).to_string()));
                self.is_lost |= response.ending() != Ending::Complete || wrong.of(length) < length as u64;
            }
            What::Gzip => {
                response.body = Coding::Gzip.encode(&response.body);
                set_header(response, "content-length", None);
                set_header(response, "content-encoding", Some(Coding::Gzip.word().to_owned()));
                self.is_lost = true;
            }
            // The rest is no matter of a body.
            _ => {}
        }
        Ok(())
    }

    fn replace(&mut self, answer: Answer) {
        self.answer = answer;
        self.is_lost = true;
    }
}

/// An answer that a server gives which is not well.
fn instead(status: u16, headers: Vec<(String, String)>) -> Answer {
    let mut response = Response {
        status,
        headers,
        body: b"This answer was injected by host-test.\n".to_vec(),
        latency: Duration::ZERO,
        chunks: ChunkSizes::Whole,
        pause: Duration::ZERO,
        cut: None,
        stall: None,
    };
    set_header(&mut response, "content-type", Some("text/plain".to_owned()));
    Answer::Response(response)
}

fn set_header(response: &mut Response, name: &str, value: Option<String>) {
    response.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    response.headers.extend(value.map(|value| (name.to_owned(), value)));
}

/// The date in so many seconds on the wall clock, in the form of RFC 9110. It has whole seconds, and is not too early.
fn http_date(clock: &VirtualClock, seconds: u32) -> String {
    let now = clock.wall();
    let whole = now.as_secs() + u64::from(now.subsec_nanos() > 0) + u64::from(seconds);
    let date: DateTime<Utc> = DateTime::from_timestamp(i64::try_from(whole).unwrap_or_default(), 0).unwrap_or_default();
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[async_trait]
impl Transport for Link {
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        match self.meet(plain_request(&head, &body), timeouts) {
            Fate::Answered(answer) => give(&answer, &self.chunks).await,
            Fate::Refused => Err(HttpError::HttpRequestDenied),
            Fate::Lost => {
                self.lost.notify_one();
                std::future::pending().await
            }
        }
    }
}
