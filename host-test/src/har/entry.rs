//! An entry of a HAR as an interaction.

use std::time::Duration;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use scenario::{
    Address, Answer, ChunkSizes, FailureKind, Interaction, JsonBody, Pattern, RecordedBody, RecordedFailure,
    RecordedRequest, Response, TimeRange, Times, parse_duration,
};
use serde_json::Value;

use super::import::HarError;
use super::model::{self, Content, Entry, Extra, Pair, PostData};
use crate::record::{OF_CONNECTION, request_body};

/// Headers of a request that matter whoever sent it. The others are the browser's own.
const KEPT: [&str; 2] = ["authorization", "content-type"];

/// An interaction, and the group whose order does not matter that it is in. `is_ours` where the headers are those that a
/// scenario chose.
pub(super) fn read(entry: Entry, place: &str, is_ours: bool) -> Result<(Option<usize>, Interaction), HarError> {
    let latency = latency(&entry, is_ours);
    let why = entry.comment.clone().filter(|comment| !comment.trim().is_empty());
    let extra = entry.scenario.unwrap_or_else(|| Extra {
        why: why.unwrap_or_else(|| format!("{}, as the HAR has it.", place[..1].to_uppercase() + &place[1..])),
        ..Extra::default()
    });
    let wrong =
        |what: &str| HarError::new(format!("{place}: `_scenario.{what}` is not as it was exported"), "export it again");
    let times = match &extra.times {
        None => Times::Exactly(1),
        Some(Value::String(any)) if any == "any" => Times::Any,
        Some(times) => {
            Times::Exactly(times.as_u64().and_then(|times| times.try_into().ok()).ok_or_else(|| wrong("times"))?)
        }
    };
    let request = request(entry.request, place, is_ours)?;
    let answer = match failure(&entry.response, extra.fail.as_deref()) {
        Some(kind) => Answer::Failure(RecordedFailure { kind, latency }),
        None => {
            let mut response = response(entry.response, latency, place, is_ours)?;
            response.chunks = match &extra.chunks {
                None => ChunkSizes::Whole,
                Some(Value::Array(sizes)) => {
                    let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
                    ChunkSizes::Each(sizes.iter().map(size).collect::<Option<_>>().ok_or_else(|| wrong("chunks"))?)
                }
                Some(size) => {
                    let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
                    ChunkSizes::Every(size.ok_or_else(|| wrong("chunks"))?)
                }
            };
            if let Some(pause) = &extra.pause {
                response.pause = parse_duration(pause).ok_or_else(|| wrong("pause"))?;
            }
            (response.cut, response.stall) = (extra.cut, extra.stall);
            Answer::Response(response)
        }
    };
    let range = extra.range.map(|[since, until, stamp]| TimeRange { since, until, stamp });
    Ok((extra.any_order, Interaction { number: 0, line: 0, why: extra.why, request, answer, times, range }))
}

/// All phases together; where a scenario was exported, to the nanosecond.
fn latency(entry: &Entry, is_ours: bool) -> Duration {
    let timings = &entry.timings;
    let phases: f64 = [timings.send, timings.wait, timings.receive].iter().filter(|phase| **phase > 0.0).sum();
    let milliseconds = if entry.time > 0.0 { entry.time } else { phases };
    let nanoseconds = if is_ours { (milliseconds * 1e6).round() } else { milliseconds.round() * 1e6 };
    // Out of range it is cut off, and nobody waited that long.
    Duration::from_nanos(nanoseconds as u64)
}

fn request(request: model::Request, place: &str, is_ours: bool) -> Result<RecordedRequest, HarError> {
    let url = request.url.split('#').next().unwrap_or_default();
    let Some(address) = Address::parse(url) else {
        return Err(HarError::new(format!("{place}: that is no URL"), "correct it, or leave it out with --only"));
    };
    let query = if is_ours {
        request.query_string.into_iter().map(Pair::into_pattern).collect()
    } else {
        address.query.into_iter().map(|(name, value)| (name, Pattern::Exact(value))).collect()
    };
    let body = match request.post_data {
        Some(data) => body(data, place)?,
        None if request.body_size > 0 => {
            let message =
                format!("{place}: the body of the request, of {} bytes, is not in the file", request.body_size);
            return Err(HarError::new(
                message,
                "record it again, and save it with content; or leave it out with --only",
            ));
        }
        None => RecordedBody::Empty,
    };
    let headers = request.headers.into_iter().map(Pair::into_pattern);
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let kept =
        |name: &str| is_ours || (KEPT.contains(&name) && (name != "content-type" || body != RecordedBody::Empty));
    Ok(RecordedRequest {
        method: request.method.to_ascii_uppercase(),
        origin: address.origin,
        path: address.path,
        query,
        headers: headers.filter(|(name, _)| kept(name)).collect(),
        body,
    })
}

