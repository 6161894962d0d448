//! What the service has: when each thing is stamped, when it is shown, and its bytes. Here the detections, which never change.

use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::random::Random;
use crate::world::MINUTE;

/// When every history begins: on a whole hour, so that stamps and the edges of slices meet often.
pub(crate) const ORIGIN: &str = "2026-01-01T00:00:00Z";

/// What has to be delivered once: a detection; a version of an alert or incident; or one with all of its versions, where the
/// first that is met counts.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// What the service filters on.
    pub(crate) stamp: Tick,
    /// When it is shown and how, one after the other.
    pub(crate) shows: Vec<Show>,
    /// The stamp as its records show it.
    pub(crate) printed: Option<Tick>,
    /// The key that follows from its records, where they have what it is made of.
    pub(crate) key: Option<String>,
    /// What it is of: the alert of a detection, the alert or incident of a version.
    pub(crate) subject: Option<String>,
    /// The product, where the service may miss the things of one.
    pub(crate) source: usize,
    /// Whether the service fails for ever where it has to expand it.
    pub(crate) breaks_expand: bool,
    pub(crate) looks: Looks,
}

/// How an item looks for a time.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    /// From when on a request shows it.
    pub(crate) from: Tick,
    /// From when on no request shows it any more.
    pub(crate) until: Tick,
    /// Its bytes, which are nothing else's.
    pub(crate) record: Vec<u8>,
    /// Its bytes without what `$expand` asks for, where that makes a difference.
    pub(crate) bare: Option<Vec<u8>>,
    /// What a filter may choose it by.
    pub(crate) severity: &'static str,
    pub(crate) status: &'static str,
    /// Whether the filters of the configuration choose it.
    pub(crate) is_wanted: bool,
}

/// What is special about a record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    pub(crate) old_alert_time: bool,
    pub(crate) short_fraction: bool,
    pub(crate) no_zone: bool,
    pub(crate) no_stamp: bool,
    pub(crate) odd: bool,
    pub(crate) no_object: bool,
    pub(crate) oversize: bool,
    /// Too large only with what `$expand` brings.
    pub(crate) oversize_expanded: bool,
    /// On the tick of another one.
    pub(crate) tied: bool,
    /// Among ten and more within a second, where a minute has a fifth of them.
    pub(crate) in_burst: bool,
    /// With a word that nobody documents.
    pub(crate) unknown_word: bool,
    /// Not the first version.
    pub(crate) update: bool,
    /// Stamped together with many others.
    pub(crate) in_bulk: bool,
}

impl Item {
    /// What never changes, from when it is shown on.
    fn unchanging(stamp: Tick, from: Tick, record: Vec<u8>) -> Self {
        let show = Show { from, until: Tick::MAX, record, bare: None, severity: "", status: "", is_wanted: true };
        Self {
            stamp,
            shows: vec![show],
            printed: Some(stamp),
            key: None,
            subject: None,
            source: 0,
            breaks_expand: false,
            looks: Looks::default(),
        }
    }

    /// From when on it can be read.
    pub(crate) fn appears(&self) -> Tick {
        self.shows.iter().find(|show| show.is_wanted).map_or(Tick::MAX, |show| show.from)
    }

    pub(crate) fn lateness(&self) -> Ticks {
        self.appears().0 - self.stamp.0
    }

    /// How it looks at a time, where it is shown then.
    pub(crate) fn shown_at(&self, at: Tick) -> Option<&Show> {
        self.shows.iter().find(|show| show.from <= at && at < show.until)
    }

    /// How it is called in messages.
    pub(crate) fn name(&self) -> String {
        let record = || String::from_utf8_lossy(self.shows.first().map_or(b"", |show| &show.record)).into_owned();
        self.key.clone().unwrap_or_else(record)
    }
}

/// Notes which of the items, by stamp, have others near.
pub(crate) fn note_crowds(items: &mut [Item], length: Ticks) {
    let minutes = usize::try_from(length / MINUTE).unwrap_or(0);
    for at in 0..items.len() {
        let before = at.checked_sub(1).and_then(|before| items.get(before)).map(|item| item.stamp);
        let after = items.get(at + 1).map(|item| item.stamp);
        items[at].looks.tied = [before, after].contains(&Some(items[at].stamp));
        let near = |other: &&Item| (other.stamp.0 - items[at].stamp.0).abs() <= TICKS_PER_SECOND;
        let crowd = items.iter().filter(near).count();
        items[at].looks.in_burst = crowd >= 10 && crowd * minutes > 5 * items.len();
    }
}

/// What the history of a seed is like.
#[derive(Clone, Debug)]
pub(crate) struct HistoryPlan {
    pub(crate) from: Tick,
    /// Over how long the detections are spread, in ticks.
    pub(crate) length: Ticks,
    pub(crate) count: usize,
    pub(crate) overlap: Ticks,
    /// How many in a thousand show up late, within the overlap.
    pub(crate) late: u64,
    /// How many in a thousand show up later than that.
    pub(crate) too_late: u64,
    /// How many in a thousand have odd records.
    pub(crate) odd: u64,
    /// How many in a thousand have records of more bytes than this.
    pub(crate) oversize: Option<(u64, usize)>,
    /// The most detections on one tick.
    pub(crate) most_on_tick: usize,
    /// Whether records go over several lines.
    pub(crate) pretty: bool,
}

/// The detections, by stamp. No two records have the same bytes.
pub(crate) fn history(plan: &HistoryPlan, random: &mut Random) -> Vec<Item> {
    let mut stamps = stamps(plan, random);
    stamps.sort_unstable();
    let mut history: Vec<_> =
        stamps.iter().enumerate().map(|(serial, stamp)| detection(serial, *stamp, plan, random)).collect();
    note_crowds(&mut history, plan.length);
    history
}

