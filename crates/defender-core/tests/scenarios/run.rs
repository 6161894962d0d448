//! Drives the core the way the component does, with a recording in place of `wasi:http`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use defender_core::config::Config;
use defender_core::contract::{Batch, Failure, NextPoll, Position};
use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::{Input, Output, Session};
use scenario::{Answer, FailureKind, Order, Outcome, PollOutcome, Replay, Response, Scenario, Until, time_text};

use crate::clock::Clock;
use crate::{events, outcome};

/// What the host waits where a failure names no delay.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Run<'s> {
    scenario: &'s Scenario,
    clock: Clock,
    replay: Replay,
    session: Session,
    /// What is left of the answer that is being read, and how it ends.
    body: Option<Body>,
    events: Vec<String>,
    outcome: Outcome,
    mismatch: Option<String>,
}

struct Body {
    chunks: VecDeque<Vec<u8>>,
    ends: Result<(), TransportFailure>,
}

impl<'s> Run<'s> {
    pub(crate) fn new(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            clock: Clock::starting_at(scenario.settings.starts),
            replay: Replay::new(Arc::clone(&scenario.traffic), Order::Strict),
            session: Session::default(),
            body: None,
            events: Vec::new(),
            outcome: Outcome::default(),
            mismatch: None,
        }
    }

    /// Everything that is not as expected.
    pub(crate) fn complaints(mut self) -> Vec<String> {
        match Config::parse(&self.scenario.config) {
            Err(problems) => self.outcome.invalid_config = outcome::diagnostics(&problems),
            Ok(_) => self.polls(),
        }
        if let Some(mismatch) = self.mismatch {
            return vec![mismatch];
        }
        let mut complaints: Vec<String> = self.replay.unused().iter().map(ToString::to_string).collect();
        let printed = format!("{}\n{}", self.events.join("\n"), self.outcome.text());
        if let Some(secret) = self.scenario.canaries.find(printed.as_bytes()) {
            complaints.push(format!("a secret is shown: {secret}"));
        }
        let expected = self.scenario.expected.as_ref().map(|(_, value)| value);
        if expected != Some(&self.outcome.value()) {
            complaints.push(format!("not what expected.json says, but\n{}", self.outcome.text()));
        }
        let expected = self.scenario.expected_events.as_deref().unwrap_or_default();
        complaints.extend(events::differences(expected, &self.events));
        complaints
    }

    fn polls(&mut self) {
        let mut position = outcome::position(&self.scenario.settings.position);
        for number in 1.. {
            let (wait, checkpoint) = self.poll(&position, number);
            if let Some(checkpoint) = checkpoint {
                position = Position::Resume(Some(checkpoint));
            }
            let Some(wait) = wait.filter(|_| self.mismatch.is_none()) else { return };
            let faults = &self.scenario.settings.faults;
            self.clock.jump(faults.clock_jump_after(number));
            if faults.fresh_instance_after(number) {
                self.session = Session::default();
                self.body = None;
            }
            self.clock.wait(wait);
        }
    }

    /// One poll: how long to wait for the next one, if there is one, and what to store.
    fn poll(&mut self, position: &Position, number: u32) -> (Option<Duration>, Option<String>) {
        let at = time_text(self.clock.date());
        let before = self.replay.requests();
        let polled = self.drive(position);
        let requests = self.replay.requests() - before;
        let until = self.scenario.settings.until;
        let is_last = matches!(until, Until::Polls(polls) if number >= polls);
        let (poll, wait, checkpoint) = match polled {
            Ok(batch) => {
                self.events.extend(batch.events.iter().map(|event| events::event_line(&self.scenario.name, event)));
                self.events.extend(batch.gaps.iter().map(|gap| events::gap_line(&self.scenario.name, gap)));
                let wait = match batch.next {
                    NextPoll::Now => Some(Duration::ZERO),
                    NextPoll::After(_) if until == Until::CaughtUp => None,
                    NextPoll::After(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
                    NextPoll::Ended => None,
                };
                (outcome::batch(&batch), wait, Some(batch.checkpoint))
            }
            Err(failure) => {
                let (wait, checkpoint) = outcome::taught(&failure, DEFAULT_WAIT);
                (outcome::failure(&failure), wait, checkpoint)
            }
        };
        self.outcome.polls.push(PollOutcome { at, requests, ..poll });
        (wait.filter(|_| !is_last), checkpoint)
    }

    /// The loop of the component.
    fn drive(&mut self, position: &Position) -> Result<Batch, Failure> {
        let budget = outcome::budget(&self.scenario.settings.budget);
        let mut session = std::mem::take(&mut self.session);
        let begun = session.begin(&self.scenario.config, position, budget, self.clock.now());
        let polled = begun.and_then(|machine| {
            loop {
                match machine.step(self.clock.now()) {
                    Output::Done(done) => return done,
                    Output::Send(request) => {
                        let input = match self.send(&request) {
                            Ok(head) => Input::ResponseHead(head),
                            Err(failure) => Input::TransportFailed(failure),
                        };
                        machine.handle(input, self.clock.now());
                    }
                    Output::ReadBody => {
                        let body = self.body.as_mut().expect("a body is read after a head only");
                        let chunk = body.chunks.pop_front();
                        let input = match (&chunk, &body.ends) {
                            (Some(chunk), _) => Input::BodyChunk(chunk),
                            (None, Ok(())) => Input::BodyEnd,
                            (None, Err(failure)) => Input::TransportFailed(failure.clone()),
                        };
                        machine.handle(input, self.clock.now());
                    }
                }
            }
        });
        self.session = session;
        polled
    }

    fn send(&mut self, request: &Request) -> Result<ResponseHead, TransportFailure> {
        self.body = None;
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let sent = scenario::Request {
            method: method.to_owned(),
            url: request.url.clone(),
            headers: request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: request.body.clone(),
        };
        let interaction = self.replay.take(&sent).map_err(|mismatch| {
            self.mismatch = Some(mismatch.to_string());
            failed(FailureKind::Denied)
        })?;
        match &interaction.answer {
            Answer::Failure(failure) => {
                self.clock.wait(failure.latency);
                Err(failed(failure.kind))
            }
            Answer::Response(response) => {
                self.clock.wait(response.latency);
                self.body = Some(self.arriving(response));
                Ok(ResponseHead { status: response.status, headers: response.headers.clone() })
            }
        }
    }

    fn arriving(&self, response: &Response) -> Body {
        let chunks = response.arriving(&self.scenario.settings.faults.chunks);
        let ends = match response {
            Response { cut: Some(_), .. } => {
                Err(transport(TransportFailureKind::Broken, "the body broke off: connection terminated"))
            }
            Response { stall: Some(_), .. } => {
                Err(transport(TransportFailureKind::Timeout, "no further byte came within 30 s"))
            }
            _ => Ok(()),
        };
        Body { chunks: chunks.into_iter().map(<[u8]>::to_vec).collect(), ends }
    }
}

fn transport(kind: TransportFailureKind, detail: &str) -> TransportFailure {
    TransportFailure { kind, detail: detail.to_owned() }
}

/// A recorded failure as the component tells the core of it.
fn failed(kind: FailureKind) -> TransportFailure {
    use TransportFailureKind::{Broken, Connect, Denied, Dns, Timeout, Tls};
    match kind {
        FailureKind::Dns => transport(Dns, "NXDOMAIN"),
        FailureKind::Refused => transport(Connect, "connection refused"),
        FailureKind::Tls => transport(Tls, "the handshake failed"),
        FailureKind::Certificate => transport(Tls, "its certificate is not trusted"),
        FailureKind::ConnectTimeout => transport(Connect, "connecting took too long"),
        FailureKind::Timeout => transport(Timeout, "no byte came in time"),
        FailureKind::Reset => transport(Broken, "the connection was closed"),
        FailureKind::Protocol => transport(Broken, "it does not speak HTTP as it should"),
        FailureKind::Denied => transport(Denied, "its policy forbids it"),
    }
}
