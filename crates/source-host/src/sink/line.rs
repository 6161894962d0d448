//! Events and gaps as lines of JSON.

use std::io::Write as _;

use memchr::memchr2;

use super::csv::HEADER as CSV_HEADER;
use crate::bindings::{Batch, Event, Gap, GapCause, Instant, Payload};
use crate::timestamp::Rfc3339;

/// What a line holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Shape {
    /// `source`, `kind`, `key`, `subject`, `occurred`, `visible`, `attributes` where there are any, and the record under
    /// `body`.
    #[default]
    Enveloped,
    /// The record alone.
    Bare,
}

/// A batch as the lines that a sink of this crate writes: its events, then its gaps, each with its line break.
#[must_use]
pub fn batch_lines(source: &str, batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    for event in &batch.events {
        push_event(&mut out, Shape::Enveloped, source, event);
        out.push(b'\n');
    }
    for gap in &batch.gaps {
        push_gap(&mut out, source, gap);
        out.push(b'\n');
    }
    out
}

/// The bytes that an event's line takes at the most, where nothing in its texts is escaped.
pub(super) fn room_for(event: &Event) -> usize {
    let attributes: usize = attributes(event).map(|(name, value)| name.len() + value.len() + 6).sum();
    event.body.as_bytes().len() + event.key.len() + event.subject.len() + event.kind.len() + attributes + 256
}

/// Appends an event without its line break.
pub(super) fn push_event(out: &mut Vec<u8>, shape: Shape, source: &str, event: &Event) {
    if shape == Shape::Bare {
        return push_bare(out, event);
    }
    push_enveloped(out, source, event, is_json(&event.content_type));
}

/// Appends an event without its line break, its record as a text whatever the content type promises: so the line is JSON.
pub(super) fn push_event_of_text(out: &mut Vec<u8>, source: &str, event: &Event) {
    push_enveloped(out, source, event, false);
}

fn push_enveloped(out: &mut Vec<u8>, source: &str, event: &Event, is_json: bool) {
    push_member(out, "{\"source\":", source);
    push_member(out, ",\"kind\":", &event.kind);
    push_member(out, ",\"key\":", &event.key);
    push_member(out, ",\"subject\":", &event.subject);
    push_time(out, ",\"occurred\":", event.occurred);
    push_time(out, ",\"visible\":", event.visible);
    push_attributes(out, event);
    out.extend_from_slice(b",\"body\":");
    match &event.body {
        Payload::Text(text) if is_json => push_json(out, text.as_bytes()),
        Payload::Text(text) => push_string(out, text),
        Payload::Binary(bytes) => push_string(out, &String::from_utf8_lossy(bytes)),
    }
    out.push(b'}');
}

/// What a line tells of an event's attributes: all but the header of a CSV row, which is the same for each of them.
fn attributes(event: &Event) -> impl Iterator<Item = (&str, &str)> {
    event.attributes.iter().map(|(name, value)| (&**name, &**value)).filter(|(name, _)| *name != CSV_HEADER)
}

/// The member `attributes`, where there are any.
fn push_attributes(out: &mut Vec<u8>, event: &Event) {
    let mut before: &[u8] = b",\"attributes\":{";
    for (name, value) in attributes(event) {
        out.extend_from_slice(before);
        push_string(out, name);
        push_member(out, ":", value);
        before = b",";
    }
    if before == b"," {
        out.push(b'}');
    }
}

/// What every enveloped line of a source begins with.
pub(super) fn source_prefix(source: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_member(&mut out, "{\"source\":", source);
    out.push(b',');
    out
}

/// Appends a gap without its line break, enveloped whatever the shape of events is.
pub(super) fn push_gap(out: &mut Vec<u8>, source: &str, gap: &Gap) {
    push_member(out, "{\"source\":", source);
    push_member(out, ",\"kind\":", "gap");
    push_member(out, ",\"key\":", &gap.key);
    match &gap.subject {
        Some(subject) => push_member(out, ",\"subject\":", subject),
        None => out.extend_from_slice(b",\"subject\":null"),
    }
    out.extend_from_slice(b",\"occurred\":null,\"visible\":null,\"body\":");
    push_member(out, "{\"kind\":", &gap.kind);
    push_time(out, ",\"since\":", Some(gap.since));
    push_time(out, ",\"until\":", Some(gap.until));
    push_member(out, ",\"cause\":", cause(&gap.cause));
    push_member(out, ",\"detail\":", &gap.detail);
    out.extend_from_slice(b"}}");
}

