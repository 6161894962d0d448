//! A scenario as a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::canary::{Canaries, SHORTEST_SECRET};
use crate::node::Document;
use crate::problem::{Problem, UnusableScenario};
use crate::settings::Settings;
use crate::suspicion::suspicions;
use crate::traffic::Traffic;
use crate::written::Written;

/// How the scenario is run.
pub const SCENARIO_FILE: &str = "scenario.json";
/// What the source gets.
pub const CONFIG_FILE: &str = "config.json";
/// The interactions.
pub const TRAFFIC_FILE: &str = "traffic.json";
/// The events and gaps, one a line.
pub const EXPECTED_EVENTS_FILE: &str = "expected.ndjson";
/// What each poll returned.
pub const EXPECTED_FILE: &str = "expected.json";

/// A recorded conversation, how it is replayed, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name of the folder.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// `scenario.json`.
    pub settings: Settings,
    /// `config.json`, word for word.
    pub config: String,
    /// `traffic.json`.
    pub traffic: Arc<Traffic>,
    /// The secrets that must show up in no output.
    pub canaries: Canaries,
    /// `expected.ndjson`, where it is there.
    pub expected_events: Option<String>,
    /// `expected.json`, where it is there: its text and its value.
    pub expected: Option<(String, Value)>,
}

impl Scenario {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// The first problem of each of its files, so that several are told at once; or everything in them that looks like a
    /// real secret.
    pub fn load(folder: &Path) -> Result<Self, UnusableScenario> {
        check_folder(folder).map_err(|problem| UnusableScenario { problems: vec![problem] })?;
        let settings = Document::read(&folder.join(SCENARIO_FILE), "why, from, and when the virtual clock starts")
            .and_then(|document| Settings::read(&document));
        let config = Document::read(&folder.join(CONFIG_FILE), "the configuration that the source gets");
        let traffic = Document::read(&folder.join(TRAFFIC_FILE), "the interactions, {\"interactions\": []} for none")
            .and_then(|document| Traffic::read(&document));
        let events = optional(&folder.join(EXPECTED_EVENTS_FILE));
        let expected = optional(&folder.join(EXPECTED_FILE))
            .and_then(|text| text.map(|text| expected_value(folder, text)).transpose());
        let mut problems = Vec::new();
        let settings = settings.map_err(|problem| problems.push(problem));
        let config = config.map_err(|problem| problems.push(problem));
        let traffic = traffic.map_err(|problem| problems.push(problem));
        let events = events.map_err(|problem| problems.push(problem));
        let expected = expected.map_err(|problem| problems.push(problem));
        let (Ok(settings), Ok(config), Ok(traffic), Ok(expected_events), Ok(expected)) =
            (settings, config, traffic, events, expected)
        else {
            return Err(UnusableScenario { problems });
        };
        let config = config.text().to_owned();
        let problems = real_secrets(folder)?;
        if !problems.is_empty() {
            return Err(UnusableScenario { problems });
        }
        let canaries = Canaries::collect(&config, &traffic);
        let problems: Vec<Problem> = canaries.too_short().map(|origin| short_secret(folder, origin)).collect();
        if !problems.is_empty() {
            return Err(UnusableScenario { problems });
        }
        let traffic = Arc::new(traffic);
        let name = name_of(folder);
        Ok(Self { name, folder: folder.to_owned(), settings, config, traffic, canaries, expected_events, expected })
    }

    /// A scenario that is in no folder yet; `folder` is where it will be. Nothing says what is expected of it.
    pub fn new(folder: &Path, settings: Settings, config: String, traffic: Traffic) -> Self {
        let canaries = Canaries::collect(&config, &traffic);
        Self {
            name: name_of(folder),
            folder: folder.to_owned(),
            settings,
            config,
            traffic: Arc::new(traffic),
            canaries,
            expected_events: None,
            expected: None,
        }
    }

    /// The files of it, as they are written anew.
    pub fn written(&self) -> Written {
        let mut files = vec![
            (SCENARIO_FILE.to_owned(), self.settings.text().into_bytes()),
            (CONFIG_FILE.to_owned(), self.config.clone().into_bytes()),
        ];
        files.extend(self.traffic.written());
        let events = self.expected_events.clone().map(|text| (EXPECTED_EVENTS_FILE, text));
        let outcome = self.expected.clone().map(|(text, _)| (EXPECTED_FILE, text));
        files.extend(events.into_iter().chain(outcome).map(|(name, text)| (name.to_owned(), text.into_bytes())));
        files
    }
}

fn name_of(folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(|| "scenario".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Everything in the files of a scenario that looks like a real secret.
fn real_secrets(folder: &Path) -> Result<Vec<Problem>, UnusableScenario> {
    let mut problems = Vec::new();
    for name in [SCENARIO_FILE, CONFIG_FILE, TRAFFIC_FILE, EXPECTED_EVENTS_FILE, EXPECTED_FILE] {
        let file = folder.join(name);
        match optional(&file) {
            Ok(text) => problems.extend(text.iter().flat_map(|text| suspicions(&file, text))),
            Err(problem) => return Err(UnusableScenario { problems: vec![problem] }),
        }
    }
    Ok(problems)
}

fn check_folder(folder: &Path) -> Result<(), Problem> {
    let hint = format!("name a folder that holds {SCENARIO_FILE}, {CONFIG_FILE} and {TRAFFIC_FILE}");
    if folder.is_dir() {
        Ok(())
    } else if folder.exists() {
        Err(Problem::of_file(folder, "a scenario is a folder, and this is a file", hint))
    } else {
        Err(Problem::of_file(folder, "there is no such folder", hint))
    }
}

fn optional(file: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("it cannot be read: {error}");
            Err(Problem::of_file(file, message, "check the file, or have it written anew with --update"))
        }
    }
}

fn expected_value(folder: &Path, text: String) -> Result<(String, Value), Problem> {
    let document = Document::parse(&folder.join(EXPECTED_FILE), text)?;
    let value = serde_json::from_str(document.text()).map_err(|error| {
        document.root().problem(format!("it cannot be read: {error}"), "have it written anew with --update")
    })?;
    Ok((document.text().to_owned(), value))
}

fn short_secret(folder: &Path, origin: &str) -> Problem {
    let message = format!(
        "{origin} has fewer than {SHORTEST_SECRET} characters, so that it cannot be told whether an output shows it"
    );
    Problem::of_file(folder, message, "write a longer one in its place, which occurs nowhere else")
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
