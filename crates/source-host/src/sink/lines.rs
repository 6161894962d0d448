//! Lines to standard output, a named pipe or a device.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::line::{Shape, push_event, push_gap};
use super::pipe::Pipe;
use super::{Sink, SinkError, in_background};
use crate::bindings::Batch;

/// Lines of JSON, to standard output, a named pipe or a device.
#[derive(Debug)]
pub struct LinesSink {
    shape: Shape,
    output: Output,
    patience: Option<Duration>,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Pipe(Pipe),
    Device { path: PathBuf, file: File },
}

impl LinesSink {
    /// To standard output. That its reader went away is [`SinkError::Closed`].
    #[must_use]
    pub fn stdout(shape: Shape) -> Self {
        Self { shape, output: Output::Stdout, patience: None }
    }

    /// To a named pipe or a device, which holds nothing that could be made durable. A file has [`FileSink`](crate::FileSink).
    ///
    /// A pipe is opened with the first batch. While nobody reads it the batch is held, for as long as
    /// [`with_patience`](Self::with_patience) says.
    ///
    /// # Errors
    ///
    /// It is not there, or a device cannot be opened for writing.
    pub fn pipe(path: &Path, shape: Shape) -> Result<Self, SinkError> {
        let problem = |error: io::Error| SinkError::io("cannot open", path, &error);
        let output = if std::fs::metadata(path).map_err(problem)?.file_type().is_fifo() {
            Output::Pipe(Pipe::new(path))
        } else {
            let file = OpenOptions::new().append(true).open(path).map_err(problem)?;
            Output::Device { path: path.to_owned(), file }
        };
        Ok(Self { shape, output, patience: None })
    }

    /// How long one batch waits for somebody who reads the pipe; without it, for ever.
    #[must_use]
    pub fn with_patience(self, patience: Option<Duration>) -> Self {
        Self { patience, ..self }
    }

    fn render(&self, source: &str, batch: &Batch) -> (Vec<u8>, Vec<u8>) {
        let mut lines = Vec::with_capacity(batch.events.iter().map(super::line::room_for).sum());
        for event in &batch.events {
            push_event(&mut lines, self.shape, source, event);
            lines.push(b'\n');
        }
        let mut gaps = Vec::new();
        for gap in &batch.gaps {
            push_gap(&mut gaps, source, gap);
            gaps.push(b'\n');
        }
        (lines, gaps)
    }
}

#[async_trait]
impl Sink for LinesSink {
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let (mut lines, mut gaps) = self.render(source, batch);
        if self.shape == Shape::Enveloped {
            lines.append(&mut gaps);
        }
        write_gaps_to_stderr(gaps).await?;
        if lines.is_empty() {
            return Ok(());
        }
        match &mut self.output {
            Output::Stdout => in_background(move || write_stdout(&lines)).await,
            Output::Pipe(pipe) => pipe.write(&lines, self.patience).await,
            Output::Device { path, file } => {
                let (path, mut file) = (path.clone(), duplicate(path, file)?);
                in_background(move || {
                    file.write_all(&lines).map_err(|error| SinkError::io("cannot write to", &path, &error))
                })
                .await
            }
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Gaps that have no place among bare records.
pub(super) async fn write_gaps_to_stderr(gaps: Vec<u8>) -> Result<(), SinkError> {
    if gaps.is_empty() {
        return Ok(());
    }
    in_background(move || {
        io::stderr().lock().write_all(&gaps).map_err(|error| SinkError::Failed {
            message: format!("a range was not read, and standard error does not take the word of it: {error}"),
            hint: "let somebody read standard error, or leave out `bare`: then gaps stand among the events".to_owned(),
        })
    })
    .await
}

fn write_stdout(lines: &[u8]) -> Result<(), SinkError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => SinkError::Closed,
        _ => SinkError::Failed {
            message: format!("cannot write to standard output: {error}"),
            hint: "see where it is redirected to".to_owned(),
        },
    })
}

fn duplicate(path: &Path, file: &File) -> Result<File, SinkError> {
    file.try_clone().map_err(|error| SinkError::io("cannot write to", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_takes_lines_or_says_why_not() {
        let write = |path: &str| {
            let LinesSink { output: Output::Device { mut file, .. }, .. } =
                LinesSink::pipe(Path::new(path), Shape::Bare).unwrap()
            else {
                panic!("{path} is no device");
            };
            file.write_all(b"{}\n")
        };
        write("/dev/null").unwrap();
        assert_eq!(write("/dev/full").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
