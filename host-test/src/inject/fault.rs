//! Faults as a person writes them: `WHAT`, `WHAT=VALUE`, then `*TIMES`, then `@PLACE`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use scenario::{FailureKind, duration_text, nearest, parse_duration};

/// One fault, and where it strikes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) what: What,
    /// How many requests or polls in a row it strikes.
    pub(crate) times: u32,
    /// Which request or poll is the first, from 1 on; `None` for a place that suits.
    pub(crate) at: Option<u32>,
}

/// What goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// The connection fails before an answer comes.
    Fail(FailureKind),
    /// The answer begins so late.
    Late(Duration),
    /// The connection breaks after so many bytes of the body.
    Cut(Bytes),
    /// After so many bytes of the body nothing more comes.
    Stall(Bytes),
    /// The body comes in pieces, with so long before each.
    Slow(Duration),
    /// The body comes in chunks of so many bytes.
    Chunks(usize),
    /// `content-length` is not what comes.
    Length(Length),
    /// The body is packed, and nobody asked for that.
    Gzip,
    /// Another status, with a text for a body.
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    RetryAfter(u32),
    /// 429 with `Retry-After` as a date so many seconds from now.
    RetryAfterDate(u32),
    /// The wall clock is set as the request arrives.
    Clock(TimeDelta),
    /// The instance is thrown away after the poll.
    Kill,
    /// The instance is lost as it makes the request.
    Trap,
}

/// After how many bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bytes {
    /// Half of the body.
    Half,
    /// So many.
    At(usize),
    /// In a run for each number of bytes that a body has.
    Each,
}

/// A length that is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Length {
    /// So many bytes more, or fewer, than there are.
    By(i64),
    /// So many bytes.
    Of(u64),
}

/// The faults of one run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Injection {
    pub(crate) faults: Vec<Fault>,
}

/// A fault that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct FaultError {
    message: String,
    hint: String,
}

impl FaultError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// What can be written: the name with its value, and what it means.
const FORMS: [(&str, &str); 13] = [
    ("late=PT5M", "the answer begins so late"),
    ("cut", "the connection breaks in the middle of the body; cut=100 after 100 bytes; cut=each a run for each byte"),
    ("stall", "nothing more comes from the middle of the body on; stall=100 after 100 bytes"),
    ("slow=PT1S", "the body comes in eight pieces, with so long before each"),
    ("chunks=1", "the body comes in chunks of so many bytes"),
    ("content-length=+1", "the length says more, or less (-1), than comes; content-length=100 says 100"),
    ("gzip", "the body is packed with gzip, and nobody asked for that"),
    ("status=503", "this status in place of the answer; status=503*3 three times in a row"),
    ("retry-after=30", "429 with Retry-After in seconds"),
    ("retry-after-date=30", "429 with Retry-After as the date in so many seconds"),
    ("clock=-PT1H", "the wall clock is set back, or forward (PT1H), as the request arrives"),
    ("kill", "the instance is thrown away after the poll; the place is a poll"),
    ("trap", "the instance is lost as it makes the request; nothing of the poll is delivered or stored"),
];

/// What `--inject list` says.
pub fn fault_list() -> String {
    let mut text = "Faults, each with the value that it has where none is written:\n\n".to_owned();
    for (form, meaning) in FORMS {
        text += &format!("  {form:<20} {meaning}\n");
    }
    text += "\nConnections that fail, by their word in traffic.json or the name of the code in wasi:http:\n\n";
    let mut line = String::from(" ");
    for word in FailureKind::words() {
        if line.len() + word.len() > 110 {
            text += &format!("{line}\n");
            line = String::from(" ");
        }
        line += &format!(" {word}");
    }
    text += &format!("{line}\n");
    text += "\nFAULT@N strikes the N-th request of the run (kill: the N-th poll), FAULT*K so many in a row from there on. \
             Without a\nplace it is the request with the largest answer (kill: the first poll). Faults with commas between \
             them strike in\none run. `all` is a run for each fault of this list.\n";
    text
}

/// A run for each fault there is, at a place that suits.
pub fn every_fault() -> Vec<Injection> {
    let forms = FORMS.iter().map(|(form, _)| *form);
    // Both signs, a burst, and an end before the first byte.
    let more = ["cut=0", "cut=each", "stall=0", "content-length=-1", "status=500", "status=503*3", "clock=PT1H"];
    let words = FailureKind::ALL.iter().map(|kind| kind.word());
    words.chain(forms).chain(more).filter_map(|fault| fault.parse().ok()).collect()
}

impl Injection {
    /// Whether each of its faults says where it strikes.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.faults.iter().all(|fault| fault.at.is_some())
    }

    /// The same at this place, where none is written.
    #[must_use]
    pub fn at(mut self, place: u32) -> Self {
        for fault in &mut self.faults {
            fault.at.get_or_insert(place);
        }
        self
    }
}

