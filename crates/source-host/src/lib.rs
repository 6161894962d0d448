//! Embeds any `pipeline:source` component in a Rust program.
//!
//! An [`Engine`] compiles a component once, and a [`Source`] polls it for one configuration in an instance of its own.
//! What the instance may do is decided here: it reaches the origins of its [`Policy`], within its [`Limits`], and
//! nothing else of the machine. What it is given comes through four traits, so that a test can put its own in place:
//! [`Transport`], [`Clock`], [`CheckpointStore`] and [`Sink`].
//!
//! The law that a program which polls by itself has to keep: store a batch's checkpoint only once its events and gaps
//! are durable. [`Runner`] keeps it. A whole program with one, which stands in `examples/embed-rust`:
//!
//! ```no_run
#![doc = include_str!("../../../examples/embed-rust/src/main.rs")]
//! ```

// The command line uses this library by its name, as any other program does.
extern crate self as source_host;

mod address;
mod backoff;
mod bindings;
mod body;
mod cache;
mod checkpoint;
mod cli;
mod clock;
mod component;
mod engine;
mod grants;
mod hooks;
mod instance;
mod json;
mod limits;
mod live;
mod metered;
mod metrics;
mod observer;
mod origin;
mod outgoing;
mod policy;
mod population;
mod quota;
mod runner;
mod secrets;
mod sink;
mod source;
mod state;
mod timestamp;
mod transport;
mod turns;

pub use bindings::{
    AccessPlan, Batch, Budget, Delay, Description, Diagnostic, Event, Failure, Fault, Gap, GapCause, Instant, Level,
    NextPoll, Payload, PlannedOrigin, Position, SecretPlace, SecretUse,
};
pub use checkpoint::{CheckpointStore, MemoryStore, StateError, Stored};
pub use cli::{ConfigError, ConfiguredSource, configured, main as command};
pub use clock::{Clock, SystemClock, TokioClock};
pub use component::{Component, Precompiled};
pub use engine::{Engine, LoadError};
pub use grants::{Grants, Refused};
pub use instance::{CallError, Instance};
pub use json::read_json;
pub use limits::Limits;
pub use live::{LiveTransport, Proxy, ProxyError, Tls, TlsError};
pub use metrics::{Health, Metrics};
pub use observer::{Observer, Step, Wait};
pub use origin::{Origin, OriginError, Scheme};
pub use policy::{Denial, Policy};
pub use quota::Quota;
pub use runner::{Outcome, RunError, RunOptions, Runner, SharedSink, Sinks, Tally, report, share};
pub use secrets::{Misplanned, SecretSource, SecretValue, Secrets, Vault};
pub use sink::{
    ArraySink, CsvSink, DeadLetters, FileSink, FluentSettings, FluentSink, HttpForm, HttpSettings, HttpSink, LinesSink,
    Rotation, Shape, Sink, SinkError, batch_lines,
};
pub use source::{OpenError, Source, SourceParts};
pub use state::{FileStore, Lineage, replace_file};
pub use transport::{Timeouts, Transport};
pub use turns::Turns;
/// The body of a request or an answer on its way through a [`Transport`], and what can go wrong with it.
pub use wasmtime_wasi_http::{Error as HttpError, WasiBody};
