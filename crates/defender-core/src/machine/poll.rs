//! What one poll may use, has used and has gathered.

use crate::contract::{Budget, Diagnostic, Event, Gap, Level};
use crate::tick::{Now, Tick};

/// One poll.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) budget: Budget,
    started: u64,
    pub(super) requests: u32,
    bytes: u64,
    pub(super) events: Vec<Event>,
    pub(super) gaps: Vec<Gap>,
    pub(super) notices: Vec<Diagnostic>,
    pub(super) counters: Counters,
    /// Where the round ended that came to its end in this poll.
    pub(super) ended_round: Option<Tick>,
}

/// What the guest alone can count, since the last batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) rows: u64,
    pub(super) duplicates: u64,
    pub(super) odd: u64,
    pub(super) splits: u64,
    pub(super) token_renewals: u64,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            budget: Budget { max_events: 0, max_bytes: 0, max_requests: 0, max_duration: 0 },
            started: 0,
            requests: 0,
            bytes: 0,
            events: Vec::new(),
            gaps: Vec::new(),
            notices: Vec::new(),
            counters: Counters::default(),
            ended_round: None,
        }
    }
}

impl Poll {
    /// Notices and counters that no batch has carried yet stay for the next one.
    pub(super) fn begin(&mut self, budget: Budget, now: Now) {
        self.budget = budget;
        self.started = now.monotonic;
        self.requests = 0;
        self.bytes = 0;
        self.ended_round = None;
    }

    /// A budget with which more can be read at a time.
    pub(super) fn larger_budget(&self) -> Budget {
        let Budget { max_events, max_bytes, max_requests, max_duration } = self.budget;
        let (max_requests, max_duration) = (max_requests.saturating_mul(2), max_duration.saturating_mul(2));
        Budget { max_events, max_bytes, max_requests, max_duration }
    }

    pub(super) fn has_output(&self) -> bool {
        !self.events.is_empty() || !self.gaps.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() as u64 >= u64::from(self.budget.max_events)
    }

    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes as u64) <= self.budget.max_bytes
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        now.monotonic.saturating_sub(self.started) >= self.budget.max_duration
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes = self.bytes.saturating_add(event.body.as_bytes().len() as u64);
        self.events.push(event);
    }

    pub(super) fn note(&mut self, level: Level, code: &str, message: String, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.notices.push(Diagnostic { level, code: code.to_owned(), pointer: None, message, hint });
    }
}

impl Counters {
    pub(super) fn take(&mut self) -> Vec<(&'static str, u64)> {
        let Self { rows, duplicates, odd, splits, token_renewals } = std::mem::take(self);
        let all = [
            ("rows", rows),
            ("duplicates", duplicates),
            ("odd-records", odd),
            ("splits", splits),
            ("token-renewals", token_renewals),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
