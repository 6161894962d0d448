//! One record, beside serde_json's own value of it.

use defender_core::detection::{Row, fingerprint};
use defender_core::tick::Tick;
use serde_json::Value;

use crate::Reached;

/// What was read of a record is what its members say, and the same bytes have the same key.
pub(crate) fn check(record: &[u8], row: &Row, reached: &mut Reached) {
    let key = row.key(record);
    assert!(!key.is_empty());
    assert_eq!(fingerprint(&key), fingerprint(&row.clone().key(record)));
    // What serde_json cannot hold as a value, such as a lone surrogate or 1e400, is delivered all the same.
    let Ok(value) = serde_json::from_slice::<Value>(record) else {
        reached.insert("beyond-a-value");
        return;
    };
    let Value::Object(members) = value else {
        assert!(row.is_odd && !row.is_object && !row.is_detection());
        reached.insert("not-an-object");
        return;
    };
    assert!(row.is_object);
    for (name, read) in [("FullId", &row.full_id), ("AlertId", &row.alert_id), ("AlertPart", &row.alert_part)] {
        match members.get(name) {
            None | Some(Value::Null) => assert_eq!(read, &None, "{name}"),
            Some(Value::String(text)) => assert_eq!(read.as_deref(), Some(text.as_str()).filter(|t| !t.is_empty())),
            // A fraction numbers nothing.
            Some(Value::Number(number)) => {
                assert!(if number.is_f64() { row.is_odd } else { read.is_some() }, "{name}");
                reached.insert("number");
            }
            Some(_) => {
                assert!(read.is_none() && row.is_odd, "{name}");
                reached.insert("odd");
            }
        }
    }
    for (name, read) in [("LastProcessedTimeUtc", row.processed), ("AlertTime", row.occurred)] {
        match members.get(name) {
            None | Some(Value::Null) => assert_eq!(read, None, "{name}"),
            Some(Value::String(text)) if text.is_empty() => assert_eq!(read, None, "{name}"),
            Some(Value::String(text)) => {
                assert_eq!(read, Tick::parse(text), "{name}");
                assert!(read.is_some() || row.is_odd, "{name}");
                reached.insert(if read.is_some() { "stamp" } else { "no-stamp" });
            }
            Some(_) => assert!(read.is_none() && row.is_odd, "{name}"),
        }
    }
}
