//! What a sink refused for good, in a file for a person to look at.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::line::{Shape, push_event, push_gap, push_string};
use super::{SinkError, in_background};
use crate::bindings::{Batch, Instant};
use crate::timestamp::Rfc3339;

/// A file of one JSON object for each event or gap that a sink refused: `sink`, `status`, `reason`, `time` and, under
/// `event`, the whole line. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    path: Arc<PathBuf>,
    file: Arc<Mutex<File>>,
}

/// Why something was refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: String,
}

impl DeadLetters {
    /// Opens the file for adding to it, or makes it. A torn last line is ended.
    ///
    /// # Errors
    ///
    /// It cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let problem = |error: std::io::Error| SinkError::io("cannot open", path, &error);
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(problem)?;
        if is_new {
            super::sync_parent(path).map_err(problem)?;
        }
        if file.metadata().map_err(problem)?.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(problem)?;
            if last != [b'\n'] {
                file.write_all(b"\n").map_err(problem)?;
            }
        }
        Ok(Self { path: Arc::new(path.to_owned()), file: Arc::new(Mutex::new(file)) })
    }

    /// Adds one event or gap, by its place in the batch: events come first.
    pub(super) async fn add(
        &self,
        sink: &str,
        source: &str,
        batch: &Batch,
        index: usize,
        refusal: &Refusal,
    ) -> Result<(), SinkError> {
        let line = line(sink, source, batch, index, refusal);
        self.with_file("cannot write to", move |file| super::append(file, &line)).await
    }

    /// Makes durable what was added.
    pub(super) async fn flush(&self) -> Result<(), SinkError> {
        self.with_file("cannot make durable", |file| super::sync(file)).await
    }

    async fn with_file(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut File) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), SinkError> {
        let Self { path, file } = self.clone();
        in_background(move || {
            work(&mut file.lock().unwrap_or_else(PoisonError::into_inner))
                .map_err(|error| SinkError::io(what, &path, &error))
        })
        .await
    }
}

fn line(sink: &str, source: &str, batch: &Batch, index: usize, refusal: &Refusal) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Instant {
        seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: now.subsec_nanos() / 100 * 100,
    };
    let mut line = b"{\"sink\":".to_vec();
    push_string(&mut line, sink);
    line.extend_from_slice(format!(",\"status\":{},\"reason\":", refusal.status).as_bytes());
    push_string(&mut line, &refusal.reason);
    line.extend_from_slice(format!(",\"time\":\"{}\",\"event\":", Rfc3339(now)).as_bytes());
    match batch.events.get(index) {
        Some(event) => push_event(&mut line, Shape::Enveloped, source, event),
        None => push_gap(&mut line, source, &batch.gaps[index - batch.events.len()]),
    }
    line.extend_from_slice(b"}\n");
    line
}

/// What an event or a gap of a batch is called.
pub(super) fn key(batch: &Batch, index: usize) -> &str {
    match batch.events.get(index) {
        Some(event) => &event.key,
        None => &batch.gaps[index - batch.events.len()].key,
    }
}
