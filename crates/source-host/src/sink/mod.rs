//! Where events and gaps go.

use async_trait::async_trait;

use crate::bindings::Batch;

/// Why a batch was not delivered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SinkError {
    /// The reader went away, as `head` does. Not an error of anybody.
    #[error("the reader of the output went away")]
    Closed,
    /// It could not be written.
    #[error("{message}")]
    Failed {
        /// Where, and why.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// Where the events and gaps of sources go.
#[async_trait]
pub trait Sink: Send {
    /// Takes a batch of the named source, whole or not at all as far as a reader can tell.
    ///
    /// # Errors
    ///
    /// The batch may have been written in part; deliver it again.
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError>;

    /// Makes durable what was delivered, as far as this kind of output can. After this a checkpoint may be stored.
    ///
    /// # Errors
    ///
    /// Nothing since the last flush is known to be durable.
    async fn flush(&mut self) -> Result<(), SinkError>;
}
