//! The reader of answers, beside serde_json reading the whole body at once.

use std::hash::Hasher as _;

use defender_core::answer::{AnswerReader, Found};
use defender_core::row::{Records, Row};
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use twox_hash::XxHash64;

use crate::{Reached, canary, row};

/// What was read of a body: the records, and how it ended.
#[derive(Debug, Eq, PartialEq)]
struct Read {
    records: Vec<Record>,
    end: End,
    is_single: bool,
}

#[derive(Debug, Eq, PartialEq)]
enum Record {
    Whole(Vec<u8>, Row),
    Oversize(u64),
}

#[derive(Debug, Eq, PartialEq)]
enum End {
    Complete,
    CutOff,
    Malformed(u64),
}

/// However a body is cut into chunks, the same records come, byte for byte, and the same end. They are the records that
/// serde_json finds in the whole body, where the body is JSON.
///
/// The first byte is the size of the chunks and, from 128 on, says which of the other APIs it is; the second is the largest
/// record; the rest is the body.
pub fn answer(data: &[u8]) -> Reached {
    let [size, max_record, body @ ..] = data else { return Reached::new() };
    let mut reached = Reached::new();
    // Large enough for any record, so that all of them must come; or small, to see some passed over.
    let max_record = if *max_record < b'0' { usize::from(*max_record) + 1 } else { body.len() + 1 };
    let records = match size {
        ..0x80 => Records::Detections,
        0x80..0xA8 => Records::Alerts,
        0xA8..0xD0 => Records::Graph,
        0xD0.. => Records::Incidents,
    };
    let whole = read(records, body, &[body.len().max(1)], max_record);
    let size = usize::from(*size);
    for sizes in [vec![1], vec![2 + size % 7], vec![1 + size / 7, 1 + size % 31, 1, 0]] {
        let read = read(records, body, &sizes, max_record);
        if is_settled(&whole, max_record, body) {
            assert_eq!(read, whole, "in chunks of {sizes:?}: {}", String::from_utf8_lossy(body));
        }
    }
    check_slices(body, &whole);
    for record in &whole.records {
        match record {
            Record::Whole(bytes, found) => row::check(bytes, found, records, &mut reached),
            Record::Oversize(_) => {
                reached.insert("oversize");
            }
        }
    }
    let oracle = oracle(body);
    if let Some((records, is_single)) = &oracle {
        reached.insert(if *is_single { "single" } else { "array" });
        compare(records, *is_single, &whole, max_record, body);
    } else if whole.end == End::Complete {
        // What stands around the array in an envelope is not read.
        let shown = String::from_utf8_lossy(body);
        let is_enveloped = shown.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with('{');
        // Nor is a record that is passed over, but for its brackets and quotes.
        let is_read = max_record > body.len();
        let is_json = is_json(shown.trim_start_matches('\u{feff}').as_bytes());
        assert!(is_enveloped || is_json || !is_read, "{shown}");
        reached.insert("lenient");
    }
    reached.insert(match whole.end {
        End::Complete => "complete",
        End::CutOff => "cut-off",
        End::Malformed(_) => "malformed",
    });
    reached
}

/// Whether the end may not depend on the chunks: where a record is passed over for its size, a fault in it is seen only
/// while it is in the buffer.
fn is_settled(whole: &Read, max_record: usize, body: &[u8]) -> bool {
    max_record > body.len() || whole.end == End::Complete
}

fn read(kind: Records, body: &[u8], sizes: &[usize], max_record: usize) -> Read {
    let mut reader = AnswerReader::new(kind, max_record);
    let (mut records, mut rest, mut sizes) = (Vec::new(), body, sizes.iter().cycle());
    let mut has_ended = false;
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps <= 4 * body.len() + 16, "the reader does not come to an end");
        let end = match reader.find() {
            Found::Record(range, row) => {
                let bytes = reader.bytes(range).to_vec();
                assert!(!bytes.is_empty() && bytes.len() <= max_record);
                records.push(Record::Whole(bytes, row));
                continue;
            }
            Found::Oversize(hash) => {
                records.push(Record::Oversize(hash));
                continue;
            }
            Found::NeedsMore => {
                assert!(!has_ended, "more is wanted after the end");
                if rest.is_empty() {
                    reader.end();
                    has_ended = true;
                } else {
                    let (chunk, tail) = rest.split_at((*sizes.next().unwrap_or(&1)).min(rest.len()));
                    reader.push(chunk);
                    rest = tail;
                }
                continue;
            }
            Found::End => End::Complete,
            Found::CutOff => End::CutOff,
            Found::Malformed(malformed) => {
                assert!(malformed.offset <= body.len() as u64 && !malformed.what.is_empty());
                assert!(!malformed.from_the_start || records.is_empty());
                canary::check(&malformed);
                // Where exactly depends on what of it was there.
                End::Malformed(if malformed.from_the_start { malformed.offset } else { 0 })
            }
        };
        let is_single = reader.is_single_object();
        return Read { records, end, is_single };
    }
}

