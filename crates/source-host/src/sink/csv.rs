//! A CSV file: the header once, then one row an event.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::line::push_gap;
use super::lines::write_gaps_to_stderr;
use super::{Sink, SinkError, in_background};
use crate::bindings::{Batch, Event, Payload};

/// The attribute of an event that holds the header of its row.
const HEADER: &str = "csv-header";

/// A CSV file that grows.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    file: File,
    header: Option<String>,
}

impl CsvSink {
    /// Opens a file, or makes it. One that is not empty has to begin with the header of the rows that come.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing.
    pub fn file(path: &Path) -> Result<Self, SinkError> {
        let problem = |error: std::io::Error| SinkError::io("cannot open", path, &error);
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(problem)?;
        if is_new {
            super::sync_parent(path).map_err(problem)?;
        }
        let mut first = String::new();
        BufReader::new(&mut file).read_line(&mut first).map_err(problem)?;
        let first = first.trim_end_matches(['\r', '\n']);
        let header = (!first.is_empty()).then(|| first.to_owned());
        Ok(Self { path: path.to_owned(), file, header })
    }

    fn render(&mut self, events: &[Event]) -> Result<Vec<u8>, SinkError> {
        let mut rows = Vec::new();
        let mut header = self.header.clone();
        for event in events {
            let (row, own) = row(event)?;
            match &header {
                None => {
                    rows.extend_from_slice(own.as_bytes());
                    rows.extend_from_slice(b"\r\n");
                    header = Some(own.to_owned());
                }
                Some(header) if header == own => {}
                Some(_) => {
                    return Err(SinkError::Failed {
                        message: format!("{} begins with the header of other columns", self.path.display()),
                        hint: "name another file with --out".to_owned(),
                    });
                }
            }
            rows.extend_from_slice(row.as_bytes());
            rows.extend_from_slice(b"\r\n");
        }
        self.header = header;
        Ok(rows)
    }
}

fn row(event: &Event) -> Result<(&str, &str), SinkError> {
    let header = event.attributes.iter().find(|(name, _)| name == HEADER);
    match (&event.body, header) {
        (Payload::Text(row), Some((_, header))) => Ok((row.trim_end_matches(['\r', '\n']), header)),
        _ => Err(SinkError::Failed {
            message: "the source does not make CSV rows".to_owned(),
            hint: "write format = \"csv\" into its config, or name a file that does not end in .csv".to_owned(),
        }),
    }
}

#[async_trait]
impl Sink for CsvSink {
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let mut gaps = Vec::new();
        for gap in &batch.gaps {
            push_gap(&mut gaps, source, gap);
            gaps.push(b'\n');
        }
        let rows = self.render(&batch.events)?;
        write_gaps_to_stderr(gaps).await?;
        self.file.write_all(&rows).map_err(|error| SinkError::io("cannot write to", &self.path, &error))
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let path = self.path.clone();
        let file = self.file.try_clone().map_err(|error| SinkError::io("cannot write to", &path, &error))?;
        in_background(move || file.sync_data().map_err(|error| SinkError::io("cannot make durable", &path, &error)))
            .await
    }
}
