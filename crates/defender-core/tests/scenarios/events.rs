//! Events and gaps as the lines of `expected.ndjson`.

use defender_core::contract::{Event, Gap, GapCause};
use serde_json::{Value, json};

/// The line of an event, its record with the bytes that the service sent, less line breaks outside strings.
pub(crate) fn event_line(source: &str, event: &Event) -> String {
    let envelope = |name: &str, value: Value| format!("\"{name}\":{value}");
    let time = |time: Option<defender_core::tick::Tick>| time.map_or(Value::Null, |time| time.to_string().into());
    let body = String::from_utf8(event.body.as_bytes().to_vec()).unwrap();
    let body = match event.content_type {
        "application/json" => body.replace(['\r', '\n'], ""),
        _ => Value::from(body).to_string(),
    };
    let mut members = vec![
        envelope("source", source.into()),
        envelope("kind", event.kind.into()),
        envelope("key", event.key.as_str().into()),
        envelope("subject", event.subject.as_str().into()),
        envelope("occurred", time(event.occurred)),
        envelope("visible", time(event.visible)),
    ];
    // The header of a CSV row is the same for each of them.
    let attributes = event.attributes.iter().filter(|(name, _)| name != "csv-header");
    let attributes: Vec<_> = attributes.map(|(name, value)| envelope(name, value.as_str().into())).collect();
    if !attributes.is_empty() {
        members.push(format!("\"attributes\":{{{}}}", attributes.join(",")));
    }
    members.push(format!("\"body\":{body}"));
    format!("{{{}}}", members.join(","))
}

/// The line of a gap, whose members are compared without regard to their order.
pub(crate) fn gap_line(source: &str, gap: &Gap) -> String {
    let cause = match gap.cause {
        GapCause::Truncated => "truncated",
        GapCause::Expired => "expired",
        GapCause::Unreadable => "unreadable",
        GapCause::Partial => "partial",
        GapCause::Other(word) => word,
    };
    let body = json!({
        "kind": gap.kind, "since": gap.since.to_string(), "until": gap.until.to_string(), "cause": cause,
        "detail": gap.detail,
    });
    let line = json!({
        "source": source, "kind": "gap", "key": gap.key, "subject": gap.subject, "occurred": null, "visible": null,
        "body": body,
    });
    line.to_string()
}

/// Where the lines are not those that are expected: events byte for byte, gaps member by member.
pub(crate) fn differences(expected: &str, got: &[String]) -> Vec<String> {
    let expected: Vec<&str> = expected.lines().collect();
    let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let mut differences: Vec<String> = expected
        .iter()
        .zip(got)
        .filter(|(expected, got)| {
            let is_gap = value(expected)["kind"] == "gap";
            **expected != got.as_str() && !(is_gap && value(expected) == value(got))
        })
        .map(|(expected, got)| format!("expected\n  {expected}\nand got\n  {got}"))
        .collect();
    if expected.len() != got.len() {
        differences.push(format!("expected {} lines, and got {}", expected.len(), got.len()));
    }
    differences
}
