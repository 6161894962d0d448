//! `host-test record`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use scenario::{CreateError, Position, Until, duration_text, refuse_existing};
use source_host::{SecretValue, configured};
use tokio::sync::watch;

use super::terminal::draw;
use super::{Refusal, Status, indented, say};
use crate::{RecordError, RecordOptions, RecordStep, Recording, Redaction, Watcher, record};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration of `source-host run`: TOML with a [[source]] table. Its [[sink]] tables are not used.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder of the new scenario.
    #[arg(long, value_name = "SCENARIO")]
    out: PathBuf,
    /// Which source, where the configuration has several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// What the scenario shows, in a sentence.
    #[arg(long, value_name = "TEXT", default_value = "What a source and its service said to each other.")]
    why: String,
    /// End after so many polls, in place of when the source has caught up. Waits between polls are waited.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "to_the_end")]
    polls: Option<u32>,
    /// End when the source says that there is nothing more, ever.
    #[arg(long)]
    to_the_end: bool,
    /// Read one range only: from this time on.
    #[arg(long, value_name = "TIME", requires = "until", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Read one range only: before this time.
    #[arg(long, value_name = "TIME", requires = "since", value_parser = time)]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    redact: RedactArgs,
}

/// What is replaced beyond what is found.
#[derive(Debug, clap::Args)]
pub(super) struct RedactArgs {
    /// Replace what is a secret here: NAME, the value of any header, cookie, or member of a form, query or JSON that is
    /// called so; env:NAME, the value of an environment variable; file:PATH, the text of a file. May be given several times.
    #[arg(long, value_name = "WHAT")]
    redact: Vec<String>,
    /// Replace tenant and other IDs (GUIDs), hosts, users, mail and IP addresses as well, each by the same name everywhere.
    #[arg(long)]
    pseudonyms: bool,
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|error| format!("{error}; write one such as 2026-03-02T09:00:00Z"))
}

pub(super) fn run(args: Args) -> Result<Status, Refusal> {
    // Told before anybody waits for a recording that cannot be written.
    refuse_existing(&args.out)?;
    let redaction = args.redact.redaction()?;
    let position = match args.since.zip(args.until) {
        Some((since, until)) if since >= until => {
            return Err(Refusal::new(
                "--since is not before --until",
                "the range goes from the earlier to the later time",
            ));
        }
        Some((since, until)) => Position::Range(since, until),
        None => Position::Resume(None),
    };
    let until = match (args.polls, args.to_the_end || args.since.is_some()) {
        (Some(polls), _) => Until::Polls(polls),
        (None, true) => Until::Ended,
        (None, false) => Until::CaughtUp,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
    let source = runtime
        .block_on(configured(&args.config, args.source.as_deref()))
        // It says by itself what to do.
        .map_err(|error| Refusal { message: error.to_string(), hint: None })?;
    drop(runtime);
    let stop = stop_on_interrupt()?;
    let options = RecordOptions { why: args.why, until, position, redaction };
    let recorded = record(source, &args.out, options, stop, watcher());
    draw("");
    let recording = match recorded {
        Ok(recording) => recording,
        Err(error @ RecordError::Runtime(_)) => return Err(Refusal::new(&error, error.hint())),
        Err(error) => {
            say(&format!("error: {error}\n  hint: {}", error.hint()));
            return Ok(Status::NotAsExpected);
        }
    };
    recording.write()?;
    tell(&recording, &args.out);
    Ok(if recording.findings.is_empty() { Status::AsExpected } else { Status::NotAsExpected })
}

fn tell(recording: &Recording, out: &Path) {
    let scenario = &recording.scenario;
    say(&format!("{}: recorded into {}\n  {}", scenario.name, out.display(), recording.replayed));
    if let Some(failure) = recording.replayed.outcome.polls.last().and_then(|poll| poll.failure.as_ref()) {
        say(&format!("  the last poll failed: {} {}: {}", failure.kind, failure.code, failure.message));
    }
    for note in &recording.notes {
        say(&format!("  note: {note}"));
    }
    if recording.findings.is_empty() {
        say("  it replays as it was recorded; read it before you share it");
        return;
    }
    say("  it does not replay as it was recorded:");
    for finding in &recording.findings {
        say(&indented(&indented(&finding.to_string())));
    }
    say(&format!(
        "  hint: where a value is another one at each run, put a pattern such as {{\"pattern\": \"*\"}} in its place in \
         traffic.json; then: host-test replay {} --update",
        out.display()
    ));
}

impl RedactArgs {
    pub(super) fn redaction(&self) -> Result<Redaction, Refusal> {
        let mut redaction = Redaction { pseudonyms: self.pseudonyms, ..Redaction::default() };
        for what in &self.redact {
            let (name, value) = if let Some(variable) = what.strip_prefix("env:") {
                let hint = format!("set {variable}, or leave out --redact {what}");
                let value = std::env::var(variable)
                    .map_err(|error| Refusal::new(format!("the environment variable {variable}: {error}"), hint))?;
                (variable.to_owned(), value)
            } else if let Some(file) = what.strip_prefix("file:") {
                let value = std::fs::read_to_string(file)
                    .map_err(|error| Refusal::new(format!("{file} cannot be read: {error}"), "name a file of text"))?;
                (Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned(), value)
            } else {
                redaction.names.push(what.clone());
                continue;
            };
            let value = value.trim_end_matches(['\r', '\n']);
            if value.is_empty() {
                return Err(Refusal::new(
                    format!("--redact {what} names nothing: it is empty"),
                    "put the secret there",
                ));
            }
            redaction.values.push((name, SecretValue::new(value)));
        }
        Ok(redaction)
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        Self::new(&error, error.hint())
    }
}

fn no_runtime(error: std::io::Error) -> Refusal {
    Refusal::new(format!("no runtime: {error}"), "free some memory or file handles")
}

/// The first Ctrl-C ends the recording after the poll that is under way, the second one at once, with nothing written.
fn stop_on_interrupt() -> Result<watch::Receiver<bool>, Refusal> {
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                // Then the signal ends the program as it always did.
                return std::future::pending::<()>().await;
            }
            say("stopping after this poll; once more ends it at once, with nothing written");
            stop.send_replace(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
            std::future::pending::<()>().await;
        });
    });
    Ok(stopped)
}

/// Draws a line on a terminal, and says nothing to anybody else.
fn watcher() -> Watcher {
    Arc::new(move |step| {
        draw(&match step {
            RecordStep::Polling(number) => format!("poll {number} ..."),
            RecordStep::Answered(origin, Ok(status)) => format!("{origin} answered {status}"),
            RecordStep::Answered(origin, Err(failure)) => format!("{origin} failed: {failure}"),
            RecordStep::Waiting(length) => {
                let whole = Duration::from_secs(length.as_secs().max(1));
                format!("waiting {} for the next poll; Ctrl-C ends the recording", duration_text(whole))
            }
        });
    })
}
