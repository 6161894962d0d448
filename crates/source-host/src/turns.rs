//! How many polls run at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns that sources take to poll, first come, first served. Clones share them.
///
/// What a poll holds is memory: its component's, and the batch that it makes. So this bounds the memory of a host with
/// thousands of sources that all have much to read.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

/// A poll that is under way.
pub(crate) type Turn = OwnedSemaphorePermit;

impl Turns {
    /// As many at once.
    #[must_use]
    pub fn of(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// As many as there are.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::of(Semaphore::MAX_PERMITS)
    }

    pub(crate) async fn next(&self) -> Turn {
        match Arc::clone(&self.0).acquire_owned().await {
            Ok(turn) => turn,
            Err(_) => unreachable!("nobody closes it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_have_a_turn_and_the_next_one_waits_for_its_end() {
        let turns = Turns::of(2);
        let (first, _second) = (turns.next().await, turns.clone().next().await);
        let third =
            |turns: Turns| async move { tokio::time::timeout(Duration::from_secs(1), turns.next()).await.is_ok() };
        assert!(!third(turns.clone()).await);
        drop(first);
        assert!(third(turns).await);
    }
}
