//! The things of an API that updates them in place: alerts and incidents, each with all the versions that it ever has.
//!
//! A request shows one version of a thing at a time, the newest that has shown up, so that an update makes the one before leave.

use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::api::{Facts, Filter};
use crate::history::{HistoryPlan, Item, Looks, Show, lateness, note_crowds, stamps};
use crate::random::Random;
use crate::world::{HOUR, MINUTE};

/// The words that a configuration asks for, for each filter that it has.
pub(crate) type Chosen = Vec<(Filter, Vec<&'static str>)>;

/// What the things of a seed are like.
#[derive(Clone, Debug)]
pub(crate) struct UpdatePlan {
    /// What goes for detections as well; `count` is how many things there are.
    pub(crate) basic: HistoryPlan,
    pub(crate) facts: &'static Facts,
    /// Whether a thing counts once, and by when it came to be.
    pub(crate) is_first_seen: bool,
    pub(crate) chosen: Chosen,
    /// The most updates of one thing.
    pub(crate) updates: u64,
    /// How many things are stamped on one tick together.
    pub(crate) bulk: Option<usize>,
    /// When most of these are updated again, one after the other: from when on after that tick, and for how long.
    pub(crate) drips: Option<(Ticks, Ticks)>,
    /// Whether one thing cannot be expanded.
    pub(crate) breaks_expand: bool,
    /// Whether records may lack what their key is made of. It is made of all their bytes then, and these must not change.
    pub(crate) may_lack_keys: bool,
}

/// What all versions of a thing share.
struct Thing {
    created: Tick,
    id: String,
    source: usize,
    breaks_expand: bool,
    lacks: Lack,
    /// When it was updated, and whether with many others.
    stamps: Vec<(Tick, bool)>,
}

/// What the records of a thing do not tell.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Lack {
    Nothing,
    Id,
    Stamp,
}

/// One version of a thing.
struct Version {
    stamp: Tick,
    appears: Tick,
    show: Show,
    looks: Looks,
}

/// All that has to be delivered, by stamp. No two records have the same bytes.
pub(crate) fn updated(plan: &UpdatePlan, random: &mut Random) -> Vec<Item> {
    let mut things = things(plan, random);
    stamp_together(plan, &mut things, random);
    let mut serial = 0;
    let mut items: Vec<Item> = Vec::new();
    for thing in &things {
        let mut versions: Vec<Version> = Vec::new();
        for (at, (stamp, in_bulk)) in thing.stamps.iter().enumerate() {
            serial += 1;
            let mut version = version(plan, thing, serial, *stamp, random);
            version.looks.update = at > 0;
            version.looks.in_bulk = *in_bulk;
            versions.push(version);
        }
        items.extend(shown(plan, thing, versions));
    }
    items.sort_by_key(|item| item.stamp);
    note_crowds(&mut items, plan.basic.length);
    items
}

fn things(plan: &UpdatePlan, random: &mut Random) -> Vec<Thing> {
    let end = plan.basic.from.plus(plan.basic.length);
    let mut created = stamps(&plan.basic, random);
    created.sort_unstable();
    let broken = plan.breaks_expand.then(|| random.index(created.len()));
    let thing = |(number, created): (usize, Tick)| {
        let lacks = match random.below(8) {
            _ if !random.chance(plan.basic.odd / 2) => Lack::Nothing,
            // What is filtered by is in every record, but for what the documentation does not promise.
            0..4 if plan.may_lack_keys && !plan.is_first_seen => Lack::Id,
            4..8 if plan.may_lack_keys || plan.is_first_seen => Lack::Stamp,
            _ => Lack::Nothing,
        };
        let mut stamp = created.plus(random.pick(&[0, 0, 1, TICKS_PER_SECOND]));
        let mut stamps = vec![(stamp, false)];
        for _ in 0..random.below(plan.updates + 1) {
            let most = random.pick(&[1, TICKS_PER_SECOND, 20 * TICKS_PER_SECOND, 5 * MINUTE, HOUR / 2, 2 * HOUR]);
            stamp = stamp.plus(random.between(1, most));
            if stamp < end {
                stamps.push((stamp, false));
            }
        }
        let id = if plan.facts.id == "id" {
            format!("da{}_-{number}", 637_000_000 + number * 7)
        } else {
            (number + 1).to_string()
        };
        Thing { created, id, source: random.index(3), breaks_expand: broken == Some(number), lacks, stamps }
    };
    created.into_iter().enumerate().map(thing).collect()
}

