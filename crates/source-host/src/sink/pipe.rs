//! A named pipe, whose reader may come and go.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{OpenOptions, Sender};
use tokio::time::{Instant, sleep};

use super::SinkError;
use crate::backoff::Backoff;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The writing end of a named pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    path: PathBuf,
    /// Kept open while nobody reads, since what the pipe holds is lost once both ends are closed.
    sender: Option<Sender>,
    /// Whether the last byte that was written stands in the middle of a line.
    torn: bool,
}

impl Pipe {
    /// Nothing is opened yet.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), sender: None, torn: false }
    }

    /// Writes whole lines, and waits for somebody who reads them.
    pub(super) async fn write(&mut self, lines: &[u8], patience: Option<Duration>) -> Result<(), SinkError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let begun = Instant::now();
        let mut is_told = false;
        loop {
            match self.try_to_write(lines).await {
                Ok(()) if is_told => {
                    tracing::info!(pipe = %self.path.display(), "it is read again");
                    return Ok(());
                }
                Ok(()) => return Ok(()),
                Err(error) if is_unread(&error) => {}
                Err(error) => return Err(SinkError::io("cannot write to", &self.path, &error)),
            }
            let wait = backoff.next();
            if patience.is_some_and(|patience| begun.elapsed() + wait > patience) {
                return Err(SinkError::Failed {
                    message: format!("nobody reads the pipe {}", self.path.display()),
                    hint: "start its reader and then this again; what it did not take comes again".to_owned(),
                });
            }
            if !is_told {
                let hint = "start its reader; it gets the batch that the one before did not take";
                tracing::warn!(pipe = %self.path.display(), hint, "nobody reads it; waiting for a reader");
                is_told = true;
            }
            sleep(wait).await;
        }
    }

    async fn try_to_write(&mut self, lines: &[u8]) -> io::Result<()> {
        let sender = match &mut self.sender {
            Some(sender) => sender,
            // Refused where nobody reads.
            None => self.sender.insert(OpenOptions::new().open_sender(&self.path)?),
        };
        if self.torn {
            // The next reader begins in a line whose end will not come.
            sender.write_all(b"\n").await?;
            self.torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let (written, after) = rest.split_at(sender.write(rest).await?);
            self.torn = written.last().is_some_and(|last| *last != b'\n');
            rest = after;
        }
        Ok(())
    }
}

/// No reader has it open.
fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(libc::ENXIO)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn fifo(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    /// So many lines of a kilobyte, each with its number.
    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("{number:>1023}\n").into_bytes()).collect()
    }

    fn numbers(text: &str) -> Vec<usize> {
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_that_goes_away_in_a_line_is_waited_for_and_the_next_one_gets_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        // More than a pipe holds, so that the writer is in the middle of it.
        let all = Arc::new(lines(200));
        let mut first = OpenOptions::new().open_receiver(&path).unwrap();
        let (mut pipe, sent) = (Pipe::new(&path), Arc::clone(&all));
        let writing = tokio::spawn(async move {
            let unread = pipe.write(&sent, Some(Duration::ZERO)).await;
            (pipe, unread)
        });
        let mut part = vec![0; 1_500];
        first.read_exact(&mut part).await.unwrap();
        assert_eq!(numbers(std::str::from_utf8(&part).unwrap()), [0]);
        drop(first);
        let (mut pipe, unread) = writing.await.unwrap();
        assert!(unread.is_err(), "a second reader that comes before this is seen reads on where the first one stopped");
        let writing = tokio::spawn(async move { pipe.write(&all, None).await });
        let rest = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        writing.await.unwrap().unwrap();
        let rest = numbers(&rest.await.unwrap());
        assert!(rest.ends_with(&(0..200).collect::<Vec<_>>()), "{rest:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_with_an_end_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let error = Pipe::new(&path).write(b"{}\n", Some(Duration::from_millis(10))).await.unwrap_err();
        assert_eq!(error.to_string(), format!("nobody reads the pipe {}", path.display()));
        std::fs::remove_file(&path).unwrap();
        let error = Pipe::new(&path).write(b"{}\n", None).await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reader_may_come_late() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let mut pipe = Pipe::new(&path);
        let writing = tokio::spawn(async move { pipe.write(b"{}\n", None).await });
        let reader = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(std::fs::File::open(path).unwrap()).read_line(&mut line).unwrap();
            line
        });
        assert_eq!(reader.await.unwrap(), "{}\n");
        writing.await.unwrap().unwrap();
    }
}
