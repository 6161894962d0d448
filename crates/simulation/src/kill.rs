//! The kill matrix: the host dies at every single step, and reads on from its last stored checkpoint.

use crate::coverage::Coverage;
use crate::host::Host;
use crate::line::Orders;
use crate::seeds::Violation;
use crate::subject::Core;
use crate::world::World;

/// Runs a seed once for each of its steps, killed there, and says at how many steps that was.
///
/// A step is each output of the machine, each chunk and each answer that it is told of, each batch, before its delivery,
/// before and after its checkpoint is stored.
///
/// # Errors
///
/// What was violated, by which step.
pub fn kill_matrix(seed: u64) -> Result<(u64, Coverage), Violation> {
    let world = World::of(seed);
    let mut coverage = Coverage::default();
    let subject = || Core::new(&world.config, world.limits);
    let mut whole = Host::new(&world, Orders { survive: true, ..Orders::default() }, subject());
    whole.run().map_err(|what| Violation::of_core(seed, None, what))?;
    for step in 1..=whole.line.steps {
        let mut host = Host::new(&world, Orders { kill_at: Some(step), ..Orders::default() }, subject());
        host.run().map_err(|what| Violation::of_core(seed, Some(step), what))?;
        coverage.merge(&host.line.met);
    }
    Ok((whole.line.steps, coverage))
}
