//! Virtual time: the service's clock, and the local one that may be wrong.

use defender_core::tick::{Now, Tick, Ticks};

/// Both clocks of a run.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// The service's time, which is right by definition.
    pub(crate) service: Tick,
    monotonic: u64,
    /// How far the local clock is ahead, in ticks.
    pub(crate) skew: Ticks,
    /// When it jumps, and how far ahead it is from then on; the next one last.
    jumps: Vec<(Tick, Ticks)>,
}

impl Clock {
    /// A clock at this time, and the jumps of the local one in any order.
    pub(crate) fn new(service: Tick, mut jumps: Vec<(Tick, Ticks)>) -> Self {
        jumps.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut clock = Self { service, monotonic: 1_000_000_000_000, skew: 0, jumps };
        clock.advance(0);
        clock
    }

    /// Lets so many ticks pass.
    pub(crate) fn advance(&mut self, ticks: Ticks) {
        self.service = self.service.plus(ticks);
        self.monotonic += ticks.unsigned_abs() * 100;
        while let Some((_, skew)) = self.jumps.pop_if(|(at, _)| *at <= self.service) {
            self.skew = skew;
        }
    }

    /// Lets so many nanoseconds pass, and what is left of the last tick.
    pub(crate) fn sleep(&mut self, nanoseconds: u64) {
        self.advance(i64::try_from(nanoseconds.div_ceil(100)).unwrap_or(i64::MAX / 100));
    }

    /// What the machine is told.
    pub(crate) fn now(&self) -> Now {
        Now { wall: self.service.plus(self.skew), monotonic: self.monotonic }
    }
}
