//! A CSV file: the header once, then one row an event.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::line::push_gap;
use super::lines::write_gaps_to_stderr;
use super::{Sink, SinkError, in_background};
use crate::bindings::{Batch, Event, Payload};

/// The attribute of an event that holds the header of its row.
pub(super) const HEADER: &str = "csv-header";

/// A CSV file that grows.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    file: File,
    header: Option<String>,
    /// Where the torn last row of a host that was killed begins. What stood in it was not accounted for and comes again.
    torn: Option<u64>,
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
        file.seek(SeekFrom::Start(0)).map_err(problem)?;
        let torn = torn_row(&file).map_err(problem)?;
        Ok(Self { path: path.to_owned(), file, header, torn })
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

/// Where the last row begins, if no line break outside of quotes ends it.
fn torn_row(file: &File) -> std::io::Result<Option<u64>> {
    let (mut at, mut row, mut in_quotes) = (0, 0, false);
    let mut block = vec![0; 64 << 10];
    loop {
        let read = (&*file).read(&mut block)?;
        if read == 0 {
            return Ok((row < at).then_some(row));
        }
        for &byte in &block[..read] {
            at += 1;
            match byte {
                b'"' => in_quotes = !in_quotes,
                b'\n' if !in_quotes => row = at,
                _ => {}
            }
        }
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
        let problem = |error: std::io::Error| SinkError::io("cannot write to", &self.path, &error);
        // Only now it is known that the rows of this file are of the same kind as ours.
        if let Some(start) = self.torn.filter(|_| !rows.is_empty()) {
            tracing::warn!(file = %self.path.display(), "cut off the torn last row of an earlier run");
            self.file.set_len(start).map_err(problem)?;
        }
        super::append(&mut self.file, &rows).map_err(problem)?;
        if !rows.is_empty() {
            self.torn = None;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let path = self.path.clone();
        let file = self.file.try_clone().map_err(|error| SinkError::io("cannot write to", &path, &error))?;
        in_background(move || super::sync(&file).map_err(|error| SinkError::io("cannot make durable", &path, &error)))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_torn_where_no_line_break_outside_of_quotes_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        for (text, torn) in [
            ("", None),
            ("a,b\r\n1,2\r\n", None),
            ("a,b\r\n1,\"x\r\ny\"\r\n", None),
            ("a,b\r\n1,\"x\r\n", Some(5)),
            ("a,b\r\n1", Some(5)),
            ("a,b", Some(0)),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(CsvSink::file(&path).unwrap().torn, torn, "{text}");
        }
    }

    #[tokio::test]
    async fn a_torn_row_is_cut_off_by_the_next_row_of_the_same_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        std::fs::write(&path, "a,b\r\n1,2\r\n3,\"x\r\ny").unwrap();
        let mut sink = CsvSink::file(&path).unwrap();
        sink.deliver("tenant", &batch(&[])).await.unwrap();
        sink.deliver("tenant", &batch(&["3,4"])).await.unwrap();
        sink.deliver("tenant", &batch(&["5,6"])).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\r\n1,2\r\n3,4\r\n5,6\r\n");
    }

    fn batch(rows: &[&str]) -> Batch {
        let event = |row: &&str| Event {
            key: String::new(),
            subject: String::new(),
            kind: String::new(),
            occurred: None,
            visible: None,
            content_type: "text/csv".to_owned(),
            body: Payload::Text((*row).to_owned()),
            attributes: vec![(HEADER.to_owned(), "a,b".to_owned())],
        };
        Batch {
            events: rows.iter().map(event).collect(),
            gaps: Vec::new(),
            checkpoint: String::new(),
            next: crate::bindings::NextPoll::Now,
            notices: Vec::new(),
            counters: Vec::new(),
            watermark: None,
        }
    }
}
