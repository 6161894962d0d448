//! One detection: what the engine reads of a record of the SIEM API.
//!
//! Source of the members: the 50 of a record of 2020; of these five decide anything here.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use twox_hash::XxHash64;

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
    /// A record of which nothing can be read but that it is JSON, and whether it is an object.
    pub(crate) fn unreadable(is_object: bool) -> Self {
        Self { is_odd: true, is_object, ..Self::default() }
    }

    /// Whether this looks like a detection, and not like some other object.
    pub fn is_detection(&self) -> bool {
        self.full_id.is_some() || self.alert_id.is_some()
    }

    /// The identity of the detection: `FullId`, else `AlertId`, `AlertPart` and a hash of the record's bytes.
    pub fn key(&mut self, record: &[u8]) -> String {
        self.full_id.take().unwrap_or_else(|| {
            let alert_id = self.alert_id.as_deref().unwrap_or_default();
            let alert_part = self.alert_part.as_deref().unwrap_or_default();
            format!("{alert_id}:{alert_part}:{:016x}", XxHash64::oneshot(0, record))
        })
    }
}

/// The number that the engine remembers a key by. Stable for ever: checkpoints hold it.
pub fn fingerprint(key: &str) -> u64 {
    XxHash64::oneshot(0, key.as_bytes())
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a detection")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = Row { is_object: true, ..Row::default() };
        while let Some(name) = map.next_key::<Name>()? {
            match name {
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
                Name::FullId => row.full_id = map.next_value::<Text>()?.or_odd(&mut row.is_odd),
                Name::AlertId => row.alert_id = map.next_value::<Text>()?.or_odd(&mut row.is_odd),
                Name::AlertPart => row.alert_part = map.next_value::<Text>()?.or_odd(&mut row.is_odd),
                Name::Processed => row.processed = map.next_value::<Stamp>()?.or_odd(&mut row.is_odd),
                Name::Occurred => row.occurred = map.next_value::<Stamp>()?.or_odd(&mut row.is_odd),
            }
        }
        Ok(row)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Row, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(no_object())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Row, E> {
        Ok(no_object())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Row, E> {
        Ok(no_object())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Row, E> {
        Ok(no_object())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Row, E> {
        Ok(no_object())
    }

    fn visit_str<E>(self, _: &str) -> Result<Row, E> {
        Ok(no_object())
    }

    fn visit_unit<E>(self) -> Result<Row, E> {
        Ok(no_object())
    }
}

fn no_object() -> Row {
    Row::unreadable(false)
}

/// The names of members that matter.
enum Name {
    FullId,
    AlertId,
    AlertPart,
    Processed,
    Occurred,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, which spares the 45 other names the check for UTF-8.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
        Ok(match name {
            b"FullId" => Name::FullId,
            b"AlertId" => Name::AlertId,
            b"AlertPart" => Name::AlertPart,
            b"LastProcessedTimeUtc" => Name::Processed,
            b"AlertTime" => Name::Occurred,
            _ => Name::Other,
        })
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// What a member of a record holds, whatever its type.
enum Lenient<T> {
    Value(T),
    Absent,
    Odd,
}

impl<T> Lenient<T> {
    fn or_odd(self, is_odd: &mut bool) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent => None,
            Self::Odd => {
                *is_odd = true;
                None
            }
        }
    }
}

type Text = Lenient<String>;
type Stamp = Lenient<Tick>;

/// What a member is read from.
trait FromScalar: Sized {
    fn from_text(text: &str) -> Lenient<Self>;
    fn from_number(number: impl fmt::Display) -> Lenient<Self>;
}

impl FromScalar for String {
    fn from_text(text: &str) -> Text {
        Lenient::Value(text.to_owned())
    }

    fn from_number(number: impl fmt::Display) -> Text {
        Lenient::Value(number.to_string())
    }
}

impl FromScalar for Tick {
    fn from_text(text: &str) -> Stamp {
        Self::parse(text).map_or(Lenient::Odd, Lenient::Value)
    }

    fn from_number(_: impl fmt::Display) -> Stamp {
        Lenient::Odd
    }
}

impl<'de, T: FromScalar> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor(std::marker::PhantomData))
    }
}

struct LenientVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: FromScalar> Visitor<'de> for LenientVisitor<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Lenient<T>, E> {
        Ok(if text.is_empty() { Lenient::Absent } else { T::from_text(text) })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Lenient<T>, E> {
        Ok(T::from_number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Lenient<T>, E> {
        Ok(T::from_number(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Lenient<T>, E> {
        Ok(Lenient::Odd)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Lenient<T>, E> {
        Ok(Lenient::Odd)
    }

    fn visit_unit<E>(self) -> Result<Lenient<T>, E> {
        Ok(Lenient::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lenient<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Lenient::Odd)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lenient<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Lenient::Odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_key_is_the_full_id() {
        let mut detection = row(r#"{"AlertId":"da1_2","FullId":"da1_2:abc=","AlertPart":0}"#);
        assert_eq!(detection.key(b"{}"), "da1_2:abc=");
        assert!(!detection.is_odd);
    }

    #[test]
    fn without_a_full_id_the_key_is_made_of_the_record() {
        for absent in [r#""FullId":null,"#, r#""FullId":"","#, ""] {
            let record = format!(r#"{{{absent}"AlertId":"da1_2","AlertPart":7}}"#);
            let mut detection = row(&record);
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
