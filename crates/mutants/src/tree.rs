//! A copy of the workspace with the mutants in it, and its one build.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::rewrite::{MODULE, rewrite};
use crate::site::Site;
use crate::trial::Suite;

/// Whose tests have a say. None of them needs wasmtime.
const PACKAGES: [&str; 3] = ["defender-core", "fuzzing", "simulation"];

/// The root of the crate that is changed.
const CRATE_ROOT: &str = "crates/defender-core/src/lib.rs";

/// The copy, below `built`, where everything that was built is.
pub(crate) struct Tree {
    pub(crate) built: PathBuf,
}

/// Bytes of a file that the compiler finds fault with, and what it says.
struct Fault {
    file: String,
    places: Vec<Range<usize>>,
    told: String,
}

impl Tree {
    fn root(&self) -> PathBuf {
        self.built.join("tree")
    }

    /// Builds the tests with all mutants of these files but those that the compiler refuses, which are taken out.
    pub(crate) fn build(&self, sources: &mut BTreeMap<String, (String, Vec<Site>)>) -> Result<Vec<Suite>> {
        self.copy()?;
        loop {
            let mut written = BTreeMap::new();
            for (path, (source, sites)) in sources.iter() {
                let rewritten = rewrite(source, sites);
                put(&self.root().join(path), rewritten.text.as_bytes())?;
                written.insert(path.clone(), rewritten);
            }
            let (suites, faults) = self.compile()?;
            if faults.is_empty() {
                return Ok(suites);
            }
            let mut refused = BTreeSet::new();
            for Fault { file, places, told } in faults {
                let at = |place| written.get(&file).and_then(|rewritten| rewritten.mutants_at(place));
                let Some(numbers) = places.iter().find_map(at) else { bail!("it does not build:\n{told}") };
                refused.extend(numbers.iter().copied());
            }
            eprintln!("{} mutants that the compiler refuses are taken out", refused.len());
            for (_, sites) in sources.values_mut() {
                for site in sites.iter_mut() {
                    site.mutants.retain(|mutant| !refused.contains(&mutant.number));
                }
                sites.retain(|site| !site.mutants.is_empty());
            }
        }
    }

    /// Copies what git knows of, and what it would.
    fn copy(&self) -> Result<()> {
        let listed =
            Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output();
        let listed = listed.context("git cannot be run")?;
        ensure!(listed.status.success(), "git lists no files: {}", String::from_utf8_lossy(&listed.stderr));
        for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let Ok(mut content) = fs::read(path) else { continue };
            if path == CRATE_ROOT {
                content.extend_from_slice(MODULE.as_bytes());
            }
            put(&self.root().join(path), &content)?;
        }
        Ok(())
    }

    fn compile(&self) -> Result<(Vec<Suite>, Vec<Fault>)> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--locked", "--no-run", "--message-format=json"]);
        cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        cargo.current_dir(self.root()).env("CARGO_TARGET_DIR", self.built.join("target"));
        let output = cargo.stderr(std::process::Stdio::inherit()).output().context("cargo cannot be run")?;
        let (mut suites, mut faults) = (Vec::new(), Vec::new());
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: Value = serde_json::from_str(line).context("cargo said something that is no JSON")?;
            suites.extend(suite(&message));
            faults.extend(fault(&message["message"]));
        }
        ensure!(output.status.success() || !faults.is_empty(), "cargo built nothing, and named no fault");
        Ok((suites, faults))
    }
}

fn suite(message: &Value) -> Option<Suite> {
    let program = message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    let name = format!("{} of {}", message["target"]["name"].as_str()?, folder.file_name()?.to_str()?);
    Some(Suite::new(name, program.into(), folder.into()))
}

fn fault(message: &Value) -> Option<Fault> {
    let spans = message["spans"].as_array().filter(|_| message["level"] == "error")?;
    let told = message["rendered"].as_str().unwrap_or_default().to_owned();
    // That so many errors were found, which stands at the end, has no place.
    let file = spans.first()?["file_name"].as_str()?.to_owned();
    let range = |span: &Value| {
        let at = |name: &str| span[name].as_u64().and_then(|at| usize::try_from(at).ok());
        Some(at("byte_start")?..at("byte_end")?)
    };
    let (primary, other): (Vec<_>, Vec<_>) =
        spans.iter().filter(|span| span["file_name"] == *file).partition(|span| span["is_primary"] == true);
    Some(Fault { file, places: primary.into_iter().chain(other).filter_map(range).collect(), told })
}

/// Writes a file where that changes it, so that nothing is built anew without need.
fn put(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("cannot write {}", path.display()))
}
