//! What a seed decides of an API whose things are updated in place, beside all that it decides of the SIEM API.

use crate::api::{Api, Facts, Filter};
use crate::history::HistoryPlan;
use crate::random::Random;
use crate::updates::{Chosen, UpdatePlan};

use super::{DAY, HOUR, LinkKind, MINUTE, Missing, Quirks, ServiceHabits, Tick, Ticks, Unsettled, UpdatedHabits};

/// The most pages that a tick of many things takes. Both passes over it have to be within one poll of a fresh instance, and so
/// within the smallest quota.
const MOST_PAGES: usize = 20;

/// The same where it may take five passes.
const MOST_UNSETTLED_PAGES: usize = 6;

/// How many faults in a thousand requests are few enough for a tick to be read page by page, twice.
const FEW_FAULTS: u64 = 5;

/// What is decided before anything happens.
#[derive(Clone, Debug)]
pub(super) struct Updating {
    pub(super) plan: UpdatePlan,
    /// `$top`, where it is configured.
    pub(super) limit: Option<u32>,
    /// How many rows a page holds, where that is fewer.
    page: Option<usize>,
    pub(super) quirks: Quirks,
    /// Since when a source of the SIEM API has not read on, in ticks before the first poll.
    pub(super) takes_over: Option<i64>,
}

impl Updating {
    pub(super) fn decide(
        api: Api,
        facts: &'static Facts,
        basic: &HistoryPlan,
        mut quirks: Quirks,
        (settle, interval): (Ticks, Ticks),
        random: &mut Random,
    ) -> Self {
        let bulk = random.chance(400).then(|| random.pick(&[10, 30, 100, 200]));
        let count = bulk.map_or(basic.count.min(60), |bulk| bulk * 3 / 2);
        let (mut limit, mut page) = (random.pick(&[2, 3, 5, 10, 40]), random.pick(&[1, 2, 5, 20]));
        if let Some(bulk) = bulk {
            let is_settled = quirks.unsettled == Unsettled::Nothing;
            let least = bulk / if is_settled { MOST_PAGES } else { MOST_UNSETTLED_PAGES };
            limit = limit.max(least);
            page = page.max(least);
            quirks.clamp = quirks.clamp.map(|clamp| clamp.max(least)).filter(|clamp| *clamp < facts.most);
        }
        let mut chosen: Chosen = Vec::new();
        if random.chance(350) {
            for filter in facts.filters {
                if random.chance(500) {
                    let words = facts.words(*filter).iter().copied().filter(|_| random.chance(600)).collect::<Vec<_>>();
                    if !words.is_empty() {
                        chosen.push((*filter, words));
                    }
                }
            }
        }
        let may_break = facts.expand.is_some() && random.chance(250);
        let plan = UpdatePlan {
            basic: HistoryPlan { count, ..basic.clone() },
            facts,
            is_first_seen: random.chance(250),
            chosen,
            updates: random.pick(&[0, 2, 6]),
            bulk,
            // While they are read for the first time, or all the while.
            drips: random.chance(800).then(|| (settle, random.pick(&[2 * MINUTE, interval, interval, 2 * HOUR]))),
            breaks_expand: may_break,
            may_lack_keys: facts.expand.is_none(),
        };
        let takes_over = random.chance(200).then(|| random.pick(&[0, MINUTE, HOUR, 3 * HOUR]));
        Self {
            plan,
            limit: random
                .chance(600)
                .then_some(limit)
                // More than comes has to be asked for, or nothing is cut.
                .max(quirks.clamp.map(|_| facts.most))
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            page: (facts.is_graph && random.chance(500)).then_some(page),
            quirks,
            takes_over: takes_over.filter(|_| matches!(api, Api::Alerts | Api::Graph)),
        }
    }

    /// Whether things are updated while they are read.
    pub(super) fn is_live(&self) -> bool {
        self.plan.drips.is_some() && self.plan.bulk.is_some()
    }

