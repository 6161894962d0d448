//! Which line of reading wrote to a file last: a running source, a range, or a host with another state.
//!
//! Only that one's account says where the file may be cut. A small hidden file beside it holds its name.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::sink::{SinkError, parent, sync_parent};

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.writer"))
}

/// The one that wrote last, where that is known.
pub(super) fn last(path: &Path) -> Result<Option<String>, SinkError> {
    let beside = beside(path);
    match std::fs::read(&beside) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SinkError::io("cannot read", &beside, &error)),
    }
}

/// Makes a new name known, before anything is written under it.
pub(super) fn claim(path: &Path) -> Result<String, SinkError> {
    // The standard library draws new keys for each hasher.
    let name = format!("{:016x}", RandomState::new().build_hasher().finish());
    let beside = beside(path);
    File::create(&beside)
        .and_then(|mut file| writeln!(file, "{name}").and_then(|()| file.sync_all()))
        .and_then(|()| sync_parent(&beside))
        .map_err(|error| SinkError::io("cannot write to", &beside, &error))?;
    Ok(name)
}
