//! Which recorded answer a request gets, and why it gets none.

use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::canary::is_secret;
use crate::difference::{Difference, differences};
use crate::interaction::{Interaction, Times};
use crate::range::narrower;
use crate::request::{Address, Request};
use crate::traffic::Traffic;

/// How strictly traffic is replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Group after group, each interaction as often as it says.
    Strict,
    /// In any order, any number of times: for a fresh instance at any checkpoint, and for hosts with the real clock.
    /// Where several answer a request, those that were not used yet come first, and the last one stays. A part of a
    /// recorded range of time is answered with its rows.
    Free,
    /// As `Free`; and where none answers, one does that differs in times only, the nearest in time.
    Loose,
}

/// What was recorded, and how much of it has been used.
#[derive(Debug)]
pub struct Replay {
    traffic: Arc<Traffic>,
    order: Order,
    /// How often each interaction was used, by its number less one.
    used: Vec<u32>,
    /// The group that the last request was answered from.
    group: usize,
    requests: usize,
}

/// An interaction that was used less often than it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unused {
    /// The interaction.
    pub interaction: Arc<Interaction>,
    /// How often it was not used.
    pub missing: u32,
}

/// A request that nothing answers. Holds no secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Mismatch {
    /// Which request of the replay it was, from 1 on.
    pub number: usize,
    /// The request in one line, secrets left out.
    pub request: String,
    /// The interaction that comes nearest.
    pub nearest: Option<Arc<Interaction>>,
    /// Where the request differs from it; empty where only its turn or the number of times does not fit.
    pub differences: Vec<Difference>,
    /// The interaction whose turn it is.
    pub due: Option<Arc<Interaction>>,
}

impl Replay {
    /// Begins a replay.
    pub fn new(traffic: Arc<Traffic>, order: Order) -> Self {
        let used = vec![0; traffic.interactions().count()];
        Self { traffic, order, used, group: 0, requests: 0 }
    }

    /// The interaction that answers a request, which is then used.
    ///
    /// # Errors
    ///
    /// The nearest interaction and every difference, where none answers.
    pub fn take(&mut self, request: &Request) -> Result<Arc<Interaction>, Box<Mismatch>> {
        let interaction = self.find(request)?;
        self.spend(&interaction);
        Ok(interaction)
    }

    /// Counts an interaction that was found as used.
    pub fn spend(&mut self, interaction: &Interaction) {
        self.used[interaction.number - 1] += 1;
    }

    /// The interaction that answers a request, as [`Self::take`], but it is not used: what comes back is something else.
    ///
    /// # Errors
    ///
    /// As [`Self::take`].
    pub fn find(&mut self, request: &Request) -> Result<Arc<Interaction>, Box<Mismatch>> {
        self.requests += 1;
        let found = match self.order {
            Order::Strict => self.next_in_order(request),
            Order::Free => self.any(request),
            Order::Loose => {
                self.any(request).or_else(|| self.part(request, true)).or_else(|| self.at_another_time(request))
            }
        };
        found.ok_or_else(|| Box::new(self.mismatch(request)))
    }

    /// Replays on with another strictness.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// How many requests were made, answered or not.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// The interactions that should have been used and were not.
    pub fn unused(&self) -> Vec<Unused> {
        let missing = |interaction: &Interaction| match interaction.times {
            Times::Exactly(times) => times.saturating_sub(self.used[interaction.number - 1]),
            Times::Any => 0,
        };
        self.traffic
            .interactions()
            .map(|interaction| Unused { interaction: Arc::clone(interaction), missing: missing(interaction) })
            .filter(|unused| unused.missing > 0)
            .collect()
    }

    fn next_in_order(&mut self, request: &Request) -> Option<Arc<Interaction>> {
        for index in self.group..self.traffic.groups.len() {
            let group = &self.traffic.groups[index].interactions;
            let fits = |interaction: &&Arc<Interaction>| {
                self.is_left(interaction) && differences(&interaction.request, request).is_empty()
            };
            if let Some(interaction) = group.iter().find(fits) {
                let interaction = Arc::clone(interaction);
                self.group = index;
                return Some(interaction);
            }
            if group.iter().any(|interaction| self.is_due(interaction)) {
                return None;
            }
        }
        None
    }

    fn any(&self, request: &Request) -> Option<Arc<Interaction>> {
        let fitting = || self.traffic.interactions().filter(|i| differences(&i.request, request).is_empty());
        let whole = fitting().find(|interaction| self.is_left(interaction)).or_else(|| fitting().last()).cloned();
        whole.or_else(|| self.part(request, false))
    }

