//! The ring of keys, beside one that is plainly right.

use std::collections::BTreeMap;

use defender_core::ring::Ring;
use defender_core::tick::{TICKS_PER_SECOND, Tick};

use crate::Reached;
use crate::bytes::Bytes;

const MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// Each operation changes the ring as it changes a map from key to minute; its size is the size of its text; its text
/// reads back as the same ring.
///
/// Four bytes are an operation, two keys' worth and an instant.
pub fn ring(data: &[u8]) -> Reached {
    let mut reached = Reached::new();
    let mut bytes = Bytes::new(data);
    let (mut ring, mut model) = (Ring::default(), BTreeMap::<u64, i64>::new());
    while !bytes.is_empty() {
        let (operation, key, minute) = (bytes.below(6), bytes.byte(), i64::from(bytes.byte()) - 100);
        let at = Tick(minute * MINUTE + i64::from(bytes.byte()) * (MINUTE / 256));
        // Some keys are alike in all but a few bits, as those of a poor hash would be.
        let key = if key < 128 { u64::from(key) } else { u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) };
        match operation {
            0 | 1 => {
                ring.insert(key, at);
                model.entry(key).or_insert(minute);
                reached.insert("insert");
            }
            2 => {
                ring.move_up(key, at);
                if let Some(of_key) = model.get_mut(&key) {
                    *of_key = minute.max(*of_key);
                    reached.insert("move-up");
                }
            }
            3 => {
                ring.forget_before(at);
                model.retain(|_, of_key| *of_key >= minute);
                reached.insert("forget-before");
            }
            4 => {
                let first = model.values().filter(|of_key| **of_key >= minute).min();
                let expected = first.map(|minute| Tick(minute * MINUTE));
                assert_eq!(ring.forget_from(at), expected);
                model.retain(|_, of_key| *of_key < minute);
                reached.insert("forget-from");
            }
            _ => ring = read_back(&ring),
        }
        check(&ring, &model);
        assert_eq!(ring.contains(key), model.contains_key(&key));
    }
    for key in model.keys() {
        assert!(ring.contains(*key));
    }
    check(&read_back(&ring), &model);
    reached
}

fn check(ring: &Ring, model: &BTreeMap<u64, i64>) {
    assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
    let oldest = model.values().min().map(|minute| (Tick(minute * MINUTE), Tick((minute + 1) * MINUTE)));
    assert_eq!(ring.oldest(), oldest);
    let written = text(ring).len();
    assert_eq!(ring.encoded_bytes(), if model.is_empty() { 0 } else { written + 1 });
}

fn text(ring: &Ring) -> String {
    let mut text = String::new();
    ring.write_json(&mut text);
    text
}

fn read_back(ring: &Ring) -> Ring {
    let written = text(ring);
    let members: BTreeMap<String, String> =
        serde_json::from_str(&format!("{{{written}}}")).expect("the text of a ring is the inside of an object");
    let mut copy = Ring::default();
    for (minute, keys) in &members {
        assert!(copy.read_json(minute, keys), "{minute}: {keys}");
    }
    assert_eq!(text(&copy), written);
    copy
}
