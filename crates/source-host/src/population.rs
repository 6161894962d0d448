//! How many instances a process has, and may keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Memory maps that an instance takes, rounded up: its stack and its linear memory, each with what guards it.
const MAPS_EACH: usize = 8;

/// How many maps a process may have where nothing else is known: Linux's own default.
const MAPS: usize = 65_530;

/// All instances of an engine.
#[derive(Debug)]
pub(crate) struct Population {
    living: AtomicUsize,
    most: usize,
    is_told: AtomicBool,
}

/// One of them, while it lives.
#[derive(Debug)]
pub(crate) struct Living(Arc<Population>);

impl Population {
    /// As large as this machine allows. What is left of its maps is for everything else, instances at work included.
    pub(crate) fn of_this_machine() -> Arc<Self> {
        let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        let maps = maps.and_then(|text| text.trim().parse().ok()).unwrap_or(MAPS);
        Arc::new(Self::of(maps / 4 * 3 / MAPS_EACH))
    }

    fn of(most: usize) -> Self {
        Self { living: AtomicUsize::new(0), most, is_told: AtomicBool::new(false) }
    }

    /// One more.
    pub(crate) fn born(self: &Arc<Self>) -> Living {
        self.living.fetch_add(1, Ordering::Relaxed);
        Living(Arc::clone(self))
    }

    /// Whether one that has nothing to do for now has to go. A process without maps left cannot even allocate memory.
    pub(crate) fn is_crowded(&self) -> bool {
        let is_crowded = self.living.load(Ordering::Relaxed) > self.most;
        if is_crowded && !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                hint = "raise it with `sysctl vm.max_map_count=N`, or spread the sources over several hosts",
                "{} instances are kept between polls, and this machine's limit of memory maps allows no more: other \
                 sources get a fresh one for each poll, and sign in again",
                self.most
            );
        }
        is_crowded
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.living.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_beyond_the_most_have_to_go_and_make_room() {
        let population = Arc::new(Population::of(2));
        let (_first, second, third) = (population.born(), population.born(), population.born());
        assert!(population.is_crowded());
        drop(third);
        assert!(!population.is_crowded());
        drop(second);
        let _again = population.born();
        assert!(!population.is_crowded());
    }

    #[test]
    fn thousands_are_kept_on_a_machine_as_it_comes() {
        assert!(Population::of_this_machine().most >= 5_000);
    }
}
