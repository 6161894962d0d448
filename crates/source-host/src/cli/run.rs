//! `source-host run`.

use std::io::{self, IsTerminal as _};
use std::ops::Range;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use source_host::{Instant, Metrics, Observer, Outcome, RunOptions, Runner, SystemClock, Tally, Turns};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::RunArguments;
use super::config::{Config, SourceTable};
use super::lineage::lineage;
use super::listen::Listener;
use super::member::{self, Member, Place, Unopened};
use super::open::{Components, Opened, digest, hash, network, open};
use super::output::{Kind, Outputs};
use super::progress::Progress;
use super::report::{Report, Silenced};

/// What a source may take beyond the longest call before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long sources may take to stop, so that the program is gone within five seconds.
const GRACE: Duration = Duration::from_secs(4);
/// What each source adds to the time over which the first polls are spread, and the longest such time.
const EACH: Duration = Duration::from_millis(20);
const LONGEST_START: Duration = Duration::from_secs(60);
/// What a range may be made of, in seconds since 1970: the years in which the `start` of a configuration may lie.
const YEARS: Range<i64> = 1_262_304_000..4_102_444_800;
/// Files that a poll may open at once: what a name is looked up in, connections, a state that is replaced.
const FILES_OF_A_POLL: usize = 8;

pub(crate) async fn run(arguments: RunArguments) -> Result<(), Report> {
    let config = Config::load(&arguments.config.path)?;
    let range = range(&arguments)?;
    raise_file_limit();
    outlive_size_limit();
    let network = network(&config)?;
    let mut components = Components::new(config.host.cache.clone())?;

    // Everything is checked before anything is written.
    let mut opened = Vec::new();
    let mut problems = Vec::new();
    for table in &config.sources {
        match open(table, &config, &mut components, &network).await {
            Ok(source) => opened.push((table, source)),
            Err(problem) => problems.push(problem),
        }
    }
    Report::all(problems)?;
    refuse_endless_array(&arguments, range, &opened)?;
    refuse_other_format(&arguments, &opened)?;

    let folder = config.state_folder(arguments.state.as_deref());
    let mut outputs = Outputs::open(&arguments, &config, &network)?;
    let observer = observer(&arguments, &config, range).await?;
    let turns = Turns::of(config.host.concurrency);
    let sources = opened.len();
    let mut begun = Begun::default();
    let mut has_end = true;
    for (table, Opened { source, plan, max_checkpoint_bytes, .. }) in opened {
        let (lineage, bounded) = lineage(range, &plan);
        has_end &= arguments.once || bounded;
        // Nothing of an array is there before all of it is, so there is nothing to read on from.
        let place = match Kind::of(&arguments) {
            Kind::Array => Place::Memory,
            _ => Place::Folder(folder.clone(), lineage),
        };
        let options = RunOptions {
            name: table.name.clone(),
            config_digest: digest(&plan.effective_config),
            identity: plan.identity,
            accepts: plan.accepts,
            budget: config.host.budget,
            in_flight: config.host.in_flight,
            once: arguments.once,
            range,
            forget_at_end: bounded,
            observer: observer.clone(),
            first_poll_after: if arguments.once || bounded { Duration::ZERO } else { head_start(&table.name, sources) },
            turns: turns.clone(),
            quota: table.quota.clone(),
            max_checkpoint_bytes,
        };
        let member = Member { source, options, place, sinks: outputs.of(table) };
        begun.add(&table.name, member.open().await, !(arguments.once || bounded))?;
    }
    // What was begun runs, whatever the others suffer from; with nothing begun there is nothing to wait for.
    if begun.runners.is_empty() {
        return Report::all(begun.problems);
    }
    begun.problems.iter().for_each(Report::tell);
    drive(begun, outputs, has_end).await
}

/// What became of the sources at the start.
#[derive(Default)]
struct Begun {
    runners: Vec<(String, Runner)>,
    /// Sources without an end whose state another host uses, with what was said of that.
    held: Vec<(Box<Member>, Report)>,
    problems: Vec<Report>,
    /// The status that a source makes which cannot begin, and is not waited for.
    failure: Option<Silenced>,
}

