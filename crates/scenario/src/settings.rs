//! `scenario.json`: how a scenario is run.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::duration::parse_duration;
use crate::node::{Document, Node, Object};
use crate::problem::Problem;
use crate::response::{ChunkSizes, read_duration};

/// How a scenario is run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What it shows, in a sentence.
    pub why: String,
    /// Where its traffic comes from.
    pub from: String,
    /// Where the virtual clock starts.
    pub starts: DateTime<Utc>,
    /// Where reading begins.
    pub position: Position,
    /// The bounds of each poll.
    pub budget: Budget,
    /// When the run is over; a failure that does not pass by itself ends it as well.
    pub until: Until,
    /// What goes wrong on purpose, beside what the traffic says.
    pub faults: Faults,
}

/// Where the first poll reads from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Position {
    /// From a checkpoint, or from the configuration's own start.
    Resume(Option<String>),
    /// From the first instant on and before the second.
    Range(DateTime<Utc>, DateTime<Utc>),
}

/// The bounds of one poll, as in `pipeline:source`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Events in the batch.
    pub max_events: u32,
    /// Bytes of the events' bodies together.
    pub max_bytes: u64,
    /// HTTP requests.
    pub max_requests: u32,
    /// How long it may take.
    pub max_duration: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { max_events: 1_000, max_bytes: 8 << 20, max_requests: 100, max_duration: Duration::from_secs(60) }
    }
}

/// When a run is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// When the source answers `ended`.
    Ended,
    /// When the source answers `after` or `ended`: nothing more is ready.
    CaughtUp,
    /// After so many polls, or at `ended`.
    Polls(u32),
}

/// What goes wrong on purpose.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// How every body is cut that has no sizes of its own.
    pub chunks: ChunkSizes,
    /// The polls, from 1 on, after which the instance is thrown away.
    pub fresh_instance_after: Vec<u32>,
    /// Whether it is thrown away after every poll.
    pub fresh_instance_always: bool,
    /// When the wall clock jumps.
    pub clock_jumps: Vec<ClockJump>,
    /// When the instance is lost in the middle of a poll.
    pub traps: Vec<Trap>,
}

impl Faults {
    /// Whether the instance is thrown away after this poll, from 1 on.
    pub fn fresh_instance_after(&self, poll: u32) -> bool {
        self.fresh_instance_always || self.fresh_instance_after.contains(&poll)
    }

    /// How far the wall clock jumps after this poll, from 1 on.
    pub fn clock_jump_after(&self, poll: u32) -> TimeDelta {
        self.clock_jumps.iter().filter(|jump| jump.after_poll == poll).map(|jump| jump.by).sum()
    }

    /// At which of its requests, from 1 on, the instance is lost in this poll, from 1 on.
    pub fn trap_in(&self, poll: u32) -> Option<u32> {
        self.traps.iter().find(|trap| trap.in_poll == poll).map(|trap| trap.at_request)
    }
}

/// A wall clock that is set while a source runs; the monotonic clock goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockJump {
    /// After which poll, from 1 on.
    pub after_poll: u32,
    /// How far; back where negative.
    pub by: TimeDelta,
}

/// An instance that is lost in the middle of a poll, as by a trap or a kill. Nothing of the poll is delivered or stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trap {
    /// In which poll, from 1 on.
    pub in_poll: u32,
    /// When it makes this request of the poll, from 1 on; where it makes fewer, as it returns.
    pub at_request: u32,
}

impl Settings {
    /// Reads the text of a `scenario.json`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problem> {
        Self::read(&Document::parse(file, text.to_owned())?)
    }

    pub(crate) fn read(document: &Document) -> Result<Self, Problem> {
        let root =
            document.root().object(&["why", "from", "starts", "position", "budget", "polls", "until", "faults"])?;
        let starts = "where the virtual clock starts, such as \"2026-03-02T09:00:00Z\"";
        Ok(Self {
            why: root.need("why", "a sentence on what the scenario shows")?.sentence()?,
            from: root
                .need("from", "where the traffic comes from: who wrote or recorded it, after what")?
                .sentence()?,
            starts: read_time(root.need("starts", starts)?)?,
            position: root.read("position", Position::read)?.unwrap_or(Position::Resume(None)),
            budget: root.read("budget", Budget::read)?.unwrap_or_default(),
            until: Until::read(&root)?,
            faults: root.read("faults", Faults::read)?.unwrap_or_default(),
        })
    }
}