    /// The rows of a narrower range than the recorded one, the last that there is.
    fn part(&self, request: &Request, beyond: bool) -> Option<Arc<Interaction>> {
        let part = |interaction: &Arc<Interaction>| {
            narrower(interaction, &differences(&interaction.request, request), beyond).map(Arc::new)
        };
        self.traffic.interactions().filter_map(part).last()
    }

    fn at_another_time(&self, request: &Request) -> Option<Arc<Interaction>> {
        let distance = |interaction: &Arc<Interaction>| {
            let apart: Option<Vec<TimeDelta>> =
                differences(&interaction.request, request).iter().map(Difference::apart).collect();
            Some((apart?.into_iter().max()?, !self.is_left(interaction)))
        };
        let known = self.traffic.interactions().filter_map(|interaction| Some((distance(interaction)?, interaction)));
        known.min_by_key(|(distance, _)| *distance).map(|(_, interaction)| Arc::clone(interaction))
    }

    fn is_left(&self, interaction: &Interaction) -> bool {
        match interaction.times {
            Times::Exactly(times) => self.used[interaction.number - 1] < times,
            Times::Any => true,
        }
    }

    /// Whether it still has to be used before anything after it.
    fn is_due(&self, interaction: &Interaction) -> bool {
        matches!(interaction.times, Times::Exactly(_)) && self.is_left(interaction)
    }

    fn mismatch(&self, request: &Request) -> Mismatch {
        let due = self.traffic.groups[self.group.min(self.traffic.groups.len())..]
            .iter()
            .flat_map(|group| &group.interactions)
            .find(|interaction| self.is_due(interaction));
        let nearest = self
            .traffic
            .interactions()
            .map(|interaction| (interaction, differences(&interaction.request, request)))
            .min_by_key(|(interaction, differences)| {
                let weight: usize = differences.iter().map(Difference::weight).sum();
                let is_due = due.is_some_and(|due| due.number == interaction.number);
                (weight, !is_due, !self.is_left(interaction))
            });
        let (nearest, differences) = nearest.map(|(i, d)| (Arc::clone(i), d)).unzip();
        Mismatch {
            number: self.requests,
            request: request_line(request),
            nearest,
            differences: differences.unwrap_or_default(),
            due: due.cloned(),
        }
    }
}

/// Method and URL with a decoded query, secrets left out.
fn request_line(request: &Request) -> String {
    let Some(address) = Address::parse(&request.url) else {
        return format!("{} (no absolute URL)", request.method);
    };
    let mut line = format!("{} {}{}", request.method, address.origin, address.path);
    for (index, (name, value)) in address.query.iter().enumerate() {
        let value = if is_secret(name) { "(not shown)" } else { value };
        line += &format!("{}{name}={value}", if index == 0 { '?' } else { '&' });
    }
    line
}

impl fmt::Display for Interaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interaction {} (traffic.json:{}: {})", self.number, self.line, self.why)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no interaction answers request {}:\n  {}", self.number, self.request)?;
        let Some(nearest) = &self.nearest else {
            return write!(f, "\ntraffic.json holds no interactions\n  hint: add one for this request");
        };
        if !self.differences.is_empty() {
            write!(f, "\nthe nearest is {nearest}, which differs here:")?;
            let differs = |part: &str| self.differences.iter().any(|difference| difference.part == part);
            let is_another = differs("origin") && differs("path");
            // Of a request to another place the rest differs as a matter of course.
            for difference in self.differences.iter().filter(|difference| !is_another || difference.weight() > 1) {
                write!(f, "\n  {difference}")?;
            }
            let hint = if is_another { "add the interaction that is missing" } else { "correct the recorded one" };
            return write!(f, "\n  hint: {hint}, or find out why the source asks for this");
        }
        match &self.due {
            Some(due) if due.number < nearest.number => write!(
                f,
                "\n{nearest} would answer it, but {due} comes first\n  hint: put both into one `any-order` group if \
                 their order does not matter"
            ),
            _ => write!(
                f,
                "\n{nearest} answers it, but was already used as often as it says, or its turn has passed\n  hint: \
                 add another interaction where this request belongs, or raise `times`"
            ),
        }
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how_often = if self.missing == 1 { "once".to_owned() } else { format!("{} times", self.missing) };
        write!(f, "{} was not used, and should have been {how_often} more", self.interaction)?;
        write!(f, "\n  {}", self.interaction.request.line())?;
        write!(f, "\n  hint: remove it, or find out why the source does not ask for it")
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
