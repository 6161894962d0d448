//! One state file a source: JSON, replaced whole, and locked while a host uses it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointStore, StateError, Stored};
use crate::json::read_json;

/// Which line of checkpoints a file holds. Those of a range or of a single request are kept apart from the running one's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lineage {
    /// The running source.
    Running,
    /// A range or a request, told from others by this word, which becomes part of a file name.
    Bounded(String),
}

/// A checkpoint in a file of its own.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    /// Held until this is dropped or the process dies.
    _lock: File,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    source: String,
    identity: String,
    config_digest: String,
    checkpoint: Option<String>,
    /// Version 1 knew of none.
    #[serde(default)]
    sinks: BTreeMap<String, String>,
}

/// What all versions have in common.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

const VERSION: u32 = 2;

impl FileStore {
    /// Opens the state of the named source in a folder, which is made where there is none.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to, or another host uses this state.
    pub fn open(folder: &Path, source: &str, lineage: &Lineage) -> Result<Self, StateError> {
        fs::create_dir_all(folder).map_err(|error| io_error("cannot make the state folder", folder, &error))?;
        let path = Self::path_in(folder, source, lineage);
        let lock = lock(&folder.join(format!("{}.lock", stem(source, lineage))))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where the state of the named source is in a folder, if there is one.
    #[must_use]
    pub fn path_in(folder: &Path, source: &str, lineage: &Lineage) -> PathBuf {
        folder.join(format!("{}.json", stem(source, lineage)))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a state without holding it: a host may use it meanwhile, and the folder may be read-only.
    ///
    /// # Errors
    ///
    /// There is something that cannot be read, or is no state.
    pub fn peek(path: &Path) -> Result<Option<Stored>, StateError> {
        read(path)
    }

    /// Moves the state to a dated name, and says where it is now. Afterwards there is none.
    ///
    /// # Errors
    ///
    /// There is none, or it is where it was.
    pub fn move_away(&self, date: &str) -> Result<PathBuf, StateError> {
        let to = self.dated(date);
        fs::rename(&self.path, &to)
            .and_then(|()| sync_folder(&to))
            .map_err(|error| io_error("cannot move away the state", &self.path, &error))?;
        Ok(to)
    }

    /// Copies the state to a dated name, and says where the copy is.
    ///
    /// # Errors
    ///
    /// There is none, or the copy cannot be written.
    pub fn keep_copy(&self, date: &str) -> Result<PathBuf, StateError> {
        let to = self.dated(date);
        fs::read(&self.path)
            .and_then(|text| replace_file(&to, &text))
            .map_err(|error| io_error("cannot keep a copy of the state", &self.path, &error))?;
        Ok(to)
    }

    /// Beside it, and not there yet.
    fn dated(&self, date: &str) -> PathBuf {
        let named = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{date}"));
            if number > 1 {
                name.push(format!(".{number}"));
            }
            PathBuf::from(name)
        };
        (1..u32::MAX).map(named).find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| named(u32::MAX))
    }

    fn write(&self, stored: &Stored) -> Result<(), StateError> {
        let source = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Stored { identity, config_digest, checkpoint, accounts: sinks } = stored.clone();
        let document = Document { version: VERSION, source, identity, config_digest, checkpoint, sinks };
        let problem = |path: &Path, error: &io::Error| io_error("cannot write the state", path, error);
        let mut text = serde_json::to_vec_pretty(&document).map_err(|error| problem(&self.path, &error.into()))?;
        text.push(b'\n');
        replace(&self.path, &text).map_err(|(path, error)| problem(&path, &error))
    }
}

#[async_trait]
impl CheckpointStore for FileStore {
    async fn load(&mut self) -> Result<Option<Stored>, StateError> {
        read(&self.path)
    }

    async fn store(&mut self, stored: &Stored) -> Result<(), StateError> {
        self.write(stored)
    }

    async fn clear(&mut self) -> Result<(), StateError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("cannot remove the state", &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

fn stem(source: &str, lineage: &Lineage) -> String {
    match lineage {
        Lineage::Running => source.to_owned(),
        Lineage::Bounded(word) => format!("{source}.{word}"),
    }
}

fn read(path: &Path) -> Result<Option<Stored>, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("cannot read the state", path, &error)),
    };
    let corrupt = |reason: String| StateError::Corrupt {
        message: format!("the state {} cannot be read: {reason}", path.display()),
        hint: "restore it from a backup, or `source-host state reset` to start where the configuration says".to_owned(),
    };
    let Versioned { version } = read_json(&text).map_err(corrupt)?;
    if !(1..=VERSION).contains(&version) {
        return Err(corrupt(format!("it is of version {version}, and this host knows versions 1 to {VERSION}")));
    }
    let Document { identity, config_digest, checkpoint, sinks, .. } = read_json(&text).map_err(corrupt)?;
    Ok(Some(Stored { identity, config_digest, checkpoint, accounts: sinks }))
}

/// Writes a file for this user alone, in place of the one that may be there. After a crash at any point there is the old
/// one or the new one, whole.
///
/// # Errors
///
/// The old one is still there. The error names the file that could not be written, which is the new one beside it as a rule.
pub fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    replace(path, text).map_err(|(path, error)| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The same, with the file that could not be written.
fn replace(path: &Path, text: &[u8]) -> Result<(), (PathBuf, io::Error)> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let write = || {
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
        file.write_all(text)?;
        file.sync_all()
    };
    write().map_err(|error| (new.clone(), error))?;
    fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(|error| (path.to_owned(), error))
}

