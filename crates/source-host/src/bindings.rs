//! The contract as Rust types.
//!
//! Only the export side is bound. Binding a world that imports WASI would have to match the version of WASI that a
//! component was built with, while the linker resolves any 0.2 by itself.

#![allow(missing_docs, reason = "generated; the documentation stands in wit/source.wit and is carried over from there")]
#![allow(unused_qualifications, unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({
    inline: "package source:host; world source-host { export pipeline:source/source@0.1.0; }",
    path: "../../wit",
    exports: { default: async },
    additional_derives: [Clone, PartialEq],
});

pub use exports::pipeline::source::source::{
    AccessPlan, Batch, Budget, Delay, Description, Diagnostic, Event, Failure, Fault, Gap, GapCause, Instant, Level,
    NextPoll, Origin as PlannedOrigin, Payload, Position, SecretPlace, SecretUse,
};

impl Failure {
    /// Whether the source holds itself back, as for a quota that it keeps: it says for how long, and no answer made it.
    #[must_use]
    pub fn is_own_pace(&self) -> bool {
        matches!(self, Self::Throttled(Delay { after: Some(1..), fault: Fault { status: None, .. } }))
    }
}

impl Payload {
    /// The bytes of it, whatever it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}
