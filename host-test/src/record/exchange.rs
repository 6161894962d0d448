//! A request and its answer as a scenario holds them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use scenario::{
    Address, Answer, ChunkSizes, FailureKind, JsonBody, Pattern, RecordedBody, RecordedFailure, RecordedRequest,
    Request, Response, decode_form,
};
use source_host::{HttpError, Timeouts, Transport};

use crate::transport::failure_kind;

/// Headers of requests that say nothing of what is asked, or are another at every run.
const NOT_KEPT: [&str; 14] = [
    "accept-encoding",
    "client-request-id",
    "connection",
    "content-length",
    "date",
    "host",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-correlation-id",
    "x-ms-client-request-id",
    "x-request-id",
];

/// Headers of answers that belong to a connection.
pub(crate) const OF_CONNECTION: [&str; 7] =
    ["alt-svc", "connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"];

/// The latency of an answer is in whole milliseconds, as paused time moves by no less.
const TICK: Duration = Duration::from_millis(1);

/// What a request has to be like, the next time.
pub(super) fn request(request: &Request) -> Result<RecordedRequest, HttpError> {
    let address = Address::parse(&request.url).ok_or(HttpError::HttpRequestUriInvalid)?;
    let exact = |(name, value): &(String, String)| (name.clone(), Pattern::Exact(value.clone()));
    let kept = |(name, _): &&(String, String)| !NOT_KEPT.contains(&name.as_str());
    let media_type = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
    Ok(RecordedRequest {
        method: request.method.clone(),
        origin: address.origin,
        path: address.path,
        query: address.query.iter().map(exact).collect(),
        headers: request.headers.iter().filter(kept).map(exact).collect(),
        body: request_body(&request.body, media_type.unwrap_or_default()),
    })
}

/// The body of a request, in the form that its media type says.
pub(crate) fn request_body(bytes: &[u8], media_type: &str) -> RecordedBody {
    let Ok(text) = std::str::from_utf8(bytes) else { return RecordedBody::Bytes(bytes.to_vec()) };
    let media_type = media_type.to_ascii_lowercase();
    if bytes.is_empty() {
        RecordedBody::Empty
    } else if media_type.starts_with("application/x-www-form-urlencoded") {
        let members = decode_form(text).into_iter().map(|(name, value)| (name, Pattern::Exact(value)));
        RecordedBody::Form(members.collect())
    } else if let (true, Ok(value)) = (media_type.contains("json"), serde_json::from_str(text)) {
        RecordedBody::Json(JsonBody { value, patterns: Vec::new() })
    } else {
        RecordedBody::Text(Pattern::Exact(text.to_owned()))
    }
}

/// Asks the network and reads the answer to its end.
pub(super) async fn answer(
    live: &dyn Transport,
    head: http::request::Parts,
    body: Bytes,
    timeouts: Timeouts,
) -> Answer {
    let began = Instant::now();
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let patience = timeouts.connect.saturating_add(timeouts.first_byte);
    let sent = tokio::time::timeout(patience, live.send(http::Request::from_parts(head, body), timeouts)).await;
    let response = match sent.unwrap_or(Err(HttpError::ConnectionReadTimeout)) {
        Ok(response) => response,
        Err(error) => {
            let kind = failure_kind(&error);
            // What ran out of time does so again: its latency is the host's own patience.
            let latency = whole(if runs_out_of_time(kind) { patience } else { began.elapsed() });
            return Answer::Failure(RecordedFailure { kind, latency });
        }
    };
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let (mut cut, mut stall) = (None, None);
    loop {
        match tokio::time::timeout(timeouts.between_bytes, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) => {
                cut = Some(bytes.len());
                break;
            }
            Ok(None) => break,
            Err(_) => {
                stall = Some(bytes.len());
                break;
            }
        }
    }
    // The body came in that time as well; where the head of a replay would be late, it is not.
    let latency = if stall.is_some() { TICK } else { whole(began.elapsed()).min(patience.saturating_sub(TICK)) };
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = head.headers.iter().filter(|(name, _)| !OF_CONNECTION.contains(&name.as_str())).map(header);
    Answer::Response(Response {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: bytes,
        latency,
        chunks: ChunkSizes::Whole,
        pause: Duration::ZERO,
        cut,
        stall,
    })
}

fn whole(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
}

/// Whether somebody waited for an answer for as long as they would.
fn runs_out_of_time(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Timeout | FailureKind::WriteTimeout | FailureKind::ResponseTimeout)
}
