//! How many requests sources may make that are one application to the service.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Requests a minute and an hour that several sources have together. A poll reserves some before it begins and gives back
/// what it did not use, so no request waits inside a component.
///
/// Every request counts, that for a token included. What was used is forgotten at the end of the process.
#[derive(Debug)]
pub struct Quota {
    per_minute: u32,
    per_hour: u32,
    used: Mutex<Used>,
    /// First come, first served: who needs many is not passed by those who need few.
    queue: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Used {
    /// When, and how many; the oldest first, none older than an hour.
    polls: VecDeque<(Instant, u32)>,
    reserved: u32,
    /// How many sources share it.
    sharers: u32,
    /// The service said not to come back before.
    paused: Option<Instant>,
}

/// The part that one source has in it, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Share(Arc<Quota>);

/// Requests that one poll may make.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    quota: &'a Quota,
    pub(crate) requests: u32,
}

/// What is free, or when to look again.
enum Free {
    Requests(u32),
    Until(Instant),
}

impl Quota {
    /// The fewest that are of use: one for a token, and one for an answer.
    pub const LEAST: u32 = 2;

    /// So many in any minute and in any hour; at least [`LEAST`](Self::LEAST) each.
    #[must_use]
    pub fn new(per_minute: u32, per_hour: u32) -> Self {
        Self {
            per_minute: per_minute.max(Self::LEAST),
            per_hour: per_hour.max(Self::LEAST),
            used: Mutex::default(),
            queue: tokio::sync::Mutex::default(),
        }
    }

    /// One more source has a share in it.
    pub(crate) fn join(self: &Arc<Self>) -> Share {
        self.used().sharers += 1;
        Share(Arc::clone(self))
    }

    /// The most requests that one poll can ever have.
    pub(crate) fn most(&self) -> u32 {
        self.per_minute.min(self.per_hour)
    }

    /// Whether the service said not to come back yet.
    pub(crate) fn is_paused(&self) -> bool {
        self.used().paused.is_some_and(|paused| paused > Instant::now())
    }

    /// Waits until a poll can begin: with `least` requests, or all there can ever be, and with at most `most`.
    ///
    /// `told` hears how long the next look at what is free is away, where there is something to wait for. Where that is
    /// further away than `patience`, it is the error.
    pub(crate) async fn reserve(
        &self,
        least: u32,
        most: u32,
        patience: Option<Duration>,
        told: impl Fn(Duration),
    ) -> Result<Reservation<'_>, Duration> {
        let mut turn = pin!(self.queue.lock());
        // How long those before it wait is not known, so it is told again; its place it keeps.
        let mut length = Duration::ZERO;
        let _first = loop {
            match timeout(length, turn.as_mut()).await {
                Ok(first) => break first,
                Err(_others) => {
                    length = MINUTE;
                    told(length);
                }
            }
        };
        loop {
            match self.free(least.min(self.most()), most) {
                Free::Requests(requests) => return Ok(Reservation { quota: self, requests }),
                Free::Until(instant) => {
                    let wait = instant.saturating_duration_since(Instant::now());
                    if patience.is_some_and(|patience| wait > patience) {
                        return Err(wait);
                    }
                    told(wait);
                    sleep_until(instant).await;
                }
            }
        }
    }

    /// The service wants nobody of this application before then.
    pub(crate) fn pause(&self, wait: Duration) {
        // A component says for how long, and one of them does not stop all others for ever.
        let until = Instant::now() + wait.min(HOUR);
        let mut used = self.used();
        used.paused = Some(used.paused.map_or(until, |paused| paused.max(until)));
    }

    fn free(&self, least: u32, most: u32) -> Free {
        let now = Instant::now();
        let mut used = self.used();
        if let Some(paused) = used.paused.filter(|paused| *paused > now) {
            return Free::Until(paused);
        }
        while used.polls.front().is_some_and(|(at, _)| now.duration_since(*at) >= HOUR) {
            used.polls.pop_front();
        }
        let within = |span: Duration| -> u32 {
            used.polls.iter().filter(|(at, _)| now.duration_since(*at) < span).map(|(_, requests)| requests).sum()
        };
        let left = |limit: u32, span| limit.saturating_sub(within(span)).saturating_sub(used.reserved);
        let (minute, hour) = (left(self.per_minute, MINUTE), left(self.per_hour, HOUR));
        let free = minute.min(hour);
        if free >= least {
            // Nobody takes what others may need at the same time.
            let requests = (free / used.sharers.max(1)).clamp(least, most.max(least));
            used.reserved += requests;
            return Free::Requests(requests);
        }
        let span = if hour < least { HOUR } else { MINUTE };
        let oldest = used.polls.iter().find(|(at, _)| now.duration_since(*at) < span).map(|(at, _)| *at + span);
        // Where nothing was used yet it is reserved by polls that end at any time.
        let soon = now + Duration::from_millis(250);
        Free::Until(if used.reserved > 0 { soon.min(oldest.unwrap_or(soon)) } else { oldest.unwrap_or(soon) })
    }

    // A thread that panicked while it counted leaves a count that is still one.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self.0.used();
        used.sharers = used.sharers.saturating_sub(1);
    }
}

