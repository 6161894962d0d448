//! One source among those that run side by side. What is wrong with its state or its files is its own matter.

use std::path::PathBuf;
use std::time::Duration;

use source_host::{
    CheckpointStore, FileStore, Lineage, MemoryStore, Outcome, RunError, RunOptions, Runner, Sinks, Source, StateError,
    Step, Tally,
};
use tokio::sync::watch;

use super::report::Report;

/// How often it is seen whether another host still uses a state.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A source with everything that its run needs.
pub(super) struct Member {
    pub(super) source: Source,
    pub(super) options: RunOptions,
    pub(super) place: Place,
    pub(super) sinks: Sinks,
}

/// Where its checkpoints are kept.
pub(super) enum Place {
    /// Nowhere: it begins anew each time.
    Memory,
    /// In a file of this folder.
    Folder(PathBuf, Lineage),
}

/// Why a source cannot begin.
pub(super) struct Unopened {
    pub(super) report: Report,
    /// The source itself, where another host uses its state.
    pub(super) held: Option<Box<Member>>,
}

impl Member {
    /// Reads its state, and takes its outputs back to where that says.
    pub(super) async fn open(self) -> Result<Runner, Unopened> {
        let name = self.options.name.clone();
        let unopened = |error: RunError, held| Unopened { report: Report::from(error).of(&name), held };
        match self.place.open(&self.options.name) {
            Ok(store) => self.begin(store).await.map_err(|error| unopened(error, None)),
            Err(error) => {
                let held = matches!(error, StateError::Stale { .. });
                let error = RunError::State(error);
                if let Some(observer) = &self.options.observer {
                    observer.observe(&self.options.name, &Step::GaveUp(&error));
                }
                Err(unopened(error, held.then(|| Box::new(self))))
            }
        }
    }

    /// Waits until the other host lets go of its state, and runs then. Where it is told to stop before, it has failed, as
    /// was said.
    pub(super) async fn run_when_free(
        self,
        mut stopping: watch::Receiver<bool>,
        said: &Report,
    ) -> (Result<Outcome, Report>, Tally) {
        let name = self.options.name.clone();
        let failed = |error: RunError| (Err(Report::from(error).of(&name)), Tally::default());
        let store = loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return (Err(said.clone().silenced().report()), Tally::default()),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            match self.place.open(&name) {
                Err(StateError::Stale { .. }) => {}
                Err(error) => return failed(error.into()),
                Ok(store) => break store,
            }
        };
        tracing::info!(source = name, "no other host uses its state any more");
        match self.begin(store).await {
            Ok(runner) => run(&name, runner, stopping).await,
            Err(error) => failed(error),
        }
    }

    async fn begin(self, store: Box<dyn CheckpointStore>) -> Result<Runner, RunError> {
        Runner::new(self.source, self.options, store, self.sinks).await
    }
}

/// Runs it to its end.
pub(super) async fn run(
    name: &str,
    mut runner: Runner,
    stopping: watch::Receiver<bool>,
) -> (Result<Outcome, Report>, Tally) {
    let ended = runner.run(stopping).await.map_err(|error| Report::from(error).of(name));
    (ended, runner.tally())
}

impl Place {
    fn open(&self, name: &str) -> Result<Box<dyn CheckpointStore>, StateError> {
        let Self::Folder(folder, lineage) = self else { return Ok(Box::new(MemoryStore::default())) };
        let store = FileStore::open(folder, name, lineage)?;
        tracing::info!(source = name, state = %store.path().display(), "starting");
        Ok(Box::new(store))
    }
}
