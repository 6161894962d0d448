//! Everything in one run, printed as tables.

use anyhow::Context as _;
use defender_core::tick::{TICKS_PER_SECOND, Tick};

use crate::contest::{self, Contest, complete, ratio};
use crate::process::{self, Server};
use crate::quiet::Both;
use crate::sample::{Sample, median};
use crate::start::Start;
use crate::table::{Figure, Table};
use crate::tenants;
use crate::{Chosen, Suite};

const HOUR: i64 = 3_600 * TICKS_PER_SECOND;
const MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// Of a run of which only the peak of memory counts.
const MEMORY_ROUNDS: u32 = 3;
const FEW: u32 = 1_000;
const SMALL_BATCH: u32 = 100;
const MEBIBYTE: f64 = 1_048_576.0;

/// Measures what was chosen, or everything, and prints it.
pub(crate) fn run(suite: &Suite) -> anyhow::Result<()> {
    let size = std::fs::metadata(&suite.component)
        .with_context(|| format!("cannot read {}: `make component` builds it", suite.component.display()))?
        .len();
    let past = Tick::parse("2024-01-01T10:00:00Z").context("the fixture's time is no time")?;
    let is_chosen = |suite_of: Chosen| suite.only.is_empty() || suite.only.contains(&suite_of);
    if is_chosen(Chosen::Speed) {
        speed_and_memory(suite, past)?;
    }
    if is_chosen(Chosen::Start) {
        print!("{}", start(&process::run("start", &suite.component)?, size));
    }
    if is_chosen(Chosen::Quiet) {
        print!("{}", quiet(&process::run("quiet", &suite.component)?));
    }
    if is_chosen(Chosen::Checkpoints) {
        print!("{}", checkpoints(suite)?);
    }
    if is_chosen(Chosen::Tenants) {
        print!("{}", tenants::run(&suite.component, &Server::start(0, past, HOUR)?)?);
    }
    Ok(())
}

fn speed_and_memory(suite: &Suite, past: Tick) -> anyhow::Result<()> {
    let missing = contest::missing();
    if !missing.is_empty() {
        eprintln!(
            "{} not installed: nothing is compared with `curl | jq` (apt-get install curl jq)",
            missing.join(", ")
        );
    }
    let server = Server::start(suite.detections, past, HOUR)?;
    let folder = tempfile::tempdir()?;
    // Made by the cache itself, which trusts no folder that others can look into.
    let cache = folder.path().join("cache");
    let cache = cache.to_str().context("the folder for temporary files has no name in UTF-8")?;
    let contest = contest::run(&server, suite, cache)?;
    print!("{}", speed(&contest, suite, server.bytes));
    drop(server);

    let server = Server::start(FEW, past, HOUR)?;
    let few =
        (0..MEMORY_ROUNDS).map(|_| complete(server.run("component", &suite.component, &["--cache", cache])?, FEW));
    print!("{}", memory(&few.collect::<anyhow::Result<Vec<_>>>()?, &contest, suite));
    Ok(())
}

/// What is compared of a sample.
type Measure = fn(&Sample) -> f64;

fn speed(contest: &Contest, suite: &Suite, bytes: u64) -> Table {
    let Contest { component, native, jq, .. } = contest;
    let mut figures = Vec::new();
    let mut took = |who: &str, samples: &[Sample]| {
        let cpu = median(samples.iter().map(|sample| sample.cpu));
        let wall = median(samples.iter().map(|sample| sample.wall));
        let rate = bytes as f64 / 1e6 / cpu;
        figures.push(Figure::plain(format!("{who}: CPU time"), format!("{cpu:.3} s")));
        figures.push(Figure::plain(format!("{who}: wall time"), format!("{wall:.3} s")));
        figures.push(Figure::plain(format!("{who}: bytes a second of CPU time"), format!("{rate:.0} MB/s")));
    };
    took("component in source-host", component);
    took("native program of the same core", native);
    if let Some(jq) = jq {
        took("curl | jq -c '.[]'", jq);
    }
    let kinds: [(&str, Measure); 2] = [("CPU", |sample| sample.cpu), ("wall", |sample| sample.wall)];
    for (kind, of) in kinds {
        let share = ratio(native, component, of);
        let what = format!("speed of the component by that of the native program, {kind} time");
        figures.push(Figure::aimed(what, format!("{share:.2}"), "at least 0.70", share >= 0.7));
    }
    for (kind, of) in kinds {
        let Some(jq) = jq else { break };
        let times = ratio(jq, component, of);
        let what = format!("times faster than curl | jq, {kind} time");
        figures.push(Figure::aimed(what, format!("{times:.1}"), "at least 15", times >= 15.0));
    }
    let heading = format!(
        "\nSpeed: {} detections, {:.0} MB, over loopback HTTP to NDJSON; medians of {} rounds",
        suite.detections,
        bytes as f64 / 1e6,
        suite.rounds
    );
    Table { heading, figures }
}

