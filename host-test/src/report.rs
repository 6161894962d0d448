//! What a replay came to.

use std::fmt;
use std::time::Duration;

use scenario::{EXPECTED_EVENTS_FILE, EXPECTED_FILE, Outcome, Scenario};

use crate::diff;
use crate::finding::Finding;
use crate::timeline::Timeline;

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The name of the scenario.
    pub name: String,
    /// The events and gaps, one line each, each with its line break; what `expected.ndjson` holds.
    pub events: String,
    /// What each poll returned; what `expected.json` holds.
    pub outcome: Outcome,
    /// How many requests were made.
    pub requests: usize,
    /// How long it took on the virtual clock.
    pub virtual_time: Duration,
    /// What happened when.
    pub(crate) timeline: Timeline,
    /// What went wrong whatever is expected: unmatched, unused, broken, leaked.
    pub(crate) faults: Vec<Finding>,
}

impl Report {
    /// Everything that is not as the scenario expects; empty where all is.
    ///
    /// What comes after an unmatched request or a broken component says nothing, and is left out.
    pub fn findings(&self, scenario: &Scenario) -> Vec<Finding> {
        let expects_refusal =
            scenario.expected.as_ref().is_some_and(|(_, value)| value.get("invalid-config").is_some());
        if !self.outcome.invalid_config.is_empty() && !expects_refusal {
            return vec![self.refused()];
        }
        if !self.faults.is_empty() {
            return self.faults.clone();
        }
        let mut findings = Vec::new();
        match &scenario.expected_events {
            None => findings.push(Finding::Missing { file: EXPECTED_EVENTS_FILE }),
            Some(expected) if *expected != self.events => {
                let diff = diff::ndjson(expected, &self.events);
                findings.push(Finding::Different { file: EXPECTED_EVENTS_FILE, diff });
            }
            Some(_) => {}
        }
        match &scenario.expected {
            None => findings.push(Finding::Missing { file: EXPECTED_FILE }),
            Some((text, value)) if *value != self.outcome.value() => {
                let diff = diff::lines(text, &self.outcome.text());
                findings.push(Finding::Different { file: EXPECTED_FILE, diff });
            }
            Some(_) => {}
        }
        findings
    }

    fn refused(&self) -> Finding {
        let problem = |notice: &scenario::NoticeOutcome| {
            let place = notice.pointer.as_deref().map(|pointer| format!("{pointer}: ")).unwrap_or_default();
            let hint = notice.hint.as_deref().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default();
            format!("{place}{}{hint}", notice.message)
        };
        Finding::Config { problems: self.outcome.invalid_config.iter().map(problem).collect() }
    }
}

/// One line on what happened.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gaps: usize = self.outcome.polls.iter().map(|poll| poll.gaps).sum();
        let events: usize = self.outcome.polls.iter().map(|poll| poll.events).sum();
        write!(
            f,
            "{}, {}, {}, {} in {} s of virtual time",
            count(self.outcome.polls.len(), "poll"),
            count(self.requests, "request"),
            count(events, "event"),
            count(gaps, "gap"),
            seconds(self.virtual_time)
        )
    }
}

/// A number and its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Seconds to the millisecond, as far as there are any.
pub(crate) fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
