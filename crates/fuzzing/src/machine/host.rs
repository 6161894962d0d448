//! The host: polls, stores, waits, kills.

use std::collections::BTreeSet;

use defender_core::contract::{Batch, Budget, Delay, Failure, NextPoll, Position};
use defender_core::http::Request;
use defender_core::tick::{Now, TICKS_PER_SECOND};
use defender_core::{Input, Machine, Output};

use super::asked::Asked;
use super::laws::{Before, check_batch, check_told};
use super::service::{self, Answer};
use super::setup::Setup;
use crate::Reached;
use crate::bytes::Bytes;

const SECOND: u64 = 1_000_000_000;

/// Plenty, for a service that is well.
const PLENTY: Budget = Budget { max_events: 10_000, max_bytes: 1 << 24, max_requests: 50, max_duration: 60 * SECOND };

/// How many polls reading to the end may take once the service is well: some days in slices of ten minutes.
const CALM_POLLS: usize = 80;

pub(super) struct Host {
    setup: Setup,
    machine: Machine,
    now: Now,
    /// The last checkpoint that was stored.
    stored: Option<String>,
    /// The last one that was handed out.
    given: Option<String>,
    /// Whether the instance has not polled yet.
    is_fresh: bool,
    /// The keys that the instance delivered.
    delivered: BTreeSet<String>,
    /// The answer that is open.
    answer: Option<Answer>,
    /// The answers before it in this poll, as far as they were read.
    fed: Vec<Vec<u8>>,
    asked: Asked,
    /// Before this no request may be sent, on the monotonic clock.
    quiet_until: u64,
    jumps: usize,
    pub(super) reached: Reached,
}

impl Host {
    pub(super) fn new(bytes: &mut Bytes<'_>) -> Self {
        let setup = Setup::read(bytes);
        let machine = setup.machine(&setup.position);
        let now = Now { wall: setup.wall, monotonic: 5 };
        Self {
            setup,
            machine,
            now,
            stored: None,
            given: None,
            is_fresh: true,
            delivered: BTreeSet::new(),
            answer: None,
            fed: Vec::new(),
            asked: Asked::default(),
            quiet_until: 0,
            jumps: 0,
            reached: Reached::new(),
        }
    }

    /// One thing that a host may do.
    pub(super) fn act(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(16) {
            9 => self.pass(bytes.pick(&[1, 30, 299, 3600])),
            10 if self.jumps < 4 => {
                self.jumps += 1;
                let seconds = bytes.pick(&[3600, -3600, 86_400, -86_400]);
                self.now.wall = self.now.wall.plus(seconds * TICKS_PER_SECOND);
                self.reached.insert("jump");
            }
            11 => self.restart(true),
            12 => self.restart(false),
            13 => self.stored.clone_from(&self.given),
            _ => {
                let budget = Budget {
                    max_events: bytes.pick(&[1000, 1, 2, 5, 0]),
                    max_bytes: bytes.pick(&[1 << 20, 1, 90, 200, 1000, 0]),
                    max_requests: bytes.pick(&[50, 2, 3, 5, 1]),
                    max_duration: bytes.pick(&[60 * SECOND, 1, SECOND, u64::MAX]),
                };
                let kill_at = if bytes.one_in(8) { bytes.below(32) } else { usize::MAX };
                let stores = !bytes.one_in(4);
                self.poll(budget, kill_at, &mut Some(bytes));
                if stores {
                    self.stored.clone_from(&self.given);
                }
            }
        }
    }

    /// A service that is well, and a host that has time: reading comes to its end.
    pub(super) fn calm_down(&mut self) {
        for _ in 0..CALM_POLLS {
            match self.poll(PLENTY, usize::MAX, &mut None) {
                Some(Ok(batch)) if batch.next != NextPoll::Now => return,
                // What is left of a failure is told once; its delay passes.
                Some(Err(failure)) => self.pass(delay_of(&failure).unwrap_or(SECOND).div_ceil(SECOND)),
                _ => {}
            }
        }
        assert!(self.setup.is_far_off, "no end is in sight at {:?}", self.given);
    }

    fn pass(&mut self, seconds: u64) {
        self.now.monotonic = self.now.monotonic.saturating_add(seconds * SECOND);
        self.now.wall = self.now.wall.plus(seconds.cast_signed().saturating_mul(TICKS_PER_SECOND));
    }

