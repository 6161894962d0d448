//! The keys that have been delivered and may be seen again, grouped by minute.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::base64;
use crate::tick::{TICKS_PER_SECOND, Tick};

const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// What a group costs in a checkpoint beside its keys: `"2026-01-01T00:00":"",`.
const GROUP_BYTES: usize = 22;

/// Fingerprints of delivered keys, by the minute that they count under.
///
/// A fingerprint has 64 bits: a false 'seen' would be a loss, so nothing shorter will do. It costs 8 bytes, or 11 as the
/// text of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// In ascending order, none of them empty. A tree would do the same at several times the size in the component.
    minutes: VecDeque<Minute>,
    minute_of: HashMap<u64, i64, BuildHasherDefault<AsIs>>,
    encoded: usize,
}

/// The keys of a minute, and their text as far as it cannot change when more of them come: every batch carries all of
/// it, and few minutes change from one batch to the next.
#[derive(Clone, Debug)]
struct Minute {
    number: i64,
    keys: Vec<u64>,
    text: String,
}

/// So many keys end where a letter of base64 ends, and are so many letters.
const ALIGNED_KEYS: usize = 3;
const ALIGNED_LETTERS: usize = 32;

/// `"2026-01-01T00:00":"`
const LABEL_BYTES: usize = 20;

impl Minute {
    fn new(number: i64) -> Self {
        let label = Tick(number * TICKS_PER_MINUTE).to_string();
        Self { number, keys: Vec::new(), text: format!("\"{}\":\"", label.get(..16).unwrap_or(&label)) }
    }

    fn push(&mut self, key: u64) {
        self.keys.push(key);
        self.encode();
    }

    fn remove(&mut self, key: u64) {
        let Some(at) = self.keys.iter().position(|other| *other == key) else { return };
        self.keys.remove(at);
        // What follows is encoded when it is written next, since keys often go one after the other.
        self.text.truncate(LABEL_BYTES + at / ALIGNED_KEYS * ALIGNED_LETTERS);
    }

    /// Encodes what has not been, as far as it ends with a letter.
    fn encode(&mut self) {
        let (groups, _) = self.keys.get(self.encoded()..).unwrap_or_default().as_chunks::<ALIGNED_KEYS>();
        for group in groups {
            encode(group, &mut self.text);
        }
    }

    /// How many keys the text holds.
    fn encoded(&self) -> usize {
        (self.text.len() - LABEL_BYTES) / ALIGNED_LETTERS * ALIGNED_KEYS
    }

    fn write_json(&self, out: &mut String) {
        out.push_str(&self.text);
        for group in self.keys.get(self.encoded()..).unwrap_or_default().chunks(ALIGNED_KEYS) {
            encode(group, out);
        }
        out.push('"');
    }
}

/// Appends the base64 of at most three keys, in little-endian order.
fn encode(keys: &[u64], out: &mut String) {
    let mut bytes = [0; ALIGNED_KEYS * 8];
    let (places, _) = bytes.as_chunks_mut::<8>();
    for (to, key) in places.iter_mut().zip(keys) {
        *to = key.to_le_bytes();
    }
    base64::encode(bytes.get(..keys.len() * 8).unwrap_or_default(), out);
}

impl Ring {
    /// The minute that an instant belongs to.
    fn minute(at: Tick) -> i64 {
        at.0.div_euclid(TICKS_PER_MINUTE)
    }

    /// Whether a key is remembered.
    pub fn contains(&self, fingerprint: u64) -> bool {
        self.minute_of.contains_key(&fingerprint)
    }

    /// Remembers a key under an instant; one that is remembered already stays where it is.
    pub fn insert(&mut self, fingerprint: u64, at: Tick) {
        let Entry::Vacant(of_key) = self.minute_of.entry(fingerprint) else { return };
        let minute = *of_key.insert(Self::minute(at));
        let index = self.minutes.partition_point(|other| other.number < minute);
        if self.minutes.get(index).is_none_or(|other| other.number != minute) {
            self.minutes.insert(index, Minute::new(minute));
        }
        if let Some(minute) = self.minutes.get_mut(index) {
            self.encoded -= group_bytes(minute.keys.len());
            minute.push(fingerprint);
            self.encoded += group_bytes(minute.keys.len());
        }
    }

