//! A test of each scenario folder, for `cargo test`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use scenario::{SCENARIO_FILE, Scenario};
use source_host::{Component, Engine};

use crate::finding::Finding;
use crate::run::replay;

/// Makes a test program in which every scenario folder is a test of its own, with the name of the folder.
///
/// Both paths start from the folder of the crate. Adding a scenario needs no Rust: a test is there for each folder that
/// holds a `scenario.json` when the program runs. In `Cargo.toml`:
///
/// ```toml
/// [[test]]
/// name = "scenarios"
/// harness = false
/// ```
///
/// and all of `tests/scenarios.rs`:
///
/// ```no_run
/// host_test::scenarios!("scenarios", component = "../target/my_source.wasm");
/// ```
#[macro_export]
macro_rules! scenarios {
    ($folder:expr, component = $component:expr $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let root = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            $crate::Suite::new(root.join($folder), root.join($component)).main()
        }
    };
}

/// The scenarios of a folder, each of which is a test.
#[derive(Clone, Debug)]
pub struct Suite {
    folder: PathBuf,
    component: PathBuf,
}

/// The component, which is compiled once, and only where a test asks for it.
type Compiled = Arc<OnceLock<Result<Component, String>>>;

impl Suite {
    /// The scenarios in the folders of `folder`, for the component of this file.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, component: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), component: component.into() }
    }

    /// Runs them with the arguments of every other test program: a part of a name, `--list`, `--exact` and so on.
    #[must_use]
    pub fn main(&self) -> ExitCode {
        let arguments = Arguments::from_args();
        let tests = match self.folders() {
            Ok(folders) => {
                let compiled = Compiled::default();
                folders.into_iter().map(|folder| self.test(folder, &compiled)).collect()
            }
            Err(why) => vec![Trial::test("scenarios", || Err(why.into()))],
        };
        libtest_mimic::run(&arguments, tests).exit_code()
    }

    /// Every folder that holds a scenario.
    fn folders(&self) -> Result<Vec<PathBuf>, String> {
        let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", self.folder.display());
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.join(SCENARIO_FILE).exists() {
                folders.push(path);
            }
        }
        folders.sort();
        if folders.is_empty() {
            return Err(format!("{} holds no folder with a {SCENARIO_FILE}", self.folder.display()));
        }
        Ok(folders)
    }

    fn test(&self, folder: PathBuf, compiled: &Compiled) -> Trial {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (file, compiled) = (self.component.clone(), Arc::clone(compiled));
        Trial::test(name, move || {
            let component = compiled.get_or_init(|| load(&file)).as_ref().map_err(Failed::from)?;
            check(&folder, component, &file).map_err(Failed::from)
        })
    }
}

fn load(file: &Path) -> Result<Component, String> {
    let engine = Engine::new().map_err(|error| format!("this machine runs no WebAssembly: {error:#}"))?;
    engine.load(file).map_err(|error| format!("{error}\n  hint: {}", error.hint()))
}

/// Everything that is not as expected, and the command that accepts it where one does.
fn check(folder: &Path, component: &Component, file: &Path) -> Result<(), String> {
    let scenario = Scenario::load(folder).map_err(|error| error.to_string())?;
    let report = replay(&scenario, component).map_err(|error| format!("no runtime: {error}"))?;
    let findings = report.findings(&scenario);
    if findings.is_empty() {
        return Ok(());
    }
    let mut text: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if findings.iter().all(Finding::can_be_accepted) {
        text.push(format!(
            "to accept this: host-test replay {} --update --component {}",
            folder.display(),
            file.display()
        ));
    }
    Err(text.join("\n"))
}
