//! `scenario.json` as text.

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::pretty;
use crate::duration::duration_text;
use crate::outcome::time_text;
use crate::response::ChunkSizes;
use crate::settings::{Budget, ClockJump, Faults, Position, Settings, Trap, Until};

impl Settings {
    /// The text of a `scenario.json` that reads as these settings. What is as if nothing were said is left out.
    pub fn text(&self) -> String {
        let default = Budget::default();
        let budget = &self.budget;
        let written = Written {
            why: &self.why,
            from: &self.from,
            starts: time_text(self.starts),
            position: match &self.position {
                Position::Resume(None) => None,
                Position::Resume(Some(checkpoint)) => Some(WrittenPosition::Resume(raw(checkpoint))),
                Position::Range(since, until) => {
                    Some(WrittenPosition::Range { since: time_text(*since), until: time_text(*until) })
                }
            },
            budget: (*budget != default).then(|| WrittenBudget {
                max_events: other(budget.max_events, default.max_events),
                max_bytes: other(budget.max_bytes, default.max_bytes),
                max_requests: other(budget.max_requests, default.max_requests),
                max_duration: other(budget.max_duration, default.max_duration).map(duration_text),
            }),
            until: (self.until == Until::Ended).then_some("ended"),
            polls: match self.until {
                Until::Polls(polls) => Some(polls),
                _ => None,
            },
            faults: self.faults.value(),
        };
        pretty(&written)
    }
}

fn other<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

#[derive(Serialize)]
struct Written<'a> {
    why: &'a str,
    from: &'a str,
    starts: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<WrittenPosition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<WrittenBudget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    polls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenPosition {
    Resume(Box<RawValue>),
    Range { since: String, until: String },
}

/// A checkpoint as it is where it is a JSON object, and as a text where it is anything else.
fn raw(checkpoint: &str) -> Box<RawValue> {
    let object = Some(checkpoint).filter(|text| text.starts_with('{')).and_then(|text| serde_json::from_str(text).ok());
    // A text can always be written.
    object.or_else(|| to_raw_value(checkpoint).ok()).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenBudget {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_events: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_requests: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration: Option<String>,
}

impl Faults {
    /// As `scenario.json` holds them; `None` where nothing goes wrong.
    fn value(&self) -> Option<Value> {
        let mut value = Map::new();
        match &self.chunks {
            ChunkSizes::Whole => {}
            ChunkSizes::Every(size) => drop(value.insert("chunks".to_owned(), json!(size))),
            ChunkSizes::Each(sizes) => drop(value.insert("chunks".to_owned(), json!(sizes))),
        }
        if self.fresh_instance_always {
            value.insert("fresh-instance-after".to_owned(), json!("every-poll"));
        } else if !self.fresh_instance_after.is_empty() {
            value.insert("fresh-instance-after".to_owned(), json!(self.fresh_instance_after));
        }
        if !self.clock_jumps.is_empty() {
            let jump = |jump: &ClockJump| {
                let sign = if jump.by < TimeDelta::zero() { "-" } else { "" };
                let length = jump.by.abs().to_std().unwrap_or_default();
                json!({ "after-poll": jump.after_poll, "by": format!("{sign}{}", duration_text(length)) })
            };
            value.insert("clock-jumps".to_owned(), self.clock_jumps.iter().map(jump).collect());
        }
        if !self.traps.is_empty() {
            let trap = |trap: &Trap| json!({ "in-poll": trap.in_poll, "at-request": trap.at_request });
            value.insert("traps".to_owned(), self.traps.iter().map(trap).collect());
        }
        (!value.is_empty()).then_some(Value::Object(value))
    }
}
