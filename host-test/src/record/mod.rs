//! Records a scenario: a component runs against a service, and what they say to each other is kept, without its secrets.
//!
//! A recording is a run as a replay is one, on the same clock, which stands still while anything is computed and moves by
//! latencies and waits alone; only that the answers come from the network, and that the waits are waited. So a replay of
//! it sees the same times, to the tick.

mod exchange;
mod pace;
mod wire;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use scenario::{Budget, CreateError, Faults, Interaction, Outcome, Position, Scenario, Settings, Until, create};
use source_host::{CallError, ConfiguredSource, SecretPlace, Source, SourceParts};
use tokio::sync::watch;

use crate::clock::VirtualClock;
use crate::drive::{Broken, Drive, Link, MOST_POLLS, Taken};
use crate::finding::Finding;
use crate::report::Report;
use crate::run::{paused, replay};
use crate::scrub::{Origin, RawConfig, Redaction, Scrubbed, scrub};
pub(crate) use exchange::{OF_CONNECTION, request_body};
use pace::Really;
use wire::Wire;

/// What is recorded, and how it is called.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// What the scenario shows, in a sentence.
    pub why: String,
    /// When the recording is over; a failure that does not pass by itself ends it as well.
    pub until: Until,
    /// Where reading begins.
    pub position: Position,
    /// What is replaced beyond secrets that are known by their name or looks.
    pub redaction: Redaction,
}

/// Something that a recording does, for whoever watches.
#[derive(Clone, Copy, Debug)]
pub enum RecordStep<'a> {
    /// A poll begins, from 1 on.
    Polling(u32),
    /// A request to this origin was answered with this status, or failed this way.
    Answered(&'a str, Result<u16, &'static str>),
    /// It waits so long for the next poll.
    Waiting(Duration),
}

/// Who watches a recording.
pub type Watcher = Arc<dyn Fn(RecordStep<'_>) + Send + Sync>;

/// Why nothing was recorded. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The machine gives no runtime.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The component was lost.
    #[error("the component failed: {0}")]
    Lost(#[from] CallError),
    /// There was no end of it.
    #[error("the source was polled {MOST_POLLS} times and there is no end of it")]
    Endless,
    /// The configuration of the source is no JSON object.
    #[error("the configuration of the source cannot be written: {0}")]
    Config(serde_json::Error),
    /// Something of it still looks like a secret.
    #[error("{place} would hold what looks like a real secret: {what}")]
    Secret {
        /// Which file.
        place: String,
        /// Which secret, by what it is called.
        what: String,
    },
}

impl RecordError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "free some memory or file handles",
            Self::Lost(error) => error.hint(),
            Self::Endless => "give it an end with --polls N",
            Self::Config(_) => "this is a bug of host-test: report it",
            Self::Secret { .. } => {
                "nothing was written; name what it is with --redact NAME, and report it where it should have been found"
            }
        }
    }
}

