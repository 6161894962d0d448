//! A scenario as a HAR.

use std::time::Duration;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use percent_encoding::utf8_percent_encode;
use scenario::{
    Answer, ChunkSizes, Interaction, Pattern, RESERVED, RecordedBody, RecordedRequest, Scenario, Times, duration_text,
};
use serde_json::{Value, json};

use super::model::{Content, Creator, Entry, Extra, Files, Har, Log, Pair, PostData, Request, Response, Timings};

const FORM: &str = "application/x-www-form-urlencoded";

/// The text of a HAR 1.2 of a scenario's traffic. What HAR has no place for stands in members that begin with `_`, so that
/// [`import_har`](crate::import_har) brings the same traffic back.
#[must_use]
pub fn export_har(scenario: &Scenario) -> String {
    let mut clock = scenario.settings.starts;
    let mut entries = Vec::new();
    for (number, group) in scenario.traffic.groups.iter().enumerate() {
        let any_order = (group.interactions.len() > 1).then_some(number + 1);
        for interaction in &group.interactions {
            let entry = entry(interaction, any_order, clock);
            clock += TimeDelta::from_std(latency(interaction)).unwrap_or_default();
            entries.push(entry);
        }
    }
    let har = Har {
        log: Log {
            version: "1.2".to_owned(),
            creator: Creator { name: "host-test".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            entries,
            comment: Some(scenario.settings.why.clone()),
            scenario: Some(Files { settings: scenario.settings.text(), config: scenario.config.clone() }),
        },
    };
    // Every key is a text and every number is one, which is all that could fail.
    let mut text = serde_json::to_string_pretty(&har).unwrap_or_default();
    text.push('\n');
    text
}

fn latency(interaction: &Interaction) -> Duration {
    match &interaction.answer {
        Answer::Response(response) => response.latency,
        Answer::Failure(failure) => failure.latency,
    }
}

fn entry(interaction: &Interaction, any_order: Option<usize>, at: DateTime<Utc>) -> Entry {
    let time = latency(interaction).as_secs_f64() * 1_000.0;
    Entry {
        started_date_time: at.to_rfc3339_opts(SecondsFormat::Millis, true),
        time,
        request: request(&interaction.request),
        response: response(&interaction.answer),
        cache: json!({}),
        timings: Timings { send: 0.0, wait: time, receive: 0.0 },
        comment: Some(interaction.why.clone()),
        resource_type: None,
        scenario: Some(extra(interaction, any_order)),
    }
}

fn extra(interaction: &Interaction, any_order: Option<usize>) -> Extra {
    let times = match interaction.times {
        Times::Exactly(1) => None,
        Times::Exactly(times) => Some(times.into()),
        Times::Any => Some("any".into()),
    };
    let range = interaction.range.clone().map(|range| [range.since, range.until, range.stamp]);
    let extra = Extra { why: interaction.why.clone(), any_order, times, range, ..Extra::default() };
    match &interaction.answer {
        Answer::Failure(failure) => Extra { fail: Some(failure.kind.word().to_owned()), ..extra },
        Answer::Response(response) => Extra {
            chunks: match &response.chunks {
                ChunkSizes::Whole => None,
                ChunkSizes::Every(size) => Some((*size).into()),
                ChunkSizes::Each(sizes) => Some(sizes.clone().into()),
            },
            pause: (!response.pause.is_zero()).then(|| duration_text(response.pause)),
            cut: response.cut,
            stall: response.stall,
            ..extra
        },
    }
}

fn request(request: &RecordedRequest) -> Request {
    let mut url = format!("{}{}", request.origin, request.path);
    for (index, (name, pattern)) in request.query.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url += &format!("{}={}", encoded(name), encoded(&pattern.form()));
    }
    let post_data = post_data(request);
    let sent = post_data.as_ref().and_then(|data| data.text.as_ref()).map_or(0, String::len);
    Request {
        method: request.method.clone(),
        url,
        http_version: "HTTP/1.1".to_owned(),
        cookies: Vec::new(),
        headers: pairs(&request.headers),
        query_string: pairs(&request.query),
        post_data,
        headers_size: -1,
        body_size: i64::try_from(sent).unwrap_or(-1),
    }
}

fn post_data(request: &RecordedRequest) -> Option<PostData> {
    let named = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, pattern)| pattern.form());
    let of = |kind: &str, usual: &str| PostData {
        mime_type: named.clone().unwrap_or_else(|| usual.to_owned()),
        kind: Some(kind.to_owned()),
        ..PostData::default()
    };
    Some(match &request.body {
        RecordedBody::Empty => return None,
        RecordedBody::Form(members) => {
            let text = members.iter().map(|(name, pattern)| format!("{}={}", encoded(name), encoded(&pattern.form())));
            let text = text.collect::<Vec<_>>().join("&");
            PostData { params: Some(pairs(members)), text: Some(text), ..of("form", FORM) }
        }
        RecordedBody::Json(body) => PostData {
            text: Some(body.value.to_string()),
            patterns: pairs(&body.patterns),
            ..of("json", "application/json")
        },
        RecordedBody::Text(pattern) => PostData {
            text: Some(pattern.form()),
            pattern: matches!(pattern, Pattern::Glob(_)),
            ..of("text", "text/plain")
        },
        RecordedBody::Bytes(bytes) => PostData {
            text: Some(STANDARD.encode(bytes)),
            encoding: Some("base64".to_owned()),
            ..of("base64", "application/octet-stream")
        },
    })
}

fn response(answer: &Answer) -> Response {
    let nothing = Response {
        status: 0,
        status_text: String::new(),
        http_version: "HTTP/1.1".to_owned(),
        cookies: Vec::<Value>::new(),
        headers: Vec::new(),
        content: Content { mime_type: "x-unknown".to_owned(), ..Content::default() },
        redirect_url: String::new(),
        headers_size: -1,
        body_size: -1,
        error: None,
    };
    let response = match answer {
        Answer::Failure(failure) => return Response { error: Some(failure.kind.word().to_owned()), ..nothing },
        Answer::Response(response) => response,
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let size = i64::try_from(response.body.len()).unwrap_or(i64::MAX);
    let (text, encoding) = match std::str::from_utf8(&response.body) {
        Ok("") => (None, None),
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (Some(STANDARD.encode(&response.body)), Some("base64".to_owned())),
    };
    let reason = http::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    Response {
        status: response.status,
        status_text: reason.unwrap_or_default().to_owned(),
        headers: response.headers.iter().map(|(name, value)| Pair::new(name, value)).collect(),
        content: Content { size, mime_type: header("content-type"), text, encoding },
        redirect_url: header("location"),
        body_size: size,
        ..nothing
    }
}

fn pairs(members: &[(String, Pattern)]) -> Vec<Pair> {
    members.iter().map(|(name, pattern)| Pair::of(name, pattern)).collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
