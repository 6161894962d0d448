//! Files on the disk: finding them, opening them, and telling whose lines they hold.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::sink::{SinkError, parent, sync_parent};

/// What a file is called once it is given up.
pub(super) fn given_up(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The numbers of the files that were given up, in order.
pub(super) fn given_up_numbers(path: &Path) -> io::Result<Vec<u64>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent(path))? {
        let found = entry?.file_name();
        let number = found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('.'));
        // No other spelling of a number is one of ours.
        if let Some(number) = number.and_then(|text| text.parse().ok().filter(|n: &u64| n.to_string() == text)) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens a file that is there, for reading and for writing to its end.
pub(super) fn existing(path: &Path) -> Result<Option<File>, SinkError> {
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SinkError::io("cannot open", path, &error)),
    }
}

/// Makes a file that is not there, with a name that survives a crash of the machine.
pub(super) fn create(path: &Path) -> Result<File, SinkError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)
        .map_err(|error| SinkError::io("cannot create", path, &error))?;
    sync_parent(path).map_err(|error| SinkError::io("cannot create", path, &error))?;
    lock(&file, path)?;
    Ok(file)
}

/// Two hosts that write to one file would cut off each other's lines.
pub(super) fn lock(file: &File, path: &Path) -> Result<(), SinkError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(SinkError::Failed {
            message: format!("somebody else writes to {}: it is locked", path.display()),
            hint: "stop the other one, or name another file".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(SinkError::io("cannot lock", path, &error)),
    }
}

/// Whose lines follow upon a place in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tail {
    /// A host's, the last one torn perhaps.
    Ours,
    Foreign,
    Mixed,
}

/// Whose lines follow upon `from`. Where it is not known what lines of ours begin with, all are taken for ours.
pub(super) fn tail(file: &File, from: u64, begins: Option<&[u8]>) -> io::Result<Tail> {
    let Some(begins) = begins else { return Ok(Tail::Ours) };
    let (mut ours, mut foreign) = (false, false);
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(from))?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        // A machine that lost its power may leave a stretch of nothing where a line was to be.
        let is_ours = line.starts_with(begins) || begins.starts_with(&line) || line.starts_with(&[0]);
        ours |= is_ours;
        foreign |= !is_ours;
        line.clear();
    }
    Ok(match (ours, foreign) {
        (_, false) => Tail::Ours,
        (false, true) => Tail::Foreign,
        (true, true) => Tail::Mixed,
    })
}

/// Opens a file that nothing is known of, or makes it. A torn last line of ours is cut off, a stranger's is ended.
pub(super) fn adopt(path: &Path, begins: Option<&[u8]>) -> Result<File, SinkError> {
    let problem = |error: io::Error| SinkError::io("cannot open", path, &error);
    let Some(mut file) = existing(path)? else { return create(path) };
    if !file.metadata().map_err(problem)?.is_file() {
        return Err(SinkError::Failed {
            message: format!("{} is no file", path.display()),
            hint: "name a file that can be cut; a pipe or a device goes without rotation".to_owned(),
        });
    }
    lock(&file, path)?;
    let start = last_line(&mut file).map_err(problem)?;
    let length = file.metadata().map_err(problem)?.len();
    if start < length {
        if begins.is_some() && tail(&file, start, begins).map_err(problem)? == Tail::Ours {
            tracing::warn!(file = %path.display(), bytes = length - start, "cut off the torn last line of an earlier run");
            file.set_len(start).map_err(problem)?;
        } else {
            file.write_all(b"\n").map_err(problem)?;
        }
    }
    Ok(file)
}

/// Where what follows upon the last line break begins.
fn last_line(file: &mut File) -> io::Result<u64> {
    use std::io::Read as _;
    const STEP: u64 = 64 << 10;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let from = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::new();
        (&*file).take(end - from).read_to_end(&mut block)?;
        if let Some(index) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(from + index as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
