//! The kill matrix: the host dies at every single step, and reads on from its last stored checkpoint.

use std::sync::Mutex;

use crate::api::Api;
use crate::coverage::{Coverage, Met};
use crate::host::Host;
use crate::line::Orders;
use crate::seeds::Violation;
use crate::subject::Core;
use crate::world::World;

/// The seeds of the kill matrix in `cargo test`. Together they meet all of `DELICATE`, in worlds that are short enough.
pub const MATRIX_SEEDS: [(Api, u64); 19] = [
    (Api::Siem, 9),
    (Api::Siem, 12),
    (Api::Siem, 25),
    (Api::Siem, 91),
    (Api::Siem, 133),
    (Api::Siem, 221),
    (Api::Siem, 289),
    (Api::Siem, 354),
    (Api::Alerts, 254),
    (Api::Alerts, 283),
    (Api::Graph, 10),
    (Api::Graph, 150),
    (Api::Graph, 216),
    (Api::Graph, 289),
    (Api::Graph, 303),
    (Api::Incidents, 10),
    (Api::Incidents, 62),
    (Api::Xdr, 86),
    (Api::Xdr, 891),
];

/// What a death in the midst of could cost something: a matrix that never met it proves nothing of it.
const DELICATE: &[Met] = &[
    Met::LateFound,
    Met::Tie,
    Met::Duplicate,
    Met::OverlapShortened,
    Met::Split,
    Met::CapLearned,
    Met::Truncated,
    Met::Shorter,
    Met::Unreadable,
    Met::FirstPage,
    Met::LaterPage,
    Met::LinkRanOut,
    Met::PageInLaterPoll,
    Met::MidSlice,
    Met::HeldAnswer,
    Met::Frozen,
    Met::FrozenResumed,
    Met::Killed,
    Met::Rewound,
    Met::RepeatedAfterKill,
    Met::Learned,
    Met::TokenRevoked,
    Met::Update,
    Met::Superseded,
    Met::InBulk,
    Met::SeenOnce,
    Met::TopCut,
    Met::PageShortOfTop,
    Met::PageShortInSilence,
    Met::TickInSilence,
    Met::NoLink,
    Met::OrderRefused,
    Met::Skipped,
    Met::SkipRefused,
    Met::LeftBetweenPages,
    Met::PassAgain,
    Met::ExpandFails,
    Met::ExpandBreaks,
    Met::DeliveredBare,
    Met::TooLargeExpanded,
    Met::RowMissing,
    Met::FoundAfterMissing,
    Met::DeliveredAfterTakeOver,
    Met::QuotaKept,
    Met::InCutMillisecond,
    Met::PassedOver,
    Met::GivenUpUnsettled,
];

/// What of all that a death could cost something in was never met.
pub fn missing_in_matrix(met: &Coverage) -> Vec<String> {
    met.missing_of(DELICATE)
}

/// Runs a seed once for each of its steps, killed there, and says at how many steps that was.
///
/// A step is each output of the machine, each chunk and each answer that it is told of, each batch, before its delivery,
/// before and after its checkpoint is stored.
///
/// # Errors
///
/// What was violated, by which step.
pub fn kill_matrix(api: Api, seed: u64, threads: usize) -> Result<(u64, Coverage), Violation> {
    let world = World::of(api, seed);
    let subject = || Core::new(&world.config, world.limits);
    let mut whole = Host::new(&world, Orders { survive: true, ..Orders::default() }, subject());
    whole.run().map_err(|what| Violation::of_core(api, seed, None, what))?;
    let steps = whole.line.steps;
    let next = Mutex::new(1..=steps);
    let found = Mutex::new((Coverage::default(), None));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let take = || next.lock().ok().and_then(|mut next| next.next());
                while let Some(step) = take() {
                    let mut host = Host::new(&world, Orders { kill_at: Some(step), ..Orders::default() }, subject());
                    let ran = host.run();
                    let Ok(mut found) = found.lock() else { return };
                    match ran {
                        Ok(()) => found.0.merge(&host.line.met),
                        Err(what) => found.1 = Some(Violation::of_core(api, seed, Some(step), what)),
                    }
                    if found.1.is_some() {
                        return;
                    }
                }
            });
        }
    });
    let (coverage, violation) = found.into_inner().unwrap_or_default();
    violation.map_or(Ok((steps, coverage)), Err)
}
