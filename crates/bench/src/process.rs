//! The processes of a bench: the server, and one contestant at a time.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use defender_core::tick::Tick;
use serde::de::DeserializeOwned;

use crate::sample::Sample;
use crate::usage;

/// A server that runs while this lives.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    /// The size of the whole answer, in bytes.
    pub(crate) bytes: u64,
    since: Tick,
    span: i64,
}

impl Server {
    pub(crate) fn start(detections: u32, since: Tick, span: i64) -> anyhow::Result<Self> {
        let mut child = this_program()?
            .args(["serve", "--detections", &detections.to_string()])
            .args(["--since", &since.0.to_string(), "--span", &span.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let told =
            line.trim().split_once(' ').and_then(|(port, bytes)| Some((port.parse().ok()?, bytes.parse().ok()?)));
        let (port, bytes) = told.context("the server did not start")?;
        Ok(Self { child, port, bytes, since, span })
    }

    /// Runs a part of this program against it.
    pub(crate) fn run(&self, part: &str, component: &Path, more: &[&str]) -> anyhow::Result<Sample> {
        let mut command = this_program()?;
        command.arg(part).arg("--component").arg(component).args(["--port", &self.port.to_string()]);
        command.args(["--since", &self.since.0.to_string(), "--span", &self.span.to_string()]).args(more);
        telling(command, part)
    }

    /// Runs `curl | jq -c '.[]'` against it.
    pub(crate) fn curl_and_jq(&self) -> anyhow::Result<Sample> {
        let until = self.since.plus(self.span);
        let url = format!("http://127.0.0.1:{}/api/alerts?sinceTimeUtc={}&untilTimeUtc={until}", self.port, self.since);
        let since = Instant::now();
        let mut curl = Command::new("curl").args(["--silent", "--fail", &url]).stdout(Stdio::piped()).spawn()?;
        let answer = curl.stdout.take().context("curl has no stdout")?;
        let jq = Command::new("jq").args(["-c", ".[]"]).stdin(answer).stdout(Stdio::null()).spawn()?;
        let (jq, curl) = (usage::wait(&jq)?, usage::wait(&curl)?);
        anyhow::ensure!(jq.success && curl.success, "curl or jq failed");
        let cpu = (jq.cpu + curl.cpu).as_secs_f64();
        Ok(Sample { cpu, wall: since.elapsed().as_secs_f64(), peak: jq.peak + curl.peak, ..Sample::default() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It serves until it is killed; one that is gone already has been reported by whoever asked it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a part of this program that needs no server.
pub(crate) fn run<T: DeserializeOwned>(part: &str, component: &Path) -> anyhow::Result<T> {
    let mut command = this_program()?;
    command.arg(part).arg("--component").arg(component);
    telling(command, part)
}

/// Whether a program can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot tell where this program is")?))
}

/// What a part of this program tells at its end. Its events go nowhere, as those of jq do.
fn telling<T: DeserializeOwned>(mut command: Command, part: &str) -> anyhow::Result<T> {
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`bench {part}` failed: {}", told.trim());
    let last = told.trim().lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("`bench {part}` told no finding: {}", told.trim()))
}