/// What was recorded.
#[derive(Debug)]
pub struct Recording {
    /// The scenario, with what is expected of it where it replays.
    pub scenario: Scenario,
    /// What a replay of it came to.
    pub replayed: Report,
    /// How the replay is not as the recording was; empty where it is.
    pub findings: Vec<Finding>,
    /// What is said about it.
    pub notes: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Recording {
    /// Writes the folder of the scenario: whole, or not at all.
    ///
    /// # Errors
    ///
    /// It is there already, or cannot be written.
    pub fn write(&self) -> Result<(), CreateError> {
        create(&self.scenario.folder, &self.files)
    }
}

/// Runs a source against its service and records what they say to each other. Nothing is written before
/// [`Recording::write`]. `stop` ends it after the poll that is under way.
///
/// Takes as long as the service and the waits between polls do. Answers are read whole, into memory, before the component
/// gets them. Call it where no runtime is.
///
/// # Errors
///
/// The component was lost, there is no end of it, or a secret was not found that looks like one.
pub fn record(
    source: ConfiguredSource,
    folder: &Path,
    options: RecordOptions,
    stop: watch::Receiver<bool>,
    watcher: Watcher,
) -> Result<Recording, RecordError> {
    let network = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let settings = settings(&source, &options);
    let raw = raw_config(&source)?;
    let redaction = with_plan(&source, options.redaction);
    let component = source.component.clone();
    let (taken, traffic, denied) = paused()?.block_on(async {
        let clock = Arc::new(VirtualClock::starting_at(settings.starts));
        let wire = Arc::new(Wire::new(Arc::clone(&source.transport), network.handle().clone(), Arc::clone(&watcher)));
        let parts = SourceParts {
            config: source.config,
            policy: source.policy,
            transport: Arc::clone(&wire) as Arc<dyn source_host::Transport>,
            clock: Arc::clone(&clock) as Arc<dyn source_host::Clock>,
            limits: source.limits,
        };
        let mut running = Source::new(&component, parts).with_secrets(source.vault);
        let pace = Really::new(Arc::clone(&wire), stop, watcher);
        let link = Arc::clone(&wire) as Arc<dyn Link>;
        let name = source.name.as_str();
        let drive = Drive { name, settings: &settings, clock: &clock, link, pace: &pace };
        let mut taken = Taken::default();
        drive.run(&mut running, &mut taken).await.map_err(|broken| match broken {
            Broken::Lost(error) => RecordError::Lost(error),
            Broken::Endless => RecordError::Endless,
        })?;
        let denied: Vec<String> = running.denials().iter().map(ToString::to_string).collect();
        Ok::<_, RecordError>((taken, wire.traffic(), denied))
    })?;
    let polls = u32::try_from(taken.outcome.polls.len()).unwrap_or(u32::MAX);
    let settings = Settings { until: ended(&options.until, &taken.outcome, polls), ..settings };
    let mut scrubbed = scrub(raw, traffic, &redaction, Origin::Foreign);
    let mut notes = std::mem::take(&mut scrubbed.notes);
    notes.extend(denied.into_iter().map(|denial| format!("a request was refused and is not recorded: {denial}")));
    finish(folder, settings, &scrubbed, &taken, &component, notes)
}

/// Replays what was recorded, which says what is expected of it, and looks for secrets once more.
fn finish(
    folder: &Path,
    settings: Settings,
    scrubbed: &Scrubbed,
    taken: &Taken,
    component: &source_host::Component,
    notes: Vec<String>,
) -> Result<Recording, RecordError> {
    let settings = Settings { from: scrubbed.text(&settings.from), why: scrubbed.text(&settings.why), ..settings };
    let mut scenario = Scenario::new(folder, settings, scrubbed.config.clone(), scrubbed.traffic.clone());
    let replayed = replay(&scenario, component)?;
    let mut findings: Vec<Finding> = replayed.faults.clone();
    if findings.is_empty() {
        findings.extend(otherwise(&taken.outcome, &replayed.outcome));
        scenario.expected_events = Some(replayed.events.clone());
        scenario.expected = Some((replayed.outcome.text(), replayed.outcome.value()));
    }
    let files = scenario.written();
    if let Some((place, what)) = scrubbed.leaking(&files) {
        return Err(RecordError::Secret { place, what });
    }
    Ok(Recording { scenario, replayed, findings, notes, files })
}

/// Where the replay is not as the recording was, as far as no secret and no pseudonym changes it.
fn otherwise(recorded: &Outcome, replayed: &Outcome) -> Option<Finding> {
    let plain = |outcome: &Outcome| {
        let mut outcome = outcome.clone();
        for poll in &mut outcome.polls {
            poll.checkpoint = None;
            poll.notices.clear();
            poll.attributes.clear();
            if let Some(failure) = &mut poll.failure {
                failure.message.clear();
                failure.hint = None;
            }
        }
        outcome.text()
    };
    let (recorded, replayed) = (plain(recorded), plain(replayed));
    (recorded != replayed)
        .then(|| Finding::Different { file: "what the polls returned", diff: crate::diff::lines(&recorded, &replayed) })
}

/// A replay has to end where the recording did.
fn ended(asked: &Until, outcome: &Outcome, polls: u32) -> Until {
    use scenario::NextOutcome::{After, Ended};
    let last = outcome.polls.last();
    let is_failure = last.is_some_and(|poll| poll.failure.as_ref().is_some_and(|failure| failure.after.is_none()));
    match (asked, last.and_then(|poll| poll.next.as_ref())) {
        (Until::CaughtUp, Some(After(_) | Ended)) => Until::CaughtUp,
        (Until::Ended, Some(Ended)) => Until::Ended,
        (asked, _) if is_failure && polls < MOST_POLLS && !matches!(asked, Until::Polls(_)) => *asked,
        _ => Until::Polls(polls.max(1)),
    }
}

fn settings(source: &ConfiguredSource, options: &RecordOptions) -> Settings {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let starts =
        DateTime::from_timestamp_millis(i64::try_from(now.as_millis()).unwrap_or_default()).unwrap_or_default();
    let origins: BTreeSet<String> = source
        .plan
        .origins
        .iter()
        .map(|origin| format!("{}://{}:{}", origin.scheme, origin.host, origin.port))
        .map(|origin| scenario::Address::parse(&origin).map_or(origin, |address| address.origin))
        .collect();
    let budget = &source.budget;
    Settings {
        why: options.why.clone(),
        from: format!(
            "Recorded by host-test record at {} from {}; secrets are replaced.",
            starts.format("%Y-%m-%dT%H:%M:%SZ"),
            origins.into_iter().collect::<Vec<_>>().join(" and ")
        ),
        starts,
        position: options.position.clone(),
        budget: Budget {
            max_events: budget.max_events,
            max_bytes: budget.max_bytes,
            max_requests: budget.max_requests,
            max_duration: Duration::from_nanos(budget.max_duration),
        },
        until: options.until,
        faults: Faults::default(),
    }
}

/// The configuration with the values of its secrets, which are replaced before anything is written.
fn raw_config(source: &ConfiguredSource) -> Result<RawConfig, RecordError> {
    let mut value: serde_json::Value = serde_json::from_str(&source.config).map_err(RecordError::Config)?;
    for (pointer, secret) in &source.secrets {
        if let Some(member) = value.pointer_mut(pointer) {
            *member = secret.expose().into();
        }
    }
    Ok(RawConfig { value, secrets: source.secrets.iter().map(|(pointer, _)| pointer.clone()).collect() })
}

/// What the plan says of secrets is said of the recording: the fields that they go into, and what they are exchanged for.
fn with_plan(source: &ConfiguredSource, mut redaction: Redaction) -> Redaction {
    for planned in &source.plan.secrets {
        // A bearer token is found by the header that holds it.
        if let SecretPlace::FormField(name) = &planned.place {
            redaction.names.push(name.clone());
        }
        redaction.names.extend(planned.captures.iter().cloned());
    }
    redaction
}

/// What is numbered is what is recorded.
fn numbered(interactions: Vec<Interaction>) -> scenario::Traffic {
    let groups = interactions
        .into_iter()
        .enumerate()
        .map(|(index, interaction)| Arc::new(Interaction { number: index + 1, ..interaction }))
        .map(|interaction| scenario::Group { interactions: vec![interaction] });
    scenario::Traffic { groups: groups.collect() }
}
