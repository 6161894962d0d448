//! One JSON array, written whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::line::{Shape, push_event, push_gap};
use super::lines::write_gaps_to_stderr;
use super::{Sink, SinkError, in_background};
use crate::bindings::Batch;

/// A file that holds one JSON array once everything has been read, and is not there before.
#[derive(Debug)]
pub struct ArraySink {
    path: PathBuf,
    part: PathBuf,
    shape: Shape,
    writer: Option<BufWriter<File>>,
    is_empty: bool,
}

impl ArraySink {
    /// Begins a file beside the one that it becomes.
    ///
    /// # Errors
    ///
    /// The file is there already, or its folder cannot be written to.
    pub fn file(path: &Path, shape: Shape) -> Result<Self, SinkError> {
        if path.exists() {
            return Err(SinkError::Failed {
                message: format!("{} is there already, and a JSON array cannot be added to", path.display()),
                hint: "name a file that is not there, or remove it first".to_owned(),
            });
        }
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(part);
        let mut writer =
            File::create(&part).map(BufWriter::new).map_err(|error| SinkError::io("cannot create", path, &error))?;
        writer.write_all(b"[").map_err(|error| SinkError::io("cannot write to", path, &error))?;
        Ok(Self { path: path.to_owned(), part, shape, writer: Some(writer), is_empty: true })
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_empty { b"\n" } else { b",\n" });
        self.is_empty = false;
    }
}

#[async_trait]
impl Sink for ArraySink {
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let mut elements = Vec::new();
        for event in &batch.events {
            self.separate(&mut elements);
            push_event(&mut elements, self.shape, source, event);
        }
        let mut apart = Vec::new();
        for gap in &batch.gaps {
            if self.shape == Shape::Bare {
                push_gap(&mut apart, source, gap);
                apart.push(b'\n');
            } else {
                self.separate(&mut elements);
                push_gap(&mut elements, source, gap);
            }
        }
        write_gaps_to_stderr(apart).await?;
        let Some(writer) = &mut self.writer else {
            return Err(SinkError::Failed {
                message: format!("the array in {} is complete, and nothing can be added", self.path.display()),
                hint: "write to a file that is not there yet".to_owned(),
            });
        };
        writer.write_all(&elements).map_err(|error| SinkError::io("cannot write to", &self.path, &error))
    }

    // Nothing of it is durable before it is whole, and nothing of it is accounted for before.
    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        let (part, path) = (self.part.clone(), self.path.clone());
        in_background(move || {
            writer
                .write_all(b"\n]\n")
                .and_then(|()| writer.flush())
                .and_then(|()| writer.get_ref().sync_all())
                .map_err(|error| SinkError::io("cannot write to", &path, &error))?;
            // A link is refused where the name is taken by now, a renaming would replace it.
            fs::hard_link(&part, &path)
                .and_then(|()| super::sync_parent(&path))
                .map_err(|error| SinkError::io("cannot create", &path, &error))
        })
        .await
    }
}

impl Drop for ArraySink {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.part) {
            tracing::warn!(file = %self.part.display(), "cannot be removed: {error}");
        }
    }
}
