//! Where a request differs from a recorded one, part by part.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use crate::canary::is_secret;
use crate::interaction::RecordedRequest;
use crate::pattern::Pattern;
use crate::request::{Address, Request, decode_form};
use crate::request_body::{RecordedBody, compare_json};

/// One part of a request that is not as recorded. Secrets are compared, and never kept here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Which part, such as `query sinceTimeUtc` or `header accept`.
    pub part: String,
    /// What was recorded; `None` for nothing.
    pub expected: Option<String>,
    /// What was sent; `None` for nothing.
    pub got: Option<String>,
}

impl Difference {
    fn new(part: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { part: part.into(), expected: Some(expected.into()), got: Some(got.into()) }
    }

    /// How far apart both sides are, where they are times.
    pub(crate) fn apart(&self) -> Option<TimeDelta> {
        let (expected, got) = (self.expected.as_deref()?, self.got.as_deref()?);
        Some((read_time(expected)? - read_time(got)?).abs())
    }

    /// How much it says that another request was meant.
    pub(crate) fn weight(&self) -> usize {
        match self.part.as_str() {
            "origin" | "path" => 8,
            "method" => 6,
            _ => 1,
        }
    }
}

/// A time as services are asked for it: RFC 3339, with a zone or without one, a date, or seconds or milliseconds since 1970.
pub(crate) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let plain = || text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc());
    let date = || text.parse::<NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0)).map(|time| time.and_utc());
    let number = || match (text.len(), text.parse().ok()?) {
        (10, seconds) => DateTime::from_timestamp(seconds, 0),
        (13, milliseconds) => DateTime::from_timestamp_millis(milliseconds),
        _ => None,
    };
    zoned().or_else(plain).or_else(date).or_else(number)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<String>| side.as_ref().map_or("nothing".to_owned(), |text| format!("`{text}`"));
        write!(f, "{}: expected {}, got {}", self.part, side(&self.expected), side(&self.got))
    }
}

/// Every part of `request` that is not as `recorded`; empty where it matches.
pub(crate) fn differences(recorded: &RecordedRequest, request: &Request) -> Vec<Difference> {
    let mut found = Vec::new();
    if recorded.method != request.method {
        found.push(Difference::new("method", &recorded.method, &request.method));
    }
    let Some(address) = Address::parse(&request.url) else {
        found.push(Difference::new("origin", &recorded.origin, "no absolute URL"));
        return found;
    };
    if recorded.origin != address.origin {
        found.push(Difference::new("origin", &recorded.origin, &address.origin));
    }
    if recorded.path != address.path {
        found.push(Difference::new("path", &recorded.path, &address.path));
    }
    compare_members("query", &recorded.query, &address.query, &mut found);
    compare_headers(recorded, request, &mut found);
    compare_body(recorded, request, &mut found);
    found
}

fn compare_headers(recorded: &RecordedRequest, request: &Request, found: &mut Vec<Difference>) {
    for (name, pattern) in &recorded.headers {
        let values = request.header(name);
        let part = format!("header {name}");
        match pattern {
            Pattern::Absent => {
                found.extend(values.iter().map(|got| hidden(&part, name, None, Some((*got).to_owned()))));
            }
            _ if values.iter().any(|value| pattern.matches(value)) => {}
            _ => {
                let got = values.first().map(|got| (*got).to_owned());
                found.push(hidden(&part, name, Some(pattern.to_string()), got));
            }
        }
    }
}

fn compare_body(recorded: &RecordedRequest, request: &Request, found: &mut Vec<Difference>) {
    let got = || match request.body.len() {
        0 => None,
        length => Some(format!("{length} bytes")),
    };
    let text = std::str::from_utf8(&request.body);
    match &recorded.body {
        RecordedBody::Empty if request.body.is_empty() => {}
        RecordedBody::Empty => found.push(Difference { part: "body".to_owned(), expected: None, got: got() }),
        RecordedBody::Form(form) => match text {
            Ok(body) => compare_members("form", form, &decode_form(body), found),
            Err(_) => found.push(Difference::new("form", "a form", "bytes that are not UTF-8")),
        },
        RecordedBody::Json(json) => match serde_json::from_slice(&request.body) {
            Ok(value) => compare_json(json, &value, found),
            Err(error) => found.push(Difference::new("json", "JSON", format!("what is none: {error}"))),
        },
        RecordedBody::Text(pattern) => match text {
            Ok(body) if pattern.matches(body) => {}
            Ok(body) => found.push(Difference::new("text", pattern.to_string(), body)),
            Err(_) => found.push(Difference::new("text", pattern.to_string(), "bytes that are not UTF-8")),
        },
        RecordedBody::Bytes(bytes) if *bytes == request.body => {}
        RecordedBody::Bytes(bytes) => {
            let expected = Some(format!("{} other bytes", bytes.len()));
            found.push(Difference { part: "body".to_owned(), expected, got: got() });
        }
    }
}

/// Compares names with values in any order. Values of the same name are paired off, exact ones first.
fn compare_members(what: &str, recorded: &[(String, Pattern)], sent: &[(String, String)], found: &mut Vec<Difference>) {
    let mut names: Vec<&str> = Vec::new();
    for name in recorded.iter().map(|(name, _)| name).chain(sent.iter().map(|(name, _)| name)) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let mut wanted: Vec<&Pattern> = recorded.iter().filter(|(other, _)| other == name).map(|(_, p)| p).collect();
        wanted.sort_by_key(|pattern| !matches!(pattern, Pattern::Exact(_)));
        let mut got: Vec<&str> = sent.iter().filter(|(other, _)| other == name).map(|(_, v)| v.as_str()).collect();
        wanted.retain(|pattern| match got.iter().position(|value| pattern.matches(value)) {
            Some(index) => {
                got.remove(index);
                false
            }
            None => true,
        });
        let part = format!("{what} {name}");
        for index in 0..wanted.len().max(got.len()) {
            let expected = wanted.get(index).map(ToString::to_string);
            found.push(hidden(&part, name, expected, got.get(index).map(|got| (*got).to_owned())));
        }
    }
}

/// A difference whose sides are shown only where they are no secrets.
pub(crate) fn hidden(part: &str, name: &str, expected: Option<String>, got: Option<String>) -> Difference {
    let (expected, got) = if is_secret(name) {
        let other = if expected.is_some() { "another value (a secret, not shown)" } else { "a value (not shown)" };
        (expected.map(|_| "a secret (not shown)".to_owned()), got.map(|_| other.to_owned()))
    } else {
        (expected, got)
    };
    Difference { part: part.to_owned(), expected, got }
}