    /// What goes wrong, and how the service behaves.
    pub(super) fn spoil(
        &self,
        service: &mut ServiceHabits,
        is_calm: bool,
        begins: Tick,
        quiet: Tick,
        random: &mut Random,
    ) {
        let facts = self.plan.facts;
        // What nobody knows of the SIEM API is documented here.
        (service.since_is_open, service.until_is_open, service.cap, service.twice) = (false, false, None, 0);
        service.page = self.page;
        service.fault_rate =
            if self.plan.bulk.is_some() { service.fault_rate.min(FEW_FAULTS) } else { service.fault_rate / 4 };
        if self.is_live() {
            service.latency = random.pick(&[1, 2, 4, 10]);
        }
        let span = quiet.0 - begins.0;
        let mut some_time = |lengths: &[i64]| {
            let from = begins.plus(random.between(0, span));
            (from, from.plus(random.pick(lengths)))
        };
        let (expand_fails, missing) = (
            some_time(&[20 * MINUTE, 2 * HOUR, 2 * HOUR, DAY]),
            some_time(&[10 * MINUTE, 2 * HOUR, 6 * HOUR, 6 * HOUR, 30 * HOUR]),
        );
        let links = random.pick(&[LinkKind::Skip, LinkKind::Skip, LinkKind::Skip, LinkKind::After, LinkKind::None]);
        let links = match (self.quirks, links) {
            (Quirks { clamp: Some(_), .. }, _) => LinkKind::None,
            // Whoever goes on behind a row keeps an order.
            (Quirks { unsettled, .. }, LinkKind::After) if unsettled != Unsettled::Nothing => LinkKind::Skip,
            (_, links) => links,
        };
        let skips = !facts.is_graph || links == LinkKind::None;
        if links == LinkKind::None {
            // A page that is shorter than `$top` and names no other is doubted where it has as many rows as the clamp.
            service.page = None;
        }
        let mut updated = UpdatedHabits {
            links,
            refuses_order: facts.is_graph && random.chance(150),
            spare_link: random.chance(200),
            quirks: self.quirks,
            most_skip: (skips && random.chance(300)).then(|| random.pick(&[1, 5, 10, 40])),
            ..UpdatedHabits::default()
        };
        if !is_calm {
            let few = if self.plan.bulk.is_some() { FEW_FAULTS } else { 50 };
            service.bad_links = if facts.is_graph { random.pick(&[0, 0, few]) } else { 0 };
            service.expired_links = if facts.is_graph { random.pick(&[0, 0, few]) } else { 0 };
            updated.expand_fails =
                (facts.expand.is_some() && random.chance(350)).then_some(expand_fails).into_iter().collect();
            let (from, until) = missing;
            updated.missing =
                (facts.is_graph && random.chance(350)).then(|| Missing { from, until, source: random.index(3) });
        }
        service.updated = updated;
    }

    /// What the configuration says of all this, as members of JSON.
    pub(super) fn members(&self, api: Api) -> String {
        let mut members = match api {
            Api::Alerts => "\"api\":\"alerts\"".to_owned(),
            Api::Graph => "\"api\":\"graph\"".to_owned(),
            Api::Siem | Api::Incidents => "\"api\":\"incidents\"".to_owned(),
            Api::Xdr => format!("\"api\":\"incidents\",\"endpoints\":{{\"api\":\"{}\"}}", self.plan.facts.url),
        };
        if self.plan.is_first_seen {
            members.push_str(",\"emit\":\"first-seen\"");
        }
        for (filter, words) in &self.plan.chosen {
            let name = match filter {
                Filter::Severity => "severity",
                Filter::Status => "status",
                Filter::Source => "service_source",
            };
            let words: Vec<_> = words.iter().map(|word| format!("\"{}\"", lower(word))).collect();
            let words = if let [word] = words.as_slice() { word.clone() } else { format!("[{}]", words.join(",")) };
            members.push_str(&format!(",\"{name}\":{words}"));
        }
        members
    }
}

/// A word as the configuration has it, which is how Microsoft Graph has it.
fn lower(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_lowercase() + rest
}
