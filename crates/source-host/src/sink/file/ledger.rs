//! A file of which every byte is accounted for, or is cut off.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::Settings;
use super::account::{Account, ends};
use super::open::{Tail, adopt, create, existing, given_up, given_up_numbers, lock, tail};
use super::writer;
use crate::sink::{SinkError, append, sync, sync_parent};

/// The file that is written to.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    writer: String,
    /// What it is called once it is given up.
    number: u64,
    length: u64,
    /// When it got its first line, in seconds since 1970.
    begun: u64,
    /// The number of the file in the account that was asked for last, and in the one before, which is stored by now.
    told: u64,
    stored: u64,
    /// Up to which number files were removed.
    removed: u64,
}

impl Ledger {
    /// Opens the file and cuts off what is not accounted for.
    pub(super) fn resume(settings: &Settings, account: Option<&str>, now: u64) -> Result<Self, SinkError> {
        let path = &settings.path;
        let Some(text) = account else { return Self::adopt(settings, None, now) };
        let Some(account) = Account::parse(text) else {
            return Err(SinkError::Failed {
                message: format!(
                    "the state does not say in words of this host how far {} is accounted for",
                    path.display()
                ),
                hint: "use the host that stored it; or move state and file away to start where the configuration says"
                    .to_owned(),
            });
        };
        if account.path != whole(path) {
            return Self::adopt(settings, None, now);
        }
        if writer::last(path)?.is_some_and(|last| last != account.writer) {
            tracing::warn!(
                file = %path.display(),
                "another line of reading wrote to it since, such as a range; nothing is cut off, and what was not accounted for \
                 comes again"
            );
            return Self::adopt(settings, None, now);
        }
        let old = given_up(path, account.number);
        if let Some(file) = existing(&old)?
            && known(&account, &file, &old)?
        {
            return Self::after_rotation(settings, &account, &file, now);
        }
        match existing(path)? {
            Some(file) if known(&account, &file, path)? => {
                lock(&file, path)?;
                if cut(settings, path, &file, account.length)? {
                    let Account { number, length, begun, writer, .. } = account;
                    return Ok(Self::of(file, writer, number, length, begun));
                }
                drop(file);
            }
            None if account.length == 0 => {}
            _ => tracing::warn!(
                file = %path.display(),
                "it is not the file any more that was written to: somebody moved, cut or changed it. What was accounted for is \
                 not written again; what was not may stand in the other file too"
            ),
        }
        Self::adopt(settings, Some(account.writer), now)
    }

    /// A file was given up for a new one since the account was stored, and the one that was accounted for ends early.
    fn after_rotation(settings: &Settings, account: &Account, old: &File, now: u64) -> Result<Self, SinkError> {
        let path = &settings.path;
        cut(settings, &given_up(path, account.number), old, account.length)?;
        let problem = |error: io::Error| SinkError::io("cannot remove what is not accounted for in", path, &error);
        for number in given_up_numbers(path).map_err(problem)?.into_iter().filter(|&number| number > account.number) {
            let later = given_up(path, number);
            if let Some(file) = existing(&later)?
                && cut(settings, &later, &file, 0)?
            {
                fs::remove_file(&later).map_err(problem)?;
            }
        }
        if let Some(file) = existing(path)? {
            lock(&file, path)?;
            cut(settings, path, &file, 0)?;
        }
        Self::adopt(settings, Some(account.writer.clone()), now)
    }

    /// Goes on at the end of a file that nothing is known of.
    fn adopt(settings: &Settings, writer: Option<String>, now: u64) -> Result<Self, SinkError> {
        let path = &settings.path;
        let file = adopt(path, settings.begins.as_deref())?;
        let writer = writer.map_or_else(|| writer::claim(path), Ok)?;
        let problem = |error: io::Error| SinkError::io("cannot open", path, &error);
        let metadata = file.metadata().map_err(problem)?;
        let number = given_up_numbers(path).map_err(problem)?.last().map_or(1, |last| last + 1);
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let begun = modified.map_or(now, |since| since.as_secs());
        Ok(Self::of(file, writer, number, metadata.len(), begun))
    }

    fn of(file: File, writer: String, number: u64, length: u64, begun: u64) -> Self {
        Self { file, writer, number, length, begun, told: number, stored: number, removed: 0 }
    }

    /// Appends events, each whole in one file. `ends` says where each ends.
    pub(super) fn append(
        &mut self,
        settings: &Settings,
        lines: &[u8],
        ends: &[usize],
        now: u64,
    ) -> Result<(), SinkError> {
        self.check(&settings.path)?;
        let every = settings.rotation.every.map(|every| every.as_secs().max(1));
        if self.length > 0 && every.is_some_and(|every| self.begun / every != now / every) {
            self.rotate(settings)?;
        }
        let most = settings.rotation.max_bytes.unwrap_or(u64::MAX);
        let (mut written, mut next) = (0, 0);
        while written < lines.len() {
            let fits = |end: usize| self.length + (end - written) as u64 <= most;
            let mut count = ends[next..].partition_point(|&end| fits(end));
            if count == 0 && self.length > 0 {
                self.rotate(settings)?;
                continue;
            }
            count = count.max(1);
            next += count;
            let end = ends[next - 1];
            if self.length == 0 {
                self.begun = now;
            }
            append(&mut self.file, &lines[written..end])
                .map_err(|error| SinkError::io("cannot write to", &settings.path, &error))?;
            self.length += (end - written) as u64;
            written = end;
        }
        Ok(())
    }

