//! A clock that moves by recorded latencies and by waits alone.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use defender_core::tick::{Now, Tick};

pub(crate) struct Clock {
    starts: DateTime<Utc>,
    elapsed: Duration,
    set_by: TimeDelta,
}

impl Clock {
    pub(crate) fn starting_at(starts: DateTime<Utc>) -> Self {
        Self { starts, elapsed: Duration::ZERO, set_by: TimeDelta::zero() }
    }

    /// What the machine is told.
    pub(crate) fn now(&self) -> Now {
        let monotonic = u64::try_from(self.elapsed.as_nanos()).unwrap();
        Now { wall: Tick::from_datetime(self.date() + self.set_by), monotonic }
    }

    /// The time had the wall clock never been set.
    pub(crate) fn date(&self) -> DateTime<Utc> {
        self.starts + self.elapsed
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.elapsed += duration;
    }

    pub(crate) fn jump(&mut self, by: TimeDelta) {
        self.set_by += by;
    }
}
