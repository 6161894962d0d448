//! Where reading stands, and its text: versioned, checksummed, bound to its source, readable for a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use twox_hash::XxHash64;

use crate::contract::{Failure, Fault};
use crate::ring::Ring;
use crate::tick::{Tick, Ticks};

/// The longest text of a checkpoint, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 256 * 1024;

/// What everything in a checkpoint but the ring takes at the most, in bytes.
pub const HEADER_BYTES: usize = 2048;

const FORMAT: &str = "defender-source/1";

/// Everything that reading on needs.
#[derive(Clone, Debug)]
pub struct State {
    /// What it belongs to.
    pub identity: String,
    /// Nothing before it is asked for. Fixed by the first poll.
    pub start: Tick,
    /// The end of a closed range.
    pub bound: Option<Tick>,
    /// Everything that was visible before it has been read once.
    pub cursor: Tick,
    /// Nothing before it is asked for again, so the ring holds no older key.
    pub reread: Tick,
    /// Everything before it has been delivered, as the contract defines it.
    pub watermark: Option<Tick>,
    /// The pass over all that may be new, where one is under way.
    pub round: Option<Round>,
    /// How long a slice may be at present.
    pub length: Ticks,
    /// So many rows in an answer mean that it was cut.
    pub cap: Option<u32>,
    /// So many rows in an answer were proven to be all of them.
    pub whole: u32,
    /// How often in a row the present slice failed.
    pub failures: u32,
    /// How often it failed while its neighbour could be read.
    pub strikes: u32,
    /// Whether the ring was too full for the keys of the present slice: then they are not all in it.
    pub frozen: bool,
    /// A single request that was sent, and when.
    pub asked: Option<Tick>,
    /// Whether a single request has been read to its end.
    pub answered: bool,
    /// The keys that may be seen again.
    pub ring: Ring,
}

/// One pass from the oldest slice to the newest.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct Round {
    /// Where it ends.
    #[serde(deserialize_with = "stamp")]
    pub until: Tick,
    /// Where the present slice begins: everything before it has been read in this round.
    #[serde(deserialize_with = "stamp")]
    pub at: Tick,
    /// Where the present slice ends.
    #[serde(deserialize_with = "stamp")]
    pub end: Tick,
}

impl State {
    /// The text of the checkpoint.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(HEADER_BYTES + self.ring.encoded_bytes());
        let _ = self.write(&mut text);
        let sum = XxHash64::oneshot(0, text.as_bytes());
        let _ = write!(text, ",\"sum\":\"{sum:016x}\"}}");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let identity = serde_json::Value::from(self.identity.as_str());
        write!(out, "{{\"format\":\"{FORMAT}\",\"identity\":{identity},\"start\":\"{}\"", self.start)?;
        if let Some(bound) = self.bound {
            write!(out, ",\"bound\":\"{bound}\"")?;
        }
        write!(out, ",\"cursor\":\"{}\",\"reread\":\"{}\"", self.cursor, self.reread)?;
        if let Some(watermark) = self.watermark {
            write!(out, ",\"watermark\":\"{watermark}\"")?;
        }
        if let Some(Round { until, at, end }) = self.round {
            write!(out, ",\"round\":{{\"until\":\"{until}\",\"at\":\"{at}\",\"end\":\"{end}\"}}")?;
        }
        write!(out, ",\"length\":{}", self.length)?;
        if let Some(cap) = self.cap {
            write!(out, ",\"cap\":{cap}")?;
        }
        for (name, count) in [("whole", self.whole), ("failures", self.failures), ("strikes", self.strikes)] {
            if count > 0 {
                write!(out, ",\"{name}\":{count}")?;
            }
        }
        if let Some(asked) = self.asked {
            write!(out, ",\"asked\":\"{asked}\"")?;
        }
        for (name, flag) in [("frozen", self.frozen), ("answered", self.answered)] {
            if flag {
                write!(out, ",\"{name}\":true")?;
            }
        }
        out.push_str(",\"keys\":{");
        self.ring.write_json(out);
        out.push('}');
        Ok(())
    }

    /// Reads a checkpoint of the source with this identity.
    ///
    /// # Errors
    ///
    /// [`Failure::UnusableCheckpoint`] for one that is corrupt, of a later version, or of another source.
    pub fn from_text(text: &str, identity: &str) -> Result<Self, Failure> {
        let wire = Wire::read(text)?;
        if wire.identity != identity {
            return Err(unusable(
                "checkpoint.foreign",
                format!("the checkpoint belongs to `{}`, and this source is `{identity}`", wire.identity),
                "give each tenant and API a state of its own; to begin anew on purpose, remove the stored checkpoint",
            ));
        }
        wire.into_state().ok_or_else(|| corrupt("its values contradict each other"))
    }
}

/// The text as it is parsed.
#[derive(Deserialize)]
struct Wire<'a> {
    identity: String,
    #[serde(deserialize_with = "stamp")]
    start: Tick,
    #[serde(default, deserialize_with = "some_stamp")]
    bound: Option<Tick>,
    #[serde(deserialize_with = "stamp")]
    cursor: Tick,
    #[serde(deserialize_with = "stamp")]
    reread: Tick,
    #[serde(default, deserialize_with = "some_stamp")]
    watermark: Option<Tick>,
    round: Option<Round>,
    length: Ticks,
    cap: Option<u32>,
    #[serde(default)]
    whole: u32,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    strikes: u32,
    #[serde(default)]
    frozen: bool,
    #[serde(default, deserialize_with = "some_stamp")]
    asked: Option<Tick>,
    #[serde(default)]
    answered: bool,
    #[serde(borrow)]
    keys: BTreeMap<&'a str, &'a str>,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    format: std::borrow::Cow<'a, str>,
}

