//! Runs any `pipeline:source` component against recorded traffic, deterministically.
//!
//! [`replay`] polls a component the way a scenario says, on a clock that is virtual, and answers its requests from the
//! recording alone: nothing ever reaches the network. The [`Report`] holds what came out, and [`Report::findings`] says
//! where that is not what the scenario expects.
//!
//! [`Server`] puts the same recording behind plain HTTP on the loopback interface, for hosts with a clock of their own.

mod body;
pub mod cli;
mod clock;
mod convert;
mod diff;
mod drive;
mod expectation;
mod finding;
mod page;
mod report;
mod run;
mod server;
mod timeline;
mod transport;

pub use expectation::{UpdateError, update};
pub use finding::Finding;
pub use page::{Replayed, page};
pub use report::Report;
pub use run::replay;
pub use server::Server;
