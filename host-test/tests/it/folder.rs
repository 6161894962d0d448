//! Scenario folders: those of the project, and copies that are broken on purpose.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The folder that holds all scenarios.
pub(crate) fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// The built component.
pub(crate) fn component() -> PathBuf {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/defender_source.wasm");
    assert!(component.exists(), "{} is not there: run `make component`", component.display());
    component
}

/// A copy of a scenario that a test may change. Its folder has the scenario's name, which the events carry.
pub(crate) struct Copy {
    // Removes the files when it goes.
    root: TempDir,
    name: &'static str,
}

impl Copy {
    pub(crate) fn of(name: &'static str) -> Self {
        let copy = Self { root: tempfile::tempdir().unwrap(), name };
        std::fs::create_dir(copy.path()).unwrap();
        for entry in std::fs::read_dir(scenarios().join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        copy
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join(self.name)
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path().join(file), text).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.path().join(file)).unwrap();
    }

    /// Replaces a text that has to be there.
    pub(crate) fn replace(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{from} is not in {file}");
        self.write(file, &text.replacen(from, to, 1));
    }

    /// Replaces the interactions by those of them, from 0 on, that are named.
    pub(crate) fn keep_interactions(&self, kept: &[usize]) {
        let traffic: serde_json::Value = serde_json::from_str(&self.read("traffic.json")).unwrap();
        let kept: Vec<_> = kept.iter().map(|index| &traffic["interactions"][*index]).collect();
        self.write("traffic.json", &serde_json::json!({ "interactions": kept }).to_string());
    }

    /// Replays it with the built component and more arguments.
    pub(crate) fn replay(&self, more: &[&str]) -> Ended {
        let path = self.path();
        let component = component();
        let mut args = vec!["replay", path.to_str().unwrap(), "--component", component.to_str().unwrap()];
        args.extend(more);
        let ended = host_test(&args);
        // Every machine has another temporary folder.
        Ended { stderr: ended.stderr.replace(&format!("{}/", self.root.path().display()), ""), ..ended }
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program.
pub(crate) fn host_test(args: &[&str]) -> Ended {
    ended(Command::new(env!("CARGO_BIN_EXE_host-test")).args(args).env_clear())
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ended {
        status: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}
