//! Compiled code in a folder, so that a component is compiled once and not at every start.
//!
//! An engine runs whatever stands in such a file. So files are only taken from a folder that nobody but this user can
//! write to.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use twox_hash::XxHash64;

/// A folder of compiled code that can be trusted.
pub(crate) struct Cache<'a> {
    folder: &'a Path,
}

impl<'a> Cache<'a> {
    /// The cache in a folder, which is made where there is none; no cache where the folder is no place for one.
    pub(crate) fn open(folder: &'a Path) -> Option<Self> {
        if let Err(error) = private_folder().create(folder) {
            // A home that cannot be written to is no fault: compiling takes a moment, and that is all.
            tracing::debug!(folder = %folder.display(), "no cache of compiled code: {error}");
            return None;
        }
        match why_not(folder) {
            Ok(None) => Some(Self { folder }),
            Ok(Some(reason)) => {
                tracing::warn!(
                    folder = %folder.display(),
                    hint = "give it to this user and to nobody else (chmod 700), or name another folder with `cache` under \
                            [host]",
                    "the cache of compiled code is not used: {reason}"
                );
                None
            }
            Err(error) => {
                tracing::debug!(folder = %folder.display(), "no cache of compiled code: {error}");
                None
            }
        }
    }

    /// The file for a component, compiled by this version of wasmtime with these settings for this machine.
    pub(crate) fn file(&self, engine: &wasmtime::Engine, component: &[u8]) -> PathBuf {
        let mut settings = XxHash64::with_seed(0);
        engine.precompile_compatibility_hash().hash(&mut settings);
        // Whoever knew a second component of the same name here could have it run in place of the first one.
        let digest = ring::digest::digest(&ring::digest::SHA256, component);
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{digest}-{:016x}.cwasm", settings.finish()))
    }

    /// Keeps what compiling made. After a crash at any point there is a whole file or none.
    pub(crate) fn keep(&self, file: &Path, code: &[u8]) {
        let new = file.with_extension(format!("{}.new", std::process::id()));
        let kept = write(&new, code).and_then(|()| fs::rename(&new, file));
        if let Err(error) = kept {
            tracing::debug!(file = %file.display(), "the compiled code is not kept: {error}");
            // It may not have been made.
            let _ = fs::remove_file(&new);
        }
    }
}

fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(code)?;
    file.sync_all()
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Whether others than this user could put something there.
#[cfg(unix)]
pub(crate) fn why_not(path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt as _;

    let found = fs::symlink_metadata(path)?;
    // SAFETY: the call takes nothing and always succeeds.
    #[expect(unsafe_code, reason = "std has no way to ask for it")]
    let user = unsafe { libc::geteuid() };
    let name = path.display();
    Ok(if found.is_symlink() {
        Some(format!("{name} is a link, and where it leads to can be changed"))
    } else if found.uid() != user {
        Some(format!("{name} belongs to the user {}, and this one is {user}", found.uid()))
    } else if found.mode() & 0o077 != 0 {
        Some(format!("others than its owner may use {name}: its mode is {:03o}", found.mode() & 0o777))
    } else {
        None
    })
}

/// Whether others than this user could put something there: elsewhere than on Unix nobody can tell.
#[cfg(not(unix))]
pub(crate) fn why_not(_: &Path) -> io::Result<Option<String>> {
    Ok(Some("on this system nobody can tell who may write there".to_owned()))
}
