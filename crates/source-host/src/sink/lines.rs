//! Lines to standard output or to a file that grows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::line::{Shape, push_event, push_gap};
use super::{Sink, SinkError, in_background};
use crate::bindings::Batch;

/// Lines of JSON, to standard output or to a file that grows.
#[derive(Debug)]
pub struct LinesSink {
    shape: Shape,
    output: Output,
}

#[derive(Debug)]
enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

impl LinesSink {
    /// To standard output.
    #[must_use]
    pub fn stdout(shape: Shape) -> Self {
        Self { shape, output: Output::Stdout }
    }

    /// To the end of a file, which is made where there is none. The torn last line of a host that was killed is cut off:
    /// what stood in it was not accounted for and comes again.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing.
    pub fn file(path: &Path, shape: Shape) -> Result<Self, SinkError> {
        let file = open_for_append(path).map_err(|error| SinkError::io("cannot open", path, &error))?;
        Ok(Self { shape, output: Output::File { path: path.to_owned(), file } })
    }

    fn render(&self, source: &str, batch: &Batch) -> (Vec<u8>, Vec<u8>) {
        let mut lines = Vec::with_capacity(batch.events.len() * 2_048);
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
            Output::File { path, file } => {
                let (path, mut file) = (path.clone(), duplicate(path, file)?);
                in_background(move || {
                    super::append(&mut file, &lines).map_err(|error| SinkError::io("cannot write to", &path, &error))
                })
                .await
            }
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let Output::File { path, file } = &self.output else { return Ok(()) };
        let (path, file) = (path.clone(), duplicate(path, file)?);
        in_background(move || super::sync(&file).map_err(|error| SinkError::io("cannot make durable", &path, &error)))
            .await
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

/// What every line of ours begins with.
const OURS: &[u8] = b"{\"source\":\"";

fn open_for_append(path: &Path) -> io::Result<File> {
    // A named pipe that is opened for reading as well would never see its reader go away.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().append(true).open(path);
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if is_new {
        super::sync_parent(path)?;
    }
    let (start, tail) = last_line(&mut file)?;
    if tail.is_empty() {
        return Ok(file);
    }
    if OURS.starts_with(&tail) || tail.starts_with(OURS) {
        tracing::warn!(file = %path.display(), bytes = tail.len(), "cut off the torn last line of an earlier run");
        file.set_len(start)?;
    } else {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Where what follows the last line break begins, and its first bytes.
fn last_line(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    const STEP: u64 = 64 << 10;
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut start = 0;
    while end > 0 {
        let from = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::new();
        (&*file).take(end - from).read_to_end(&mut block)?;
        if let Some(index) = block.iter().rposition(|&byte| byte == b'\n') {
            start = from + index as u64 + 1;
            break;
        }
        end = from;
    }
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    (&*file).take((length - start).min(OURS.len() as u64)).read_to_end(&mut tail)?;
    Ok((start, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_takes_lines_and_has_nothing_to_make_durable() {
        let mut file = open_for_append(Path::new("/dev/null")).unwrap();
        super::super::append(&mut file, b"{}\n").unwrap();
        super::super::sync(&file).unwrap();
        let mut full = open_for_append(Path::new("/dev/full")).unwrap();
        assert_eq!(super::super::append(&mut full, b"{}\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_torn_line_of_ours_is_cut_off_and_a_stranger_s_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        for (before, after) in [
            ("{\"source\":\"a\"}\n{\"source\":\"a\",\"ki", "{\"source\":\"a\"}\n"),
            ("{\"source\":\"a\"}\n{\"so", "{\"source\":\"a\"}\n"),
            ("{\"source\":\"a\"}\n", "{\"source\":\"a\"}\n"),
            ("notes of mine", "notes of mine\n"),
            ("", ""),
        ] {
            std::fs::write(&path, before).unwrap();
            drop(open_for_append(&path).unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }
}
