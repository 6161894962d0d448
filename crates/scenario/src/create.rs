//! A new scenario on the disk: whole, or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Why a folder was not written.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It is there already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The system does not let it be written.
    #[error("{} cannot be written: {error}", file.display())]
    Io {
        /// Which file or folder.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl CreateError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists(_) => {
                "name another folder with --out, or move that one away first; nothing is ever overwritten"
            }
            Self::Io { .. } => "check the permissions of the folder that it stands in, and that there is space",
        }
    }
}

/// Refuses a folder or file that is there.
///
/// # Errors
///
/// It is there, or nobody can tell.
pub fn refuse_existing(path: &Path) -> Result<(), CreateError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(CreateError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CreateError::Io { file: path.to_owned(), error }),
    }
}

/// Writes a folder with these files. They are written beside it under
/// another name first, so that there is never half a scenario; what a crash leaves behind begins with a dot and ends in
/// `.partial`.
///
/// # Errors
///
/// The folder is there already, or cannot be written; then nothing is left.
pub fn create(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), CreateError> {
    refuse_existing(folder)?;
    let absolute = std::path::absolute(folder).map_err(|error| failed(folder, error))?;
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    let partial = parent.join(format!(".{name}.{}.partial", std::process::id()));
    let written = write_all(&partial, files).and_then(|()| {
        // A folder that came meanwhile and is empty would be replaced.
        refuse_existing(folder)?;
        std::fs::rename(&partial, folder).map_err(|error| failed(folder, error))
    });
    if written.is_err()
        && let Err(error) = std::fs::remove_dir_all(&partial)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(&partial, error));
    }
    written
}

fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), CreateError> {
    std::fs::create_dir(folder).map_err(|error| failed(folder, error))?;
    for (name, bytes) in files {
        let file = folder.join(name);
        let write = || {
            let mut file = std::fs::File::create_new(&file)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|error| failed(&file, error))?;
    }
    Ok(())
}

fn failed(file: &Path, error: io::Error) -> CreateError {
    CreateError::Io { file: file.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_there_whole_and_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("deep/new");
        create(&folder, &[("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]).unwrap();
        assert_eq!(names(&folder), ["a", "b"]);
        let again = create(&folder, &[("a".to_owned(), b"3".to_vec())]).unwrap_err();
        assert!(matches!(again, CreateError::Exists(_)), "{again}");
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"1");
        assert_eq!(names(&root.path().join("deep")), ["new"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("new");
        let error = create(&folder, &[("a".to_owned(), Vec::new()), ("no/such/b".to_owned(), Vec::new())]).unwrap_err();
        assert!(matches!(error, CreateError::Io { .. }), "{error}");
        assert!(names(root.path()).is_empty());
    }
}
