//! Many sources in one process: what the program `source-host` takes for them until each has polled once, and at rest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::Server;
use crate::table::{Figure, Table};
use crate::usage;

const SIZES: [u32; 3] = [1, 100, 5_000];

/// From the last poll until nothing happens any more.
const CALM: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(180);

/// One host with so many sources.
struct Rest {
    sources: u32,
    /// Until every source is planned and its state is held.
    opened: Duration,
    /// Until every source has polled once. First polls are spread on purpose.
    polled: Duration,
    memory: u64,
    maps: usize,
    files: usize,
    /// From a SIGTERM to its end.
    stopping: Duration,
    cpu: Duration,
}

/// Runs one host of each size against a server that has nothing to tell.
pub(crate) fn run(component: &Path, server: &Server) -> anyhow::Result<Table> {
    let program = std::env::current_exe()?.with_file_name("source-host");
    anyhow::ensure!(program.is_file(), "{} is not there: `make bench` builds it", program.display());
    let component = component.canonicalize().with_context(|| format!("cannot find {}", component.display()))?;
    let folder = tempfile::tempdir()?;
    let host = Host { program, component, folder: folder.path().to_owned(), port: server.port };
    // The first one leaves compiled code to all others.
    host.rest(1)?;
    let rests: Vec<Rest> = SIZES.into_iter().map(|sources| host.rest(sources)).collect::<anyhow::Result<_>>()?;
    Ok(table(&rests))
}

struct Host {
    program: PathBuf,
    component: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Host {
    fn rest(&self, sources: u32) -> anyhow::Result<Rest> {
        let state = self.folder.join("state");
        if state.exists() {
            std::fs::remove_dir_all(&state)?;
        }
        std::fs::write(self.folder.join("host.toml"), self.configuration(sources)?)?;
        std::fs::write(self.folder.join("secret"), "bench")?;
        let begun = Instant::now();
        let child = Command::new(&self.program)
            .args(["run", "--config", "host.toml"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.join("log"))?)
            .spawn()?;
        let looked = self.look(&child, &state, sources, begun);
        let told = Instant::now();
        let _is_gone_already = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
        let ended = usage::wait(&child)?;
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let rest = looked.with_context(log)?;
        anyhow::ensure!(ended.success, "source-host failed: {}", log());
        Ok(Rest { stopping: told.elapsed(), cpu: ended.cpu, ..rest })
    }

    /// Watches it until it is at rest.
    fn look(&self, child: &Child, state: &Path, sources: u32, begun: Instant) -> anyhow::Result<Rest> {
        // A source holds a lock from its start on, and has a state once it has polled.
        let opened = until(state, "lock", sources, begun)?;
        let polled = until(state, "json", sources, begun)?;
        sleep(CALM);
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        let rollup = std::fs::read_to_string(process.join("smaps_rollup"))?;
        let memory = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"));
        let memory: u64 = memory.context("the kernel tells no memory")?.trim().parse()?;
        Ok(Rest {
            sources,
            opened,
            polled,
            memory: memory * 1_024,
            maps: std::fs::read_to_string(process.join("maps"))?.lines().count(),
            files: std::fs::read_dir(process.join("fd"))?.count(),
            stopping: Duration::ZERO,
            cpu: Duration::ZERO,
        })
    }

    fn configuration(&self, sources: u32) -> anyhow::Result<String> {
        let Self { component, folder, port, .. } = self;
        let mut text = format!("[host]\ncache = '{}'\n[[sink]]\ntype = \"stdout\"\n", folder.join("cache").display());
        for number in 0..sources {
            write!(
                text,
                "[[source]]\nname = \"tenant-{number}\"\ncomponent = '{}'\nallow = [\"http://127.0.0.1:{port}\"]\n\
                 secrets = {{ client_secret = {{ file = \"secret\" }} }}\n[source.config]\n\
                 tenant_id = \"11111111-1111-4111-8111-{number:012}\"\nclient_id = \"22222222-2222-4222-8222-{number:012}\"\n\
                 api = \"siem\"\nregion = \"eu\"\n\
                 endpoints = {{ token = \"http://127.0.0.1:{port}/token\", api = \"http://127.0.0.1:{port}\" }}\n",
                component.display()
            )?;
        }
        Ok(text)
    }
}

/// Waits until there are so many files with this extension.
fn until(folder: &Path, extension: &str, count: u32, begun: Instant) -> anyhow::Result<Duration> {
    loop {
        let found = match std::fs::read_dir(folder) {
            Ok(entries) => {
                entries.flatten().filter(|entry| entry.path().extension().is_some_and(|it| it == extension)).count()
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        let elapsed = begun.elapsed();
        if found >= count as usize {
            return Ok(elapsed);
        }
        anyhow::ensure!(elapsed < LONGEST, "{found} of {count} sources got as far as .{extension} in {elapsed:?}");
        sleep(Duration::from_millis(10));
    }
}

fn table(rests: &[Rest]) -> Table {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let mut figures = Vec::new();
    let alone = rests.first();
    for rest in rests {
        let count = match rest.sources {
            1 => "1 source".to_owned(),
            many => format!("{many} sources"),
        };
        let mut plain =
            |what: &str, measured: String| figures.push(Figure::plain(format!("{count}: {what}"), measured));
        plain("start until all are planned, wall time", seconds(rest.opened));
        plain("start until each has polled, wall time", seconds(rest.polled));
        plain("CPU time until then and to its end", seconds(rest.cpu));
        plain("SIGTERM to its end, wall time", seconds(rest.stopping));
        plain("memory at rest", format!("{:.1} MiB", rest.memory as f64 / 1_048_576.0));
        plain("open files; memory maps", format!("{}; {}", rest.files, rest.maps));
        if let Some(alone) = alone.filter(|_| rest.sources > 1) {
            let each = rest.memory.saturating_sub(alone.memory) as f64 / f64::from(rest.sources - 1) / 1e3;
            let what = format!("{count}: memory at rest for each more than one");
            figures.push(Figure::aimed(what, format!("{each:.0} KB"), "about 100 KB", each <= 110.0));
        }
    }
    Table {
        heading: "\nSources in one process, with nothing to read; first polls are spread up to a minute".to_owned(),
        figures,
    }
}
