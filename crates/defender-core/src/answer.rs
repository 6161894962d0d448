//! Cuts the records out of an answer while it streams in.
//!
//! An answer is a bare array, an object that holds the array under `value`, or a single record. Chunks may end
//! anywhere. What is held at a time is one record and the chunk that it ends in, never the answer.

use std::hash::Hasher;
use std::ops::Range;

use twox_hash::XxHash64;

use crate::row::{Records, Row};
use crate::scan::Stop;

mod envelope;

use envelope::{Envelope, Step};

/// Reads one answer. Its `Debug` shows none of it: a link to the next page may hold a token.
pub struct AnswerReader {
    buffer: Vec<u8>,
    /// What of the buffer has been dealt with.
    consumed: usize,
    /// Bytes of the body before the buffer.
    offset: u64,
    state: State,
    ended: bool,
    is_single: bool,
    /// What stands about the array, where it is a member of an object.
    envelope: Envelope,
    records: Records,
    max_record: usize,
}

/// What [`AnswerReader::find`] found.
#[derive(Debug)]
pub enum Found {
    /// A record, and where its exact bytes are: see [`AnswerReader::bytes`].
    Record(Range<usize>, Row),
    /// A record of more than the largest size, by the hash of its bytes.
    Oversize(u64),
    /// The next chunk is wanted.
    NeedsMore,
    /// The answer is complete.
    End,
    /// The body ended in the middle of the answer.
    CutOff,
    /// The body is no such answer.
    Malformed(Malformed),
}

/// Where a body stopped being an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Malformed {
    /// Bytes from the beginning of the body.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// Whether the body was none from its first byte on, as a proxy's HTML page is.
    pub from_the_start: bool,
}

/// Where in the answer the next byte stands. `enveloped` tells that the array is a member of an object.
#[derive(Debug)]
enum State {
    Start,
    /// In an array, before a record; only the first one may be missing.
    Items {
        enveloped: bool,
        first: bool,
    },
    /// In a record, which is tried again when so many of its bytes are there.
    Record {
        enveloped: bool,
        retry_at: usize,
    },
    /// In a record that is too large.
    Skip {
        enveloped: bool,
        scanner: Scanner,
        hash: XxHash64,
    },
    /// After a record.
    Separator {
        enveloped: bool,
    },
    /// In an object at the top, which has not shown a `value` array yet in so many bytes.
    Object {
        scanned: usize,
    },
    /// After the `value` array.
    Tail,
    /// After the answer: white space alone may follow.
    Done,
    Failed,
}