/// Makes the name of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn lock(path: &Path) -> Result<File, StateError> {
    let file = private(OpenOptions::new().write(true).create(true).truncate(false))
        .open(path)
        .map_err(|error| io_error("cannot write to the state folder", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Stale {
            message: format!("another host uses this state: {} is locked", path.display()),
            hint: "stop the other one, or give this one a folder of its own with --state".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error("cannot lock", path, &error)),
    }
}

/// A checkpoint says what somebody watches; that is nobody else's business.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn io_error(what: &str, path: &Path, error: &io::Error) -> StateError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or name another folder with --state"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on that disk",
        io::ErrorKind::FileTooLarge => "raise the limit of file sizes (`ulimit -f`, `LimitFSIZE=` of a service)",
        _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            "each source holds a file open: raise the limit (`ulimit -Hn`, `LimitNOFILE=` of a service), or run fewer sources"
        }
        _ => "name another folder with --state",
    };
    StateError::Io { message: format!("{what} {}: {error}", path.display()), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(checkpoint: &str) -> Stored {
        Stored {
            identity: "i".to_owned(),
            config_digest: "d".to_owned(),
            checkpoint: Some(checkpoint.to_owned()),
            accounts: BTreeMap::from([("file".to_owned(), "length=1".to_owned())]),
        }
    }

    #[test]
    fn what_was_stored_last_is_loaded_and_a_half_written_file_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), "tenant", &Lineage::Running).unwrap();
        assert_eq!(read(store.path()), Ok(None));
        store.write(&stored("1")).unwrap();
        store.write(&stored("2")).unwrap();
        fs::write(folder.path().join("tenant.json.new"), "{\"vers").unwrap();
        assert_eq!(read(store.path()), Ok(Some(stored("2"))));
    }

    #[test]
    fn two_hosts_do_not_share_a_state_and_a_range_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = FileStore::open(folder.path(), "tenant", &Lineage::Running).unwrap();
        let second = FileStore::open(folder.path(), "tenant", &Lineage::Running);
        assert!(matches!(second, Err(StateError::Stale { .. })));
        let range = FileStore::open(folder.path(), "tenant", &Lineage::Bounded("range".to_owned())).unwrap();
        assert_ne!(first.path(), range.path());
        drop(first);
        assert!(FileStore::open(folder.path(), "tenant", &Lineage::Running).is_ok());
    }

    #[test]
    fn a_state_of_version_1_is_read_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), "contoso", &Lineage::Running).unwrap();
        fs::write(store.path(), include_str!("../tests/states/version-1.json")).unwrap();
        let stored = read(store.path()).unwrap().unwrap();
        assert_eq!((stored.checkpoint.as_deref(), stored.accounts.len()), (Some("3"), 0));
        store.write(&stored).unwrap();
        assert_eq!(read(store.path()), Ok(Some(stored)));
    }

    #[test]
    fn the_file_that_cannot_be_written_is_the_one_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), "tenant", &Lineage::Running).unwrap();
        fs::create_dir(folder.path().join("tenant.json.new")).unwrap();
        let message = store.write(&stored("1")).unwrap_err().to_string();
        assert!(message.contains("tenant.json.new: Is a directory"), "{message}");
        let error = replace_file(store.path(), b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert!(error.to_string().contains("tenant.json.new: Is a directory"), "{error}");
        fs::remove_dir(folder.path().join("tenant.json.new")).unwrap();
        fs::create_dir(store.path()).unwrap();
        let message = store.write(&stored("1")).unwrap_err().to_string();
        assert!(message.contains("tenant.json: Is a directory"), "{message}");
    }

    #[test]
    fn a_member_of_another_type_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), "tenant", &Lineage::Running).unwrap();
        store.write(&stored("1")).unwrap();
        let good = fs::read_to_string(store.path()).unwrap();
        for (from, to, expected) in [
            ("\"checkpoint\": \"1\"", "\"checkpoint\": 1", "/checkpoint is a whole number, and a text belongs there"),
            ("\"version\": 2", "\"version\": \"2\"", "/version is a text, and a whole number that is not negative"),
            ("\"length=1\"", "5", "/sinks/file is a whole number, and a text belongs there (line 8)"),
            ("\"sinks\"", "\"sink\"", "there is no `sink`; known are"),
        ] {
            assert!(good.contains(from), "{good}");
            fs::write(store.path(), good.replace(from, to)).unwrap();
            let message = read(store.path()).unwrap_err().to_string();
            assert!(message.contains(&format!("tenant.json cannot be read: {expected}")), "{message}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_read_is_never_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path(), "tenant", &Lineage::Running).unwrap();
        for text in
            ["", "{}", "{\"version\":3,\"source\":\"\",\"identity\":\"\",\"config_digest\":\"\",\"checkpoint\":\"\"}"]
        {
            fs::write(store.path(), text).unwrap();
            assert!(matches!(read(store.path()), Err(StateError::Corrupt { .. })), "{text}");
        }
    }
}
