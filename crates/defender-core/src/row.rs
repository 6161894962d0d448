//! One row: what the engine reads of a record. A few of its members decide anything here.
//!
//! Sources of the members: of a detection the 50 of a record of 2020; Microsoft Learn, "Alert resource type" of Defender for
//! Endpoint, "alert" and "incident" of Microsoft Graph, and "List incidents API in Microsoft Defender XDR".

use std::borrow::Cow;

use twox_hash::XxHash64;

use crate::json::Node;
use crate::scan::{Scan, Stop, Text, Value};
use crate::tick::Tick;

/// What the records of an API look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Records {
    /// Detections of the SIEM API.
    Detections,
    /// Alerts of Defender for Endpoint.
    Alerts,
    /// Alerts and incidents of Microsoft Graph.
    Graph,
    /// Incidents of Defender XDR.
    Incidents,
}

/// What makes two records the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyedBy {
    /// `FullId`: a detection never changes.
    FullId,
    /// The id and the stamp: a thing is updated in place, and each version of it counts.
    Version,
    /// The id: a thing counts once, however it is updated.
    Id,
}

/// What is read of a record. A member that is missing, null or empty is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// `FullId` of a detection: unique for each combination of an alert and an indicator of compromise.
    pub full_id: Option<String>,
    /// `AlertId` of a detection, which all of one alert share; the id of an alert or incident.
    pub id: Option<String>,
    /// `AlertPart` of a detection: its running number within its alert.
    pub alert_part: Option<String>,
    /// When the record arrived at the back end or was updated there, which is what the service filters on.
    pub visible: Option<Tick>,
    /// When the event occurred; when the alert or incident came to be.
    pub occurred: Option<Tick>,
    /// Whether one of these members has a type or a form that it should not have, or the record is no object.
    pub is_odd: bool,
    /// Whether the record is an object at all.
    pub is_object: bool,
}

impl Row {
    /// Whether this looks like what was asked for, and not like some other object.
    pub fn is_identified(&self) -> bool {
        self.full_id.is_some() || self.id.is_some()
    }

    /// The identity of the record. Where what it is made of is missing, a hash of the record's bytes stands in.
    pub fn key(&self, keyed_by: KeyedBy, record: &[u8]) -> Cow<'_, str> {
        match (keyed_by, &self.full_id, &self.id, self.visible) {
            (KeyedBy::FullId, Some(full_id), ..) => Cow::Borrowed(full_id),
            (KeyedBy::Version, _, Some(id), Some(visible)) => Cow::Owned(format!("{id}@{visible}")),
            (KeyedBy::Id, _, Some(id), _) => Cow::Borrowed(id),
            (_, _, id, _) => {
                let id = id.as_deref().unwrap_or_default();
                let alert_part = self.alert_part.as_deref().unwrap_or_default();
                Cow::Owned(format!("{id}:{alert_part}:{:016x}", XxHash64::oneshot(0, record)))
            }
        }
    }

    /// Whether what its key is made of is there.
    pub(crate) fn has_key(&self, keyed_by: KeyedBy) -> bool {
        if keyed_by == KeyedBy::FullId { self.full_id.is_some() } else { self.id.is_some() }
    }
}

/// The number that the engine remembers a key by. Stable for ever: checkpoints hold it.
pub fn fingerprint(key: &str) -> u64 {
    XxHash64::oneshot(0, key.as_bytes())
}

