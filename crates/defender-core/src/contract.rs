//! The values of `wit/source.wit`, as the core makes them. Documented there.

#![expect(missing_docs, reason = "wit/source.wit documents every one of these items")]

use crate::tick::Tick;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub key: String,
    pub subject: String,
    pub kind: &'static str,
    pub occurred: Option<Tick>,
    pub visible: Option<Tick>,
    pub content_type: &'static str,
    pub body: Payload,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// These bytes: text where they are UTF-8.
    pub fn of(bytes: &[u8]) -> Self {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary(bytes.to_vec()),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GapCause {
    Truncated,
    Expired,
    Unreadable,
    Partial,
    Other(&'static str),
}

impl GapCause {
    /// The name of the case, as `wit/source.wit` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
            Self::Partial => "partial",
            Self::Other(name) => name,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    pub key: String,
    pub kind: &'static str,
    pub since: Tick,
    pub until: Tick,
    pub cause: GapCause,
    pub subject: Option<String>,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    pub max_events: u32,
    pub max_bytes: u64,
    pub max_requests: u32,
    /// Nanoseconds.
    pub max_duration: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextPoll {
    Now,
    /// Nanoseconds.
    After(u64),
    Ended,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    pub events: Vec<Event>,
    pub gaps: Vec<Gap>,
    pub checkpoint: String,
    pub next: NextPoll,
    pub watermark: Option<Tick>,
    pub notices: Vec<Diagnostic>,
    pub counters: Vec<(&'static str, u64)>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    Error,
    Warning,
    Note,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    pub level: Level,
    pub code: String,
    pub pointer: Option<String>,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Default, Eq, PartialEq)]
pub struct Fault {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    pub checkpoint: Option<String>,
}

/// By hand, since a derived one is copied into every case of [`Failure`].
impl Clone for Fault {
    #[inline(never)]
    fn clone(&self) -> Self {
        Self {
            code: self.code.clone(),
            message: self.message.clone(),
            hint: self.hint.clone(),
            status: self.status,
            request_id: self.request_id.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delay {
    /// Nanoseconds.
    pub after: Option<u64>,
    pub fault: Fault,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    InvalidConfig(Vec<Diagnostic>),
    Unauthenticated(Fault),
    Forbidden(Fault),
    Throttled(Delay),
    Unavailable(Delay),
    Rejected(Fault),
    UnusableCheckpoint(Fault),
    BudgetTooSmall(Budget),
    Internal(Fault),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Position {
    Resume(Option<String>),
    Range(Tick, Tick),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    pub name: &'static str,
    pub version: &'static str,
    pub config_schema: &'static str,
    pub documentation: &'static str,
    pub max_checkpoint_bytes: u32,
    pub max_event_bytes: u64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    pub purpose: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecretPlace {
    FormField(&'static str),
    Bearer,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretUse {
    pub pointer: &'static str,
    pub origin: u32,
    pub place: SecretPlace,
    pub captures: Vec<&'static str>,
    pub bearer_at: Vec<u32>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessPlan {
    pub origins: Vec<Origin>,
    pub secrets: Vec<SecretUse>,
    pub identity: String,
    pub accepts: Vec<String>,
    pub effective_config: String,
    pub notes: Vec<Diagnostic>,
}
