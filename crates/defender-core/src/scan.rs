//! JSON read forward, over bytes that may end anywhere.
//!
//! By hand rather than by serde_json, since every byte of an answer goes through it: strings are passed over 64 bytes at a
//! time, where serde_json, on a machine of 32 bits such as WebAssembly, looks at four. It takes what serde_json takes
//! where a value is ignored: invalid UTF-8 and lone surrogates are no fault of the syntax.

use crate::specials::Specials;

/// Why a value was not read to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// The bytes end first.
    Unfinished,
    /// It is no JSON, and why.
    Wrong(&'static str),
}

/// One value, or the name of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool,
    /// As it is written.
    Number(&'a [u8]),
    Text(Text<'a>),
    /// An array or an object.
    Composite,
}

/// A string as it is written, with its quotes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Text<'a> {
    quoted: &'a [u8],
    is_escaped: bool,
}

impl<'a> Text<'a> {
    /// What stands between the quotes, where it stands for itself: none where something in it is escaped.
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        self.quoted.get(1..self.quoted.len() - 1).filter(|_| !self.is_escaped)
    }

    /// The string with its quotes and escapes.
    pub(crate) fn quoted(&self) -> &'a [u8] {
        self.quoted
    }
}

/// A place in the bytes.
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    specials: Specials,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, specials: Specials::new() }
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space; it stays unread.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Result<u8, Stop> {
        match self.next() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => self.peek_after_blanks(),
        }
    }

    #[inline(never)]
    fn peek_after_blanks(&mut self) -> Result<u8, Stop> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(Stop::Unfinished),
            }
        }
    }

    /// Reads an object's opening brace, if that is what comes.
    pub(crate) fn open_object(&mut self) -> Result<bool, Stop> {
        let opens = self.peek()? == b'{';
        self.at += usize::from(opens);
        Ok(opens)
    }

    /// Reads the name of an object's next member and the colon; none where the object ends. `is_first` tells that it has
    /// just been opened.
    #[inline(always)]
    pub(crate) fn name(&mut self, is_first: bool) -> Result<Option<Text<'a>>, Stop> {
        match (self.peek()?, is_first) {
            (b'}', _) => {
                self.at += 1;
                return Ok(None);
            }
            (b'"', true) => {}
            (b',', false) => {
                self.at += 1;
                match self.peek()? {
                    b'"' => {}
                    b'}' => return Err(Stop::Wrong("trailing comma")),
                    _ => return Err(Stop::Wrong("key must be a string")),
                }
            }
            (_, true) => return Err(Stop::Wrong("key must be a string")),
            (_, false) => return Err(Stop::Wrong("expected `,` or `}`")),
        }
        let name = self.string()?;
        if self.peek()? != b':' {
            return Err(Stop::Wrong("expected `:`"));
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// Reads a value of any kind.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Stop> {
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' | b'[' => self.composite(),
            _ => self.scalar(),
        }
    }

    /// Passes over an array or an object. What is open is kept here and not on the stack, so any depth will do.
    fn composite(&mut self) -> Result<Value<'a>, Stop> {
        let mut open = Vec::new();
        loop {
            let opens = self.peek()?;
            match opens {
                b'{' | b'[' => {
                    self.at += 1;
                    open.push(opens);
                    if self.goes_on(opens, true)? {
                        continue;
                    }
                    open.pop();
                }
                b'"' => {
                    self.string()?;
                }
                _ => {
                    self.scalar()?;
                }
            }
            loop {
                let Some(&innermost) = open.last() else { return Ok(Value::Composite) };
                if self.goes_on(innermost, false)? {
                    break;
                }
                open.pop();
            }
        }
    }

    /// Whether another value follows in what was opened with this bracket; else the closing one is read.
    fn goes_on(&mut self, opened: u8, is_first: bool) -> Result<bool, Stop> {
        if opened == b'{' {
            return Ok(self.name(is_first)?.is_some());
        }
        match (self.peek()?, is_first) {
            (b']', _) => {
                self.at += 1;
                Ok(false)
            }
            (_, true) => Ok(true),
            (b',', false) => {
                self.at += 1;
                if self.peek()? == b']' { Err(Stop::Wrong("trailing comma")) } else { Ok(true) }
            }
            (_, false) => Err(Stop::Wrong("expected `,` or `]`")),
        }
    }

    /// A string, whose opening quote is next.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, Stop> {
        let begin = self.at;
        let mut is_escaped = false;
        self.at += 1;
        loop {
            self.at = self.specials.next(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    let quoted = self.bytes.get(begin..self.at).unwrap_or_default();
                    return Ok(Text { quoted, is_escaped });
                }
                Some(b'\\') => {
                    is_escaped = true;
                    match self.bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'u') => self.code_unit()?,
                        Some(_) => return Err(Stop::Wrong("invalid escape")),
                        None => return Err(Stop::Unfinished),
                    }
                }
                Some(_) => return Err(Stop::Wrong("control character found while parsing a string")),
                None => return Err(Stop::Unfinished),
            }
        }
    }

    /// An escape of four digits.
    fn code_unit(&mut self) -> Result<(), Stop> {
        let digits = self.bytes.get(self.at + 2..).unwrap_or_default();
        let digits = digits.get(..4).unwrap_or(digits);
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Stop::Wrong("invalid escape"));
        }
        self.at += 2 + digits.len();
        if digits.len() == 4 { Ok(()) } else { Err(Stop::Unfinished) }
    }

    fn scalar(&mut self) -> Result<Value<'a>, Stop> {
        match self.peek()? {
            b'n' => self.word(b"null", Value::Null),
            b't' => self.word(b"true", Value::Bool),
            b'f' => self.word(b"false", Value::Bool),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Stop::Wrong("expected value")),
        }
    }

    fn word(&mut self, word: &[u8], value: Value<'a>) -> Result<Value<'a>, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else if word.starts_with(rest) {
            Err(Stop::Unfinished)
        } else {
            Err(Stop::Wrong("expected ident"))
        }
    }

    /// A number. One that ends with the bytes is whole as far as can be told.
    fn number(&mut self) -> Result<Value<'a>, Stop> {
        let begin = self.at;
        self.at += usize::from(self.next() == Some(b'-'));
        if self.next() == Some(b'0') {
            self.at += 1;
            if self.next().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(Stop::Wrong("invalid number"));
            }
        } else {
            self.digits()?;
        }
        if self.next() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.next(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.next(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Value::Number(self.bytes.get(begin..self.at).unwrap_or_default()))
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, rest.is_empty()) {
            (0, true) => Err(Stop::Unfinished),
            (0, false) => Err(Stop::Wrong("invalid number")),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    /// How far a value goes, as serde_json sees it.
    fn expected(text: &[u8]) -> Result<usize, bool> {
        let mut deserializer = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        match deserializer.next() {
            Some(Ok(_)) => Ok(deserializer.byte_offset()),
            Some(Err(error)) => Err(error.is_eof()),
            None => Err(true),
        }
    }

    fn check(text: &[u8]) {
        let mut scan = Scan::new(text);
        let read = scan.value();
        let is_scalar = matches!(read, Ok(Value::Null | Value::Bool | Value::Number(_)));
        let read = read.map(|_| scan.position()).map_err(|stop| stop == Stop::Unfinished);
        // What may not follow such a value is for the reader of what is around it to say; and to serde_json a number that
        // it ignores and that breaks off is none.
        let breaks_off = read == Err(true) && matches!(text.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'));
        if expected(text) != Err(false) || !(is_scalar || breaks_off) {
            assert_eq!(read, expected(text), "{}", String::from_utf8_lossy(text));
        }
    }

    const SEEDS: [&str; 6] = [
        r#"{"AlertTime":"2026-01-01T00:00:00Z","n":-12.5e+3,"o":{"a":[1,{"b":[]},"\u00e9\"\\"],"c":{}},"t":true}  "#,
        r#"[null, false,{"":0},[[[]]], "\ud800\/\b\f\n\r\t", 1E9, 0.5]"#,
        "\"12345678\\\"1234567\u{e9}\u{1f600} 12345678901234567890\"",
        " {\r\n\t\"x\" : [ 1 , { } ] }\n",
        "-0.0e-1 ",
        "nullx",
    ];

    #[test]
    fn every_beginning_and_every_changed_byte_is_judged_as_serde_json_judges_it() {
        for seed in SEEDS {
            let seed = seed.as_bytes();
            for length in 0..=seed.len() {
                check(&seed[..length]);
            }
            for at in 0..seed.len() {
                for byte in b"\"\\{}[],:0-.eEtu \n\x00\x1f\x7f\x80\xff" {
                    let mut changed = seed.to_vec();
                    changed[at] = *byte;
                    check(&changed);
                    changed.remove(at);
                    check(&changed);
                }
            }
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_stands() {
        for length in 0..40 {
            for ending in ["\"", "\\\"\"", "\u{1f}\"", "\\", ""] {
                check(format!("\"{}{ending} x", "~".repeat(length)).as_bytes());
                check(format!("\"{}{ending}", "\u{ff}".repeat(length)).as_bytes());
            }
        }
    }

    #[test]
    fn any_depth_is_passed_over() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let mut scan = Scan::new(deep.as_bytes());
        assert_eq!(scan.value(), Ok(Value::Composite));
        assert_eq!(scan.position(), 200_000);
    }
}