impl Row {
    /// Reads a record, and says how many bytes it has.
    pub(crate) fn read(bytes: &[u8], records: Records) -> Result<(Self, usize), Stop> {
        let mut scan = Scan::new(bytes);
        let mut row = Self::default();
        if scan.open_object()? {
            row.is_object = true;
            let mut is_first = true;
            while let Some(name) = scan.name(is_first)? {
                is_first = false;
                let value = scan.value()?;
                match Member::of(&name, records) {
                    None => {}
                    Some(Member::FullId) => row.full_id = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::Id) => row.id = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::AlertPart) => row.alert_part = text(value).unwrap_or_odd(&mut row.is_odd),
                    Some(Member::Visible) => row.visible = stamp(value).unwrap_or_odd(&mut row.is_odd),
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
    Id,
    AlertPart,
    Visible,
    Occurred,
}

impl Member {
    #[inline(always)]
    fn of(name: &Text<'_>, records: Records) -> Option<Self> {
        match name.plain() {
            // Most members of a detection have a name of another length than these five.
            Some(plain) if records == Records::Detections && !matches!(plain.len(), 6 | 7 | 9 | 20) => None,
            Some(plain) => Self::named(plain, records),
            None => Self::named(decoded(name)?.as_bytes(), records),
        }
    }

    #[inline]
    fn named(name: &[u8], records: Records) -> Option<Self> {
        Some(match (records, name) {
            (Records::Detections, b"FullId") => Self::FullId,
            (Records::Detections, b"AlertPart") => Self::AlertPart,
            (Records::Detections, b"AlertId") | (Records::Alerts | Records::Graph, b"id") => Self::Id,
            (Records::Incidents, b"incidentId") => Self::Id,
            (Records::Detections, b"LastProcessedTimeUtc") | (Records::Graph, b"lastUpdateDateTime") => Self::Visible,
            (Records::Alerts | Records::Incidents, b"lastUpdateTime") => Self::Visible,
            (Records::Detections, b"AlertTime") | (Records::Alerts, b"alertCreationTime") => Self::Occurred,
            (Records::Graph, b"createdDateTime") | (Records::Incidents, b"createdTime") => Self::Occurred,
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
        row_of(json, Records::Detections)
    }

    fn row_of(json: &str, records: Records) -> Row {
        let (row, length) = Row::read(json.as_bytes(), records).unwrap();
        assert_eq!(length, json.len());
        row
    }

    #[test]
    fn an_alert_or_incident_is_told_by_its_id_and_its_version() {
        for (records, json, id) in [
            (
                Records::Alerts,
                r#"{"id":"da1_2","incidentId":7,"alertCreationTime":"2020-01-01T00:00:00Z","lastUpdateTime":"2020-01-02T00:00:00.57Z","lastUpdateDateTime":7}"#,
                "da1_2",
            ),
            (
                Records::Graph,
                r#"{"id":"da1_2","createdDateTime":"2020-01-01T00:00:00Z","lastUpdateDateTime":"2020-01-02T00:00:00.57Z","lastUpdateTime":7}"#,
                "da1_2",
            ),
            (
                Records::Incidents,
                r#"{"incidentId":264,"createdTime":"2020-01-01T00:00:00Z","lastUpdateTime":"2020-01-02T00:00:00.57Z","id":7.5}"#,
                "264",
            ),
        ] {
            let row = row_of(json, records);
            assert_eq!((row.id.as_deref(), row.full_id.as_deref(), row.is_odd), (Some(id), None, false), "{json}");
            assert_eq!(
                (row.occurred, row.visible),
                (Tick::parse("2020-01-01T00:00:00Z"), Tick::parse("2020-01-02T00:00:00.57Z"))
            );
            assert_eq!(row.key(KeyedBy::Version, b"x"), format!("{id}@2020-01-02T00:00:00.5700000Z"));
            assert_eq!(row.key(KeyedBy::Id, b"x"), id);
            assert!(row.has_key(KeyedBy::Version) && row.has_key(KeyedBy::Id) && !row.has_key(KeyedBy::FullId));
            let stampless = Row { visible: None, ..row };
            assert_ne!(stampless.key(KeyedBy::Version, b"x"), stampless.key(KeyedBy::Version, b"y"));
        }
    }

    #[test]
    fn either_id_tells_a_detection_from_some_other_object() {
        for (json, is_identified) in
            [(r#"{"FullId":"a:b"}"#, true), (r#"{"AlertId":"a"}"#, true), (r#"{"AlertPart":1}"#, false)]
        {
            assert_eq!(row(json).is_identified(), is_identified, "{json}");
        }
    }

    #[test]
    fn the_key_is_the_full_id() {
        let detection = row(r#"{"AlertId":"da1_2","FullId":"da1_2:abc=","AlertPart":0}"#);
        assert_eq!(detection.key(KeyedBy::FullId, b"{}"), "da1_2:abc=");
        assert!(!detection.is_odd);
    }

    #[test]
    fn without_a_full_id_the_key_is_made_of_the_record() {
        for absent in [r#""FullId":null,"#, r#""FullId":"","#, ""] {
            let record = format!(r#"{{{absent}"AlertId":"da1_2","AlertPart":7}}"#);
            let detection = row(&record);
            assert!(detection.key(KeyedBy::FullId, b"same bytes").starts_with("da1_2:7:"), "{record}");
            assert_ne!(
                row(&record).key(KeyedBy::FullId, b"other bytes"),
                row(&record).key(KeyedBy::FullId, b"same bytes")
            );
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
    fn a_stamp_without_text_is_none_and_an_id_may_be_any_whole_number() {
        let detection = row(r#"{"AlertTime":"","AlertId":18446744073709551615}"#);
        assert_eq!((detection.occurred, detection.is_odd), (None, false));
        assert_eq!(detection.id.as_deref(), Some("18446744073709551615"));
    }

    #[test]
    fn the_last_of_two_equal_members_counts() {
        assert_eq!(row(r#"{"AlertId":"a","AlertId":"b"}"#).id.as_deref(), Some("b"));
    }

    #[test]
    fn unknown_members_of_any_shape_are_passed_over() {
        let detection = row(r#"{"Later":{"x":[{},[null]]},"AlertId":"a","n":1e400,"u":"\ud83d\ude00"}"#);
        assert_eq!(detection.id.as_deref(), Some("a"));
        assert!(!detection.is_odd && detection.is_object);
    }
}
