//! The order that loses nothing: deliver, flush, then store the checkpoint.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;

use super::{RunError, RunOptions};
use crate::bindings::Batch;
use crate::checkpoint::{CheckpointStore, StateError, Stored};
use crate::observer::{Observer, Step};
use crate::sink::{Sink, SinkError};

/// A sink that several sources deliver to, batch by batch.
pub type SharedSink = Arc<Mutex<Box<dyn Sink>>>;

/// Makes a sink one that several sources can deliver to.
#[must_use]
pub fn share(sink: impl Sink + 'static) -> SharedSink {
    Arc::new(Mutex::new(Box::new(sink)))
}

/// Where one source delivers to: each batch to all of them, by the names that their accounts have in the state.
#[derive(Clone)]
pub struct Sinks(Vec<(String, SharedSink)>);

impl From<SharedSink> for Sinks {
    fn from(sink: SharedSink) -> Self {
        Self(vec![("sink".to_owned(), sink)])
    }
}

impl FromIterator<(String, SharedSink)> for Sinks {
    fn from_iter<T: IntoIterator<Item = (String, SharedSink)>>(sinks: T) -> Self {
        Self(sinks.into_iter().collect())
    }
}

/// Delivers batches and stores the checkpoints that they account for.
pub(super) struct Settler {
    source: String,
    observer: Option<Arc<dyn Observer>>,
    store: Box<dyn CheckpointStore>,
    sinks: Sinks,
    /// What the state holds, with the identity and the configuration of now.
    stored: Stored,
    /// Of what was delivered and is not stored.
    pending: Option<String>,
}

impl Settler {
    /// Loads the state, if it is this source's, and takes the sinks back to where it says.
    pub(super) async fn begin(
        mut store: Box<dyn CheckpointStore>,
        sinks: Sinks,
        options: &RunOptions,
    ) -> Result<Self, RunError> {
        let mut stored = store.load().await?.unwrap_or_else(|| Stored {
            identity: options.identity.clone(),
            config_digest: options.config_digest.clone(),
            ..Stored::default()
        });
        if stored.identity != options.identity && !options.accepts.contains(&stored.identity) {
            return Err(RunError::State(StateError::Foreign {
                message: format!(
                    "the state of `{}` belongs to `{}`, and its configuration now reads `{}`",
                    options.name, stored.identity, options.identity
                ),
                hint: "give the [[source]] another name, or another folder with --state; or move the old state away to start \
                       where the configuration says"
                    .to_owned(),
            }));
        }
        if stored.config_digest != options.config_digest {
            tracing::info!(
                source = options.name,
                "the configuration changed since the checkpoint was stored; reading on from it"
            );
        }
        stored.identity.clone_from(&options.identity);
        stored.config_digest.clone_from(&options.config_digest);
        let mut settler = Self {
            source: options.name.clone(),
            observer: options.observer.clone(),
            store,
            sinks,
            stored,
            pending: None,
        };
        settler.resume().await?;
        Ok(settler)
    }

    /// Where to read on from.
    pub(super) fn checkpoint(&self) -> Option<&String> {
        self.stored.checkpoint.as_ref()
    }

    /// Takes the sinks back to what is stored. What was delivered since counts for nothing.
    pub(super) async fn resume(&mut self) -> Result<(), RunError> {
        self.pending = None;
        let mut next = self.stored.clone();
        for (name, sink) in &self.sinks.0 {
            let mut sink = sink.lock().await;
            sink.resume(&self.source, self.stored.accounts.get(name).map(String::as_str)).await?;
            next.account(name, sink.account(&self.source));
        }
        // Where a sink begins has to be known before it takes anything: a host that is killed then knows what to undo.
        if next.accounts != self.stored.accounts {
            self.store.store(&next).await?;
            self.stored = next;
        }
        Ok(())
    }

    pub(super) async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if batch.events.is_empty() && batch.gaps.is_empty() {
            return Ok(());
        }
        let (source, observer) = (&self.source, self.observer.as_ref());
        let taken = |sink: &str| {
            if let Some(observer) = observer {
                observer.observe(source, &Step::Taken(sink));
            }
        };
        match &self.sinks.0[..] {
            [(name, sink)] => {
                sink.lock().await.deliver(source, batch).await?;
                taken(name);
            }
            sinks => {
                let deliver = |(name, sink): &'_ (String, SharedSink)| {
                    let (name, sink) = (name.clone(), Arc::clone(sink));
                    async move {
                        sink.lock().await.deliver(source, batch).await?;
                        taken(&name);
                        Ok::<_, SinkError>(())
                    }
                };
                try_join_all(sinks.iter().map(deliver)).await?;
            }
        }
        Ok(())
    }

    pub(super) fn tell(&self, step: &Step<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(&self.source, step);
        }
    }

    /// Everything that this checkpoint accounts for has been delivered.
    pub(super) fn delivered(&mut self, checkpoint: String) {
        self.pending = Some(checkpoint);
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Makes durable what was delivered, and then stores its checkpoint.
    pub(super) async fn settle(&mut self) -> Result<(), RunError> {
        let Some(checkpoint) = self.pending.clone() else { return Ok(()) };
        let mut next = Stored { checkpoint: Some(checkpoint), ..self.stored.clone() };
        for (name, sink) in &self.sinks.0 {
            let mut sink = sink.lock().await;
            sink.flush().await?;
            next.account(name, sink.account(&self.source));
        }
        self.store.store(&next).await?;
        self.tell(&Step::Stored);
        self.stored = next;
        self.pending = None;
        Ok(())
    }

    pub(super) async fn forget(&mut self) -> Result<(), StateError> {
        self.store.clear().await
    }
}

impl Stored {
    fn account(&mut self, sink: &str, account: Option<String>) {
        match account {
            Some(account) => drop(self.accounts.insert(sink.to_owned(), account)),
            None => drop(self.accounts.remove(sink)),
        }
    }
}