/// Many things are stamped on one tick, as when an incident is closed, and then some of them go on changing.
fn stamp_together(plan: &UpdatePlan, things: &mut [Thing], random: &mut Random) {
    let Some(size) = plan.bulk else { return };
    let HistoryPlan { from, length, .. } = plan.basic;
    let at: Ticks = random.between(length / 2, length * 3 / 4);
    let at = from.plus(at - at % random.pick(&[1, TICKS_PER_SECOND]));
    let end = from.plus(length);
    for thing in things.iter_mut().filter(|thing| thing.created < at).take(size) {
        thing.stamps.retain(|(stamp, _)| *stamp != at);
        thing.stamps.push((at, true));
        if let Some((after, length)) = plan.drips
            && random.chance(800)
        {
            let again = at.plus(after + random.between(1, length));
            thing.stamps.extend((again < end).then_some((again, false)));
        }
        thing.stamps.sort_unstable();
        thing.stamps.dedup_by_key(|(stamp, _)| *stamp);
    }
}

fn version(plan: &UpdatePlan, thing: &Thing, serial: usize, stamp: Tick, random: &mut Random) -> Version {
    let facts = plan.facts;
    let mut looks = Looks::default();
    let is_odd = random.chance(plan.basic.odd);
    let mut word = |words: &'static [&'static str]| {
        if is_odd && random.chance(200) {
            looks.unknown_word = true;
            return "notYetDocumented";
        }
        random.pick(words)
    };
    let (severity, status) = (word(facts.severities), word(facts.statuses));
    let source = facts.sources[thing.source];
    let mut members: Vec<String> = Vec::new();
    match thing.lacks {
        Lack::Id => {
            looks.odd = random.chance(300);
            if looks.odd {
                members.push(format!("\"{}\":{{\"a\":[1]}}", facts.id));
            }
        }
        Lack::Nothing | Lack::Stamp if facts.id == "id" => members.push(format!("\"id\":\"{}\"", thing.id)),
        Lack::Nothing | Lack::Stamp => members.push(format!("\"{}\":{}", facts.id, thing.id)),
    }
    for (name, at) in [(facts.created, thing.created), (facts.updated, stamp)] {
        let counts = (name == facts.created) == plan.is_first_seen;
        if counts && thing.lacks == Lack::Stamp {
            looks.no_stamp = true;
            match random.below(3) {
                0 => {}
                1 => members.push(format!("\"{name}\":null")),
                _ => {
                    looks.odd = true;
                    members.push(format!("\"{name}\":\"soon\""));
                }
            }
            continue;
        }
        let mut text = at.to_string();
        if random.chance(300) {
            let trimmed = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
            looks.short_fraction |= counts && trimmed.len() + 1 < text.len();
            text = format!("{trimmed}Z");
        }
        if random.chance(100) {
            looks.no_zone |= counts;
            text.pop();
        }
        members.push(format!("\"{name}\":\"{text}\""));
    }
    members.push(format!("\"severity\":\"{severity}\""));
    members.push(format!("\"status\":\"{status}\""));
    members.push(if facts.id == "id" {
        format!("\"{}\":\"{source}\"", facts.source)
    } else {
        format!("\"{}\":{source}", facts.source)
    });
    members.push(format!("\"serial\":{serial},\"title\":\"a \\\"quoted\\\" ]}} \\u00e9 \u{1f600}\""));
    let mut padding = String::new();
    if let Some((rate, bytes)) = plan.basic.oversize
        && random.chance(rate)
    {
        looks.oversize_expanded = facts.expand.is_some() && random.chance(600);
        looks.oversize = !looks.oversize_expanded;
        padding = "x".repeat(bytes);
        if looks.oversize {
            members.push(format!("\"description\":\"{padding}\""));
            padding.clear();
        }
    }
    random.shuffle(&mut members);
    // What belongs to a thing has members of the same names, which are not the thing's.
    let parts = format!(
        "[{{\"id\":\"part\",\"{}\":7,\"{}\":\"2001-01-01T00:00:00Z\",\"@odata.nextLink\":\"x\",\"x\":\"{padding}\"}}]",
        facts.id, facts.updated
    );
    let at = random.index(members.len() + 1);
    let (expanded, bare) = match (facts.expand, facts.parts) {
        (Some(expand), _) => {
            let bare = written(&members, plan.basic.pretty);
            members.insert(at, format!("\"{expand}\":{parts}"));
            (members, Some(bare))
        }
        (None, Some(name)) => {
            members.insert(at, format!("\"{name}\":{parts}"));
            (members, None)
        }
        (None, None) => (members, None),
    };
    let record = written(&expanded, plan.basic.pretty);
    let is_wanted = plan.chosen.iter().all(|(filter, words)| {
        words.contains(match filter {
            Filter::Severity => &severity,
            Filter::Status => &status,
            Filter::Source => &source,
        })
    });
    let appears = stamp.plus(lateness(&plan.basic, random));
    let show = Show { from: appears, until: Tick::MAX, record, bare, severity, status, is_wanted };
    Version { stamp, appears, show, looks }
}

