//! `expected.json`: what each poll returned, in a form that people review.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::duration::duration_text;

/// What a whole run returned, beside its events and gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// What is wrong with the configuration, where the source refuses it; then there are no polls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_config: Vec<NoticeOutcome>,
    /// One after the other.
    pub polls: Vec<PollOutcome>,
}

/// What one poll returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PollOutcome {
    /// When the poll began, on the virtual clock; jumps of the wall clock are left out.
    pub at: String,
    /// How many HTTP requests it made.
    pub requests: usize,
    /// How many events it returned.
    pub events: usize,
    /// How many events have which attribute with which value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, BTreeMap<String, usize>>,
    /// How many gaps it returned.
    pub gaps: usize,
    /// When the next poll is due; `None` after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextOutcome>,
    /// Why it returned no batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureOutcome>,
    /// Whether its instance was lost on purpose, so that it returned nothing at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Everything made visible before this has been delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// What an operator should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeOutcome>,
    /// What only the source can count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// The checkpoint, taken apart where it is a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Value>,
}

/// When the next poll is due.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextOutcome {
    /// At once.
    Now,
    /// After this ISO 8601 duration.
    After(String),
    /// Never: the range has been read.
    Ended,
}

/// Something said to an operator.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NoticeOutcome {
    /// `error`, `warning` or `note`.
    pub level: &'static str,
    /// Its stable word.
    pub code: String,
    /// JSON Pointer into the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What is so.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why a poll returned no batch.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureOutcome {
    /// The case of `failure`, in kebab-case.
    pub kind: &'static str,
    /// Its stable word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What happened.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the service's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How long to wait before the next poll, as an ISO 8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What is wrong with the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<NoticeOutcome>,
    /// The least budget that would do, member by member.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub least_budget: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// The text of an `expected.json`.
    pub fn text(&self) -> String {
        let mut text = format!("{:#}", self.value());
        text.push('\n');
        text
    }

    /// The same as a value, which compares without regard to formatting.
    pub fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl PollOutcome {
    /// Counts an attribute of an event.
    pub fn count_attribute(&mut self, name: &str, value: &str) {
        *self.attributes.entry(name.to_owned()).or_default().entry(value.to_owned()).or_default() += 1;
    }

    /// A checkpoint as `expected.json` holds it.
    pub fn checkpoint_value(checkpoint: &str) -> Value {
        match serde_json::from_str(checkpoint) {
            Ok(object @ Value::Object(_)) => object,
            _ => Value::from(checkpoint),
        }
    }
}

impl NextOutcome {
    /// After so many nanoseconds.
    pub fn after(nanoseconds: u64) -> Self {
        Self::After(duration_text(Duration::from_nanos(nanoseconds)))
    }
}

/// A time as `expected.json` holds it: UTC with as many digits as it needs.
pub fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