impl FromStr for Injection {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let faults: Vec<Fault> = text.split(',').map(|fault| fault.trim().parse()).collect::<Result<_, _>>()?;
        let sweeps = faults.iter().filter(|fault| fault.is_sweep()).count();
        if sweeps > 0 && faults.len() > 1 {
            return Err(wrong(
                format!("`{text}` is a run for each byte, with other faults in it"),
                "leave the others out, or cut at one byte",
            ));
        }
        Ok(Self { faults })
    }
}

impl Fault {
    /// Whether it stands for a run for each byte.
    pub(crate) fn is_sweep(&self) -> bool {
        matches!(self.what, What::Cut(Bytes::Each) | What::Stall(Bytes::Each))
    }
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> FaultError {
    FaultError { message: message.into(), hint: hint.into() }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (rest, place) = text.split_once('@').map_or((text, None), |(rest, place)| (rest, Some(place)));
        let (rest, times) = rest.split_once('*').map_or((rest, None), |(rest, times)| (rest, Some(times)));
        let number = |what: &str, number: &str| {
            number.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                wrong(format!("`{text}`: `{number}` is no {what}"), "write a number from 1 on, as in status=503*3@2")
            })
        };
        let at = place.map(|place| number("place", place)).transpose()?;
        let times = times.map_or(Ok(1), |times| number("number of times", times))?;
        let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
        Ok(Self { what: What::read(name, value)?, times, at })
    }
}

