//! Where events and gaps go.

mod array;
mod csv;
mod dead_letters;
mod file;
mod fluent;
mod http;
mod line;
mod lines;
mod pipe;
mod rendered;
mod retry;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use async_trait::async_trait;

use crate::bindings::Batch;

pub use array::ArraySink;
pub use csv::CsvSink;
pub use dead_letters::DeadLetters;
pub use file::{FileSink, Rotation};
pub use fluent::{FluentSettings, FluentSink};
pub use http::{HttpForm, HttpSettings, HttpSink};
pub(crate) use line::cause;
pub use line::{Shape, batch_lines};
pub use lines::LinesSink;

/// Why a batch was not delivered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SinkError {
    /// The reader of standard output went away, as `head` does. Not an error of anybody.
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
    /// It cannot tell any more what became of what was delivered since the last flush. Reading goes on at the stored
    /// checkpoint.
    #[error("{0}")]
    Unsettled(String),
}

/// Where the events and gaps of sources go.
///
/// Only `deliver` and `flush` have to be written. A sink that is told by [`Sink::resume`] what its own
/// [`Sink::account`] was can undo what was delivered after it, and so hold every event exactly once:
///
/// ```
/// use source_host::{Batch, Sink, SinkError};
///
/// #[derive(Default)]
/// struct Keys(Vec<String>);
///
/// #[async_trait::async_trait]
/// impl Sink for Keys {
///     async fn resume(&mut self, _source: &str, account: Option<&str>) -> Result<(), SinkError> {
///         self.0.truncate(account.map_or(0, |length| length.parse().unwrap_or(0)));
///         Ok(())
///     }
///     async fn deliver(&mut self, _source: &str, batch: &Batch) -> Result<(), SinkError> {
///         self.0.extend(batch.events.iter().map(|event| event.key.clone()));
///         Ok(())
///     }
///     async fn flush(&mut self) -> Result<(), SinkError> {
///         Ok(())
///     }
///     fn account(&self, _source: &str) -> Option<String> {
///         Some(self.0.len().to_string())
///     }
/// }
/// ```
#[async_trait]
pub trait Sink: Send {
    /// Begins with the named source, or begins anew after a delivery that failed or was cut short. What was delivered
    /// after the flush that `account` is of comes again. Without an account nothing is known of an earlier run.
    ///
    /// # Errors
    ///
    /// The output is not fit to be added to.
    async fn resume(&mut self, _source: &str, _account: Option<&str>) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes a batch of the named source, whole or not at all as far as a reader can tell. It takes as long as the
    /// output takes: the source is not polled meanwhile, or not far.
    ///
    /// # Errors
    ///
    /// The batch may have been written in part. It is delivered again after `resume`, by this process or a later one.
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError>;

    /// Makes durable what was delivered, as far as this kind of output can. After this a checkpoint may be stored.
    ///
    /// # Errors
    ///
    /// Nothing since the last flush is known to be durable.
    async fn flush(&mut self) -> Result<(), SinkError>;

    /// What has to be known of this output to resume it here, for the named source. Asked for after `resume` and after
    /// `flush`, and stored with the checkpoint.
    fn account(&self, _source: &str) -> Option<String> {
        None
    }

    /// Completes the output: every source was read to its end.
    ///
    /// # Errors
    ///
    /// The output is not complete.
    async fn finish(&mut self) -> Result<(), SinkError> {
        self.flush().await
    }
}

impl SinkError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Closed => "nothing: reading goes on at the stored checkpoint when it is started again",
            Self::Failed { hint, .. } => hint,
            Self::Unsettled(_) => "leave the output to this host alone while it runs",
        }
    }

    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
            io::ErrorKind::FileTooLarge => "raise the limit of file sizes (`ulimit -f`, `LimitFSIZE=` of a service)",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "let this user write there, or name another file"
            }
            io::ErrorKind::NotFound => "make the folder first, or name another file",
            _ => "name another file",
        };
        Self::Failed { message: format!("{what} {}: {error}", path.display()), hint: hint.to_owned() }
    }
}

/// Runs what may block for as long as a reader likes without holding up other sources.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    let gone = |error: tokio::task::JoinError| SinkError::Failed {
        message: format!("the writing of the output was cut short: {error}"),
        hint: "start it again".to_owned(),
    };
    tokio::task::spawn_blocking(work).await.map_err(gone)?
}

/// Appends bytes, all or none of them: half a line would spoil the next one, of another source perhaps.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?;
    let written = file.write_all(bytes);
    if written.is_err() && before.is_file() {
        file.set_len(before.len())?;
    }
    written
}

/// Makes durable what a file holds; a device or a pipe holds nothing.
fn sync(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
}

/// Makes the name of a new file durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