/// The word for a cause.
pub(crate) fn cause(cause: &GapCause) -> &str {
    match cause {
        GapCause::Truncated => "truncated",
        GapCause::Expired => "expired",
        GapCause::Unreadable => "unreadable",
        GapCause::Partial => "partial",
        GapCause::Other(word) => word,
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

fn push_bare(out: &mut Vec<u8>, event: &Event) {
    match &event.body {
        Payload::Text(text) if is_json(&event.content_type) => push_json(out, text.as_bytes()),
        // A line is a line: what is no JSON keeps its own escapes for breaks, if it has any.
        Payload::Text(text) => out.extend_from_slice(text.trim_end_matches(['\r', '\n']).as_bytes()),
        // A single wrong byte makes JSON binary; it is one line all the same.
        Payload::Binary(bytes) => push_json(out, bytes),
    }
}

/// Appends a record as it is, on one line: line breaks outside of strings go, and nothing else does.
fn push_json(out: &mut Vec<u8>, bytes: &[u8]) {
    if memchr2(b'\n', b'\r', bytes).is_none() {
        return out.extend_from_slice(bytes);
    }
    let start = out.len();
    let (mut in_string, mut escaped) = (false, false);
    for &byte in bytes {
        match byte {
            // No JSON has a line break inside a string, so this is text.
            b'\n' | b'\r' if in_string => {
                out.truncate(start);
                return push_string(out, &String::from_utf8_lossy(bytes));
            }
            b'\n' | b'\r' => continue,
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
        out.push(byte);
    }
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    push_string(out, value);
}

fn push_time(out: &mut Vec<u8>, name: &str, time: Option<Instant>) {
    out.extend_from_slice(name.as_bytes());
    match time {
        Some(time) => {
            // Writing to a vector does not fail.
            let _ = write!(out, "\"{}\"", Rfc3339(time));
        }
        None => out.extend_from_slice(b"null"),
    }
}

pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain..index]);
        plain = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(content_type: &str, body: &str) -> Event {
        Event {
            key: "k\"1".to_owned(),
            subject: "s\u{1}".to_owned(),
            kind: "detection".to_owned(),
            occurred: None,
            visible: Some(Instant { seconds: 0, nanoseconds: 100 }),
            content_type: content_type.to_owned(),
            body: Payload::Text(body.to_owned()),
            attributes: Vec::new(),
        }
    }

    fn line(shape: Shape, content_type: &str, body: &str) -> String {
        let mut out = Vec::new();
        push_event(&mut out, shape, "tenant", &event(content_type, body));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_one_line_with_its_record_untouched() {
        let body = r#"{ "a" : 1.50 , "b":"\u00e9" }"#;
        let expected = concat!(
            r#"{"source":"tenant","kind":"detection","key":"k\"1","subject":"s\u0001","occurred":null,"#,
            r#""visible":"1970-01-01T00:00:00.0000001Z","body":{ "a" : 1.50 , "b":"\u00e9" }}"#
        );
        assert_eq!(line(Shape::Enveloped, "application/json", body), expected);
        assert_eq!(line(Shape::Bare, "application/json; profile=raw", body), body);
    }

    #[test]
    fn attributes_stand_before_the_record_and_the_header_of_a_csv_row_is_none_of_them() {
        let with = |attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let mut out = Vec::new();
            push_event(
                &mut out,
                Shape::Enveloped,
                "tenant",
                &Event { attributes, ..event("application/json", "{\"a\":1}") },
            );
            String::from_utf8(out).unwrap()
        };
        let without = with(&[]);
        assert!(!without.contains("attributes"), "{without}");
        let expected = r#","attributes":{"without":"evidence","defects":"odd-\"member\""},"body":{"a":1}}"#;
        let told = with(&[("without", "evidence"), ("csv-header", "a,b"), ("defects", "odd-\"member\"")]);
        assert_eq!(told, without.replace(r#","body":{"a":1}}"#, expected));
        assert_eq!(with(&[("csv-header", "a,b")]), without);
    }

    #[test]
    fn a_pretty_record_loses_its_line_breaks_outside_strings_and_nothing_else() {
        let body = "{\r\n  \"a\": \"x\\\" {\\n\",\n\t\"b\": []\n}";
        assert_eq!(line(Shape::Bare, "application/json", body), "{  \"a\": \"x\\\" {\\n\",\t\"b\": []}");
    }

    #[test]
    fn a_record_with_a_byte_that_is_no_utf_8_is_one_line_as_well() {
        let odd = Event { body: Payload::Binary(b"{\n\"a\":\"\xFF\"\n}".to_vec()), ..event("application/json", "") };
        let mut out = Vec::new();
        push_event(&mut out, Shape::Bare, "tenant", &odd);
        assert_eq!(out, b"{\"a\":\"\xFF\"}");
    }

    #[test]
    fn what_is_no_json_is_a_string() {
        let enveloped = |content_type, body| line(Shape::Enveloped, content_type, body);
        assert!(enveloped("text/csv", "a,\"b\nc\"\r\n").ends_with(r#""body":"a,\"b\nc\"\r\n"}"#));
        assert!(enveloped("application/json", "{\"a\":\"b\nc\"}").ends_with(r#""body":"{\"a\":\"b\nc\"}"}"#));
        for body in ["a,b\n", "{\"a\":\"b\nc\"}"] {
            let value: serde_json::Value =
                serde_json::from_str(&enveloped("application/json", body).replace("a,b", "1")).unwrap();
            assert!(value.is_object());
        }
    }

    #[test]
    fn a_gap_is_a_line_of_kind_gap() {
        let gap = Gap {
            key: "g".to_owned(),
            kind: "detection".to_owned(),
            since: Instant { seconds: 0, nanoseconds: 0 },
            until: Instant { seconds: 1, nanoseconds: 0 },
            cause: GapCause::Other("limit".to_owned()),
            subject: None,
            detail: "too many".to_owned(),
        };
        let mut out = Vec::new();
        push_gap(&mut out, "tenant", &gap);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&value["kind"], &value["body"]["cause"]), (&"gap".into(), &"limit".into()));
        assert_eq!(value["body"]["until"], "1970-01-01T00:00:01.0000000Z");
    }
}