impl Reservation<'_> {
    /// The poll made so many; the rest is free again.
    pub(crate) fn settle(self, made: u32) {
        if made > 0 {
            self.quota.used().polls.push_back((Instant::now(), made));
        }
    }
}

/// A poll that was given up made requests that nobody counted, and fewer than it might have: it gives all back.
impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut used = self.quota.used();
        used.reserved = used.reserved.saturating_sub(self.requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reserve(quota: &Quota, least: u32, most: u32) -> Reservation<'_> {
        quota.reserve(least, most, None, |_| {}).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_and_no_hour_has_more_requests_than_it_may() {
        let quota = Quota::new(10, 25);
        let begun = Instant::now();
        let mut made = Vec::new();
        for _ in 0..60 {
            reserve(&quota, 1, 1).await.settle(1);
            made.push(begun.elapsed());
        }
        for (limit, span) in [(10, MINUTE), (25, HOUR)] {
            assert!(made.windows(limit + 1).all(|some| some[limit] - some[0] >= span), "{made:?}");
        }
        // As many as may be, as early as they may be.
        assert_eq!([9, 24, 25].map(|request: usize| made[request].as_secs()), [0, 120, 3_600]);
    }

    #[tokio::test(start_paused = true)]
    async fn sources_share_it_and_give_back_what_they_do_not_use() {
        let quota = Arc::new(Quota::new(40, 1_000));
        let _shares = [0; 4].map(|_| quota.join());
        let first = reserve(&quota, 2, 50).await;
        assert_eq!(first.requests, 10);
        first.settle(1);
        let others = [reserve(&quota, 2, 5).await, reserve(&quota, 30, 50).await];
        assert_eq!(others.each_ref().map(|reserved| reserved.requests), [5, 30]);
        drop(others);
        assert_eq!(reserve(&quota, 39, 50).await.requests, 39);
        // More than there can ever be is as much as there can ever be.
        assert_eq!(reserve(&quota, 100, 100).await.requests, 40);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_source_had_is_for_the_others_once_it_has_ended() {
        let quota = Arc::new(Quota::new(40, 1_000));
        let mut shares = vec![quota.join(), quota.join(), quota.join(), quota.join()];
        for expected in [10, 13, 20, 40] {
            assert_eq!(reserve(&quota, 2, 50).await.requests, expected);
            shares.pop();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_service_says_to_one_source_holds_for_all() {
        let quota = Quota::new(40, 1_000);
        let begun = Instant::now();
        quota.pause(Duration::from_secs(30));
        quota.pause(Duration::from_secs(5));
        assert!(quota.is_paused());
        drop(reserve(&quota, 1, 1).await);
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert!(!quota.is_paused());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_patience_for_a_minute_is_told_of_a_longer_wait() {
        let quota = Quota::new(2, 2);
        reserve(&quota, 2, 2).await.settle(2);
        let refused = quota.reserve(2, 2, Some(MINUTE), |_| {}).await;
        assert_eq!(refused.unwrap_err(), HOUR);
        quota.pause(Duration::from_secs(30));
        let begun = Instant::now();
        let refused = quota.reserve(2, 2, Some(MINUTE), |_| {}).await;
        // What is short is waited out, and then the long one is there.
        assert_eq!((refused.unwrap_err(), begun.elapsed().as_secs()), (HOUR - Duration::from_secs(30), 30));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_behind_others_is_told_again_and_again() {
        let quota = Quota::new(10, 100);
        quota.pause(Duration::from_secs(600));
        let (first, second) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let count = |told: &std::cell::Cell<u32>| told.set(told.get() + 1);
        tokio::join!(async { drop(quota.reserve(1, 1, None, |_| count(&first)).await) }, async {
            drop(quota.reserve(1, 1, None, |_| count(&second)).await)
        },);
        assert_eq!(first.get(), 1, "it knows how long");
        assert!(second.get() >= 10, "{}", second.get());
    }
}
