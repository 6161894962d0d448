//! Lines to standard output, a named pipe or a device.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::line::{Shape, push_event, push_gap};
use super::{Sink, SinkError, in_background};
use crate::bindings::Batch;

/// Lines of JSON, to standard output, a named pipe or a device.
#[derive(Debug)]
pub struct LinesSink {
    shape: Shape,
    output: Output,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Pipe { path: PathBuf, file: File },
}

impl LinesSink {
    /// To standard output.
    #[must_use]
    pub fn stdout(shape: Shape) -> Self {
        Self { shape, output: Output::Stdout }
    }

    /// To a named pipe or a device, which holds nothing that could be made durable. A file has [`FileSink`](crate::FileSink).
    ///
    /// # Errors
    ///
    /// It cannot be opened for writing.
    pub fn pipe(path: &Path, shape: Shape) -> Result<Self, SinkError> {
        // A named pipe that is opened for reading as well would never see its reader go away.
        let opened = OpenOptions::new().append(true).open(path);
        let file = opened.map_err(|error| SinkError::io("cannot open", path, &error))?;
        Ok(Self { shape, output: Output::Pipe { path: path.to_owned(), file } })
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
        match &self.output {
            Output::Stdout => in_background(move || write_stdout(&lines)).await,
            Output::Pipe { path, file } => {
                let (path, mut file) = (path.clone(), duplicate(path, file)?);
                in_background(move || {
                    super::append(&mut file, &lines).map_err(|error| SinkError::io("cannot write to", &path, &error))
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
        io::stderr().lock().write_all(&gaps).map_err(|error| SinkError::stream("standard error", &error))
    })
    .await
}

fn write_stdout(lines: &[u8]) -> Result<(), SinkError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines).and_then(|()| stdout.flush()).map_err(|error| SinkError::stream("standard output", &error))
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
            let LinesSink { output: Output::Pipe { mut file, .. }, .. } =
                LinesSink::pipe(Path::new(path), Shape::Bare).unwrap()
            else {
                panic!("{path} is no pipe");
            };
            super::super::append(&mut file, b"{}\n")
        };
        write("/dev/null").unwrap();
        assert_eq!(write("/dev/full").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
