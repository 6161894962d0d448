//! How long to wait after failures in a row.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Waits that double, with jitter, up to a longest one.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts one more failure and says how long to wait: between half of the full wait and all of it, so that sources
    /// that failed together do not come back together.
    pub(crate) fn next(&mut self) -> Duration {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        full.mul_f64(0.5 + 0.5 * random())
    }
}

/// A wait that others may have been told as well, and up to a tenth more.
pub(crate) fn spread(wait: Duration) -> Duration {
    wait + wait.mul_f64(0.1 * random()).min(LONGEST_SPREAD)
}

const LONGEST_SPREAD: Duration = Duration::from_secs(10);

/// A number from 0 to 1. The standard library draws new keys for each hasher.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for (low, high) in [(0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (5.0, 10.0), (5.0, 10.0)] {
            let wait = backoff.next().as_secs_f64();
            assert!((low..=high).contains(&wait), "{wait}");
        }
        assert_eq!(backoff.failures(), 6);
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
