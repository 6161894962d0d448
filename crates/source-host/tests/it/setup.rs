//! The test component, a folder with a configuration, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use source_host::{Component, Engine};
use tempfile::TempDir;

use crate::server::{SECRET, Server};

/// Where `make test` puts the component that misbehaves if it is told to.
pub(crate) fn guest() -> PathBuf {
    built("counter_source.wasm", "make guests")
}

/// Where `make test` puts the component that is shipped.
pub(crate) fn defender() -> PathBuf {
    built("defender_source.wasm", "make component")
}

fn built(name: &str, with: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(name);
    assert!(built.is_file(), "{} is not there: build it with `{with}`, as `make test` does", built.display());
    built
}

/// The component, compiled once for all tests.
pub(crate) fn component() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| Engine::new().unwrap().load(&guest()).unwrap())
}

/// A folder with a configuration of one source, and what runs of it leave behind.
pub(crate) struct Setup {
    folder: TempDir,
}

impl Setup {
    /// One source `counter` that reads from this server with the right secret; `more` goes into its `config`.
    pub(crate) fn new(server: &Server, more: &str) -> Self {
        let setup = Self::empty();
        let origin = server.origin();
        setup.write("host.toml", &setup.source("counter", &origin, more));
        setup.write("secret", &format!("{SECRET}\n"));
        setup
    }

    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The lines of one source.
    pub(crate) fn source(&self, name: &str, origin: &str, more: &str) -> String {
        format!(
            "[[source]]\nname = \"{name}\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n\
             secrets = {{ secret = {{ file = \"secret\", expose = true }} }}\n[source.config]\norigin = \"{origin}\"\n{more}\n",
            guest().display()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Puts lines before the configuration: a `[host]` table.
    pub(crate) fn prepend(&self, lines: &str) {
        self.write("host.toml", &format!("{lines}\n{}", self.read("host.toml")));
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The checkpoint in the state of the source `counter`.
    pub(crate) fn checkpoint(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path("state/counter.json")).ok()?;
        let state: Value = serde_json::from_str(&text).unwrap();
        state["checkpoint"].as_str().map(str::to_owned)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_source-host"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "RUST_LOG"]
        {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).stderr(Stdio::piped()).output().unwrap())
    }

    /// `run --once` with more arguments.
    pub(crate) fn once(&self, more: &[&str]) -> Ended {
        self.run(&[&["run", "--config", "host.toml", "--once"], more].concat())
    }
}

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Self {
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        for output in [&ended.stdout, &ended.stderr] {
            assert!(!output.contains(SECRET), "the secret is in the output: {output}");
        }
        ended
    }
}

impl Ended {
    /// The numbers of the items on standard output, in order.
    pub(crate) fn items(&self) -> Vec<u64> {
        items(&self.stdout)
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self
    }

    /// Asserts the exit status and what a person is told.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, said: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.stderr);
        for expected in said {
            assert!(self.stderr.contains(expected), "no `{expected}` in\n{}", self.stderr);
        }
        self
    }
}

/// The numbers of the items in lines.
pub(crate) fn items(lines: &str) -> Vec<u64> {
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            line["body"]["id"].as_u64().unwrap()
        })
        .collect()
}