/// When things happen: on a grid, in bursts, and several on a tick.
pub(crate) fn stamps(plan: &HistoryPlan, random: &mut Random) -> Vec<Tick> {
    let grid = random.pick(&[1, TICKS_PER_SECOND, TICKS_PER_SECOND, 60 * TICKS_PER_SECOND]);
    let mut stamps: Vec<Tick> = Vec::new();
    while stamps.len() < plan.count {
        let at = random.between(0, plan.length - 1);
        let mut at = plan.from.plus(at - at % grid);
        if random.chance(300) {
            at = at.plus(random.between(-1, 1));
        }
        let burst = if random.chance(60) { random.between(2, 12).unsigned_abs() as usize } else { 1 };
        let spread = random.pick(&[0, 0, 3, TICKS_PER_SECOND, 60 * TICKS_PER_SECOND]);
        for _ in 0..burst {
            let stamp = at.plus(random.between(0, spread));
            if stamps.iter().filter(|other| (other.0 - stamp.0).abs() <= 2).count() < plan.most_on_tick {
                stamps.push(stamp);
            }
        }
    }
    stamps
}

/// How much later than stamped something shows up.
pub(crate) fn lateness(plan: &HistoryPlan, random: &mut Random) -> Ticks {
    match random.below(1000) {
        n if n < plan.late => random.between(0, plan.overlap),
        n if n < plan.late + plan.late / 4 => plan.overlap,
        n if n < plan.late + plan.late / 4 + plan.too_late => {
            random.between(1, 3 * 3600 * TICKS_PER_SECOND) + plan.overlap
        }
        _ => 0,
    }
}

fn detection(serial: usize, stamp: Tick, plan: &HistoryPlan, random: &mut Random) -> Item {
    let lateness = lateness(plan, random);
    let mut looks = Looks::default();
    let mut members: Vec<String> = Vec::new();
    let alert = format!("da{}_{}", 637_000_000 + serial / 3 * 7, random.below(3));
    let mut shown_alert = Some(alert.clone());
    let mut full_id = Some(format!("{alert}:{serial:x}"));
    let mut printed = Some(stamp);

    let before = random.pick(&[0, 90, 3600, 3 * 86_400]) * TICKS_PER_SECOND;
    looks.old_alert_time = before >= 86_400 * TICKS_PER_SECOND;
    members.push(format!("\"AlertTime\":\"{}\"", stamp.minus(before)));
    let is_odd = random.chance(plan.odd);
    let kind = if is_odd { random.below(9) } else { u64::MAX };
    match kind {
        0 => full_id = None,
        1 => {
            full_id = None;
            members.push(random.pick(&["\"FullId\":null", "\"FullId\":\"\""]).to_owned());
        }
        2 => {
            full_id = None;
            looks.odd = true;
            members.push("\"FullId\":{\"a\":[1]}".to_owned());
        }
        3 => {
            full_id = None;
            shown_alert = None;
            looks.odd = true;
            members.push("\"AlertId\":false".to_owned());
        }
        _ => {}
    }
    if let Some(id) = &full_id {
        members.push(format!("\"FullId\":\"{id}\""));
    }
    if let Some(alert) = &shown_alert {
        members.push(format!("\"AlertId\":\"{alert}\",\"AlertPart\":{serial}"));
    }
    let mut text = stamp.to_string();
    match kind {
        4 => looks.no_stamp = true,
        5 => {
            looks.no_stamp = true;
            let none = ["\"LastProcessedTimeUtc\":null", "\"LastProcessedTimeUtc\":\"\""];
            members.push(random.pick(&none).to_owned());
        }
        6 => {
            looks.no_stamp = true;
            looks.odd = true;
            let odd = ["\"LastProcessedTimeUtc\":12", "\"LastProcessedTimeUtc\":\"soon\""];
            members.push(random.pick(&odd).to_owned());
        }
        _ => {
            if random.chance(300) {
                let trimmed = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
                looks.short_fraction = trimmed.len() + 1 < text.len();
                text = format!("{trimmed}Z");
            }
            if random.chance(200) {
                looks.no_zone = true;
                text.pop();
            }
            members.push(format!("\"LastProcessedTimeUtc\":\"{text}\""));
        }
    }
    if looks.no_stamp {
        printed = None;
    }
    members.push(format!(
        "\"Serial\":{serial},\"Description\":\"a \\\"quoted\\\" ]}} \\u00e9 \u{1f600}\",\"Later\":[{{}},null]"
    ));
    if let Some((rate, bytes)) = plan.oversize
        && random.chance(rate)
    {
        looks.oversize = true;
        members.push(format!("\"Padding\":\"{}\"", "x".repeat(bytes)));
    }
    random.shuffle(&mut members);
    let mut record = if plan.pretty {
        format!("{{\r\n    {}\r\n  }}", members.join(",\r\n    ")).replace("\":", "\" : ")
    } else {
        format!("{{{}}}", members.join(","))
    };
    if kind == 7 && !looks.oversize {
        looks = Looks { no_object: true, odd: true, no_stamp: true, ..Looks::default() };
        record = random.pick(&["\"S\"", "[S]", "S", "-S.5e1"]).replace('S', &(serial + 1000).to_string());
        (full_id, shown_alert, printed) = (None, None, None);
    }
    let item = Item::unchanging(stamp, stamp.plus(lateness), record.into_bytes());
    Item { printed, key: full_id, subject: shown_alert, looks, ..item }
}