/// Records are pieces of the body, in its order.
fn check_slices(body: &[u8], read: &Read) {
    let mut rest = body;
    for record in &read.records {
        let Record::Whole(bytes, _) = record else { continue };
        let at = canary::find(rest, bytes);
        assert!(at.is_some(), "a record is no piece of the body: {}", String::from_utf8_lossy(bytes));
        rest = rest.get(at.unwrap_or(0) + bytes.len()..).unwrap_or_default();
        assert!(is_json(bytes), "{}", String::from_utf8_lossy(bytes));
    }
}

/// Whether a record is JSON but for what is not looked at: invalid UTF-8, and control characters in names.
pub(crate) fn is_json(record: &[u8]) -> bool {
    let text = String::from_utf8_lossy(record).replace(|c: char| c.is_ascii_control(), " ");
    serde_json::from_str::<&RawValue>(&text).is_ok()
}

fn compare(records: &[&str], is_single: bool, whole: &Read, max_record: usize, body: &[u8]) {
    let shown = String::from_utf8_lossy(body);
    if max_record <= body.len() {
        // What stands before the array of an envelope is held as well, and no more of it than of a record.
        let is_object = body.trim_ascii_start().starts_with(b"{") || body.starts_with(b"\xEF\xBB\xBF");
        if is_single || (is_object && matches!(whole.end, End::Malformed(_))) {
            return;
        }
        let found: Vec<_> = whole.records.iter().map(Some).chain(std::iter::repeat(None)).take(records.len()).collect();
        for (expected, found) in records.iter().zip(found) {
            match found {
                Some(Record::Whole(bytes, _)) => assert_eq!(bytes, expected.as_bytes(), "{shown}"),
                Some(Record::Oversize(hash)) => {
                    assert!(expected.len() > max_record, "{expected} in {shown}");
                    let mut hasher = XxHash64::with_seed(0);
                    hasher.write(expected.as_bytes());
                    assert_eq!(*hash, hasher.finish(), "{expected} in {shown}");
                }
                None => panic!("{expected} is missing: {whole:?} of {shown}"),
            }
        }
        assert_eq!(whole.end, End::Complete, "{shown}");
        return;
    }
    assert_eq!(whole.end, End::Complete, "{shown}");
    assert_eq!(whole.is_single, is_single, "{shown}");
    assert_eq!(whole.records.len(), records.len(), "{shown}");
    for (expected, found) in records.iter().zip(&whole.records) {
        assert!(matches!(found, Record::Whole(bytes, _) if bytes == expected.as_bytes()), "{expected} in {shown}");
    }
}

/// The records of a body, and whether it is a single one; none where it is no answer, or no JSON.
fn oracle(body: &[u8]) -> Option<(Vec<&str>, bool)> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    if raw.get().starts_with('[') {
        let records: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        return Some((records.into_iter().map(RawValue::get).collect(), false));
    }
    if !raw.get().starts_with('{') {
        return None;
    }
    let array = serde_json::Deserializer::from_str(raw.get()).deserialize_map(OnlyArray).ok()?;
    Some(match array {
        Some(records) => (records.into_iter().map(RawValue::get).collect(), false),
        None => (vec![raw.get()], true),
    })
}

/// Finds the member `value` that holds an array.
struct OnlyArray;

impl<'de> Visitor<'de> for OnlyArray {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?;
            let is_value = serde_json::from_str(name.get()).is_ok_and(|name: String| name == "value");
            if is_value && value.get().starts_with('[') {
                if found.is_some() {
                    return Err(A::Error::custom("two arrays, of which one may be the answer"));
                }
                found = serde_json::from_str(value.get()).ok();
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}
