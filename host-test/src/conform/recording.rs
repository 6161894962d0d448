//! A recording that answers a source in any of the runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use scenario::{Answer, ChunkSizes, Mismatch, Order, Replay, Request, Traffic, Unused, is_secret};
use source_host::{HttpError, Timeouts, Transport, WasiBody};

use crate::transport::{give, plain_request};

/// A transport that answers from a recording, and keeps what it was asked.
pub(super) struct Recording {
    chunks: ChunkSizes,
    state: Mutex<State>,
}

struct State {
    replay: Replay,
    asked: Vec<Request>,
    mismatches: Vec<Mismatch>,
    waited: bool,
}

impl Recording {
    /// `spent` are requests that count as made already.
    pub(super) fn new(traffic: Arc<Traffic>, order: Order, chunks: ChunkSizes, spent: &[Request]) -> Self {
        let mut replay = Replay::new(traffic, order);
        for request in spent {
            // One that nothing answers spends nothing.
            let _spent = replay.take(request);
        }
        Self { chunks, state: Mutex::new(State { replay, asked: Vec::new(), mismatches: Vec::new(), waited: false }) }
    }

    pub(super) fn asked(&self) -> Vec<Request> {
        self.state().asked.clone()
    }

    pub(super) fn asked_count(&self) -> usize {
        self.state().asked.len()
    }

    pub(super) fn mismatches(&self) -> Vec<Mismatch> {
        self.state().mismatches.clone()
    }

    pub(super) fn unused(&self) -> Vec<Unused> {
        self.state().replay.unused()
    }

    /// Whether an answer since this was last asked made its reader wait for time to pass.
    pub(super) fn take_waited(&self) -> bool {
        std::mem::take(&mut self.state().waited)
    }

    // What a thread left behind that panicked half-way is still what was asked and answered.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: Request) -> Option<Answer> {
        let mut state = self.state();
        let taken = state.replay.take(&request);
        state.asked.push(request);
        match taken {
            Ok(interaction) => {
                state.waited |= match &interaction.answer {
                    Answer::Response(response) => {
                        response.stall.is_some() || !response.latency.is_zero() || !response.pause.is_zero()
                    }
                    Answer::Failure(failure) => !failure.latency.is_zero(),
                };
                Some(interaction.answer.clone())
            }
            Err(mismatch) => {
                state.mismatches.push(*mismatch);
                None
            }
        }
    }
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        match self.take(plain_request(&head, &body)) {
            Some(answer) => give(&answer, &self.chunks).await,
            None => Err(HttpError::HttpRequestDenied),
        }
    }
}

/// The same traffic with other bytes at a time in every body.
pub(super) fn in_pieces(traffic: &Traffic, size: usize) -> Arc<Traffic> {
    Arc::new(traffic.changed(|interaction| {
        // More pieces with a pause before each would take longer.
        if let Answer::Response(response) = &mut interaction.answer
            && response.pause.is_zero()
        {
            response.chunks = ChunkSizes::Every(size);
        }
    }))
}

/// The same traffic without its latencies, so that an instance that asks for more keeps to the times of the first run, and
/// for any credential, since a fresh instance may hold another token.
pub(super) fn at_once(traffic: &Traffic) -> Arc<Traffic> {
    Arc::new(traffic.changed(|interaction| {
        interaction.request.headers.retain(|(name, _)| !is_secret(name));
        match &mut interaction.answer {
            Answer::Response(response) => (response.latency, response.pause) = (Duration::ZERO, Duration::ZERO),
            // A time-out is a time.
            Answer::Failure(failure) if failure.kind.is_timeout() => {}
            Answer::Failure(failure) => failure.latency = Duration::ZERO,
        }
    }))
}
