//! Where reading stands, and its text: versioned, checksummed, bound to its source, readable for a person.

use std::fmt::Write as _;

use twox_hash::XxHash64;

use crate::contract::{Failure, Fault};
use crate::failure;
use crate::json::{Node, quote};
use crate::ring::Ring;
use crate::tick::{Tick, Ticks};

/// The longest text of a checkpoint, in bytes.
pub const MAX_CHECKPOINT_BYTES: usize = 256 * 1024;

/// What everything in a checkpoint but the ring takes at the most, in bytes.
pub const HEADER_BYTES: usize = 2048;

/// What the checksum takes at the end of a checkpoint, in bytes: `,"sum":"0123456789abcdef"}`.
const SUM_BYTES: usize = 26;

const FORMAT: &str = "defender-source/1";

/// Everything that reading on needs.
#[derive(Clone, Debug)]
pub struct State {
    /// What it belongs to.
    pub identity: String,
    /// Nothing before it is asked for. Fixed by the first poll.
    pub start: Tick,
    /// Whether the start has been measured on the service's clock, where it is one before now.
    pub anchored: bool,
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
    /// How often in a row the present slice failed; see `progress::PATIENCE`.
    pub failures: u32,
    /// How often it failed, too short to be halved, while its neighbour could be read.
    pub strikes: u32,
    /// How often the neighbour failed as well.
    pub turns: u32,
    /// The shortest slice that a failing one is halved to, in ticks. It grows along a range that is given up.
    pub grain: Ticks,
    /// Whether the present slice is asked for without `$expand`, since the service fails with it or a record is too large.
    pub plain: bool,
    /// Up to where gaps say that answers are partial, while they are.
    pub partial: Option<Tick>,
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Round {
    /// Where it ends.
    pub until: Tick,
    /// Where the present slice begins: everything before it has been read in this round.
    pub at: Tick,
    /// Where the present slice ends.
    pub end: Tick,
}

impl State {
    /// The text of the checkpoint.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(HEADER_BYTES + self.ring.encoded_bytes());
        let _ = self.write(&mut text);
        let sum = sum_of(&text);
        text + &sum
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "{{\"format\":\"{FORMAT}\",\"identity\":")?;
        quote(&self.identity, out);
        write!(out, ",\"start\":\"{}\"", self.start)?;
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
        for (name, count) in
            [("whole", self.whole), ("failures", self.failures), ("strikes", self.strikes), ("turns", self.turns)]
        {
            if count > 0 {
                write!(out, ",\"{name}\":{count}")?;
            }
        }
        if self.grain > 1 {
            write!(out, ",\"grain\":{}", self.grain)?;
        }
        if let Some(partial) = self.partial {
            write!(out, ",\"partial\":\"{partial}\"")?;
        }
        if let Some(asked) = self.asked {
            write!(out, ",\"asked\":\"{asked}\"")?;
        }
        for (name, flag) in
            [("anchored", self.anchored), ("plain", self.plain), ("frozen", self.frozen), ("answered", self.answered)]
        {
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
        Self::from_text_of(text, identity, &[])
    }

    /// The same, of a source that reads on from the checkpoints of others as well.
    ///
    /// # Errors
    ///
    /// As [`State::from_text`].
    pub fn from_text_of(text: &str, identity: &str, accepts: &[String]) -> Result<Self, Failure> {
        let mut members = read(text)?;
        let ill_typed = || corrupt("its members are not those of its format");
        let written_for = members.required("identity", string).ok_or_else(ill_typed)?;
        if written_for != identity && !accepts.contains(&written_for) {
            return Err(unusable(
                "checkpoint.foreign",
                format!(
                    "the checkpoint belongs to `{}`, and this source is `{identity}`",
                    failure::quote(&written_for, &[])
                ),
                "give each tenant and API a state of its own; to begin anew on purpose, remove the stored checkpoint",
            ));
        }
        let state = members.into_state(written_for).ok_or_else(ill_typed)?;
        if state.is_sound() { Ok(state) } else { Err(corrupt("its values contradict each other")) }
    }

    /// Whether no value contradicts another one, which the checksum cannot see.
    fn is_sound(&self) -> bool {
        let round_is_sound = self.round.is_none_or(|round| round.at < round.end && round.end <= round.until);
        let bound_is_sound = self.bound.is_none_or(|bound| self.start < bound);
        round_is_sound
            && bound_is_sound
            && self.start <= self.cursor
            && self.length > 0
            && self.grain > 0
            && self.cap != Some(0)
    }
}

/// Whether two texts are the same, read eight bytes at a time: what compares bytes in WebAssembly looks at one, and every
/// poll brings a quarter of a megabyte to compare.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let ((ours, our_rest), (theirs, their_rest)) = (one.as_bytes().as_chunks::<8>(), other.as_bytes().as_chunks::<8>());
    let is_equal = |(our, their): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*our) == u64::from_le_bytes(*their);
    one.len() == other.len() && ours.iter().zip(theirs).all(is_equal) && our_rest == their_rest
}