fn memory(few: &[Sample], contest: &Contest, suite: &Suite) -> Table {
    let mebibytes =
        |samples: &[Sample], of: fn(&Sample) -> u64| median(samples.iter().map(|sample| of(sample) as f64 / MEBIBYTE));
    let mut figures = Vec::new();
    for (count, samples) in [(FEW, few), (suite.detections, contest.component.as_slice())] {
        let peak = mebibytes(samples, |sample| sample.peak);
        let what = format!("host while it reads {count} detections in random order");
        figures.push(Figure::aimed(what, format!("{peak:.1} MiB"), "at most 50 MB", peak * MEBIBYTE <= 50e6));
    }
    let first = |of: fn(&Sample) -> u64| mebibytes(std::slice::from_ref(&contest.first), of);
    let what = format!("host at the first start, before, while it compiles; while it reads {}", suite.detections);
    let (compiling, reading) = (first(|sample| sample.peak_before), first(|sample| sample.peak));
    figures.push(Figure::plain(what, format!("{compiling:.1}; {reading:.1} MiB")));
    let native = mebibytes(&contest.native, |sample| sample.peak);
    figures.push(Figure::plain("native program", format!("{native:.1} MiB")));
    if let Some(jq) = &contest.jq {
        let jq = mebibytes(jq, |sample| sample.peak);
        figures.push(Figure::plain("curl | jq -c '.[]'", format!("{jq:.1} MiB")));
    }
    Table { heading: "\nPeak of resident memory, with code that an earlier start compiled".to_owned(), figures }
}

fn start(start: &Start, size: u64) -> Table {
    let milliseconds = |seconds: f64| format!("{:.2} ms", seconds * 1e3);
    let figures = vec![
        Figure::aimed("the component's file", format!("{size} bytes"), "at most 500000", size <= 500_000),
        Figure::plain("its native code", format!("{} bytes", start.native_bytes)),
        Figure::plain("compiled, wall time", milliseconds(start.compiled)),
        Figure::plain("compiled, CPU time", milliseconds(start.compiled_cpu)),
        Figure::plain("precompiled, wall time", milliseconds(start.precompiled)),
        Figure::plain("an instance and its first call, `plan`", milliseconds(start.instance)),
    ];
    Table { heading: "\nSize and start".to_owned(), figures }
}

fn quiet(Both { empty, full }: &Both) -> Table {
    let mut figures = Vec::new();
    for (ring, quiet) in [("an empty ring", empty), ("a full ring", full)] {
        let what = format!("with {ring}, checkpoint of {} bytes: wall time", quiet.checkpoint);
        let microseconds = |seconds: f64| format!("{:.0} us", seconds * 1e6);
        figures.push(Figure::aimed(what, microseconds(quiet.wall), "less than 1000 us", quiet.wall < 1e-3));
        figures.push(Figure::plain(format!("with {ring}: CPU time"), microseconds(quiet.cpu)));
        let requests = format!("with {ring}: requests");
        figures.push(Figure::aimed(requests, quiet.requests.to_string(), "1", quiet.requests == 1));
    }
    Table { heading: "\nA quiet poll, guest and host, without a network".to_owned(), figures }
}

/// Solves `cpu = events * a + polls * b` from runs with large and with small batches: `b` is what a poll costs beside its
/// events, of which the checkpoint is the most.
fn checkpoints(suite: &Suite) -> anyhow::Result<Table> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = Tick::from_unix(i64::try_from(now.as_secs())?, 0);
    let server = Server::start(suite.detections, now.minus(65 * MINUTE), HOUR)?;
    let of = |events: u32| server.run("checkpoints", &suite.component, &["--max-events", &events.to_string()]);
    let large_batch = crate::config::LARGE.max_events;
    of(large_batch)?;
    let (mut costs, mut shares, mut storing, mut stored) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..suite.rounds {
        let (large, small) = (of(large_batch)?, of(SMALL_BATCH)?);
        let each = |figure: f64, sample: &Sample| figure / sample.events as f64;
        let more_cpu = each(small.cpu, &small) - each(large.cpu, &large);
        let more_polls = each(small.polls as f64, &small) - each(large.polls as f64, &large);
        let cost = more_cpu / more_polls;
        costs.push(cost);
        shares.push(cost * large.polls as f64 / large.cpu);
        storing.push(small.storing / small.wall);
        stored.push(small.storing / small.stores as f64);
    }
    let (share, storing) = (median(shares) * 100.0, median(storing) * 100.0);
    let percent = |share: f64| format!("{share:.1} %");
    let figures = vec![
        Figure::plain("a poll beside its events: CPU time", format!("{:.0} us", median(costs) * 1e6)),
        Figure::aimed(
            format!("making and passing, with batches of {large_batch}: share of CPU time"),
            percent(share),
            "",
            share < 5.0,
        ),
        Figure::plain("storing once: wall time", format!("{:.1} ms", median(stored) * 1e3)),
        Figure::plain("storing once a second: share of wall time", percent(storing)),
        Figure::aimed("both together", percent(share + storing), "less than 5 %", share + storing < 5.0),
    ];
    Ok(Table { heading: "\nCheckpoints at a full ring".to_owned(), figures })
}