    /// The instance is killed, and another one goes on from what was stored, knowing the token or not.
    fn restart(&mut self, with_token: bool) {
        let position = match &self.stored {
            Some(text) => Position::Resume(Some(text.clone())),
            None => self.setup.position.clone(),
        };
        let mut machine = self.setup.machine(&position);
        if with_token {
            machine.take_tokens(&mut self.machine);
        } else {
            self.quiet_until = 0;
        }
        self.asked.restart(with_token);
        self.machine = machine;
        self.given.clone_from(&self.stored);
        if self.setup.is_probe {
            self.given = None;
        }
        self.is_fresh = true;
        self.delivered.clear();
        self.answer = None;
        self.fed.clear();
        self.reached.insert("restart");
    }

    /// One poll; none where the instance was killed in it.
    fn poll(
        &mut self,
        budget: Budget,
        kill_at: usize,
        bytes: &mut Option<&mut Bytes<'_>>,
    ) -> Option<Result<Batch, Failure>> {
        self.fed.clear();
        if let Err(failure) = self.machine.begin(budget, self.now) {
            check_told(&failure, budget, &self.setup, &mut self.reached);
            return Some(Err(failure));
        }
        let (mut requests, mut steps) = (0, 0);
        let done = loop {
            if steps >= kill_at {
                self.reached.insert("killed-in-a-poll");
                self.restart(false);
                return None;
            }
            steps += 1;
            match self.machine.step(self.now) {
                Output::Done(done) => break done,
                Output::Send(request) => {
                    requests += 1;
                    assert!(requests <= budget.max_requests, "{requests} requests in {budget:?}");
                    assert!(self.now.monotonic >= self.quiet_until, "the delay is not over");
                    let Setup { api, is_first_seen, .. } = self.setup;
                    self.asked.see(&request, api, is_first_seen, self.now, &mut self.reached);
                    self.send(&request, bytes);
                }
                Output::ReadBody => self.read_body(),
            }
        };
        if let Some(answer) = &self.answer {
            self.fed.push(answer.fed().to_vec());
        }
        let before = Before {
            checkpoint: self.given.as_deref(),
            is_fresh: self.is_fresh,
            delivered: &self.delivered,
            fed: &self.fed,
        };
        match &done {
            Ok(batch) => {
                check_batch(batch, budget, &before, &self.setup, &mut self.reached);
                self.delivered.extend(batch.events.iter().map(|event| event.key.clone()));
                self.given = Some(batch.checkpoint.clone());
            }
            Err(failure) => {
                check_told(failure, budget, &self.setup, &mut self.reached);
                if let Some(text) = failure.clone().fault_mut().and_then(|fault| fault.checkpoint.take()) {
                    assert!(!self.setup.is_probe, "a probe has nothing to store");
                    assert_ne!(self.given.as_ref(), Some(&text), "nothing was learned");
                    self.given = Some(text);
                }
                if let Some(delay) = delay_of(failure) {
                    self.quiet_until = self.now.monotonic.saturating_add(delay);
                }
            }
        }
        let at = Position::Resume(self.given.clone());
        assert!(self.given.is_none() || self.machine.is_at(&at), "the instance is elsewhere");
        self.is_fresh = false;
        if !self.machine.wants_body() {
            self.answer = None;
        }
        Some(done)
    }

    fn send(&mut self, request: &Request, bytes: &mut Option<&mut Bytes<'_>>) {
        if let Some(answer) = self.answer.take() {
            self.fed.push(answer.fed().to_vec());
        }
        let sent = match bytes {
            Some(bytes) => {
                if bytes.one_in(16) {
                    self.pass(bytes.pick(&[1, 61, 1000]));
                }
                service::answer(bytes, request, &self.setup, self.asked.range, self.now)
            }
            None => Ok(service::well(request, self.setup.api)),
        };
        match sent {
            Ok(answer) => {
                self.machine.handle(Input::ResponseHead(answer.head.clone()), self.now);
                self.answer = Some(answer);
            }
            Err(failure) => self.machine.handle(Input::TransportFailed(failure), self.now),
        }
    }

    fn read_body(&mut self) {
        let Some(answer) = &mut self.answer else { panic!("there is no answer to read") };
        assert!(!answer.has_ended, "the body was read to its end");
        let end = answer.read.saturating_add(answer.chunk).min(answer.body.len());
        let input = if end > answer.read {
            let chunk = &answer.body[answer.read..end];
            answer.read = end;
            Input::BodyChunk(chunk)
        } else {
            answer.has_ended = true;
            answer.breaks.clone().map_or(Input::BodyEnd, Input::TransportFailed)
        };
        self.machine.handle(input, self.now);
    }
}

fn delay_of(failure: &Failure) -> Option<u64> {
    match failure {
        Failure::Throttled(Delay { after, .. }) | Failure::Unavailable(Delay { after, .. }) => *after,
        _ => None,
    }
}