impl<'a> Wire<'a> {
    fn read(text: &'a str) -> Result<Self, Failure> {
        let header: Header<'_> =
            serde_json::from_str(text).map_err(|_| corrupt("it is no checkpoint of this source"))?;
        if header.format != FORMAT {
            return Err(if header.format.starts_with("defender-source/") {
                unusable(
                    "checkpoint.version",
                    format!("the checkpoint has the format `{}`, and this version reads `{FORMAT}`", header.format),
                    "run the version that wrote it, or a later one",
                )
            } else {
                corrupt("it was written by another program")
            });
        }
        let (summed, sum) = text.rsplit_once(",\"sum\":\"").ok_or_else(|| corrupt("its checksum is missing"))?;
        if sum != format!("{:016x}\"}}", XxHash64::oneshot(0, summed.as_bytes())) {
            return Err(corrupt("its checksum is wrong: it was cut or changed"));
        }
        serde_json::from_str(text).map_err(|_| corrupt("its members are not those of its format"))
    }

    /// None where values contradict each other, which the checksum cannot see.
    fn into_state(self) -> Option<State> {
        let mut ring = Ring::default();
        if !self.keys.iter().all(|(minute, keys)| ring.read_json(minute, keys)) {
            return None;
        }
        let round_is_sound = self.round.is_none_or(|round| round.at < round.end && round.end <= round.until);
        let bound_is_sound = self.bound.is_none_or(|bound| self.start < bound);
        let is_sound = round_is_sound && bound_is_sound && self.start <= self.cursor && self.length > 0;
        is_sound.then_some(State {
            identity: self.identity,
            start: self.start,
            bound: self.bound,
            cursor: self.cursor,
            reread: self.reread,
            watermark: self.watermark,
            round: self.round,
            length: self.length,
            cap: self.cap,
            whole: self.whole,
            failures: self.failures,
            strikes: self.strikes,
            frozen: self.frozen,
            asked: self.asked,
            answered: self.answered,
            ring,
        })
    }
}

fn stamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tick, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    Tick::parse(text).ok_or_else(|| serde::de::Error::custom("no stamp"))
}

fn some_stamp<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Tick>, D::Error> {
    stamp(deserializer).map(Some)
}

fn corrupt(why: &str) -> Failure {
    unusable(
        "checkpoint.corrupt",
        format!("the checkpoint cannot be used: {why}"),
        "restore it from a copy; or remove it and set `start` to the time from which detections are to be read again",
    )
}

fn unusable(code: &str, message: String, hint: &str) -> Failure {
    Failure::UnusableCheckpoint(Fault {
        code: code.to_owned(),
        message,
        hint: Some(hint.to_owned()),
        ..Fault::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let tick = |text| Tick::parse(text).unwrap();
        let mut ring = Ring::default();
        ring.insert(0x0123_4567_89AB_CDEF, tick("2026-01-01T10:00:30Z"));
        State {
            identity: "microsoft-defender/siem/\"x\"".to_owned(),
            start: tick("2026-01-01T08:00:00Z"),
            bound: Some(tick("2026-02-01T00:00:00Z")),
            cursor: tick("2026-01-01T10:00:00Z"),
            reread: tick("2026-01-01T09:00:00Z"),
            watermark: Some(tick("2026-01-01T09:00:00Z")),
            round: Some(Round {
                until: tick("2026-01-01T12:00:00Z"),
                at: tick("2026-01-01T10:00:00Z"),
                end: tick("2026-01-01T11:00:00Z"),
            }),
            length: 36_000_000_000,
            cap: Some(5000),
            whole: 1200,
            failures: 1,
            strikes: 2,
            frozen: true,
            asked: Some(tick("2026-01-01T12:00:00Z")),
            answered: true,
            ring,
        }
    }

    fn code(text: &str) -> String {
        match State::from_text(text, &state().identity) {
            Err(Failure::UnusableCheckpoint(fault)) => fault.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = state().to_text();
        let copy = State::from_text(&text, &state().identity).unwrap();
        assert_eq!(copy.to_text(), text);
        assert!(copy.ring.contains(0x0123_4567_89AB_CDEF));
    }

    #[test]
    fn the_text_of_version_1_never_changes() {
        assert_eq!(state().to_text(), include_str!("../tests/checkpoints/1.json"));
    }

    #[test]
    fn a_checkpoint_that_was_cut_or_changed_is_corrupt() {
        let text = state().to_text();
        for length in (0..text.len()).step_by(7) {
            assert_eq!(code(&text[..length]), "checkpoint.corrupt", "{length}");
        }
        assert_eq!(code(&text.replace("10:00:00", "10:00:01")), "checkpoint.corrupt");
        for other in ["", "null", "{}", "[]", "hello", r#"{"format":"other/1"}"#] {
            assert_eq!(code(other), "checkpoint.corrupt", "{other}");
        }
    }

    #[test]
    fn one_of_a_later_version_or_another_source_says_so() {
        let text = state().to_text();
        assert_eq!(code(&text.replace("defender-source/1", "defender-source/2")), "checkpoint.version");
        let other = State { identity: "microsoft-defender/siem/other".to_owned(), ..state() };
        assert_eq!(code(&other.to_text()), "checkpoint.foreign");
    }

    #[test]
    fn values_that_contradict_each_other_are_corrupt_whatever_their_checksum() {
        let backwards = State { cursor: Tick::MIN, ..state() };
        assert_eq!(code(&backwards.to_text()), "checkpoint.corrupt");
        let no_length = State { length: 0, ..state() };
        assert_eq!(code(&no_length.to_text()), "checkpoint.corrupt");
    }
}
