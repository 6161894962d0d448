//! Answers a component's requests from a recording, and from nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use scenario::{Answer, ChunkSizes, FailureKind, Interaction, Mismatch, Order, Replay, Request, Traffic, Unused};
use source_host::{HttpError, Timeouts, Transport, WasiBody};
use tokio::time::Instant;

use crate::body::RecordedBody;
use crate::drive::Link;
use crate::timeline::Exchange;

/// A transport that replays a scenario's traffic. Latencies pass on tokio's clock.
pub(crate) struct RecordedTransport {
    chunks: ChunkSizes,
    /// When the run began.
    origin: Instant,
    state: Mutex<State>,
}

struct State {
    replay: Replay,
    mismatches: Vec<Mismatch>,
    exchanges: Vec<Exchange>,
}

impl RecordedTransport {
    pub(crate) fn new(traffic: Arc<Traffic>, order: Order, chunks: ChunkSizes) -> Self {
        let state = State { replay: Replay::new(traffic, order), mismatches: Vec::new(), exchanges: Vec::new() };
        Self { chunks, origin: Instant::now(), state: Mutex::new(state) }
    }

    /// The requests that were made since this was last asked.
    pub(crate) fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.state().exchanges)
    }

    /// The requests so far that nothing answered.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        self.state().mismatches.clone()
    }

    pub(crate) fn unused(&self) -> Vec<Unused> {
        self.state().replay.unused()
    }

    // What a thread left behind that panicked half-way is still what was asked and answered.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: Request) -> Option<Arc<Interaction>> {
        let mut state = self.state();
        let interaction = match state.replay.take(&request) {
            Ok(interaction) => Some(interaction),
            Err(mismatch) => {
                state.mismatches.push(*mismatch);
                None
            }
        };
        state.exchanges.push(Exchange { at: self.origin.elapsed(), request, interaction: interaction.clone() });
        interaction
    }
}

impl Link for RecordedTransport {
    fn requests(&self) -> usize {
        self.state().replay.requests()
    }

    /// Whether a request went unanswered.
    fn is_broken(&self) -> bool {
        !self.state().mismatches.is_empty()
    }
}

#[async_trait]
impl Transport for RecordedTransport {
    async fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let Some(interaction) = self.take(plain_request(&head, &body)) else {
            return Err(HttpError::HttpRequestDenied);
        };
        give(&interaction.answer, &self.chunks).await
    }
}

/// What was recorded, after its latency.
pub(crate) async fn give(answer: &Answer, chunks: &ChunkSizes) -> Result<http::Response<WasiBody>, HttpError> {
    match answer {
        Answer::Failure(failure) => {
            tokio::time::sleep(failure.latency).await;
            Err(http_error(failure.kind))
        }
        Answer::Response(response) => {
            tokio::time::sleep(response.latency).await;
            let body = RecordedBody::new(response, chunks);
            let body = body.map_err(|_| HttpError::ConnectionTerminated).boxed_unsync();
            response_head(response).body(body).map_err(|error| HttpError::InternalError(Some(error.to_string())))
        }
    }
}

/// The head of a recorded answer.
pub(crate) fn response_head(response: &scenario::Response) -> http::response::Builder {
    let head = http::Response::builder().status(response.status);
    response.headers.iter().fold(head, |head, (name, value)| head.header(name, value))
}

/// A request in the shape that recordings are matched in.
pub(crate) fn plain_request(head: &http::request::Parts, body: &[u8]) -> Request {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Request {
        method: head.method.as_str().to_owned(),
        url: head.uri.to_string(),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_vec(),
    }
}

fn http_error(kind: FailureKind) -> HttpError {
    match kind {
        FailureKind::Dns => HttpError::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
        FailureKind::Refused => HttpError::ConnectionRefused,
        FailureKind::Tls => HttpError::TlsProtocolError,
        FailureKind::Certificate => HttpError::TlsCertificateError,
        FailureKind::ConnectTimeout => HttpError::ConnectionTimeout,
        FailureKind::Timeout => HttpError::ConnectionReadTimeout,
        FailureKind::Reset => HttpError::ConnectionTerminated,
        FailureKind::Protocol => HttpError::HttpProtocolError,
        FailureKind::Denied => HttpError::HttpRequestDenied,
    }
}
