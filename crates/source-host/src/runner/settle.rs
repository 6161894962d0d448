//! The order that loses nothing: deliver, flush, then store the checkpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{RunError, RunOptions};
use crate::bindings::Batch;
use crate::checkpoint::{CheckpointStore, StateError, Stored};
use crate::sink::{Sink, SinkError};

/// While there is more to read, checkpoints are stored so often; always before a wait.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// A sink that several sources deliver to, batch by batch.
pub type SharedSink = Arc<Mutex<Box<dyn Sink>>>;

/// Makes a sink one that several sources can deliver to.
#[must_use]
pub fn share(sink: impl Sink + 'static) -> SharedSink {
    Arc::new(Mutex::new(Box::new(sink)))
}

/// Delivers batches and stores the checkpoints that they account for.
pub(super) struct Settler {
    store: Box<dyn CheckpointStore>,
    sink: SharedSink,
    identity: String,
    config_digest: String,
    /// Of what was delivered and is not stored.
    pending: Option<String>,
    stored_at: Instant,
}

impl Settler {
    pub(super) fn new(store: Box<dyn CheckpointStore>, sink: SharedSink, options: &RunOptions) -> Self {
        let (identity, config_digest) = (options.identity.clone(), options.config_digest.clone());
        Self { store, sink, identity, config_digest, pending: None, stored_at: Instant::now() }
    }

    /// The checkpoint to read on from, if it is this source's.
    pub(super) async fn load(&mut self, options: &RunOptions) -> Result<Option<String>, StateError> {
        let Some(stored) = self.store.load().await? else { return Ok(None) };
        if stored.identity != options.identity && !options.accepts.contains(&stored.identity) {
            return Err(StateError::Foreign {
                message: format!(
                    "the state of `{}` belongs to `{}`, and its configuration now reads `{}`",
                    options.name, stored.identity, options.identity
                ),
                hint: "give the [[source]] another name, or another folder with --state; or move the old state away to start \
                       where the configuration says"
                    .to_owned(),
            });
        }
        if stored.config_digest != options.config_digest {
            tracing::info!(
                source = options.name,
                "the configuration changed since the checkpoint was stored; reading on from it"
            );
        }
        Ok(Some(stored.checkpoint))
    }

    pub(super) async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        if batch.events.is_empty() && batch.gaps.is_empty() {
            return Ok(());
        }
        self.sink.lock().await.deliver(source, batch).await
    }

    /// Everything that this checkpoint accounts for has been delivered.
    pub(super) fn delivered(&mut self, checkpoint: String) {
        self.pending = Some(checkpoint);
    }

    pub(super) async fn settle_if_due(&mut self) -> Result<(), RunError> {
        if self.stored_at.elapsed() >= SETTLE_EVERY { self.settle().await } else { Ok(()) }
    }

    /// Makes durable what was delivered, and then stores its checkpoint.
    pub(super) async fn settle(&mut self) -> Result<(), RunError> {
        let Some(checkpoint) = self.pending.clone() else { return Ok(()) };
        self.sink.lock().await.flush().await?;
        let (identity, config_digest) = (self.identity.clone(), self.config_digest.clone());
        self.store.store(&Stored { identity, config_digest, checkpoint }).await?;
        self.pending = None;
        self.stored_at = Instant::now();
        Ok(())
    }

    pub(super) async fn forget(&mut self) -> Result<(), StateError> {
        self.store.clear().await
    }
}
