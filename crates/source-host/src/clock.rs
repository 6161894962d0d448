//! Where a component's time comes from.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// What the clocks of a component read.
///
/// Waiting is always tokio's: a virtual clock works by pausing tokio's time and reading its own from it.
pub trait Clock: Send + Sync + 'static {
    /// The time since 1970-01-01T00:00:00Z.
    fn wall(&self) -> Duration;

    /// The time since some moment that does not change.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that starts at a chosen time and runs with tokio's, so that it stands still and jumps where tokio's is
/// paused.
///
/// Make it inside the runtime that it runs on. Paused time and real sockets do not mix: a runtime that waits for a
/// socket is idle, and an idle runtime jumps to the next timeout.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    start: Duration,
}

impl TokioClock {
    /// A clock that reads `start`, a time since 1970-01-01T00:00:00Z, now.
    #[must_use]
    pub fn starting_at(start: Duration) -> Self {
        Self { origin: tokio::time::Instant::now(), start }
    }
}

impl Clock for TokioClock {
    fn wall(&self) -> Duration {
        self.start.saturating_add(self.origin.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock in the shape that wasmtime wants.
pub(crate) struct GuestClock(pub(crate) Arc<dyn Clock>);

impl HostWallClock for GuestClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.wall()
    }
}

impl HostMonotonicClock for GuestClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}