/// The end of a checkpoint that begins with this text.
fn sum_of(text: &str) -> String {
    format!(",\"sum\":\"{:016x}\"}}", XxHash64::oneshot(0, text.as_bytes()))
}

/// Checks format and checksum, and hands out the other members.
fn read(text: &str) -> Result<Members, Failure> {
    let Ok(Node::Object(members)) = Node::read(text.as_bytes()) else {
        return Err(corrupt("it is no checkpoint of this source"));
    };
    let mut members = Members(members);
    let Some(format) = members.required("format", string) else {
        return Err(corrupt("it is no checkpoint of this source"));
    };
    if format != FORMAT {
        return Err(if format.starts_with("defender-source/") {
            unusable(
                "checkpoint.version",
                format!(
                    "the checkpoint has the format `{}`, and this version reads `{FORMAT}`",
                    failure::quote(&format, &[])
                ),
                "run the version that wrote it, or a later one",
            )
        } else {
            corrupt("it was written by another program")
        });
    }
    let summed = text.len().checked_sub(SUM_BYTES).and_then(|at| text.split_at_checked(at));
    let (summed, sum) =
        summed.filter(|_| members.take("sum").is_some()).ok_or_else(|| corrupt("its checksum is missing"))?;
    if sum != sum_of(summed) {
        return Err(corrupt("its checksum is wrong: it was cut or changed"));
    }
    Ok(members)
}

/// Members that have not been read yet. Each is taken out as it is read, so that what is left at the end is unknown, or
/// there twice.
struct Members(Vec<(String, Node)>);

impl Members {
    fn into_state(mut self, identity: String) -> Option<State> {
        let state = State {
            identity,
            start: self.required("start", stamp)?,
            anchored: self.optional("anchored", flag)?.unwrap_or_default(),
            bound: self.optional("bound", stamp)?,
            cursor: self.required("cursor", stamp)?,
            reread: self.required("reread", stamp)?,
            watermark: self.optional("watermark", stamp)?,
            round: self.optional("round", round)?,
            length: self.required("length", ticks)?,
            cap: self.optional("cap", count)?,
            whole: self.optional("whole", count)?.unwrap_or_default(),
            failures: self.optional("failures", count)?.unwrap_or_default(),
            strikes: self.optional("strikes", count)?.unwrap_or_default(),
            turns: self.optional("turns", count)?.unwrap_or_default(),
            grain: self.optional("grain", ticks)?.unwrap_or(1),
            plain: self.optional("plain", flag)?.unwrap_or_default(),
            partial: self.optional("partial", stamp)?,
            frozen: self.optional("frozen", flag)?.unwrap_or_default(),
            asked: self.optional("asked", stamp)?,
            answered: self.optional("answered", flag)?.unwrap_or_default(),
            ring: self.required("keys", ring)?,
        };
        self.0.is_empty().then_some(state)
    }

    /// A member that must be there; none where it is missing or is not what it should be.
    fn required<T>(&mut self, name: &str, read: impl Fn(Node) -> Option<T>) -> Option<T> {
        read(self.take(name)?)
    }

    /// A member that may be missing; none where it is not what it should be.
    fn optional<T>(&mut self, name: &str, read: impl Fn(Node) -> Option<T>) -> Option<Option<T>> {
        self.take(name).map_or(Some(None), |node| read(node).map(Some))
    }

    #[inline(never)]
    fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.0.iter().position(|(given, _)| given == name)?;
        Some(self.0.remove(at).1)
    }
}

fn ticks(node: Node) -> Option<Ticks> {
    Ticks::try_from(whole(node)?).ok()
}

fn string(node: Node) -> Option<String> {
    if let Node::Text(text) = node { Some(text) } else { None }
}

fn whole(node: Node) -> Option<u64> {
    if let Node::Whole(number) = node { Some(number) } else { None }
}

fn count(node: Node) -> Option<u32> {
    u32::try_from(whole(node)?).ok()
}

fn flag(node: Node) -> Option<bool> {
    if let Node::Bool(flag) = node { Some(flag) } else { None }
}

#[inline(never)]
fn stamp(node: Node) -> Option<Tick> {
    Tick::parse(node.as_text()?)
}

fn round(node: Node) -> Option<Round> {
    let Node::Object(members) = node else { return None };
    let mut members = Members(members);
    let round = Round {
        until: members.required("until", stamp)?,
        at: members.required("at", stamp)?,
        end: members.required("end", stamp)?,
    };
    members.0.is_empty().then_some(round)
}

