//! A file of lines that holds every event exactly once.

mod account;
mod ledger;
mod open;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use super::line::{Shape, source_prefix};
use super::lines::write_gaps_to_stderr;
use super::rendered::Rendered;
use super::{Sink, SinkError, in_background};
use crate::bindings::Batch;
use ledger::Ledger;

/// When a file is given up for a new one. Its lines then stand in `PATH.1`, `PATH.2` and so on, the highest number being
/// the newest; such a file is never written to again. No event stands in two files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rotation {
    /// The longest a file may become, in bytes. An event that is longer has a file to itself.
    pub max_bytes: Option<u64>,
    /// One file for each such stretch of time since 1970, in UTC, and only for those in which something is written.
    pub every: Option<Duration>,
    /// How many files that were given up are kept; without it, all of them.
    pub keep: Option<u64>,
}

/// Lines of JSON in a file that belongs to one source and to nobody else.
///
/// The file's length is the account of this sink. What a host that was killed had written beyond it is cut off, so the
/// file holds every event once, and no torn line.
#[derive(Debug)]
pub struct FileSink {
    settings: Arc<Settings>,
    /// None until it is resumed. A delivery that was cut short goes on in the background and lets go of it at its end.
    ledger: Arc<Mutex<Option<Ledger>>>,
    source: Option<String>,
    account: Option<String>,
}

#[derive(Debug)]
struct Settings {
    path: PathBuf,
    rotation: Rotation,
    /// What every line begins with, where that is known.
    begins: Option<Vec<u8>>,
    shape: Shape,
}

impl FileSink {
    /// Nothing is opened before the sink is resumed.
    #[must_use]
    pub fn new(path: &Path, shape: Shape, rotation: Rotation) -> Self {
        Self {
            settings: Arc::new(Settings { path: path.to_owned(), rotation, begins: None, shape }),
            ledger: Arc::default(),
            source: None,
            account: None,
        }
    }

    /// Does something with the file, and not before what was begun with it is over.
    async fn with_ledger<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Ledger>) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let ledger = Arc::clone(&self.ledger);
        in_background(move || work(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn resume(&mut self, source: &str, account: Option<&str>) -> Result<(), SinkError> {
        if self.source.get_or_insert_with(|| source.to_owned()) != source {
            return Err(SinkError::Failed {
                message: format!("{} is the file of another source", self.settings.path.display()),
                hint: "give each source a file of its own".to_owned(),
            });
        }
        let begins = (self.settings.shape == Shape::Enveloped).then(|| source_prefix(source));
        let Settings { path, rotation, shape, .. } = &*self.settings;
        self.settings = Arc::new(Settings { path: path.clone(), rotation: *rotation, begins, shape: *shape });
        let (settings, account) = (Arc::clone(&self.settings), account.map(str::to_owned));
        let resumed = self.with_ledger(move |ledger| {
            // The lock on the file is let go first.
            *ledger = None;
            let resumed = ledger.insert(Ledger::resume(&settings, account.as_deref(), now())?);
            resumed.account(&settings)
        });
        self.account = Some(resumed.await?);
        Ok(())
    }

    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let Rendered { lines, ends, apart } = Rendered::of(source, batch, self.settings.shape);
        write_gaps_to_stderr(apart).await?;
        let settings = Arc::clone(&self.settings);
        self.with_ledger(move |ledger| opened(ledger)?.append(&settings, &lines, &ends, now())).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let settings = Arc::clone(&self.settings);
        let flushed = self.with_ledger(move |ledger| {
            let ledger = opened(ledger)?;
            ledger.flush(&settings)?;
            ledger.account(&settings)
        });
        self.account = Some(flushed.await?);
        Ok(())
    }

    fn account(&self, _source: &str) -> Option<String> {
        self.account.clone()
    }
}

fn opened(ledger: &mut Option<Ledger>) -> Result<&mut Ledger, SinkError> {
    ledger.as_mut().ok_or_else(|| SinkError::Unsettled("the file has not been opened".to_owned()))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