impl std::fmt::Debug for AnswerReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerReader").field("offset", &self.offset).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl AnswerReader {
    /// A reader that hands out records of this kind, of at most `max_record` bytes.
    pub fn new(records: Records, max_record: usize) -> Self {
        Self {
            buffer: Vec::new(),
            consumed: 0,
            offset: 0,
            state: State::Start,
            ended: false,
            is_single: false,
            envelope: Envelope::default(),
            records,
            max_record,
        }
    }

    /// Takes the next chunk of the body. Ranges that were handed out before mean nothing afterwards.
    pub fn push(&mut self, chunk: &[u8]) {
        self.offset += self.consumed as u64;
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that no chunk follows.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The exact bytes of a record.
    pub fn bytes(&self, record: Range<usize>) -> &[u8] {
        self.buffer.get(record).unwrap_or_default()
    }

    /// Whether the answer is one object, and not an array.
    pub fn is_single_object(&self) -> bool {
        self.is_single
    }

    /// The link to the page that follows, as the object about the array has shown it so far. It may hold a token.
    pub fn next_link(&self) -> Option<&str> {
        self.envelope.link()
    }

    /// Finds the next record.
    pub fn find(&mut self) -> Found {
        loop {
            let found = match self.state {
                State::Start => self.start(),
                State::Items { enveloped, first } => self.items(enveloped, first),
                State::Record { enveloped, retry_at } => self.record(enveloped, retry_at),
                State::Skip { .. } => self.skip(),
                State::Separator { enveloped } => self.separator(enveloped),
                State::Object { scanned } => self.object(scanned),
                State::Tail => self.tail(),
                State::Done => match self.next_byte() {
                    Some(_) => Some(self.malformed("something follows the answer")),
                    None if self.ended => Some(Found::End),
                    None => Some(Found::NeedsMore),
                },
                State::Failed => Some(self.malformed("it was given up before")),
            };
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn start(&mut self) -> Option<Found> {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        if self.position() == 0 {
            if self.rest().starts_with(BOM) {
                self.consumed += BOM.len();
            } else if BOM.starts_with(self.rest()) {
                return Some(self.wants_more());
            }
        }
        match self.next_byte() {
            Some(b'[') => {
                self.consumed += 1;
                self.state = State::Items { enveloped: false, first: true };
                None
            }
            Some(b'{') => {
                self.state = State::Object { scanned: 0 };
                None
            }
            Some(_) => {
                self.state = State::Failed;
                Some(Found::Malformed(Malformed {
                    offset: self.position(),
                    what: "it begins with neither `[` nor `{`".to_owned(),
                    from_the_start: true,
                }))
            }
            None => Some(self.wants_more()),
        }
    }

    fn items(&mut self, enveloped: bool, first: bool) -> Option<Found> {
        match self.next_byte() {
            Some(b']') if first => self.close_array(enveloped),
            Some(b',' | b']') => return Some(self.malformed("a record is missing")),
            Some(_) => self.state = State::Record { enveloped, retry_at: 0 },
            None => return Some(self.wants_more()),
        }
        None
    }

    fn separator(&mut self, enveloped: bool) -> Option<Found> {
        match self.next_byte() {
            Some(b',') => {
                self.consumed += 1;
                self.state = State::Items { enveloped, first: false };
            }
            Some(b']') => self.close_array(enveloped),
            Some(_) => return Some(self.malformed("neither a comma nor the end of the array follows a record")),
            None => return Some(self.wants_more()),
        }
        None
    }

    fn close_array(&mut self, enveloped: bool) {
        self.consumed += 1;
        self.state = if enveloped { State::Tail } else { State::Done };
    }

    /// Reads the record that begins here.
    fn record(&mut self, enveloped: bool, retry_at: usize) -> Option<Found> {
        let there = self.rest().len();
        // The next attempt waits for twice the bytes of the last one, so that chunks of one byte cost linear time.
        if there < retry_at && there <= self.max_record && !self.ended {
            return Some(Found::NeedsMore);
        }
        match Row::read(self.rest(), self.records) {
            Ok((row, length)) if length <= self.max_record => {
                // A number, unlike a record, does not tell where it ends: where the body breaks off it may be half of one.
                if length == there && !matches!(self.rest().last(), Some(b'}' | b']' | b'"')) {
                    return Some(self.wants_more());
                }
                let begin = self.consumed;
                self.consumed += length;
                self.state = State::Separator { enveloped };
                Some(Found::Record(begin..begin + length, row))
            }
            Err(Stop::Wrong(what)) => Some(self.malformed(what)),
            _ if there > self.max_record => {
                self.state = State::Skip { enveloped, scanner: Scanner::default(), hash: XxHash64::with_seed(0) };
                None
            }
            _ => {
                self.state = State::Record { enveloped, retry_at: there * 2 };
                Some(self.wants_more())
            }
        }
    }

    /// Passes over a record that is too large, keeping its hash alone.
    fn skip(&mut self) -> Option<Found> {
        let State::Skip { enveloped, scanner, hash } = &mut self.state else { return None };
        let rest = self.buffer.get(self.consumed..).unwrap_or_default();
        let end = scanner.find_end(rest);
        let taken = end.unwrap_or(rest.len());
        hash.write(rest.get(..taken).unwrap_or_default());
        let found = end.map(|_| Found::Oversize(hash.finish()));
        let enveloped = *enveloped;
        self.consumed += taken;
        if found.is_some() {
            self.state = State::Separator { enveloped };
            return found;
        }
        Some(self.wants_more())
    }

    /// Looks in a top object for a `value` that is an array. An object without one is a single record.
    fn object(&mut self, scanned: usize) -> Option<Found> {
        let new = self.buffer.get(self.consumed + scanned..).unwrap_or_default();
        let (more, step) = self.envelope.run(new);
        let scanned = scanned + more;
        if scanned > self.max_record {
            return Some(self.malformed("an object without a `value` array is larger than a record may be"));
        }
        match step {
            Step::ValueArray => {
                self.consumed += scanned;
                self.state = State::Items { enveloped: true, first: true };
                None
            }
            Step::Closed => {
                let found = self.record(false, 0);
                if matches!(found, Some(Found::Record(..))) {
                    self.is_single = true;
                    self.state = State::Done;
                }
                found
            }
            Step::Unfinished => {
                self.state = State::Object { scanned };
                Some(self.wants_more())
            }
        }
    }

    fn tail(&mut self) -> Option<Found> {
        let rest = self.buffer.get(self.consumed..).unwrap_or_default();
        let (used, step) = self.envelope.run(rest);
        self.consumed += used;
        match step {
            Step::Closed => {
                self.state = State::Done;
                None
            }
            Step::ValueArray => Some(self.malformed("a second `value` array")),
            Step::Unfinished => Some(self.wants_more()),
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.consumed..).unwrap_or_default()
    }

    fn position(&self) -> u64 {
        self.offset + self.consumed as u64
    }

    /// The next byte that is no white space; it stays unconsumed.
    fn next_byte(&mut self) -> Option<u8> {
        let blanks = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.consumed += blanks;
        self.rest().first().copied()
    }

    fn wants_more(&self) -> Found {
        if self.ended { Found::CutOff } else { Found::NeedsMore }
    }

    fn malformed(&mut self, what: &str) -> Found {
        self.state = State::Failed;
        Found::Malformed(Malformed { offset: self.position(), what: what.to_owned(), from_the_start: false })
    }
}

/// Finds where a JSON value ends by its brackets and quotes alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// The length up to the end of the value, where these bytes hold it.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            let is_open = self.depth > 0 || self.in_string;
            // A number or a literal has no end of its own.
            if !is_open && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') {
                return Some(at);
            }
            self.step(*byte);
            if is_open && self.depth == 0 && !self.in_string {
                return Some(at + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is found in a body which comes in chunks of one size.
    fn read(body: &[u8], chunk: usize, max_record: usize) -> Result<Vec<String>, String> {
        let mut reader = AnswerReader::new(Records::Detections, max_record);
        let mut chunks = body.chunks(chunk);
        let mut records = Vec::new();
        loop {
            match reader.find() {
                Found::Record(range, _) => records.push(String::from_utf8_lossy(reader.bytes(range)).into_owned()),
                Found::Oversize(hash) => records.push(format!("oversize {hash:016x}")),
                Found::NeedsMore => match chunks.next() {
                    Some(chunk) => reader.push(chunk),
                    None => reader.end(),
                },
                Found::End => return Ok(records),
                Found::CutOff => return Err("cut off".to_owned()),
                Found::Malformed(malformed) => return Err(format!("{}: {}", malformed.offset, malformed.what)),
            }
        }
    }

    /// The same whatever the size of the chunks.
    fn check(body: &str, expected: Result<&[&str], &str>) {
        for chunk in [1, 2, 3, 7, 64, 4096] {
            let read = read(body.as_bytes(), chunk, 200);
            let read = read.as_ref().map(|r| r.iter().map(String::as_str).collect::<Vec<_>>()).map_err(String::as_str);
            assert_eq!(read, expected.map(<[&str]>::to_vec), "{body} in chunks of {chunk}");
        }
    }

    #[test]
    fn an_array_an_envelope_and_a_single_record_are_answers() {
        check(r#"[{"AlertId":"a"}, {"AlertId":"b"}]"#, Ok(&[r#"{"AlertId":"a"}"#, r#"{"AlertId":"b"}"#]));
        check(r#"{"@odata.context":"x","value":[{"AlertId":"a"}],"n":{"value":[1]}}"#, Ok(&[r#"{"AlertId":"a"}"#]));
        check(
            r#"{"AlertId":"a","s":"value","t":{"value":[1]}}"#,
            Ok(&[r#"{"AlertId":"a","s":"value","t":{"value":[1]}}"#]),
        );
        check("[]", Ok(&[]));
        check(" [ ] \r\n", Ok(&[]));
        check(r#"{"value" : [ ] }"#, Ok(&[]));
        check("\u{feff}[{}]", Ok(&["{}"]));
        check("\u{feff} \n{\"value\":[{}]}", Ok(&["{}"]));
    }

    #[test]
    fn the_bytes_of_a_record_are_handed_on_as_they_came() {
        let pretty = "{\r\n\t\"Description\" : \"a \\\"b\\\" \\\\ \u{e9} \u{1f600} \\u00e9 ]}\" ,\n \"x\":[ 1 , {} ] }";
        check(&format!("[\n  {pretty} ,\n {pretty}\n]\n"), Ok(&[pretty, pretty]));
    }

    #[test]
    fn members_beside_the_array_and_below_it_are_passed_over() {
        for beside in [
            r#""s":"x,","#,
            r#""s":"\"value\":[7],","#,
            r#""n":{"a":1,"value":[7]},"#,
            r#""n":[1,"value",[7]],"value\"":[7],"#,
            r#""value":7,"Value":[7],"values":[7],"v\u0061lu":[7],"#,
        ] {
            check(&format!(r#"{{{beside}"v\u0061lue":[{{"AlertId":"a"}}]}}"#), Ok(&[r#"{"AlertId":"a"}"#]));
        }
    }

    #[test]
    fn what_is_no_record_is_found_as_well() {
        check(r#"[null,12,-1.5e3,"x",true,[1,[2]],7]"#, Ok(&["null", "12", "-1.5e3", "\"x\"", "true", "[1,[2]]", "7"]));
    }

    #[test]
    fn a_chunk_may_end_in_a_number() {
        let record = r#"{"Unknown":[-1.25e+10,-1,0.5,1E-3],"AlertPart":-1.5e3}"#;
        check(&format!("[{record}]"), Ok(&[record]));
    }

    #[test]
    fn a_member_that_cannot_be_read_stops_no_batch() {
        for odd in [r#"{"FullId":"\ud800"}"#, r#"{"AlertPart":1e999,"x":[]}"#, "1e999", r#""\udc00""#] {
            check(&format!(r#"[{odd},{{"AlertId":"b"}}]"#), Ok(&[odd, r#"{"AlertId":"b"}"#]));
        }
        check(r#"[{"FullId":"\ud800" "x":1}]"#, Err("1: expected `,` or `}`"));
    }

    #[test]
    fn a_record_that_is_too_large_is_passed_over_in_bounded_memory() {
        let large = format!(r#"{{"Description":"{}]}}\"","n":[{{}}]}}"#, "x".repeat(1000));
        let hash = format!("oversize {:016x}", XxHash64::oneshot(0, large.as_bytes()));
        check(&format!(r#"[{{"a":1}},{large} , {{"b":2}}]"#), Ok(&[r#"{"a":1}"#, &hash, r#"{"b":2}"#]));
        check(&format!(r#"{{"value":[{large}]}}"#), Ok(&[&hash]));
        let number = "7".repeat(300);
        let hash = format!("oversize {:016x}", XxHash64::oneshot(0, number.as_bytes()));
        check(&format!("[{number},1, {number} ]"), Ok(&[&hash, "1", &hash]));
    }

    #[test]
    fn a_body_that_breaks_off_is_cut_off() {
        let body = r#"{"x":"y","value":[{"AlertId":"a\""},{"AlertId":"b"}],"z":1}"#;
        for length in 0..body.len() {
            check(&body[..length], Err("cut off"));
        }
        for half_a_number in ["[12", "[-1.5", r#"{"value":[1"#] {
            let mut reader = AnswerReader::new(Records::Detections, 200);
            reader.push(half_a_number.as_bytes());
            reader.end();
            assert!(matches!(reader.find(), Found::CutOff), "{half_a_number}");
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed_where_it_stops_being_one() {
        check("<html>", Err("0: it begins with neither `[` nor `{`"));
        check("  null", Err("2: it begins with neither `[` nor `{`"));
        check(r#"[{"a":tru}]"#, Err("1: expected ident"));
        check("[{},]", Err("4: a record is missing"));
        check("[,{}]", Err("1: a record is missing"));
        check("[{} {}]", Err("4: neither a comma nor the end of the array follows a record"));
        check("[] []", Err("3: something follows the answer"));
        check(r#"{"value":[]} x"#, Err("13: something follows the answer"));
        check(" \u{feff}[]", Err("1: it begins with neither `[` nor `{`"));
        check("\u{feff}\u{feff}[]", Err("3: it begins with neither `[` nor `{`"));
    }

    #[test]
    fn an_object_without_an_array_is_no_larger_than_a_record() {
        let body = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - r#"{"a":""}"#.len()));
        check(&body(200), Ok(&[&body(200)]));
        for chunk in [1, 64, 4096] {
            let told = read(body(201).as_bytes(), chunk, 200).unwrap_err();
            assert!(told.ends_with("larger than a record may be"), "{told}");
        }
    }

    #[test]
    fn a_body_that_was_given_up_stays_given_up() {
        for body in ["<html>", r#"{"a":tru}"#, r#"{"value":[],"value":[]}"#, "[] []"] {
            let mut reader = AnswerReader::new(Records::Detections, 200);
            reader.push(body.as_bytes());
            let told = std::iter::repeat_with(|| reader.find()).find(|found| !matches!(found, Found::Record(..)));
            assert!(matches!(told, Some(Found::Malformed(_))), "{body}: {told:?}");
            reader.push(b"}");
            let Found::Malformed(again) = reader.find() else { panic!("{body}") };
            assert_eq!(again.what, "it was given up before", "{body}");
        }
    }

    #[test]
    fn a_record_is_held_as_far_as_it_may_be_one_and_no_further() {
        for chunk in [1, 7, 64] {
            let body = format!(r#"[{{"a":"{}"}}]"#, "x".repeat(1000));
            let mut reader = AnswerReader::new(Records::Detections, 200);
            for chunk in body.as_bytes().chunks(chunk) {
                reader.push(chunk);
                let _ = reader.find();
                assert!(reader.rest().len() <= 200 + chunk.len(), "{} bytes are held", reader.rest().len());
            }
        }
    }
}