fn written(members: &[String], pretty: bool) -> Vec<u8> {
    if pretty {
        format!("{{\r\n    {}\r\n  }}", members.join(",\r\n    ")).replace("\":", "\" : ").into_bytes()
    } else {
        format!("{{{}}}", members.join(",")).into_bytes()
    }
}

/// What of a thing has to be delivered: each version that is ever shown, or all of them as one.
fn shown(plan: &UpdatePlan, thing: &Thing, mut versions: Vec<Version>) -> Vec<Item> {
    // The next newer version that shows up ends the time of one, and what shows up after a newer one is never seen.
    let mut ends = Tick::MAX;
    for version in versions.iter_mut().rev() {
        version.show.until = ends;
        ends = ends.min(version.appears);
    }
    versions.retain(|version| version.show.from < version.show.until);
    let has_id = thing.lacks != Lack::Id;
    let item = |stamp: Tick, key: Option<String>, shows: Vec<Show>, looks: Looks| Item {
        stamp,
        shows,
        printed: (!looks.no_stamp).then_some(stamp),
        key: key.filter(|_| has_id),
        subject: has_id.then(|| thing.id.clone()),
        source: thing.source,
        breaks_expand: thing.breaks_expand,
        looks,
    };
    if plan.is_first_seen {
        let looks = versions.first().map(|version| version.looks).unwrap_or_default();
        let any = |is_so: fn(&Looks) -> bool| versions.iter().any(|version| is_so(&version.looks));
        let (odd, oversize) = (any(|looks| looks.odd), any(|looks| looks.oversize));
        let oversize_expanded = any(|looks| looks.oversize_expanded);
        let shows = versions.into_iter().map(|version| version.show).collect();
        return vec![item(
            thing.created,
            Some(thing.id.clone()),
            shows,
            Looks { odd, oversize, oversize_expanded, update: false, ..looks },
        )];
    }
    let each = |version: Version| {
        let Version { stamp, show, looks, .. } = version;
        let key = (!looks.no_stamp).then(|| format!("{}@{stamp}", thing.id));
        item(stamp, key, vec![show], looks)
    };
    versions.into_iter().map(each).collect()
}
