//! One record, beside serde_json's own value of it.

use defender_core::row::{KeyedBy, Records, Row, fingerprint};
use defender_core::tick::Tick;
use serde_json::Value;

use crate::Reached;

/// What was read of a record is what its members say, and the same bytes have the same key.
pub(crate) fn check(record: &[u8], row: &Row, records: Records, reached: &mut Reached) {
    for keyed_by in [KeyedBy::FullId, KeyedBy::Version, KeyedBy::Id] {
        let key = row.key(keyed_by, record);
        assert!(!key.is_empty());
        assert_eq!(fingerprint(&key), fingerprint(&row.clone().key(keyed_by, record)));
    }
    // What serde_json cannot hold as a value, such as a lone surrogate or 1e400, is delivered all the same.
    let Ok(value) = serde_json::from_slice::<Value>(record) else {
        reached.insert("beyond-a-value");
        return;
    };
    let Value::Object(members) = value else {
        assert!(row.is_odd && !row.is_object && !row.is_identified());
        reached.insert("not-an-object");
        return;
    };
    assert!(row.is_object);
    let (id, visible, occurred) = match records {
        Records::Detections => ("AlertId", "LastProcessedTimeUtc", "AlertTime"),
        Records::Alerts => ("id", "lastUpdateTime", "alertCreationTime"),
        Records::Graph => ("id", "lastUpdateDateTime", "createdDateTime"),
        Records::Incidents => ("incidentId", "lastUpdateTime", "createdTime"),
    };
    let mut texts = vec![(id, &row.id)];
    if records == Records::Detections {
        texts.extend([("FullId", &row.full_id), ("AlertPart", &row.alert_part)]);
    } else {
        assert_eq!((&row.full_id, &row.alert_part), (&None, &None));
        reached.insert("of-another-api");
    }
    for (name, read) in texts {
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
    for (name, read) in [(visible, row.visible), (occurred, row.occurred)] {
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