    /// Makes durable what was appended, and removes files that were given up and are too many.
    pub(super) fn flush(&mut self, settings: &Settings) -> Result<(), SinkError> {
        sync(&self.file).map_err(|error| SinkError::io("cannot make durable", &settings.path, &error))?;
        self.check(&settings.path)?;
        // Who asks for the next account has stored the one before.
        self.stored = self.told;
        self.told = self.number;
        if let Some(keep) = settings.rotation.keep
            && self.removed != self.stored
        {
            self.remove_old(&settings.path, keep);
            self.removed = self.stored;
        }
        Ok(())
    }

    pub(super) fn account(&self, settings: &Settings) -> Result<String, SinkError> {
        let path = &settings.path;
        let ends = ends(&self.file, self.length).map_err(|error| SinkError::io("cannot read", path, &error))?;
        let inode = self.file.metadata().map_err(|error| SinkError::io("cannot look at", path, &error))?.ino();
        let Self { number, length, begun, .. } = *self;
        let (writer, path) = (self.writer.clone(), whole(path));
        Ok(Account { number, length, begun, ends, inode, writer, path }.to_string())
    }

    /// Whether somebody else did something to the file.
    fn check(&self, path: &Path) -> Result<(), SinkError> {
        let problem = |error: io::Error| SinkError::io("cannot look at", path, &error);
        let own = self.file.metadata().map_err(problem)?;
        let there = match fs::metadata(path) {
            Ok(there) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(problem(error)),
        };
        let what = match own.len() {
            _ if !there => "moved or removed",
            length if length < self.length => "cut",
            length if length > self.length => "added to",
            _ => return Ok(()),
        };
        Err(SinkError::Unsettled(format!("{} was {what} by somebody else", path.display())))
    }

    fn rotate(&mut self, settings: &Settings) -> Result<(), SinkError> {
        let path = &settings.path;
        let old = given_up(path, self.number);
        if old.exists() {
            return Err(SinkError::Failed {
                message: format!("{} is to become {}, which is there already", path.display(), old.display()),
                hint: "move that file away".to_owned(),
            });
        }
        let problem = |error: io::Error| SinkError::io("cannot give up for a new one", path, &error);
        sync(&self.file).and_then(|()| fs::rename(path, &old)).and_then(|()| sync_parent(path)).map_err(problem)?;
        self.file = create(path)?;
        self.number += 1;
        self.length = 0;
        Ok(())
    }

    /// Files before the one that is accounted for are of no more use to a restart.
    fn remove_old(&self, path: &Path, keep: u64) {
        let numbers = given_up_numbers(path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), "cannot tell which files were given up: {error}");
            Vec::new()
        });
        for number in numbers.into_iter().filter(|&number| number < self.stored && number + keep < self.number) {
            let old = given_up(path, number);
            if let Err(error) = fs::remove_file(&old) {
                tracing::warn!(file = %old.display(), "cannot be removed: {error}");
            }
        }
    }
}

/// A path as it is known in every folder.
fn whole(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn known(account: &Account, file: &File, path: &Path) -> Result<bool, SinkError> {
    account.is_of(file).map_err(|error| SinkError::io("cannot read", path, &error))
}

/// Cuts off what a host wrote after this length, and says whether the file ends there now. What a stranger wrote is
/// kept.
fn cut(settings: &Settings, path: &Path, file: &File, length: u64) -> Result<bool, SinkError> {
    let problem = |error: io::Error| SinkError::io("cannot cut", path, &error);
    let found = file.metadata().map_err(problem)?.len();
    if found <= length {
        return Ok(true);
    }
    match tail(file, length, settings.begins.as_deref()).map_err(problem)? {
        Tail::Ours => {
            tracing::info!(file = %path.display(), bytes = found - length, "cut off what was not accounted for; it comes again");
            file.set_len(length).map_err(problem)?;
            Ok(true)
        }
        Tail::Foreign => {
            tracing::warn!(file = %path.display(), "somebody else added to it, which is kept");
            Ok(false)
        }
        Tail::Mixed => Err(SinkError::Failed {
            message: format!(
                "{} holds lines of this host after its first {length} bytes that are not accounted for, and lines of somebody \
                 else among them",
                path.display()
            ),
            hint: "take the lines of the other one out of it, or move it away".to_owned(),
        }),
    }
}