    /// Lets a key that is remembered count under a later instant.
    pub fn move_up(&mut self, fingerprint: u64, at: Tick) {
        let Some(&minute) = self.minute_of.get(&fingerprint) else { return };
        if minute >= Self::minute(at) {
            return;
        }
        let index = self.minutes.partition_point(|other| other.number < minute);
        if let Some(minute) = self.minutes.get_mut(index) {
            self.encoded -= group_bytes(minute.keys.len());
            minute.remove(fingerprint);
            self.encoded += group_bytes(minute.keys.len());
            if minute.keys.is_empty() {
                self.minutes.remove(index);
            }
        }
        self.minute_of.remove(&fingerprint);
        self.insert(fingerprint, at);
    }

    /// Forgets every minute that ends at this instant or before it.
    pub fn forget_before(&mut self, at: Tick) {
        while let Some(minute) = self.minutes.pop_front_if(|minute| minute.number < Self::minute(at)) {
            self.forget(&minute.keys);
        }
    }

    /// Forgets every minute that reaches past this instant, and says when the first of them begins.
    pub fn forget_from(&mut self, at: Tick) -> Option<Tick> {
        let mut first = None;
        while let Some(minute) = self.minutes.pop_back_if(|minute| minute.number >= Self::minute(at)) {
            self.forget(&minute.keys);
            first = Some(Tick(minute.number * TICKS_PER_MINUTE));
        }
        first
    }

    /// When the oldest minute that is remembered begins and ends.
    pub fn oldest(&self) -> Option<(Tick, Tick)> {
        let minute = self.minutes.front()?.number;
        Some((Tick(minute * TICKS_PER_MINUTE), Tick((minute + 1) * TICKS_PER_MINUTE)))
    }

    #[inline(never)]
    fn forget(&mut self, keys: &[u64]) {
        self.encoded -= group_bytes(keys.len());
        for fingerprint in keys {
            self.minute_of.remove(fingerprint);
        }
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.minute_of.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.minute_of.is_empty()
    }

    /// The bytes that it takes in a checkpoint.
    pub fn encoded_bytes(&self) -> usize {
        self.encoded
    }

    /// The bytes that one more key may take.
    pub const KEY_BYTES: usize = GROUP_BYTES + 11;

    /// Writes the members of a JSON object: a minute, and the base64 of its keys in little-endian order.
    pub fn write_json(&self, out: &mut String) {
        for (index, minute) in self.minutes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            minute.write_json(out);
        }
    }

    /// Reads one member of that object back; false where it is none.
    #[must_use]
    pub fn read_json(&mut self, minute: &str, keys: &str) -> bool {
        let Some(at) = Tick::parse(&format!("{minute}:00Z")) else { return false };
        let Some(bytes) = base64::decode(keys) else { return false };
        let (keys, rest) = bytes.as_chunks::<8>();
        for key in keys {
            self.insert(u64::from_le_bytes(*key), at);
        }
        rest.is_empty()
    }
}

