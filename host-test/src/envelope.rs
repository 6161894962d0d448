//! Events and gaps as lines of JSON.

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use source_host::{Batch, Event, Gap, GapCause, Instant, Payload};

/// The events and gaps of a batch, one line each.
pub(crate) fn lines(source: &str, batch: &Batch) -> String {
    batch
        .events
        .iter()
        .map(|event| of_event(source, event))
        .chain(batch.gaps.iter().map(|gap| of_gap(source, gap)))
        .collect()
}

fn of_event(source: &str, event: &Event) -> String {
    let attributes = event.attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let attributes: serde_json::Map<String, Value> = attributes.collect();
    line(&[
        ("source", Some(text(source))),
        ("kind", Some(text(&event.kind))),
        ("key", Some(text(&event.key))),
        ("subject", Some(text(&event.subject))),
        ("occurred", event.occurred.as_ref().map(time)),
        ("visible", event.visible.as_ref().map(time)),
        ("attributes", (!attributes.is_empty()).then(|| Value::from(attributes).to_string())),
        ("body", Some(body(event))),
    ])
}

fn of_gap(source: &str, gap: &Gap) -> String {
    let cause = match &gap.cause {
        GapCause::Truncated => "truncated",
        GapCause::Expired => "expired",
        GapCause::Unreadable => "unreadable",
        GapCause::Partial => "partial",
        GapCause::Other(word) => word,
    };
    line(&[
        ("source", Some(text(source))),
        ("kind", Some(text("gap"))),
        ("key", Some(text(&gap.key))),
        ("subject", gap.subject.as_deref().map(text)),
        ("of", Some(text(&gap.kind))),
        ("since", Some(time(&gap.since))),
        ("until", Some(time(&gap.until))),
        ("cause", Some(text(cause))),
        ("detail", Some(text(&gap.detail))),
    ])
}

fn line(members: &[(&str, Option<String>)]) -> String {
    let members: Vec<String> =
        members.iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value.as_ref()?))).collect();
    format!("{{{}}}\n", members.join(","))
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn time(instant: &Instant) -> String {
    DateTime::from_timestamp(instant.seconds, instant.nanoseconds)
        .map_or_else(|| "null".to_owned(), |time| text(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

/// JSON as it was sent, less the line breaks outside strings, of which JSON has none inside; anything else as text.
fn body(event: &Event) -> String {
    match &event.body {
        Payload::Text(body) if event.content_type.starts_with("application/json") => body.replace(['\r', '\n'], ""),
        Payload::Text(body) => text(body),
        Payload::Binary(bytes) => text(&String::from_utf8_lossy(bytes)),
    }
}
