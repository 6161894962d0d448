//! The proof that no detection is lost.
//!
//! A model of the service and of its faults, a reference that knows what should be delivered, and a host that polls, stores
//! and dies, all of it decided by a seed and in virtual time. `docs/pull-engine.md` says what is proved.

mod api;
mod body;
mod clock;
mod coverage;
mod expected;
mod history;
mod host;
mod kill;
mod line;
mod odata;
mod random;
mod reference;
mod seeds;
mod service;
mod subject;
mod updates;
mod world;

pub use api::Api;
pub use body::Piece;
pub use coverage::Coverage;
pub use kill::{MATRIX_SEEDS, kill_matrix, missing_in_matrix};
pub use line::{Line, Stop};
pub use seeds::{Report, STANDARD_SEEDS, Violation, missing_in_component, run_many, run_one, run_subject};
pub use subject::Subject;
