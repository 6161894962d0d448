//! The worlds of the simulation through the built component.

mod convert;
mod wire;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use defender_core::contract::{Batch, Budget, Failure, Position};
use simulation::{Api, Coverage, Line, Stop, Subject, missing_in_component, run_subject};
use source_host::{Component, Engine, Limits, Policy, Source, SourceParts};
use tokio::runtime::Runtime;

use crate::folder::component;
use wire::Wire;

/// How many worlds of the SIEM API are tried, from the first one on, and of each other API.
const SEEDS: u64 = 30;
const SEEDS_OF_OTHERS: u64 = 20;

/// One more, in which links to further pages run out.
const LINKS_RUN_OUT: u64 = 148;

/// The built component in a host of its own, whose network and clocks are the simulation's.
struct Built {
    runtime: Runtime,
    source: Source,
    wire: Arc<Wire>,
    /// Where the instance goes on from; none where there is no instance.
    last: Option<Position>,
}

impl Built {
    fn new(component: &Component, config: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let limits = Limits::default();
        let plan = runtime.block_on(Source::plan(component, config, &limits)).unwrap().unwrap();
        let wire = Arc::new(Wire::default());
        let parts = SourceParts {
            config: config.to_owned(),
            policy: Policy::planned(&plan).unwrap(),
            transport: Arc::clone(&wire) as Arc<dyn source_host::Transport>,
            clock: Arc::clone(&wire) as Arc<dyn source_host::Clock>,
            limits,
        };
        Self { source: Source::new(component, parts), runtime, wire, last: None }
    }
}

impl Subject for Built {
    fn is_at(&self, position: &Position) -> bool {
        self.last.as_ref() == Some(position)
    }

    fn begin_anew(&mut self, _: &Position, _: bool) -> Result<(), String> {
        self.discard();
        Ok(())
    }

    fn poll(&mut self, at: &Position, budget: Budget, line: &mut Line<'_>) -> Result<Result<Batch, Failure>, Stop> {
        line.begin();
        line.step()?;
        let Self { runtime, source, wire, .. } = self;
        wire.set_clock(line.now());
        let (at, budget) = (convert::position(at), convert::budget(budget));
        let mut call = pin!(source.poll(&at, &budget));
        let done = runtime.block_on(poll_fn(|context| {
            wire.wakes(context.waker());
            if let Poll::Ready(done) = call.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            match wire.serve(line) {
                // What was waited for is there: whoever waits for it comes first, and then the call again.
                Ok(true) => context.waker().wake_by_ref(),
                Ok(false) => {}
                Err(stop) => return Poll::Ready(Err(stop)),
            }
            Poll::Pending
        }))?;
        let done = done.map_err(|error| format!("the component failed: {error}"))?;
        line.end(self.wire.holds_answer());
        let done = done.map(convert::batch).map_err(convert::failure);
        self.last = match &done {
            Ok(batch) => Some(Position::Resume(Some(batch.checkpoint.clone()))),
            Err(failure) => failure
                .clone()
                .fault_mut()
                .and_then(|fault| fault.checkpoint.take())
                .map_or_else(|| self.last.take(), |checkpoint| Some(Position::Resume(Some(checkpoint)))),
        };
        Ok(done)
    }

    fn discard(&mut self) {
        self.source.discard_instance();
        self.wire.hang_up();
        self.last = None;
    }
}

#[test]
fn the_built_component_loses_invents_and_repeats_nothing() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    let one = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().expect("SEED is a number"));
    let api = std::env::var("API").map_or(Api::Siem, |name| Api::named(&name).expect("API is the name of one"));
    let of_siem = || (0..SEEDS).chain([LINKS_RUN_OUT]).map(|seed| (Api::Siem, seed));
    let of_others = || {
        let others = Api::ALL.into_iter().filter(|api| *api != Api::Siem);
        others.flat_map(|api| (0..SEEDS_OF_OTHERS).map(move |seed| (api, seed)))
    };
    let seeds: Vec<_> = one.map_or_else(|| of_siem().chain(of_others()).collect(), |seed| vec![(api, seed)]);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, found) = (Mutex::new(seeds.into_iter()), Mutex::new((Vec::new(), 0_u64, Coverage::default())));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((api, seed)) = { next.lock().unwrap().next() } {
                    let again = format!(
                        "API={} SEED={seed} scripts/cargo test --locked --test it the_built_component -- --nocapture",
                        api.name()
                    );
                    let ran = run_subject(api, seed, one.is_some(), again, |config| Built::new(&component, config));
                    let mut found = found.lock().unwrap();
                    match ran {
                        Ok((coverage, polls)) => {
                            found.1 += u64::from(polls);
                            found.2.merge(&coverage);
                        }
                        Err(violation) => found.0.push(violation.to_string()),
                    }
                }
            });
        }
    });
    let (violations, polls, coverage) = found.into_inner().unwrap();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let missing = if one.is_some() { Vec::new() } else { missing_in_component(&coverage) };
    assert!(missing.is_empty(), "never met in {polls} polls:\n{}\n{coverage}", missing.join("\n"));
}
