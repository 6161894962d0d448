//! Runs the tests with one mutant in force.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Context, Result, ensure};

/// How much processor time a program of tests may take with a mutant, as a multiple of what it takes without one, and
/// beyond that, in seconds.
const PATIENCE: u64 = 3;
const LEAST: u64 = 2;

/// How long it may wait for something that does not come, whatever else the machine does.
const STUCK: Duration = Duration::from_secs(600);

/// How much memory it may take, in KiB: a mutant that has no end would take all there is.
const MEMORY: u32 = 2 * 1024 * 1024;

/// A program of tests that takes longer is run test by test.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// A program of tests, or one test of it.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    program: PathBuf,
    folder: PathBuf,
    test: Option<String>,
    /// Seconds of processor time.
    limit: u64,
}

/// What became of a mutant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The tests of this suite fail.
    Failed(String),
    /// The tests of this suite take more time or memory than they may.
    TimedOut(String),
    Survived,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(suite) => write!(f, "noticed by {suite}"),
            Self::TimedOut(suite) => write!(f, "without end in {suite}"),
            Self::Survived => f.write_str("survived"),
        }
    }
}

impl Suite {
    pub(crate) fn new(name: String, program: PathBuf, folder: PathBuf) -> Self {
        Self { name, program, folder, test: None, limit: STUCK.as_secs() }
    }

    /// It, or its tests one by one, and how much processor time each takes on the original; without those that take long where
    /// only quick ones are wanted.
    pub(crate) fn measured(mut self, seeds: u64, only_quick: bool) -> Result<Vec<(Duration, Self)>> {
        if only_quick {
            self.limit = LONG.as_secs();
        }
        let took = self.measure(seeds)?;
        ensure!(took.is_some() || only_quick, "the tests of {} have no end without any mutant", self.name);
        if let Some(took) = took.filter(|took| *took < LONG || self.test.is_some() && !only_quick) {
            return Ok(vec![(took, self)]);
        }
        if self.test.is_some() {
            return Ok(Vec::new());
        }
        let listed = Command::new(&self.program).args(["--list", "--format", "terse"]).output()?;
        let mut all = Vec::new();
        for test in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.strip_suffix(": test")) {
            all.extend(
                Self { name: test.to_owned(), test: Some(test.to_owned()), ..self.clone() }
                    .measured(seeds, only_quick)?,
            );
        }
        Ok(all)
    }

    /// Runs it on the original, and learns how much processor time that takes; none where that is more than it may take.
    fn measure(&mut self, seeds: u64) -> Result<Option<Duration>> {
        let (begun, before) = (Instant::now(), processor_time());
        let Some(status) = self.run(0, seeds)? else { return Ok(None) };
        ensure!(status == 0, "the tests of {} fail without any mutant", self.name);
        // What else the machine does makes the wall's clock lie.
        let took = before.zip(processor_time()).map_or(begun.elapsed(), |(before, after)| after.saturating_sub(before));
        self.limit = took.as_secs() * PATIENCE + LEAST;
        Ok(Some(took))
    }

    /// How it ends with a mutant in force: the exit code; none where it takes more than it may.
    fn run(&self, mutant: u32, seeds: u64) -> Result<Option<i32>> {
        let mut command = Command::new("sh");
        // Not every system can limit memory so.
        let limits = format!("ulimit -t {}; ulimit -v {MEMORY} 2>/dev/null; exec \"$0\" \"$@\"", self.limit);
        command.args(["-c", &limits]).arg(&self.program);
        command
            .args(["--quiet", "--test-threads", "1"])
            .args(self.test.iter().flat_map(|test| ["--exact", test]))
            .current_dir(&self.folder);
        command.env("MUTANT", mutant.to_string()).env("SEEDS", seeds.to_string()).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", self.program.display()))?;
        let begun = Instant::now();
        while begun.elapsed() < STUCK {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(10));
        }
        child.kill()?;
        child.wait()?;
        Ok(None)
    }
}

/// Runs one suite after the other until one notices the mutant.
pub(crate) fn try_mutant(suites: &[Suite], mutant: u32, seeds: u64) -> Result<Outcome> {
    for suite in suites {
        match suite.run(mutant, seeds)? {
            Some(0) => {}
            Some(_) => return Ok(Outcome::Failed(suite.name.clone())),
            None => return Ok(Outcome::TimedOut(suite.name.clone())),
        }
    }
    Ok(Outcome::Survived)
}

/// The processor time of all programs that were run so far and waited for; none where the system does not tell it. Source:
/// proc_pid_stat(5), `cutime` and `cstime`, in hundredths of a second.
fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, which stands in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}
