//! What a run with faults came to, in plain words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use scenario::{NextOutcome, duration_text};
use serde_json::Value;

use super::run::{Ran, Step};
use super::{Injection, Injector};
use crate::finding::Finding;
use crate::report::{Report, count};

/// What a run with faults came to.
#[derive(Clone, Debug)]
pub struct Injected {
    /// The faults, each with its place.
    pub injection: String,
    /// What came out.
    pub report: Report,
    /// What must not be: something is lost or invented, the source trapped, a secret is shown. Empty where all is well.
    pub findings: Vec<Finding>,
    steps: Vec<Step>,
    /// Lines that came more often than without a fault.
    repeated: usize,
    /// New gaps, one line each.
    gaps: Vec<String>,
}

impl Injected {
    pub(super) fn of(injector: &Injector<'_>, injection: &Injection, ran: Ran) -> Self {
        let wanted = injector.wanted();
        let mut came: BTreeMap<&str, usize> = BTreeMap::new();
        for line in ran.report.events.lines() {
            *came.entry(line).or_default() += 1;
        }
        let gaps: Vec<&str> = came.keys().copied().filter(|line| is_gap(line) && !wanted.contains(line)).collect();
        let mut findings = ran.report.faults.clone();
        if !findings.iter().any(|finding| matches!(finding, Finding::Leak { .. })) {
            findings.extend(lost(&wanted, &came, &gaps, &ran));
            let foreign = came.keys().find(|line| !wanted.contains(*line) && !is_gap(line));
            findings.extend(foreign.map(|line| Finding::Invented { event: named(line), diff: unlike(&wanted, line) }));
        }
        let often = |line: &str| injector.undisturbed.events.lines().filter(|other| *other == line).count();
        let repeated = came.iter().filter(|(line, times)| wanted.contains(*line) && **times > often(line)).count();
        let gaps = gaps.into_iter().map(str::to_owned).collect();
        let Ran { report, steps } = ran;
        Self { injection: injection.to_string(), report, findings, steps, repeated, gaps }
    }

    /// Whether nothing was lost, and nothing else happened that must not.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }

    /// What happened, a sentence a line, but for the findings.
    #[must_use]
    pub fn told(&self) -> String {
        let mut lines: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        lines.extend(self.gaps.iter().map(|gap| format!("a gap says what was not read: {}", named(gap))));
        if self.repeated > 0 {
            lines.push(format!("{} came more than once, under the same key", count(self.repeated, "event")));
        }
        lines.push(self.report.to_string());
        lines.join("\n")
    }

    /// In a few words, for a row of a table.
    #[must_use]
    pub fn in_words(&self) -> String {
        if let Some(finding) = self.findings.first() {
            let told = finding.to_string();
            return told.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
        }
        let mut words: Vec<String> = Vec::new();
        for step in &self.steps {
            let told = match step {
                Step::Again { failure, after, .. } => format!("`{failure}`, again after {}", duration_text(*after)),
                Step::Ended { failure, .. } => format!("`{failure}`, started again"),
                Step::Lost { .. } => "lost, a fresh instance".to_owned(),
                Step::Killed { .. } => "thrown away, a fresh instance".to_owned(),
            };
            if words.last() != Some(&told) {
                words.push(told);
            }
        }
        if self.repeated > 0 {
            words.push(format!("{} once more", count(self.repeated, "event")));
        }
        if !self.gaps.is_empty() {
            words.push(count(self.gaps.len(), "gap"));
        }
        match words.is_empty() {
            true => "as without it".to_owned(),
            false => format!("{}: nothing lost", words.join("; ")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again { poll, failure, after } => {
                write!(f, "poll {poll} failed: {failure}; polled again after {}", duration_text(*after))
            }
            Self::Ended { poll, failure } => write!(
                f,
                "poll {poll} failed: {failure}, which does not pass by itself; then the source was started again"
            ),
            Self::Lost { poll } => write!(f, "poll {poll} lost its instance; polled again on a fresh one"),
            Self::Killed { poll } => {
                write!(f, "the instance was thrown away after poll {poll}; went on on a fresh one")
            }
        }
    }
}

/// What did not come, and no gap says so.
fn lost(wanted: &BTreeSet<&str>, came: &BTreeMap<&str, usize>, gaps: &[&str], ran: &Ran) -> Option<Finding> {
    let is_lost = |line: &&&str| !came.contains_key(**line) && !gaps.iter().any(|gap| covers(gap, line));
    let missing: Vec<String> = wanted.iter().filter(is_lost).map(|line| named(line)).collect();
    // What broke off says more than what therefore did not come.
    if missing.is_empty() || !ran.report.faults.is_empty() {
        return None;
    }
    let last = ran.outcome().polls.last().map(|poll| match (&poll.failure, &poll.next) {
        (Some(failure), _) => format!("the last poll failed: {} {}: {}", failure.kind, failure.code, failure.message),
        (None, Some(NextOutcome::Ended)) => "the last poll says that there is nothing more, ever".to_owned(),
        (None, _) => "the last poll says that nothing more is ready".to_owned(),
    });
    Some(Finding::Lost { events: missing, last: last.unwrap_or_default() })
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

fn is_gap(line: &str) -> bool {
    line.contains("\"kind\":\"gap\"") && parsed(line)["kind"] == "gap"
}

/// What an event or a gap is called.
fn named(line: &str) -> String {
    let line = parsed(line);
    let key = line["key"].as_str().unwrap_or_default();
    format!("{} {key}", line["kind"].as_str().unwrap_or_default())
}

/// Whether a gap says that an event was not read; both as lines.
fn covers(gap: &str, event: &str) -> bool {
    let (gap, event) = (parsed(gap), parsed(event));
    let body = &gap["body"];
    let time = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok();
    let is_within = || match time(&event["visible"]) {
        Some(at) => {
            time(&body["since"]).is_some_and(|since| since <= at) && time(&body["until"]).is_some_and(|u| at < u)
        }
        None => true,
    };
    body["kind"] == event["kind"]
        && if gap["subject"].is_null() { is_within() } else { gap["subject"] == event["subject"] }
}

/// How a line is not as the one under the same key.
fn unlike(wanted: &BTreeSet<&str>, line: &str) -> Option<String> {
    let key = &parsed(line)["key"];
    let expected = wanted.iter().find(|other| parsed(other)["key"] == *key)?;
    Some(crate::diff::ndjson(expected, line))
}
