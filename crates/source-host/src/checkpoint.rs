//! Where a source's checkpoint is kept between runs.

use std::collections::BTreeMap;

use async_trait::async_trait;

/// What is kept of a source.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// What the checkpoint belongs to, as the plan named it.
    pub identity: String,
    /// A hash of the effective configuration that it was made with, for a person who wonders what changed.
    pub config_digest: String,
    /// Where reading stopped. Before anything was read there is none, and yet something may be known of the sinks.
    pub checkpoint: Option<String>,
    /// What each sink, by its name, had said of itself when all of this was durable in it.
    pub accounts: BTreeMap<String, String>,
}

/// Why a state could not be read or written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StateError {
    /// Somebody else stored since, or holds it now.
    #[error("{message}")]
    Stale {
        /// Who, or what.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It is there and is none.
    #[error("{message}")]
    Corrupt {
        /// Where, and what is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It belongs to another source.
    #[error("{message}")]
    Foreign {
        /// Whose it is, and whose was expected.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It cannot be reached.
    #[error("{message}")]
    Io {
        /// Where, and why.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl StateError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Stale { hint, .. }
            | Self::Corrupt { hint, .. }
            | Self::Foreign { hint, .. }
            | Self::Io { hint, .. } => hint,
        }
    }
}

/// Where one source's checkpoint is kept.
///
/// A store that is shared between hosts refuses a writer that was replaced with [`StateError::Stale`].
#[async_trait]
pub trait CheckpointStore: Send {
    /// What was stored last.
    ///
    /// # Errors
    ///
    /// It cannot be read. A state that cannot be read is never taken for none.
    async fn load(&mut self) -> Result<Option<Stored>, StateError>;

    /// Stores a checkpoint. Once this returns it survives a crash of the machine, whole.
    ///
    /// # Errors
    ///
    /// It could not be stored; the one before is still there.
    async fn store(&mut self, stored: &Stored) -> Result<(), StateError>;

    /// Forgets it: a bounded range was read to its end.
    ///
    /// # Errors
    ///
    /// It is still there.
    async fn clear(&mut self) -> Result<(), StateError>;
}

/// Keeps a checkpoint as long as the process lives.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Option<Stored>);

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn load(&mut self) -> Result<Option<Stored>, StateError> {
        Ok(self.0.clone())
    }

    async fn store(&mut self, stored: &Stored) -> Result<(), StateError> {
        self.0 = Some(stored.clone());
        Ok(())
    }

    async fn clear(&mut self) -> Result<(), StateError> {
        self.0 = None;
        Ok(())
    }
}
