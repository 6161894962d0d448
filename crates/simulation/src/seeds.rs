//! Runs over seeds.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::api::Api;
use crate::coverage::{Coverage, Met};
use crate::host::Host;
use crate::line::Orders;
use crate::subject::{Core, Subject};
use crate::world::World;

/// What a run over many seeds found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many polls that took.
    pub polls: u64,
    /// What was met.
    pub coverage: Coverage,
    /// What was violated, by seed; the run stops after a few.
    pub violations: Vec<Violation>,
}

/// A seed with which something is not as it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// The step at which the host was killed on purpose.
    pub killed_at: Option<u64>,
    /// What was violated.
    pub what: String,
    /// The command that repeats it.
    again: String,
}

impl Violation {
    pub(crate) fn of_core(api: Api, seed: u64, killed_at: Option<u64>, what: String) -> Self {
        let kill = killed_at.map(|step| format!(" --kill-at {step}")).unwrap_or_default();
        let api = if api == Api::of(seed) { String::new() } else { format!(" --api {}", api.name()) };
        Self { seed, killed_at, what, again: format!("cargo run -p simulation -- --seed {seed}{api}{kill} -v") }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what, again, .. } = self;
        write!(f, "seed {seed}: {what}\n  again: {again}")
    }
}

/// Runs one seed, against its own API or another one, printing what happens where it is `verbose`, and killing the host at one
/// step where that is given.
///
/// # Errors
///
/// What was violated.
pub fn run_one(api: Option<Api>, seed: u64, verbose: bool, kill_at: Option<u64>) -> Result<Coverage, Violation> {
    run(api.unwrap_or_else(|| Api::of(seed)), seed, Orders { verbose, kill_at, survive: false })
        .map(|(coverage, _)| coverage)
}

fn run(api: Api, seed: u64, orders: Orders) -> Result<(Coverage, u32), Violation> {
    let world = World::of(api, seed);
    if orders.verbose {
        println!("{:#?}", Shown(&world));
    }
    let subject = Core::new(&world.config, world.limits);
    let mut host = Host::new(&world, orders, subject);
    match host.run() {
        Ok(()) => Ok((host.line.met, host.polls)),
        Err(what) => Err(Violation::of_core(api, seed, orders.kill_at, what)),
    }
}

/// What the worlds of the SIEM API have to meet between them that a built component runs in. Its limits are those that it is
/// shipped with, so no ring fills up there, and no answer is large enough to be suspected of a cap.
const IN_COMPONENT: &[Met] = &[
    Met::ManySlices,
    Met::Duplicate,
    Met::LateFound,
    Met::LimitCut,
    Met::Split,
    Met::Unreadable,
    Met::LostToPoison,
    Met::FirstPage,
    Met::LaterPage,
    Met::LinkRanOut,
    Met::PageInLaterPoll,
    Met::MidSlice,
    Met::HeldAnswer,
    Met::FreshPoll,
    Met::Killed,
    Met::Rewound,
    Met::RepeatedAfterKill,
    Met::Learned,
    Met::Throttled,
    Met::Unavailable,
    Met::RangeEnded,
];

/// What of all that the worlds of a built component have to meet was never met.
pub fn missing_in_component(met: &Coverage) -> Vec<String> {
    met.missing_of(IN_COMPONENT)
}

/// Runs one seed against a built component, or whatever else is made of a configuration, in a world that suits its limits,
/// which nothing makes smaller there. `again` is the command that repeats it.
///
/// # Errors
///
/// What was violated.
pub fn run_subject<S: Subject>(
    api: Api,
    seed: u64,
    verbose: bool,
    again: String,
    subject: impl FnOnce(&str) -> S,
) -> Result<(Coverage, u32), Violation> {
    let world = World::with_default_limits(api, seed);
    if verbose {
        println!("{:#?}", Shown(&world));
    }
    let orders = Orders { verbose, ..Orders::default() };
    let mut host = Host::new(&world, orders, subject(&world.config));
    match host.run() {
        Ok(()) => Ok((host.line.met, host.polls)),
        Err(what) => Err(Violation { seed, killed_at: None, what, again }),
    }
}

/// The world without the bytes of its records.
struct Shown<'a>(&'a World);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let World { config, limits, begins, history, quiet_from, jumps, service, host, .. } = self.0;
        writeln!(
            f,
            "configuration {config}\n{limits:?}\nbegins {begins}, quiet from {quiet_from}\n{service:?}\n{host:?}"
        )?;
        for (at, ahead) in jumps {
            writeln!(f, "from {at} on the local clock is {} s ahead", ahead / defender_core::tick::TICKS_PER_SECOND)?;
        }
        for item in history {
            let shows: Vec<_> = item.shows.iter().map(|show| format!("{} .. {}", show.from, show.until)).collect();
            let id = item.key.as_deref().unwrap_or("-");
            writeln!(f, "{} shown {} {id} {} {:?}", item.stamp, shows.join(", "), item.source, item.looks)?;
        }
        Ok(())
    }
}

/// Runs so many seeds from the first one on, on so many threads, each against its own API or all against one.
pub fn run_many(api: Option<Api>, first: u64, count: u64, threads: usize) -> Report {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut own = Report::default();
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    own.seeds += 1;
                    let api = api.unwrap_or_else(|| Api::of(seed));
                    let ran = std::panic::catch_unwind(|| run(api, seed, Orders::default())).unwrap_or_else(|panic| {
                        let what = panic.downcast_ref::<String>().map(String::as_str);
                        let what = what.or(panic.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind");
                        Err(Violation::of_core(api, seed, None, format!("a panic: {what}")))
                    });
                    match ran {
                        Ok((coverage, polls)) => {
                            own.coverage.merge(&coverage);
                            own.polls += u64::from(polls);
                        }
                        Err(violation) => own.violations.push(violation),
                    }
                    if own.violations.len() >= 10 {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                if let Ok(mut all) = report.lock() {
                    all.seeds += own.seeds;
                    all.polls += own.polls;
                    all.coverage.merge(&own.coverage);
                    all.violations.append(&mut own.violations);
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_default();
    report.violations.sort_by_key(|violation| violation.seed);
    report
}

/// From how many seeds on everything must have been met.
pub const STANDARD_SEEDS: u64 = 2000;
