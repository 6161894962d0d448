//! One detection: what the engine reads of a record of the SIEM API.
//!
//! Source of the members: the 50 of a record of 2020; of these five decide anything here.

use std::borrow::Cow;

use twox_hash::XxHash64;

use crate::json::Node;
use crate::scan::{Scan, Stop, Text, Value};
use crate::tick::Tick;

/// What is read of a record. A member that is missing, null or empty is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// `FullId`: unique for each combination of an alert and an indicator of compromise.
    pub full_id: Option<String>,
    /// `AlertId`: shared by all detections of one alert.
    pub alert_id: Option<String>,
    /// `AlertPart`: the running number of the detection within its alert.
    pub alert_part: Option<String>,
    /// `LastProcessedTimeUtc`: when the detection arrived at the back end, which is what the service filters on.
    pub processed: Option<Tick>,
    /// `AlertTime`: when the event occurred.
    pub occurred: Option<Tick>,
    /// Whether one of these members has a type or a form that it should not have, or the record is no object.
    pub is_odd: bool,
    /// Whether the record is an object at all.
    pub is_object: bool,
}

impl Row {
    /// Whether this looks like a detection, and not like some other object.
    pub fn is_detection(&self) -> bool {
        self.full_id.is_some() || self.alert_id.is_some()
    }

    /// The identity of the detection: `FullId`, else `AlertId`, `AlertPart` and a hash of the record's bytes.
    pub fn key(&self, record: &[u8]) -> Cow<'_, str> {
        if let Some(full_id) = &self.full_id {
            return Cow::Borrowed(full_id);
        }
        let alert_id = self.alert_id.as_deref().unwrap_or_default();
        let alert_part = self.alert_part.as_deref().unwrap_or_default();
        Cow::Owned(format!("{alert_id}:{alert_part}:{:016x}", XxHash64::oneshot(0, record)))
    }
}

/// The number that the engine remembers a key by. Stable for ever: checkpoints hold it.
pub fn fingerprint(key: &str) -> u64 {
    XxHash64::oneshot(0, key.as_bytes())
}

impl Row {
    /// Reads a record, and says how many bytes it has.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), Stop> {
        let mut scan = Scan::new(bytes);
        let mut row = Self::default();
        if scan.open_object()? {
            row.is_object = true;
            let mut is_first = true;
            while let Some(name) = scan.name(is_first)? {
                is_first = false;
                let value = scan.value()?;
                match Member::of(&name) {
                    None => {}
                    Some(Member::FullId) => row.full_id = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::AlertId) => row.alert_id = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::AlertPart) => row.alert_part = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::Processed) => row.processed = stamp(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::Occurred) => row.occurred = stamp(value).unwrap_or_odd(&mut row.is_odd),
                }
            }
        } else {
            scan.value()?;
            row.is_odd = true;
        }
        Ok((row, scan.position()))
    }
}

/// The members that matter.
#[derive(Clone, Copy)]
enum Member {
    FullId,
    AlertId,
    AlertPart,
    Processed,
    Occurred,
}

impl Member {
    #[inline(always)]
    fn of(name: &Text<'_>) -> Option<Self> {
        match name.plain() {
            // Most members have a name of another length than these five.
            Some(plain) if !matches!(plain.len(), 6 | 7 | 9 | 20) => None,
            Some(plain) => Self::named(plain),
            None => Self::named(decoded(name)?.as_bytes()),
        }
    }

    #[inline]
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"FullId" => Self::FullId,
            b"AlertId" => Self::AlertId,
            b"AlertPart" => Self::AlertPart,
            b"LastProcessedTimeUtc" => Self::Processed,
            b"AlertTime" => Self::Occurred,
            _ => return None,
        })
    }
}

/// A member has a type or a form that it should not have.
struct Odd;

trait OrOdd<T> {
    fn unwrap_or_odd(self, is_odd: &mut bool) -> Option<T>;
}