fn body(data: PostData, place: &str) -> Result<RecordedBody, HarError> {
    let no = |what: String| {
        HarError::new(format!("{place}: the body of the request {what}"), "correct it, or leave it out with --only")
    };
    let text = data.text.unwrap_or_default();
    Ok(match data.kind.as_deref() {
        Some("form") => {
            RecordedBody::Form(data.params.unwrap_or_default().into_iter().map(Pair::into_pattern).collect())
        }
        Some("json") => {
            let value = serde_json::from_str(&text).map_err(|error| no(format!("is no JSON: {error}")))?;
            let patterns = data.patterns.into_iter().map(Pair::into_pattern).collect();
            RecordedBody::Json(JsonBody { value, patterns })
        }
        Some("text") if data.pattern => RecordedBody::Text(Pattern::Glob(text)),
        Some("text") => RecordedBody::Text(Pattern::Exact(text)),
        _ if data.encoding.as_deref() == Some("base64") => {
            RecordedBody::Bytes(STANDARD.decode(&text).map_err(|error| no(format!("is no base64: {error}")))?)
        }
        _ if text.is_empty() => match data.params {
            // Browsers keep them encoded as they were sent.
            Some(params) if !params.is_empty() => {
                let pairs = params.iter().map(|pair| format!("{}={}", pair.name, pair.value));
                request_body(pairs.collect::<Vec<_>>().join("&").as_bytes(), &data.mime_type)
            }
            _ => RecordedBody::Empty,
        },
        _ => request_body(text.as_bytes(), &data.mime_type),
    })
}

/// How a connection failed that brought no answer.
fn failure(response: &model::Response, told: Option<&str>) -> Option<FailureKind> {
    if let Some(kind) = told {
        return FailureKind::of_word(kind);
    }
    if response.status != 0 {
        return None;
    }
    let error = response.error.as_deref().unwrap_or_default();
    Some(match error {
        _ if error.contains("NAME_NOT_RESOLVED") => FailureKind::Dns,
        _ if error.contains("CONNECTION_REFUSED") => FailureKind::Refused,
        _ if error.contains("CERT_") => FailureKind::Certificate,
        _ if error.contains("SSL_") => FailureKind::Tls,
        _ if error.contains("CONNECTION_TIMED_OUT") => FailureKind::ConnectTimeout,
        _ if error.contains("TIMED_OUT") => FailureKind::Timeout,
        _ => FailureKind::Reset,
    })
}

fn response(response: model::Response, latency: Duration, place: &str, is_ours: bool) -> Result<Response, HarError> {
    let body = content(response.content, place)?;
    if !(200..600).contains(&response.status) {
        let message = format!("{place}: {} is no final HTTP status", response.status);
        return Err(HarError::new(message, "leave it out with --only"));
    }
    let mut headers = Vec::new();
    for Pair { name, value, .. } in response.headers {
        let plain = name.to_ascii_lowercase();
        // The text is decoded, and what HTTP/2 begins with a colon is no header.
        let is_spent = plain == "content-encoding" || plain.starts_with(':') || OF_CONNECTION.contains(&plain.as_str());
        if !is_ours && is_spent {
            continue;
        }
        let value = if !is_ours && plain == "content-length" { body.len().to_string() } else { value };
        // Chrome writes several of one name as one, with line breaks.
        headers.extend(value.lines().map(|value| (name.clone(), value.to_owned())));
        if value.is_empty() {
            headers.push((name, value));
        }
    }
    Ok(Response {
        status: response.status,
        headers,
        body,
        latency,
        chunks: ChunkSizes::Whole,
        pause: Duration::ZERO,
        cut: None,
        stall: None,
    })
}

fn content(content: Content, place: &str) -> Result<Vec<u8>, HarError> {
    match (content.text, content.encoding.as_deref()) {
        (Some(text), Some("base64")) => STANDARD.decode(text.as_bytes()).map_err(|error| {
            HarError::new(format!("{place}: the body of its answer is no base64: {error}"), "save the HAR again")
        }),
        (Some(text), _) => Ok(text.into_bytes()),
        (None, _) if content.size > 0 => {
            let message = format!("{place}: the body of its answer, of {} bytes, is not in the file", content.size);
            let hint = "record it again, and save it with content (`Save all as HAR with content`); or leave it out with --only";
            Err(HarError::new(message, hint))
        }
        (None, _) => Ok(Vec::new()),
    }
}