impl Position {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object(&["resume", "range"])?;
        match object.at_most_one(&["resume", "range"])? {
            Some(("resume", node)) if node.is_null() => Ok(Self::Resume(None)),
            Some(("resume", node)) if node.is_object() => Ok(Self::Resume(Some(node.raw().to_owned()))),
            Some(("resume", node)) => Ok(Self::Resume(Some(node.string()?))),
            Some((_, node)) => {
                let range = node.object(&["since", "until"])?;
                let since = read_time(range.need("since", "the first instant of the range")?)?;
                let until = range.need("until", "the first instant after the range")?;
                let (until, at) = (read_time(until)?, until);
                if until <= since {
                    return Err(at.problem("the range ends before it begins", "write a later time"));
                }
                Ok(Self::Range(since, until))
            }
            None => Err(node.problem("it says nothing", "add `resume` with a checkpoint, or `range`")),
        }
    }
}

impl Budget {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object(&["max-events", "max-bytes", "max-requests", "max-duration"])?;
        let default = Self::default();
        Ok(Self {
            max_events: object.read("max-events", read_u32)?.unwrap_or(default.max_events),
            max_bytes: object.read("max-bytes", Node::integer)?.unwrap_or(default.max_bytes),
            max_requests: object.read("max-requests", read_u32)?.unwrap_or(default.max_requests),
            max_duration: object.read("max-duration", read_duration)?.unwrap_or(default.max_duration),
        })
    }
}

impl Until {
    fn read(root: &Object<'_>) -> Result<Self, Problem> {
        match root.at_most_one(&["polls", "until"])? {
            None => Ok(Self::CaughtUp),
            Some(("polls", node)) => match read_u32(node)? {
                0 => Err(node.problem("a run of no polls shows nothing", "write 1 or more")),
                polls => Ok(Self::Polls(polls)),
            },
            Some((_, node)) => match node.string()?.as_str() {
                "ended" => Ok(Self::Ended),
                "caught-up" => Ok(Self::CaughtUp),
                word => {
                    let message = format!("`{word}` is no end of a run");
                    Err(node.problem(message, "write \"ended\" or \"caught-up\", or use `polls` with a number"))
                }
            },
        }
    }
}

impl Faults {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object(&["chunks", "fresh-instance-after", "clock-jumps", "traps"])?;
        let mut faults =
            Self { chunks: object.read("chunks", ChunkSizes::read)?.unwrap_or_default(), ..Self::default() };
        if let Some(node) = object.get("fresh-instance-after") {
            if node.is_string() && node.string()? == "every-poll" {
                faults.fresh_instance_always = true;
            } else if node.is_array() {
                faults.fresh_instance_after = node.array()?.iter().map(read_number).collect::<Result<_, _>>()?;
            } else {
                return Err(node.wrong_kind("a list of polls or \"every-poll\""));
            }
        }
        for node in object.read("clock-jumps", Node::array)?.unwrap_or_default() {
            let jump = node.object(&["after-poll", "by"])?;
            faults.clock_jumps.push(ClockJump {
                after_poll: read_number(jump.need("after-poll", "the number of a poll, from 1 on")?)?,
                by: read_signed(jump.need("by", "how far, such as \"PT1H\" or \"-PT1H\"")?)?,
            });
        }
        for node in object.read("traps", Node::array)?.unwrap_or_default() {
            let trap = node.object(&["in-poll", "at-request"])?;
            let in_poll = trap.need("in-poll", "the number of a poll, from 1 on")?;
            let trap =
                Trap { in_poll: read_number(in_poll)?, at_request: trap.read("at-request", read_number)?.unwrap_or(1) };
            if faults.trap_in(trap.in_poll).is_some() {
                return Err(in_poll.problem("an instance is lost once a poll", "keep the earlier one"));
            }
            faults.traps.push(trap);
        }
        Ok(faults)
    }
}

fn read_u32(node: &Node<'_>) -> Result<u32, Problem> {
    u32::try_from(node.integer()?).map_err(|_| node.wrong_kind("a number below 4294967296"))
}

/// The number of a poll or of a request: the first is 1.
fn read_number(node: &Node<'_>) -> Result<u32, Problem> {
    match read_u32(node)? {
        0 => Err(node.problem("there is none before the first", "write 1 or more")),
        number => Ok(number),
    }
}

fn read_signed(node: &Node<'_>) -> Result<TimeDelta, Problem> {
    let text = node.string()?;
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.as_str()),
    };
    parse_duration(length)
        .and_then(|length| TimeDelta::from_std(length).ok())
        .map(|length| length * sign)
        .ok_or_else(|| node.problem(format!("`{text}` is no duration"), "write one such as \"PT1H\" or \"-PT1H\""))
}

fn read_time(node: &Node<'_>) -> Result<DateTime<Utc>, Problem> {
    let text = node.string()?;
    DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).map_err(|error| {
        node.problem(format!("`{text}` is no time: {error}"), "write one with a zone, such as \"2026-03-02T09:00:00Z\"")
    })
}
