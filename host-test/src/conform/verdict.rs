//! What the checks of one scenario came to.

use std::collections::BTreeMap;
use std::fmt;

use super::law::Law;

/// Where a law is broken. Its texts hold no secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Break {
    /// Where, such as `poll 3 of the first run`.
    pub place: String,
    /// What was expected and what was found, in a sentence.
    pub found: String,
    /// What to do.
    pub hint: &'static str,
    /// In how many more places the same was found.
    pub more: usize,
}

/// What became of one law.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// It was checked and kept.
    Kept,
    /// It was broken, here.
    Broken(Vec<Break>),
    /// It could not be checked.
    NotChecked(String),
}

/// What the checks of one scenario came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The name of the scenario.
    pub scenario: String,
    /// Every law.
    pub laws: Vec<(Law, State)>,
    /// How many polls were made.
    pub polls: usize,
}

impl Verdict {
    /// The laws that are broken.
    pub fn broken(&self) -> impl Iterator<Item = (Law, &[Break])> {
        self.laws.iter().filter_map(|(law, state)| match state {
            State::Broken(breaks) => Some((*law, breaks.as_slice())),
            State::Kept | State::NotChecked(_) => None,
        })
    }

    /// How many laws are kept.
    pub fn kept(&self) -> usize {
        self.laws.iter().filter(|(_, state)| *state == State::Kept).count()
    }
}

/// Breaks as they are found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    breaks: BTreeMap<Law, Vec<Break>>,
    unchecked: BTreeMap<Law, String>,
    pub(super) polls: usize,
}

/// More of one law say nothing new.
const MOST_BREAKS: usize = 5;

impl Findings {
    pub(super) fn add(&mut self, law: Law, place: impl Into<String>, found: impl Into<String>, hint: &'static str) {
        let (place, found) = (place.into(), found.into());
        let breaks = self.breaks.entry(law).or_default();
        if let Some(same) = breaks.iter_mut().find(|same| same.found == found) {
            same.more += usize::from(same.place != place);
        } else if breaks.len() < MOST_BREAKS {
            breaks.push(Break { place, found, hint, more: 0 });
        }
    }

    pub(super) fn skip(&mut self, law: Law, reason: impl Into<String>) {
        self.unchecked.entry(law).or_insert_with(|| reason.into());
    }

    /// `hide` takes secrets out of what a person gets to see.
    pub(super) fn verdict(mut self, scenario: &str, hide: impl Fn(&str) -> String) -> Verdict {
        for found in self.breaks.values_mut().flatten() {
            found.found = hide(&found.found);
        }
        let mut state = |law: Law| match (self.breaks.remove(&law), self.unchecked.remove(&law)) {
            (Some(breaks), _) => State::Broken(breaks),
            (None, Some(reason)) => State::NotChecked(reason),
            (None, None) => State::Kept,
        };
        let laws = Law::ALL.into_iter().map(|law| (law, state(law))).collect();
        Verdict { scenario: scenario.to_owned(), laws, polls: self.polls }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = match self.more {
            0 => String::new(),
            1 => " (and in 1 more place)".to_owned(),
            more => format!(" (and in {more} more places)"),
        };
        write!(f, "{}{more}: {}\n  hint: {}", self.place, self.found.replace('\n', "\n  "), self.hint)
    }
}
