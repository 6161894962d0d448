//! Drives the core the way the component does, with a recording in place of `wasi:http`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use defender_core::config::Config;
use defender_core::contract::{Batch, Failure, NextPoll, Position};
use defender_core::http::{Method, Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::{Input, Output, Session};
use scenario::{
    Answer, Ending, FailureKind, Order, Outcome, PollOutcome, Replay, Response, Scenario, Until, time_text,
};

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
    /// What passes before each.
    pause: Duration,
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
        let trap = self.scenario.settings.faults.trap_in(number).map(|request| before + request as usize);
        let polled = self.drive(position, trap);
        let requests = self.replay.requests() - before;
        let until = self.scenario.settings.until;
        let is_last = matches!(until, Until::Polls(polls) if number >= polls);
        let Some(polled) = polled.filter(|_| trap.is_none()) else {
            self.session = Session::default();
            self.body = None;
            self.outcome.polls.push(PollOutcome { at, requests, lost: true, ..PollOutcome::default() });
            return (Some(DEFAULT_WAIT).filter(|_| !is_last), None);
        };
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

    /// The loop of the component; there is no answer where its instance is lost at the request of this number.
    fn drive(&mut self, position: &Position, trap: Option<usize>) -> Option<Result<Batch, Failure>> {
        let budget = outcome::budget(&self.scenario.settings.budget);
        let mut session = std::mem::take(&mut self.session);
        let begun = session.begin(&self.scenario.config, position, budget, self.clock.now());
        let polled = begun.map_or_else(
            |failure| Some(Err(failure)),
            |machine| {
                loop {
                    match machine.step(self.clock.now()) {
                        Output::Done(done) => return Some(done),
                        Output::Send(request) => {
                            let input = match self.send(&request, trap)? {
                                Ok(head) => Input::ResponseHead(head),
                                Err(failure) => Input::TransportFailed(failure),
                            };
                            machine.handle(input, self.clock.now());
                        }
                        Output::ReadBody => {
                            let body = self.body.as_mut().expect("a body is read after a head only");
                            let chunk = body.chunks.pop_front();
                            if chunk.is_some() {
                                self.clock.wait(body.pause);
                            }
                            let input = match (&chunk, &body.ends) {
                                (Some(chunk), _) => Input::BodyChunk(chunk),
                                (None, Ok(())) => Input::BodyEnd,
                                (None, Err(failure)) => Input::TransportFailed(failure.clone()),
                            };
                            machine.handle(input, self.clock.now());
                        }
                    }
                }
            },
        );
        self.session = session;
        polled
    }

    fn send(&mut self, request: &Request, trap: Option<usize>) -> Option<Result<ResponseHead, TransportFailure>> {
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
        let taken = self.replay.take(&sent);
        if trap == Some(self.replay.requests()) {
            return None;
        }
        let interaction = match taken {
            Ok(interaction) => interaction,
            Err(mismatch) => {
                self.mismatch = Some(mismatch.to_string());
                return Some(Err(failed(FailureKind::Denied)));
            }
        };
        Some(match &interaction.answer {
            Answer::Failure(failure) => {
                self.clock.wait(failure.latency);
                Err(failed(failure.kind))
            }
            Answer::Response(response) => {
                self.clock.wait(response.latency);
                self.body = Some(self.arriving(response));
                Ok(ResponseHead { status: response.status, headers: response.headers.clone() })
            }
        })
    }

    fn arriving(&self, response: &Response) -> Body {
        let chunks = response.arriving(&self.scenario.settings.faults.chunks);
        let ends = match response.ending() {
            Ending::Broken => Err(transport(TransportFailureKind::Broken, "the body broke off: connection terminated")),
            Ending::Short => {
                Err(transport(TransportFailureKind::Broken, "the body broke off: incomplete HTTP response"))
            }
            Ending::Stalled => Err(transport(TransportFailureKind::Timeout, "no further byte came within 30 s")),
            Ending::Complete => Ok(()),
        };
        Body { pause: response.pause, chunks: chunks.into_iter().map(<[u8]>::to_vec).collect(), ends }
    }
}

fn transport(kind: TransportFailureKind, detail: &str) -> TransportFailure {
    TransportFailure { kind, detail: detail.to_owned() }
}

/// A recorded failure as the component tells the core of it.
fn failed(kind: FailureKind) -> TransportFailure {
    use TransportFailureKind::{Broken, Connect, Denied, Dns, Timeout, Tls, TooLarge};
    match kind {
        FailureKind::DnsTimeout => transport(Dns, "the name server did not answer in time"),
        FailureKind::Dns => transport(Dns, "NXDOMAIN"),
        FailureKind::DestinationNotFound => transport(Dns, "no such destination"),
        FailureKind::DestinationUnavailable | FailureKind::DestinationIpUnroutable => {
            transport(Connect, "there is no way to it")
        }
        FailureKind::DestinationIpProhibited => transport(Denied, "its policy forbids the address"),
        FailureKind::Refused => transport(Connect, "connection refused"),
        FailureKind::ConnectTimeout => transport(Connect, "connecting took too long"),
        FailureKind::ConnectionLimit => transport(Connect, "the host has too many connections open"),
        FailureKind::Reset => transport(Broken, "the connection was closed"),
        FailureKind::Timeout | FailureKind::ResponseTimeout => transport(Timeout, "no byte came in time"),
        FailureKind::WriteTimeout => transport(Timeout, "it took no byte in time"),
        FailureKind::Tls => transport(Tls, "the handshake failed"),
        FailureKind::Certificate => transport(Tls, "its certificate is not trusted"),
        FailureKind::TlsAlert => transport(Tls, "it broke off the handshake"),
        FailureKind::Denied => transport(Denied, "its policy forbids it"),
        FailureKind::UriInvalid | FailureKind::UriTooLong => transport(Denied, "it takes no such URL"),
        FailureKind::RequestHeaderSectionSize | FailureKind::RequestHeaderSize => {
            transport(Denied, "it takes no headers of that size")
        }
        FailureKind::Incomplete => transport(Broken, "the answer is incomplete"),
        FailureKind::HeaderSectionSize | FailureKind::HeaderSize => {
            transport(TooLarge, "the headers are larger than the host lets through")
        }
        FailureKind::BodySize => transport(TooLarge, "the body is larger than the host lets through"),
        FailureKind::Protocol => transport(Broken, "it does not speak HTTP as it should"),
        FailureKind::LengthRequired
        | FailureKind::RequestBodySize
        | FailureKind::MethodInvalid
        | FailureKind::RequestTrailerSectionSize
        | FailureKind::RequestTrailerSize
        | FailureKind::TrailerSectionSize
        | FailureKind::TrailerSize
        | FailureKind::TransferCoding
        | FailureKind::ContentCoding
        | FailureKind::UpgradeFailed
        | FailureKind::LoopDetected
        | FailureKind::Configuration
        | FailureKind::Internal => transport(Broken, "the exchange failed"),
    }
}
