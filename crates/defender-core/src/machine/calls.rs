//! How often the API was asked: its quota is kept by not asking, rather than by being refused.

use std::collections::VecDeque;

use crate::protocol::Quota;

const NANOSECONDS: u64 = 1_000_000_000;

/// When the calls of the last while were made, in nanoseconds on the monotonic clock. An instance that begins knows of none:
/// then the service's own refusal says how long to wait.
#[derive(Debug)]
pub(super) struct Calls {
    quotas: &'static [Quota],
    made: VecDeque<u64>,
}

impl Calls {
    pub(super) fn new(quotas: &'static [Quota]) -> Self {
        Self { quotas, made: VecDeque::new() }
    }

    /// A call is made now.
    pub(super) fn count(&mut self, now: u64) {
        let most = self.quotas.iter().map(|quota| quota.calls as usize).max().unwrap_or_default();
        self.made.push_back(now);
        while self.made.len() > most {
            self.made.pop_front();
        }
    }

    /// The quota that has no room for another call, and for how many nanoseconds.
    pub(super) fn exhausted(&self, now: u64) -> Option<(Quota, u64)> {
        let left = |quota: &Quota| {
            let first = self.made.len().checked_sub(quota.calls as usize).and_then(|at| self.made.get(at))?;
            let free_again = first.saturating_add(u64::from(quota.seconds) * NANOSECONDS);
            free_again.checked_sub(now).filter(|left| *left > 0).map(|left| (*quota, left))
        };
        self.quotas.iter().filter_map(left).max_by_key(|(_, left)| *left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTAS: &[Quota] = &[Quota { calls: 2, seconds: 60 }, Quota { calls: 3, seconds: 3600 }];

    #[test]
    fn a_call_waits_until_the_first_of_as_many_as_allowed_is_long_enough_ago() {
        let mut calls = Calls::new(QUOTAS);
        let seconds = |seconds: u64| seconds * NANOSECONDS;
        calls.count(seconds(100));
        assert_eq!(calls.exhausted(seconds(100)), None);
        calls.count(seconds(110));
        assert_eq!(calls.exhausted(seconds(110)), Some((QUOTAS[0], seconds(50))));
        assert_eq!(calls.exhausted(seconds(160) - 1), Some((QUOTAS[0], 1)));
        assert_eq!(calls.exhausted(seconds(160)), None);
        calls.count(seconds(160));
        assert_eq!(calls.exhausted(seconds(160)), Some((QUOTAS[1], seconds(3540))));
        assert_eq!(calls.exhausted(seconds(3700)), None);
        calls.count(seconds(3700));
        assert_eq!((calls.made.len(), calls.exhausted(seconds(3700))), (3, Some((QUOTAS[1], seconds(10)))));
    }

    #[test]
    fn without_a_quota_nothing_is_counted() {
        let mut calls = Calls::new(&[]);
        calls.count(7);
        assert_eq!((calls.made.len(), calls.exhausted(7)), (0, None));
    }
}
