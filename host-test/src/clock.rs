//! The time that a replayed component sees.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use source_host::Clock;
use tokio::time::Instant;

/// A clock that starts where the scenario says and goes with tokio's, which is paused: it moves by recorded latencies
/// and by the waits that the source asks for, and by nothing else.
pub(crate) struct VirtualClock {
    origin: Instant,
    starts: DateTime<Utc>,
    /// How far the wall clock was set, in nanoseconds.
    set_by: AtomicI64,
}

impl VirtualClock {
    /// Make it inside the paused runtime.
    pub(crate) fn starting_at(starts: DateTime<Utc>) -> Self {
        Self { origin: Instant::now(), starts, set_by: AtomicI64::new(0) }
    }

    /// Sets the wall clock; the monotonic one does not notice.
    pub(crate) fn jump(&self, by: TimeDelta) {
        self.set_by.fetch_add(by.num_nanoseconds().unwrap_or_default(), Ordering::Relaxed);
    }

    /// Sets the wall clock to so long after the beginning, and further by this much.
    pub(crate) fn set(&self, since: Duration, further: TimeDelta) {
        let signed = |length: Duration| TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let set_by = signed(since) - signed(self.elapsed()) + further;
        self.set_by.store(set_by.num_nanoseconds().unwrap_or_default(), Ordering::Relaxed);
    }

    /// What the wall clock would read had it never been set.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        TimeDelta::from_std(self.origin.elapsed())
            .ok()
            .and_then(|elapsed| self.starts.checked_add_signed(elapsed))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> Duration {
        let set_by = TimeDelta::nanoseconds(self.set_by.load(Ordering::Relaxed));
        let now = self.now().checked_add_signed(set_by).unwrap_or_default();
        // A clock cannot be set before 1970, as `wasi:clocks` has no word for that.
        now.signed_duration_since(DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }
}