impl What {
    fn read(name: &str, value: Option<&str>) -> Result<Self, FaultError> {
        let names = FORMS.map(|(form, _)| form.split('=').next().unwrap_or(form));
        if let Some(kind) = FailureKind::of_word(name) {
            return none_of(name, value).map(|()| Self::Fail(kind));
        }
        let default = FORMS.iter().find_map(|(form, _)| form.split_once('=').filter(|(known, _)| *known == name));
        let value = value.or(default.map(|(_, value)| value));
        let read = |meaning: &str, read: Option<Self>| {
            read.ok_or_else(|| {
                wrong(format!("`{}` is no {meaning} for {name}", value.unwrap_or_default()), example(name))
            })
        };
        let text = value.unwrap_or_default();
        match name {
            "late" => read("duration", parse_duration(text).map(Self::Late)),
            "slow" => read("duration", parse_duration(text).map(Self::Slow)),
            "cut" => read("number of bytes", Bytes::read(value).map(Self::Cut)),
            "stall" => read("number of bytes", Bytes::read(value).map(Self::Stall)),
            "chunks" => read("size", text.parse().ok().filter(|size| *size > 0).map(Self::Chunks)),
            "content-length" => read("length", Length::read(text).map(Self::Length)),
            "status" => {
                read("final HTTP status", text.parse().ok().filter(|s| (200..600).contains(s)).map(Self::Status))
            }
            "retry-after" => read("number of seconds", text.parse().ok().map(Self::RetryAfter)),
            "retry-after-date" => read("number of seconds", text.parse().ok().map(Self::RetryAfterDate)),
            "clock" => read("duration", signed(text).map(Self::Clock)),
            "gzip" => none_of(name, value).map(|()| Self::Gzip),
            "kill" => none_of(name, value).map(|()| Self::Kill),
            "trap" => none_of(name, value).map(|()| Self::Trap),
            _ => {
                let codes = FailureKind::ALL.iter().map(|kind| kind.code());
                let known = names.into_iter().chain(FailureKind::words()).chain(codes);
                let see = "`host-test replay --inject list` shows all";
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`? {see}"),
                    None => see.to_owned(),
                };
                Err(wrong(format!("`{name}` is no fault"), hint))
            }
        }
    }

    /// Whether its place is a poll.
    pub(crate) fn is_of_polls(&self) -> bool {
        *self == Self::Kill
    }
}

fn none_of(name: &str, value: Option<&str>) -> Result<(), FaultError> {
    value.map_or(Ok(()), |value| Err(wrong(format!("`{name}={value}`: {name} has no value"), format!("write {name}"))))
}

fn example(name: &str) -> String {
    let form = FORMS.iter().find(|(form, _)| form.split('=').next() == Some(name));
    form.map_or_else(String::new, |(form, meaning)| format!("write one such as {form}: {meaning}"))
}

fn signed(text: &str) -> Option<TimeDelta> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    Some(TimeDelta::from_std(parse_duration(length)?).ok()? * sign)
}

impl Bytes {
    fn read(value: Option<&str>) -> Option<Self> {
        match value {
            None => Some(Self::Half),
            Some("each") => Some(Self::Each),
            Some(bytes) => bytes.parse().ok().map(Self::At),
        }
    }

    /// After how many bytes of a body of this length.
    pub(crate) fn of(self, length: usize) -> usize {
        match self {
            Self::At(bytes) => bytes,
            Self::Half | Self::Each => length / 2,
        }
    }
}

impl Length {
    fn read(text: &str) -> Option<Self> {
        if text.starts_with(['+', '-']) {
            text.parse().ok().filter(|by| *by != 0).map(Self::By)
        } else {
            text.parse().ok().map(Self::Of)
        }
    }

    /// What is said of a body of this length.
    pub(crate) fn of(self, length: usize) -> u64 {
        let length = length as u64;
        match self {
            Self::By(by) => length.saturating_add_signed(by),
            Self::Of(length) => length,
        }
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Fail(kind) => f.write_str(kind.word())?,
            What::Late(length) => write!(f, "late={}", duration_text(*length))?,
            What::Cut(bytes) => write!(f, "cut{bytes}")?,
            What::Stall(bytes) => write!(f, "stall{bytes}")?,
            What::Slow(length) => write!(f, "slow={}", duration_text(*length))?,
            What::Chunks(size) => write!(f, "chunks={size}")?,
            What::Length(Length::By(by)) => write!(f, "content-length={by:+}")?,
            What::Length(Length::Of(length)) => write!(f, "content-length={length}")?,
            What::Gzip => f.write_str("gzip")?,
            What::Status(status) => write!(f, "status={status}")?,
            What::RetryAfter(seconds) => write!(f, "retry-after={seconds}")?,
            What::RetryAfterDate(seconds) => write!(f, "retry-after-date={seconds}")?,
            What::Clock(by) => {
                let sign = if *by < TimeDelta::zero() { "-" } else { "" };
                write!(f, "clock={sign}{}", duration_text(by.abs().to_std().unwrap_or_default()))?;
            }
            What::Kill => f.write_str("kill")?,
            What::Trap => f.write_str("trap")?,
        }
        if self.times > 1 {
            write!(f, "*{}", self.times)?;
        }
        self.at.map_or(Ok(()), |at| write!(f, "@{at}"))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Half => Ok(()),
            Self::At(bytes) => write!(f, "={bytes}"),
            Self::Each => f.write_str("=each"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_shown_again() {
        for text in [
            "refused",
            "protocol@3",
            "late=PT5M",
            "cut",
            "cut=0@2",
            "cut=each",
            "stall=17",
            "slow=PT0.5S",
            "chunks=1",
            "content-length=+1",
            "content-length=-20",
            "content-length=7",
            "gzip",
            "status=503*3@2",
            "retry-after=30",
            "retry-after-date=5",
            "clock=-PT1H",
            "clock=P1D@2",
            "kill*2@1",
            "trap@2",
            "refused@1,trap@3",
        ] {
            assert_eq!(text.parse::<Injection>().map(|injection| injection.to_string()), Ok(text.to_owned()));
        }
        // A code of wasi:http is known by its name, and what has a value has one of its own.
        let shown = |text: &str| text.parse::<Injection>().unwrap().to_string();
        assert_eq!(shown("HTTP-protocol-error"), "protocol");
        assert_eq!(shown("status"), "status=503");
        assert_eq!(shown("clock"), "clock=-PT1H");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        for (text, message, hint) in [
            ("refusd", "`refusd` is no fault", "did you mean `refused`? `host-test replay --inject list` shows all"),
            ("", "`` is no fault", "`host-test replay --inject list` shows all"),
            (
                "status=99",
                "`99` is no final HTTP status for status",
                "write one such as status=503: this status in place of the answer; status=503*3 three times in a row",
            ),
            ("late=5s", "`5s` is no duration for late", "write one such as late=PT5M: the answer begins so late"),
            ("cut@0", "`cut@0`: `0` is no place", "write a number from 1 on, as in status=503*3@2"),
            ("cut*x", "`cut*x`: `x` is no number of times", "write a number from 1 on, as in status=503*3@2"),
            ("kill=1", "`kill=1`: kill has no value", "write kill"),
            ("dns=1", "`dns=1`: dns has no value", "write dns"),
            (
                "cut=each,trap",
                "`cut=each,trap` is a run for each byte, with other faults in it",
                "leave the others out, or cut at one byte",
            ),
        ] {
            let error = text.parse::<Injection>().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint()), (message, hint), "{text}");
        }
        for text in ["chunks=0", "content-length=+0", "content-length=x", "clock=1", "cut=-1", "retry-after=soon"] {
            assert!(text.parse::<Injection>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_list_names_every_fault_and_every_fault_is_in_all() {
        let (list, all) = (fault_list(), every_fault());
        for kind in FailureKind::ALL {
            assert!(list.contains(&format!(" {}", kind.word())), "{list}");
        }
        assert!(list.lines().all(|line| line.len() <= 125), "{list}");
        for (form, _) in FORMS {
            assert!(all.contains(&form.parse().unwrap()), "{form}");
        }
        assert_eq!(all.len(), FailureKind::ALL.len() + FORMS.len() + 7);
    }
}
