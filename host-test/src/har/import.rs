//! A HAR as a scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use scenario::{Budget, CreateError, Faults, Group, Interaction, Position, Scenario, Settings, Traffic, Until, create};
use serde_json::Value;
use source_host::read_json;

use super::entry;
use super::model::{Entry, Har, Log};
use crate::scrub::{Origin, RawConfig, Redaction, scrub};

/// Why a HAR cannot be imported.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HarError {
    /// What is so, and in which entry.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl HarError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// A scenario that was a HAR.
#[derive(Debug)]
pub struct Imported {
    /// The scenario, without anything that is expected of it.
    pub scenario: Scenario,
    /// What was left out, and what is still to be done.
    pub notes: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Imported {
    /// Writes the folder of the scenario: whole, or not at all.
    ///
    /// # Errors
    ///
    /// It is there already, or cannot be written.
    pub fn write(&self) -> Result<(), CreateError> {
        create(&self.scenario.folder, &self.files)
    }
}

/// Reads the text of a HAR 1.2 as the scenario that will be in `folder`. Secrets are replaced as in a recording. `only`
/// leaves out every entry whose URL does not begin so; `config` is the configuration of the source, where the file holds
/// none.
///
/// # Errors
///
/// It is no HAR, an entry lacks what a scenario needs, or a secret is left that looks like one.
pub fn import_har(
    text: &str,
    folder: &Path,
    only: Option<&str>,
    config: Option<Value>,
    redaction: &Redaction,
) -> Result<Imported, HarError> {
    let Har { log } = read_json(text.trim_start_matches('\u{feff}').as_bytes()).map_err(|error| {
        let hint = "name an HTTP archive (HAR 1.2), as a browser or a proxy saves it";
        HarError::new(format!("it is no HAR: {error}"), hint)
    })?;
    let mut notes = Vec::new();
    let mut read = Vec::new();
    let mut starts = None;
    let is_ours = log.scenario.is_some();
    let creator = format!("{} {}", log.creator.name, log.creator.version);
    let (settings, own_config) = files(&log)?;
    for (index, entry) in log.entries.into_iter().enumerate() {
        if only.is_some_and(|only| !entry.request.url.starts_with(only)) {
            continue;
        }
        if let Some(why) = left_out(&entry) {
            notes.push(format!("entry {} is left out: {why}", index + 1));
            continue;
        }
        let place = format!("entry {} ({} {})", index + 1, entry.request.method, address(&entry.request.url));
        let at = time(&place, &entry.started_date_time)?;
        starts = starts.map_or(Some(at), |earliest: DateTime<Utc>| Some(earliest.min(at)));
        read.push(entry::read(entry, &place, is_ours)?);
    }
    if read.is_empty() && !is_ours {
        let hint = if only.is_some() { "correct --only" } else { "record it again, and save all entries" };
        return Err(HarError::new("it holds no entry that could be replayed", hint));
    }
    if own_config.is_none() && config.is_none() {
        notes.push("config.json holds {}: write there what the source gets".to_owned());
    }
    let value = config.or(own_config).unwrap_or_else(|| serde_json::json!({}));
    let settings = settings.unwrap_or_else(|| Settings {
        why: "What was said, as a HAR has it.".to_owned(),
        from: format!("Imported by host-test import from a HAR of {}; secrets are replaced.", creator.trim()),
        starts: starts.unwrap_or_default(),
        position: Position::Resume(None),
        budget: Budget::default(),
        until: Until::CaughtUp,
        faults: Faults::default(),
    });
    let origin = if is_ours { Origin::Scenario } else { Origin::Foreign };
    finish(folder, settings, value, traffic(read), (redaction, origin), notes)
}

fn finish(
    folder: &Path,
    settings: Settings,
    config: Value,
    traffic: Traffic,
    (redaction, origin): (&Redaction, Origin),
    mut notes: Vec<String>,
) -> Result<Imported, HarError> {
    let mut scrubbed = scrub(RawConfig { value: config, secrets: Vec::new() }, traffic, redaction, origin);
    notes.append(&mut scrubbed.notes);
    let settings = Settings { from: scrubbed.text(&settings.from), why: scrubbed.text(&settings.why), ..settings };
    let scenario = Scenario::new(folder, settings, scrubbed.config.clone(), scrubbed.traffic.clone());
    let files = scenario.written();
    if let Some((place, what)) = scrubbed.leaking(&files) {
        let hint = "nothing was written; name what it is with --redact NAME";
        return Err(HarError::new(format!("{place} would hold what looks like a real secret: {what}"), hint));
    }
    Ok(Imported { scenario, notes, files })
}

/// What a scenario said beside its traffic.
fn files(log: &Log) -> Result<(Option<Settings>, Option<Value>), HarError> {
    let Some(files) = &log.scenario else { return Ok((None, None)) };
    let wrong =
        |message: String| HarError::new(format!("/log/_scenario: {message}"), "export it again, or remove `_scenario`");
    let settings =
        Settings::parse(Path::new("settings"), &files.settings).map_err(|problem| wrong(problem.to_string()))?;
    let config = serde_json::from_str(&files.config).map_err(|error| wrong(error.to_string()))?;
    Ok((Some(settings), Some(config)))
}

/// Why an entry is nothing that a source asks for.
fn left_out(entry: &Entry) -> Option<String> {
    let url = address(&entry.request.url);
    if !(url.starts_with("http://") || url.starts_with("https://")) || entry.response.status == 101 {
        return Some(format!("{url} is no HTTP"));
    }
    (entry.resource_type.as_deref() == Some("preflight"))
        .then(|| format!("{url} is a question of the browser alone (CORS)"))
}

/// A URL as it may be shown.
fn address(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn time(place: &str, text: &str) -> Result<DateTime<Utc>, HarError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| {
        HarError::new(
            format!("{place}: `{text}` is no time"),
            "`startedDateTime` has to be one of RFC 3339, with a zone",
        )
    })
}

/// Interactions in groups, each group where its first one is.
fn traffic(read: Vec<(Option<usize>, Interaction)>) -> Traffic {
    let mut traffic = Traffic::default();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (any_order, interaction) in read {
        let place = any_order.and_then(|group| places.get(&group).copied());
        match place {
            Some(place) => traffic.groups[place].interactions.push(Arc::new(interaction)),
            None => {
                if let Some(group) = any_order {
                    places.insert(group, traffic.groups.len());
                }
                traffic.groups.push(Group { interactions: vec![Arc::new(interaction)] });
            }
        }
    }
    for (index, interaction) in traffic.groups.iter_mut().flat_map(|group| &mut group.interactions).enumerate() {
        Arc::make_mut(interaction).number = index + 1;
    }
    traffic
}
