//! `scenario.json` and `traffic.json` as text.

mod members;
mod settings;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::duration::duration_text;
use crate::failure::RecordedFailure;
use crate::folder::TRAFFIC_FILE;
use crate::interaction::{Answer, Interaction, RecordedRequest, Times};
use crate::range::TimeRange;
use crate::request_body::RecordedBody;
use crate::response::{ChunkSizes, Response};
use crate::traffic::{Group, Traffic};

use members::{Members, Patterns, WrittenPattern, pretty};

/// A larger body becomes a file of its own, in bytes.
const LARGEST_INLINE: usize = 64 << 10;

/// The files of a scenario, by name.
pub type Written = Vec<(String, Vec<u8>)>;

impl Traffic {
    /// The text of a `traffic.json` that reads as this traffic, and the files of its larger bodies.
    pub fn written(&self) -> Written {
        let mut files = Vec::new();
        let interactions = self.groups.iter().map(|group| WrittenGroup::new(group, &mut files)).collect();
        let text = pretty(&WrittenTraffic { interactions });
        files.insert(0, (TRAFFIC_FILE.to_owned(), text.into_bytes()));
        files
    }
}

#[derive(Serialize)]
struct WrittenTraffic<'a> {
    interactions: Vec<WrittenGroup<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenGroup<'a> {
    One(Box<WrittenInteraction<'a>>),
    #[serde(rename_all = "kebab-case")]
    Several {
        any_order: Vec<WrittenInteraction<'a>>,
    },
}

#[derive(Serialize)]
struct WrittenInteraction<'a> {
    why: &'a str,
    request: WrittenRequest<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<WrittenResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fail: Option<WrittenFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<WrittenRange<'a>>,
}

#[derive(Serialize)]
struct WrittenRange<'a> {
    since: &'a str,
    until: &'a str,
    stamp: &'a str,
}

#[derive(Serialize)]
struct WrittenRequest<'a> {
    method: &'a str,
    url: String,
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    query: Patterns<'a>,
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    headers: Patterns<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Patterns<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a Value>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    patterns: Members<'a, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<WrittenPattern<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize)]
struct WrittenResponse<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Members::is_empty")]
    headers: Members<'a, &'a str>,
    #[serde(flatten)]
    body: WrittenBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stall: Option<usize>,
}

/// At most one of these.
#[derive(Default, Serialize)]
struct WrittenBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenFailure {
    AtOnce(&'static str),
    Later { kind: &'static str, latency: String },
}

impl<'a> WrittenGroup<'a> {
    fn new(group: &'a Group, files: &mut Written) -> Self {
        let mut written = group.interactions.iter().map(|interaction| WrittenInteraction::new(interaction, files));
        match (written.next(), group.interactions.len()) {
            (Some(one), 1) => Self::One(Box::new(one)),
            (first, _) => Self::Several { any_order: first.into_iter().chain(written).collect() },
        }
    }
}

impl<'a> WrittenInteraction<'a> {
    fn new(interaction: &'a Interaction, files: &mut Written) -> Self {
        let (response, fail) = match &interaction.answer {
            Answer::Response(response) => (Some(WrittenResponse::new(response, interaction.number, files)), None),
            Answer::Failure(failure) => (None, Some(WrittenFailure::new(failure))),
        };
        let times = match interaction.times {
            Times::Exactly(1) => None,
            Times::Exactly(times) => Some(times.into()),
            Times::Any => Some("any".into()),
        };
        let range =
            interaction.range.as_ref().map(|TimeRange { since, until, stamp }| WrittenRange { since, until, stamp });
        Self { why: &interaction.why, request: WrittenRequest::new(&interaction.request), response, fail, times, range }
    }
}

impl<'a> WrittenRequest<'a> {
    fn new(request: &'a RecordedRequest) -> Self {
        let mut written = Self {
            method: &request.method,
            url: format!("{}{}", request.origin, request.path),
            query: Patterns::of(&request.query),
            headers: Patterns::of(&request.headers),
            form: None,
            json: None,
            patterns: Members::default(),
            text: None,
            base64: None,
        };
        match &request.body {
            RecordedBody::Empty => {}
            RecordedBody::Form(members) => written.form = Some(Patterns::of(members)),
            RecordedBody::Json(json) => {
                written.json = Some(&json.value);
                written.patterns = json.patterns.iter().map(|(at, pattern)| (at.as_str(), pattern.form())).collect();
            }
            RecordedBody::Text(pattern) => written.text = Some(WrittenPattern(pattern)),
            RecordedBody::Bytes(bytes) => written.base64 = Some(STANDARD.encode(bytes)),
        }
        written
    }
}

impl<'a> WrittenResponse<'a> {
    fn new(response: &'a Response, number: usize, files: &mut Written) -> Self {
        let headers = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let chunks = match &response.chunks {
            ChunkSizes::Whole => None,
            ChunkSizes::Every(size) => Some((*size).into()),
            ChunkSizes::Each(sizes) => Some(sizes.clone().into()),
        };
        Self {
            status: response.status,
            headers,
            body: WrittenBody::new(&response.body, number, files),
            latency: length(response.latency),
            chunks,
            pause: length(response.pause),
            cut: response.cut,
            stall: response.stall,
        }
    }
}

impl<'a> WrittenBody<'a> {
    fn new(bytes: &'a [u8], number: usize, files: &mut Written) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_text));
        let json =
            text.filter(|text| text.trim() == *text).and_then(|text| RawValue::from_string(text.to_owned()).ok());
        if bytes.len() > LARGEST_INLINE {
            let kind = if json.is_some() {
                "json"
            } else if text.is_some() {
                "txt"
            } else {
                "bin"
            };
            let name = format!("body-{number}.{kind}");
            files.push((name.clone(), bytes.to_vec()));
            return Self { file: Some(name), ..Self::default() };
        }
        match (json, text) {
            (Some(json), _) => Self { json: Some(json), ..Self::default() },
            (None, Some(text)) => Self { text: Some(text), ..Self::default() },
            (None, None) => Self { base64: Some(STANDARD.encode(bytes)), ..Self::default() },
        }
    }
}

/// What an editor shows and saves again as it is; a byte order mark is not among it.
fn is_text(letter: char) -> bool {
    letter != '\u{feff}' && (!letter.is_control() || "\t\r\n".contains(letter))
}

impl WrittenFailure {
    fn new(failure: &RecordedFailure) -> Self {
        match length(failure.latency) {
            None => Self::AtOnce(failure.kind.word()),
            Some(latency) => Self::Later { kind: failure.kind.word(), latency },
        }
    }
}

fn length(length: Duration) -> Option<String> {
    (!length.is_zero()).then(|| duration_text(length))
}

#[cfg(test)]
#[path = "written_tests.rs"]
mod tests;
