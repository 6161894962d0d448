//! Answers a component's requests from a recording, and from nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use scenario::{Answer, ChunkSizes, FailureKind, Interaction, Mismatch, Order, Replay, Request, Traffic, Unused};
use source_host::{HttpError, Timeouts, Transport, WasiBody};
use tokio::sync::Notify;
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
    trap: Trap,
}

struct State {
    replay: Replay,
    mismatches: Vec<Mismatch>,
    exchanges: Vec<Exchange>,
}

impl RecordedTransport {
    pub(crate) fn new(traffic: Arc<Traffic>, order: Order, chunks: ChunkSizes) -> Self {
        let state = State { replay: Replay::new(traffic, order), mismatches: Vec::new(), exchanges: Vec::new() };
        Self { chunks, origin: Instant::now(), state: Mutex::new(state), trap: Trap::default() }
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

/// A request that is waited for, and never answered.
#[derive(Debug, Default)]
pub(crate) struct Trap {
    /// Counted from 1 on; 0 for none.
    request: AtomicUsize,
    reached: Notify,
}

impl Trap {
    /// Returns when that request is made.
    pub(crate) async fn reach(&self, request: usize) {
        self.request.store(request, Ordering::Relaxed);
        self.reached.notified().await;
        self.request.store(0, Ordering::Relaxed);
    }

    /// Is told how many requests were made with this one, and returns unless it is the one that is waited for.
    pub(crate) async fn pass(&self, requests: usize) {
        if self.request.load(Ordering::Relaxed) == requests {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Link for RecordedTransport {
    fn requests(&self) -> usize {
        self.state().replay.requests()
    }

    /// Whether a request went unanswered.
    fn is_broken(&self) -> bool {
        !self.state().mismatches.is_empty()
    }

    async fn reach(&self, requests: usize) {
        self.trap.reach(requests).await;
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
        self.trap.pass(self.requests()).await;
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
            let body = body.map_err(HttpError::from).boxed_unsync();
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

/// The error that a host has for it. Where it says more than its kind, that is invented.
pub(crate) fn http_error(kind: FailureKind) -> HttpError {
    match kind {
        FailureKind::DnsTimeout => HttpError::DnsTimeout,
        FailureKind::Dns => HttpError::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
        FailureKind::DestinationNotFound => HttpError::DestinationNotFound,
        FailureKind::DestinationUnavailable => HttpError::DestinationUnavailable,
        FailureKind::DestinationIpProhibited => HttpError::DestinationIpProhibited,
        FailureKind::DestinationIpUnroutable => HttpError::DestinationIpUnroutable,
        FailureKind::Refused => HttpError::ConnectionRefused,
        FailureKind::Reset => HttpError::ConnectionTerminated,
        FailureKind::ConnectTimeout => HttpError::ConnectionTimeout,
        FailureKind::Timeout => HttpError::ConnectionReadTimeout,
        FailureKind::WriteTimeout => HttpError::ConnectionWriteTimeout,
        FailureKind::ConnectionLimit => HttpError::ConnectionLimitReached,
        FailureKind::Tls => HttpError::TlsProtocolError,
        FailureKind::Certificate => HttpError::TlsCertificateError,
        FailureKind::TlsAlert => {
            HttpError::TlsAlertReceived { alert_id: Some(40), alert_message: Some("HandshakeFailure".to_owned()) }
        }
        FailureKind::Denied => HttpError::HttpRequestDenied,
        FailureKind::LengthRequired => HttpError::HttpRequestLengthRequired,
        FailureKind::RequestBodySize => HttpError::HttpRequestBodySize(None),
        FailureKind::MethodInvalid => HttpError::HttpRequestMethodInvalid,
        FailureKind::UriInvalid => HttpError::HttpRequestUriInvalid,
        FailureKind::UriTooLong => HttpError::HttpRequestUriTooLong,
        FailureKind::RequestHeaderSectionSize => HttpError::HttpRequestHeaderSectionSize(None),
        FailureKind::RequestHeaderSize => HttpError::HttpRequestHeaderSize { field_name: None, field_size: None },
        FailureKind::RequestTrailerSectionSize => HttpError::HttpRequestTrailerSectionSize(None),
        FailureKind::RequestTrailerSize => HttpError::HttpRequestTrailerSize { field_name: None, field_size: None },
        FailureKind::Incomplete => HttpError::HttpResponseIncomplete,
        FailureKind::HeaderSectionSize => HttpError::HttpResponseHeaderSectionSize(None),
        FailureKind::HeaderSize => HttpError::HttpResponseHeaderSize { field_name: None, field_size: None },
        FailureKind::BodySize => HttpError::HttpResponseBodySize(None),
        FailureKind::TrailerSectionSize => HttpError::HttpResponseTrailerSectionSize(None),
        FailureKind::TrailerSize => HttpError::HttpResponseTrailerSize { field_name: None, field_size: None },
        FailureKind::TransferCoding => HttpError::HttpResponseTransferCoding(None),
        FailureKind::ContentCoding => HttpError::HttpResponseContentCoding(None),
        FailureKind::ResponseTimeout => HttpError::HttpResponseTimeout,
        FailureKind::UpgradeFailed => HttpError::HttpUpgradeFailed,
        FailureKind::Protocol => HttpError::HttpProtocolError,
        FailureKind::LoopDetected => HttpError::LoopDetected,
        FailureKind::Configuration => HttpError::ConfigurationError,
        FailureKind::Internal => HttpError::InternalError(None),
    }
}

/// The kind that a scenario has for an error.
pub(crate) fn failure_kind(error: &HttpError) -> FailureKind {
    match error {
        HttpError::DnsTimeout => FailureKind::DnsTimeout,
        HttpError::DnsError { .. } => FailureKind::Dns,
        HttpError::DestinationNotFound => FailureKind::DestinationNotFound,
        HttpError::DestinationUnavailable => FailureKind::DestinationUnavailable,
        HttpError::DestinationIpProhibited => FailureKind::DestinationIpProhibited,
        HttpError::DestinationIpUnroutable => FailureKind::DestinationIpUnroutable,
        HttpError::ConnectionRefused => FailureKind::Refused,
        HttpError::ConnectionTerminated => FailureKind::Reset,
        HttpError::ConnectionTimeout => FailureKind::ConnectTimeout,
        HttpError::ConnectionReadTimeout => FailureKind::Timeout,
        HttpError::ConnectionWriteTimeout => FailureKind::WriteTimeout,
        HttpError::ConnectionLimitReached => FailureKind::ConnectionLimit,
        HttpError::TlsProtocolError => FailureKind::Tls,
        HttpError::TlsCertificateError => FailureKind::Certificate,
        HttpError::TlsAlertReceived { .. } => FailureKind::TlsAlert,
        HttpError::HttpRequestDenied => FailureKind::Denied,
        HttpError::HttpRequestLengthRequired => FailureKind::LengthRequired,
        HttpError::HttpRequestBodySize(_) => FailureKind::RequestBodySize,
        HttpError::HttpRequestMethodInvalid => FailureKind::MethodInvalid,
        HttpError::HttpRequestUriInvalid => FailureKind::UriInvalid,
        HttpError::HttpRequestUriTooLong => FailureKind::UriTooLong,
        HttpError::HttpRequestHeaderSectionSize(_) => FailureKind::RequestHeaderSectionSize,
        HttpError::HttpRequestHeaderSize { .. } => FailureKind::RequestHeaderSize,
        HttpError::HttpRequestTrailerSectionSize(_) => FailureKind::RequestTrailerSectionSize,
        HttpError::HttpRequestTrailerSize { .. } => FailureKind::RequestTrailerSize,
        HttpError::HttpResponseIncomplete => FailureKind::Incomplete,
        HttpError::HttpResponseHeaderSectionSize(_) => FailureKind::HeaderSectionSize,
        HttpError::HttpResponseHeaderSize { .. } => FailureKind::HeaderSize,
        HttpError::HttpResponseBodySize(_) => FailureKind::BodySize,
        HttpError::HttpResponseTrailerSectionSize(_) => FailureKind::TrailerSectionSize,
        HttpError::HttpResponseTrailerSize { .. } => FailureKind::TrailerSize,
        HttpError::HttpResponseTransferCoding(_) => FailureKind::TransferCoding,
        HttpError::HttpResponseContentCoding(_) => FailureKind::ContentCoding,
        HttpError::HttpResponseTimeout => FailureKind::ResponseTimeout,
        HttpError::HttpUpgradeFailed => FailureKind::UpgradeFailed,
        HttpError::LoopDetected => FailureKind::LoopDetected,
        HttpError::ConfigurationError => FailureKind::Configuration,
        HttpError::InternalError(_) => FailureKind::Internal,
        // What a library says in its own words is of the protocol, and so is what a later wasmtime adds.
        _ => FailureKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replayed_as_an_error_is_recorded_as_the_same() {
        for kind in FailureKind::ALL {
            assert_eq!(failure_kind(&http_error(*kind)), *kind);
        }
    }
}