impl<T> OrOdd<T> for Result<Option<T>, Odd> {
    fn unwrap_or_odd(self, is_odd: &mut bool) -> Option<T> {
        self.unwrap_or_else(|Odd| {
            *is_odd = true;
            None
        })
    }
}

/// The text of a member; of a whole number that has one spelling alone, its digits.
fn text(value: Value<'_>) -> Result<Option<String>, Odd> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(decoded(&text).ok_or(Odd)?.into_owned()).filter(|text| !text.is_empty())),
        Value::Number(digits) => {
            let digits = str::from_utf8(digits).map_err(|_| Odd)?;
            let is_whole = digits != "-0" && (digits.parse::<u64>().is_ok() || digits.parse::<i64>().is_ok());
            if is_whole { Ok(Some(digits.to_owned())) } else { Err(Odd) }
        }
        Value::Bool | Value::Composite => Err(Odd),
    }
}

fn stamp(value: Value<'_>) -> Result<Option<Tick>, Odd> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => match decoded(&text).ok_or(Odd)?.as_ref() {
            "" => Ok(None),
            stamp => Tick::parse(stamp).map(Some).ok_or(Odd),
        },
        Value::Bool | Value::Number(_) | Value::Composite => Err(Odd),
    }
}

/// What a string means; none where that is no text: lone surrogates, or bytes that are no UTF-8.
fn decoded<'a>(text: &Text<'a>) -> Option<Cow<'a, str>> {
    match text.plain() {
        Some(plain) => str::from_utf8(plain).ok().map(Cow::Borrowed),
        None => match Node::read(text.quoted()) {
            Ok(Node::Text(text)) => Some(Cow::Owned(text)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        let (row, length) = Row::read(json.as_bytes()).unwrap();
        assert_eq!(length, json.len());
        row
    }

    #[test]
    fn the_key_is_the_full_id() {
        let detection = row(r#"{"AlertId":"da1_2","FullId":"da1_2:abc=","AlertPart":0}"#);
        assert_eq!(detection.key(b"{}"), "da1_2:abc=");
        assert!(!detection.is_odd);
    }

    #[test]
    fn without_a_full_id_the_key_is_made_of_the_record() {
        for absent in [r#""FullId":null,"#, r#""FullId":"","#, ""] {
            let record = format!(r#"{{{absent}"AlertId":"da1_2","AlertPart":7}}"#);
            let detection = row(&record);
            assert!(detection.key(b"same bytes").starts_with("da1_2:7:"), "{record}");
            assert_ne!(row(&record).key(b"other bytes"), row(&record).key(b"same bytes"));
            assert!(!detection.is_odd);
        }
    }

    #[test]
    fn a_fingerprint_never_changes() {
        assert_eq!(fingerprint(""), 0xEF46_DB37_51D8_E999);
        assert_eq!(fingerprint("da1_2:abc="), XxHash64::oneshot(0, b"da1_2:abc="));
    }

    #[test]
    fn wrong_types_are_odd_and_never_an_error() {
        for json in [
            r#"{"FullId":{"a":[1]}}"#,
            r#"{"AlertId":true}"#,
            r#"{"AlertPart":1.5}"#,
            r#"{"LastProcessedTimeUtc":12}"#,
            r#"{"LastProcessedTimeUtc":"soon"}"#,
            r#"{"AlertTime":["2020-01-01T00:00:00Z"]}"#,
            "[1,[2]]",
            "null",
            "1.5",
            "\"text\"",
            "true",
        ] {
            assert!(row(json).is_odd, "{json}");
        }
    }

    #[test]
    fn the_last_of_two_equal_members_counts() {
        assert_eq!(row(r#"{"AlertId":"a","AlertId":"b"}"#).alert_id.as_deref(), Some("b"));
    }

    #[test]
    fn unknown_members_of_any_shape_are_passed_over() {
        let detection = row(r#"{"Later":{"x":[{},[null]]},"AlertId":"a","n":1e400,"u":"\ud83d\ude00"}"#);
        assert_eq!(detection.alert_id.as_deref(), Some("a"));
        assert!(!detection.is_odd && detection.is_object);
    }
}
