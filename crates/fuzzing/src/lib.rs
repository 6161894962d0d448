//! What must hold of the core whatever bytes come: one function per fuzz target, which panics where it does not hold.
//!
//! `fuzz/` runs them under libFuzzer (`make fuzz`); the tests replay `corpus/` through them on any toolchain. An input
//! that once failed stays in the corpus under a name that says what it is.

mod answer;
mod bytes;
mod canary;
mod checkpoint;
mod configuration;
mod failure;
mod machine;
mod ring;
mod row;
mod tick;

pub use answer::answer;
pub use checkpoint::checkpoint;
pub use configuration::configuration;
pub use failure::{api_failure, token_answer};
pub use machine::machine;
pub use ring::ring;
pub use tick::tick;

/// What an input reached, in words: a corpus that reaches nothing proves nothing.
pub type Reached = std::collections::BTreeSet<&'static str>;

/// A fuzz target.
pub type Target = fn(&[u8]) -> Reached;

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("answer", answer),
    ("api_failure", api_failure),
    ("checkpoint", checkpoint),
    ("configuration", configuration),
    ("machine", machine),
    ("ring", ring),
    ("tick", tick),
    ("token_answer", token_answer),
];