impl Begun {
    fn add(&mut self, name: &str, opened: Result<Runner, Unopened>, endless: bool) -> Result<(), Report> {
        match opened {
            Ok(runner) => self.runners.push((name.to_owned(), runner)),
            // Then there are none for connections either, and no source would get anywhere.
            Err(Unopened { report, .. }) if files_are_used_up() => return Err(report),
            Err(Unopened { report, held }) => {
                match held.filter(|_| endless) {
                    Some(held) => self.held.push((held, report.clone())),
                    None => drop(self.failure.get_or_insert(report.clone().silenced())),
                }
                self.problems.push(report);
            }
        }
        Ok(())
    }
}

/// Runs all sources side by side; one that fails does not hold up the others. A run that has an end of its own and was
/// stopped before it is not done.
async fn drive(begun: Begun, outputs: Outputs<'_>, has_end: bool) -> Result<(), Report> {
    let (stop, stopping) = watch::channel(false);
    let mut running = JoinSet::new();
    for (name, runner) in begun.runners {
        let stopping = stopping.clone();
        running.spawn(async move { member::run(&name, runner, stopping).await });
    }
    for (member, said) in begun.held {
        let stopping = stopping.clone();
        running.spawn(async move { member.run_when_free(stopping, &said).await });
    }
    let mut signals = Signals::new()?;
    let mut total = Tally::default();
    let mut failure = begun.failure;
    let mut complete = failure.is_none();
    let mut deadline = None;
    let mut signalled = false;
    loop {
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = signals.next() => {
                if signalled {
                    return Err(Report::failed("stopped at once, as asked twice").hint("the stored checkpoint is good"));
                }
                tracing::info!("stopping");
                signalled = true;
                stop.send_replace(true);
                deadline.get_or_insert(tokio::time::Instant::now() + GRACE);
                continue;
            }
            () = until(deadline) => {
                // What hangs has delivered nothing that is accounted for.
                tracing::warn!("a source did not stop in time, and is given up; the stored checkpoint is good");
                complete = false;
                break;
            }
        };
        let Some(ended) = ended else { break };
        let (ended, tally) = match ended {
            Ok(ended) => ended,
            // A bug of this program, and no reason for the other sources to stop.
            Err(error) => {
                complete = false;
                let report = Report::failed("a source ended unexpectedly").because(error).hint("report it");
                report.tell();
                failure.get_or_insert(report.silenced());
                continue;
            }
        };
        total = Tally {
            events: total.events + tally.events,
            gaps: total.gaps + tally.gaps,
            requests: total.requests + tally.requests,
        };
        match ended {
            Ok(Outcome::Closed) => {
                complete = false;
                stop.send_replace(true);
                deadline.get_or_insert(tokio::time::Instant::now() + GRACE);
            }
            Ok(outcome) => complete &= outcome != Outcome::Stopped,
            Err(report) => {
                complete = false;
                // At once: the other sources may run for months.
                report.tell();
                failure.get_or_insert(report.silenced());
            }
        }
    }
    if complete {
        outputs.finish().await?;
    }
    tracing::info!(events = total.events, gaps = total.gaps, requests = total.requests, "ended");
    match failure {
        Some(failure) => Err(failure.report()),
        None if signalled && has_end && !complete => Err(Report::failed("stopped before it was done")
            .hint("start it again: it reads on from the stored checkpoint; a JSON array begins anew")),
        None => Ok(()),
    }
}

/// Who is told what the sources do.
async fn observer(
    arguments: &RunArguments,
    config: &Config,
    range: Option<(Instant, Instant)>,
) -> Result<Option<Arc<dyn Observer>>, Report> {
    let mut observers: Vec<Arc<dyn Observer>> = Vec::new();
    // Who starts a run with an end sees how it ends; and it may run beside one that has the address.
    if let Some(address) = config.host.listen.filter(|_| !arguments.once && range.is_none()) {
        let patience = config.host.limits.call.saturating_add(PATIENCE);
        let metrics = Arc::new(Metrics::new(Arc::new(SystemClock::default()), patience));
        tokio::spawn(Listener::bind(address).await?.serve(Arc::clone(&metrics)));
        observers.push(metrics);
    }
    // Events on a terminal are progress enough.
    let spoilt = io::stdout().is_terminal() && Outputs::use_stdout(arguments, config);
    if super::log_is_human() && io::stderr().is_terminal() && !spoilt {
        observers.push(Arc::new(Progress::new(range)));
    }
    Ok(match observers.len() {
        0 => None,
        _ => Some(Arc::new(observers)),
    })
}