fn group_bytes(keys: usize) -> usize {
    if keys == 0 { 0 } else { GROUP_BYTES + (keys * 8 * 4).div_ceil(3) }
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 << 8) | u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine as _;
    use ::base64::prelude::BASE64_STANDARD_NO_PAD;

    use super::*;

    fn at(minute: i64) -> Tick {
        Tick(minute * TICKS_PER_MINUTE + 17)
    }

    fn json(ring: &Ring) -> String {
        let mut text = String::new();
        ring.write_json(&mut text);
        text
    }

    #[test]
    fn the_size_is_the_size_of_the_text() {
        let mut ring = Ring::default();
        for key in 0..100 {
            ring.insert(key * 7919, at((key % 7) as i64));
            ring.insert(key * 7919, at(99));
            assert_eq!(ring.encoded_bytes(), json(&ring).len() + 1, "{key}");
        }
        ring.forget_before(at(2));
        ring.forget_from(at(5));
        ring.move_up(2 * 7919, at(3));
        assert_eq!(ring.encoded_bytes(), json(&ring).len() + 1);
        ring.forget_before(at(1000));
        assert_eq!((ring.encoded_bytes(), ring.len()), (0, 0));
    }

    #[test]
    fn the_text_is_that_of_the_keys_whatever_came_and_went() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut ring, mut largest) = (Ring::default(), 0);
        for _ in 0..5_000 {
            let (key, minute) = (random(200).wrapping_mul(0x9E37_79B9_7F4A_7C15), at(random(12) as i64));
            match random(400) {
                0 => ring.forget_before(minute),
                1 => drop(ring.forget_from(minute)),
                2..80 => ring.move_up(key, minute),
                _ => ring.insert(key, minute),
            }
            let minute_text = |minute: &Minute| {
                let keys: Vec<u8> = minute.keys.iter().flat_map(|key| key.to_le_bytes()).collect();
                let label = Tick(minute.number * TICKS_PER_MINUTE).to_string();
                format!("\"{}\":\"{}\"", &label[..16], BASE64_STANDARD_NO_PAD.encode(keys))
            };
            let expected: Vec<String> = ring.minutes.iter().map(minute_text).collect();
            assert_eq!(json(&ring), expected.join(","));
            largest = largest.max(ring.len());
        }
        assert!(largest > 100, "{largest}");
    }

    #[test]
    fn a_key_that_leaves_a_crowded_minute_leaves_the_others_in_their_order() {
        for at_key in [0, 1, 95, 96, 299, 300, 301, 399] {
            let mut ring = Ring::default();
            (0..400).for_each(|key| ring.insert(key, at(1)));
            ring.move_up(at_key, at(2));
            let mut expected = Ring::default();
            (0..400).filter(|key| *key != at_key).for_each(|key| expected.insert(key, at(1)));
            expected.insert(at_key, at(2));
            assert_eq!(json(&ring), json(&expected), "{at_key}");
            let text = json(&ring);
            (0..400).rev().for_each(|key| ring.move_up(key, at(1)));
            assert_eq!(json(&ring), text, "none of them moves");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut ring = Ring::default();
        for key in 0..50u64 {
            ring.insert(key.wrapping_mul(0x9E37_79B9_7F4A_7C15), at((key % 3) as i64));
        }
        let members: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&format!("{{{}}}", json(&ring))).unwrap();
        let mut copy = Ring::default();
        assert!(members.iter().all(|(minute, keys)| copy.read_json(minute, keys)));
        assert_eq!((json(&copy), copy.len()), (json(&ring), 50));
        assert!(!copy.read_json("2026-01-01T00:00", "AAAA"), "three bytes are no key");
        assert!(!copy.read_json("2026-01-01", "AAAAAAAAAAA"));
    }

    #[test]
    fn a_fingerprint_is_its_own_hash() {
        let mut hasher = AsIs::default();
        hasher.write_u64(0x9E37_79B9_7F4A_7C15);
        assert_eq!(hasher.finish(), 0x9E37_79B9_7F4A_7C15);
        let mut hasher = AsIs::default();
        hasher.write(&0x0123_4567_89AB_CDEF_u64.to_be_bytes());
        hasher.write(&[0xFF]);
        assert_eq!(hasher.finish(), 0x2345_6789_ABCD_EFFF);
    }

    #[test]
    fn a_minute_is_forgotten_when_it_is_past_as_a_whole() {
        let mut ring = Ring::default();
        ring.insert(1, at(5));
        ring.forget_before(at(5));
        assert!(ring.contains(1));
        ring.forget_before(at(6));
        assert!(!ring.contains(1));
    }

    #[test]
    fn a_key_that_moves_up_outlives_its_first_minute() {
        let mut ring = Ring::default();
        ring.insert(1, at(5));
        ring.move_up(1, at(8));
        ring.move_up(1, at(6));
        ring.insert(1, at(9));
        ring.forget_before(at(8));
        assert!(ring.contains(1));
        assert_eq!(ring.oldest(), Some((Tick(8 * TICKS_PER_MINUTE), Tick(9 * TICKS_PER_MINUTE))));
    }
}