fn ring(node: Node) -> Option<Ring> {
    let Node::Object(members) = node else { return None };
    let mut ring = Ring::default();
    let is_read = members.iter().all(|(minute, keys)| keys.as_text().is_some_and(|keys| ring.read_json(minute, keys)));
    is_read.then_some(ring)
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
            anchored: true,
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
            turns: 3,
            grain: 4,
            plain: false,
            partial: None,
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
    fn two_texts_are_the_same_where_no_byte_differs() {
        let text = "0123456789abcdef0123456";
        for length in 0..=text.len() {
            let text = &text[..length];
            assert!(is_same(text, text));
            for longer in [format!("{text}x"), format!("{text}01234567")] {
                assert!(!is_same(text, &longer) && !is_same(&longer, text), "{longer}");
            }
            for at in 0..length {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, "x");
                assert!(!is_same(text, &changed), "{at} of {length}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = state().to_text();
        let copy = State::from_text(&text, &state().identity).unwrap();
        assert_eq!(copy.to_text(), text);
        assert!(copy.ring.contains(0x0123_4567_89AB_CDEF));
        let small = State { whole: 1, failures: 1, strikes: 1, turns: 1, grain: 2, ..state() };
        let copy = State::from_text(&small.to_text(), &small.identity).unwrap();
        let missing = State { plain: true, partial: Some(small.cursor), ..small.clone() };
        let copied = State::from_text(&missing.to_text(), &missing.identity).unwrap();
        assert_eq!((copied.plain, copied.partial), (true, Some(small.cursor)));
        let counts = (copy.whole, copy.failures, copy.strikes, copy.turns, copy.grain);
        assert_eq!(counts, (1, 1, 1, 1, 2));
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
        let escape = State { identity: "an\u{1b}[31mother".to_owned(), ..state() };
        let told = format!("{:?}", State::from_text(&escape.to_text(), "x"));
        assert!(told.contains("`an [31mother`"), "{told}");
    }

    #[test]
    fn values_that_contradict_each_other_are_corrupt_whatever_their_checksum() {
        let round = state().round.unwrap();
        for contradiction in [
            State { cursor: Tick::MIN, ..state() },
            State { length: 0, ..state() },
            State { cap: Some(0), ..state() },
            State { bound: Some(state().start), ..state() },
            State { round: Some(Round { end: round.at, ..round }), ..state() },
            State { round: Some(Round { end: round.until.plus(1), ..round }), ..state() },
        ] {
            assert_eq!(code(&contradiction.to_text()), "checkpoint.corrupt", "{contradiction:?}");
        }
    }

    #[test]
    fn the_least_values_that_do_not_contradict_each_other_are_read() {
        let round = state().round.unwrap();
        let least = State {
            cursor: state().start,
            length: 1,
            grain: 1,
            cap: Some(1),
            bound: Some(state().start.plus(1)),
            round: Some(Round { at: round.until.minus(1), end: round.until, ..round }),
            ..state()
        };
        assert_eq!(State::from_text(&least.to_text(), &least.identity).unwrap().to_text(), least.to_text());
    }

    #[test]
    fn members_that_are_unknown_or_twice_there_or_of_another_type_are_corrupt_whatever_their_checksum() {
        let text = state().to_text();
        let (body, _) = text.rsplit_once(",\"sum\"").unwrap();
        let signed = |body: &str| format!("{body},\"sum\":\"{:016x}\"}}", XxHash64::oneshot(0, body.as_bytes()));
        assert_eq!(signed(body), text);
        for (from, to) in [
            ("\"length\":36000000000", "\"length\":\"36000000000\""),
            ("\"length\":36000000000", "\"length\":36000000000.5"),
            ("\"length\":36000000000", "\"length\":18446744073709551615"),
            ("\"length\":36000000000", "\"length\":null"),
            ("\"length\":36000000000,", ""),
            ("\"cap\":5000", "\"cap\":4294967296"),
            ("\"cap\":5000", "\"cap\":-1"),
            ("\"cap\":5000", "\"cap\":5000,\"cap\":5000"),
            ("\"cap\":5000", "\"cup\":5000"),
            ("\"frozen\":true", "\"frozen\":1"),
            ("\"grain\":4", "\"grain\":0"),
            ("\"start\":\"2026", "\"start\":\"then\",\"start\":\"2026"),
            ("\"start\":\"2026-01-01", "\"start\":\"2026-01-32"),
            ("\"round\":{", "\"round\":{\"more\":1,"),
            ("\"round\":{", "\"round\":[],\"around\":{"),
            ("\"keys\":{", "\"keys\":{\"2026-01-01T10:01\":7,"),
            ("\"keys\":{", "\"keys\":{\"later\":\"AAAAAAAAAAA\","),
            ("\"identity\":", "\"identity\":7,\"entity\":"),
        ] {
            assert!(body.contains(from), "{from}");
            assert_eq!(code(&signed(&body.replacen(from, to, 1))), "checkpoint.corrupt", "{from} as {to}");
        }
    }
}
