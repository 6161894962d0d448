//! Where the component comes from.

use std::path::{Path, PathBuf};

use source_host::{Component, Engine};

use super::Refusal;

const NAME: &str = "defender_source.wasm";

/// Loads the named component, or the one that the project builds.
pub(super) fn load(named: Option<&Path>) -> Result<Component, Refusal> {
    let file = match named {
        Some(file) => file.to_owned(),
        None => find()?,
    };
    let engine = Engine::new().map_err(|error| Refusal {
        message: format!("this machine runs no WebAssembly: {error:#}"),
        hint: Some("run it on a machine with a 64-bit processor".to_owned()),
    })?;
    engine.load(&file).map_err(|error| Refusal { hint: Some(error.hint().to_owned()), message: error.to_string() })
}

/// `target/` of the current folder, then beside the executable, then one folder above it.
fn find() -> Result<PathBuf, Refusal> {
    let executable = std::env::current_exe().unwrap_or_default();
    let beside = executable.ancestors().skip(1).take(2).map(|folder| folder.join(NAME));
    let places: Vec<PathBuf> = std::iter::once(Path::new("target").join(NAME)).chain(beside).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| Refusal {
        message: format!(
            "there is no component: {}",
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
        ),
        hint: Some("run `make component`, or name one with --component FILE".to_owned()),
    })
}
