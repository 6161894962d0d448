//! Runs any `pipeline:source` component against recorded traffic, deterministically.
//!
//! [`replay`] polls a component the way a scenario says, on a clock that is virtual, and answers its requests from the
//! recording alone: nothing ever reaches the network. The [`Report`] holds what came out, and [`Report::findings`] says
//! where that is not what the scenario expects.
//!
//! [`record`] makes such a recording, by running a component against its service. Its secrets are replaced before anything
//! is written.
//!
//! [`import_har`] and [`export_har`] go between scenarios and HTTP archives.
//!
//! [`scenarios!`] makes a test of each folder, for `cargo test`.
//!
//! [`Server`] puts the same recording behind plain HTTP on the loopback interface, for hosts with a clock of their own.

mod body;
pub mod cli;
mod clock;
mod conform;
mod convert;
mod diff;
mod drive;
mod expectation;
mod finding;
mod har;
mod inject;
mod junit;
mod layout;
mod page;
mod record;
mod report;
mod run;
mod scrub;
mod server;
mod suite;
mod timeline;
mod transport;

pub use conform::{Break, Law, State, Verdict, conform};
pub use expectation::{UpdateError, update};
pub use finding::Finding;
pub use har::{HarError, Imported, export_har, import_har};
pub use inject::{FaultError, InjectError, Injected, Injection, Injector, every_fault, fault_list};
pub use junit::junit;
pub use page::{Replayed, page};
pub use record::{RecordError, RecordOptions, RecordStep, Recording, Watcher, record};
pub use report::Report;
pub use run::{replay, replay_within};
pub use scrub::Redaction;
pub use server::Server;
pub use suite::Suite;