/// Each source holds files open, and many systems begin with room for a thousand.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// A file that would grow beyond the limit of file sizes is an error then, and not the end of this process without a word.
fn outlive_size_limit() {
    if let Err(error) = signal(SignalKind::from_raw(libc::SIGXFSZ)) {
        tracing::debug!("a file that grows too large will end this process: {error}");
    }
}

/// Whether this process may open hardly any more files.
fn files_are_used_up() -> bool {
    let stderr = io::stderr();
    let more: io::Result<Vec<OwnedFd>> = (0..FILES_OF_A_POLL).map(|_| stderr.as_fd().try_clone_to_owned()).collect();
    more.is_err()
}

/// When a source among so many begins: spread over up to a minute, each at the same place of it at every start.
fn head_start(name: &str, sources: usize) -> Duration {
    let window = EACH.saturating_mul(u32::try_from(sources - 1).unwrap_or(u32::MAX)).min(LONGEST_START);
    let place = hash(name) as f64 / u64::MAX as f64;
    window.mul_f64(place.min(1.0))
}

fn range(arguments: &RunArguments) -> Result<Option<(Instant, Instant)>, Report> {
    let Some((since, until)) = arguments.since.zip(arguments.until) else { return Ok(None) };
    for (argument, time) in [("--since", since), ("--until", until)] {
        if !YEARS.contains(&time.seconds) {
            return Err(Report::wrong(format!("{argument} is {time}, and must lie in the years 2010 to 2099"))
                .hint("correct its year: a range is read hour by hour"));
        }
    }
    if (since.seconds, since.nanoseconds) >= (until.seconds, until.nanoseconds) {
        return Err(
            Report::wrong("--since is not before --until").hint("the range goes from the earlier to the later time")
        );
    }
    Ok(Some((since, until)))
}

/// A file that is written whole needs an end.
fn refuse_endless_array(
    arguments: &RunArguments,
    range: Option<(Instant, Instant)>,
    opened: &[(&SourceTable, Opened)],
) -> Result<(), Report> {
    let endless = opened.iter().find(|(_, opened)| !lineage(range, &opened.plan).1);
    match endless {
        Some((table, _)) if Kind::of(arguments) == Kind::Array => Err(Report::wrong(format!(
            "source `{}` has no end, and {} would be written at its end",
            table.name,
            arguments.out.as_deref().unwrap_or_default()
        ))
        .hint("give a range with --since and --until, or a `request` in its config; or name a file of lines, such as events.ndjson")),
        _ => Ok(()),
    }
}

/// A source that says which format its events have, and says another one, makes no rows.
fn refuse_other_format(arguments: &RunArguments, opened: &[(&SourceTable, Opened)]) -> Result<(), Report> {
    if Kind::of(arguments) != Kind::Csv {
        return Ok(());
    }
    for (table, Opened { plan, .. }) in opened {
        let config: serde_json::Value = serde_json::from_str(&plan.effective_config).unwrap_or_default();
        if let Some(format) = config.get("format").and_then(serde_json::Value::as_str).filter(|format| *format != "csv")
        {
            return Err(Report::wrong(format!(
                "source `{}` makes events of format `{format}`, and no CSV rows",
                table.name
            ))
            .hint("write format = \"csv\" into its config, or name a file that does not end in .csv"));
        }
    }
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Report> {
        let listen = |kind| signal(kind).map_err(|error| Report::failed("cannot listen for signals").because(error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_polls_are_spread_and_one_source_alone_begins_at_once() {
        assert_eq!(head_start("contoso", 1), Duration::ZERO);
        let starts: Vec<u64> = (0..5_000).map(|n| head_start(&format!("tenant-{n}"), 5_000).as_secs()).collect();
        for second in 0..60 {
            let polls = starts.iter().filter(|start| **start == second).count();
            assert!((40..130).contains(&polls), "{polls} first polls in second {second}");
        }
        assert_eq!(head_start("tenant-7", 5_000), head_start("tenant-7", 5_000));
    }
}
