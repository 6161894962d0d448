//! `host-test import` and `host-test export`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use scenario::{CreateError, Scenario, refuse_existing};

use super::record::RedactArgs;
use super::{Refusal, Status, say};
use crate::{HarError, export_har, import_har};

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// An HTTP archive (HAR 1.2) of a browser, a proxy, or `host-test export`.
    #[arg(value_name = "FILE.har")]
    file: PathBuf,
    /// The folder of the new scenario.
    #[arg(long, value_name = "SCENARIO")]
    out: PathBuf,
    /// Leave out every entry whose URL does not begin so.
    #[arg(long, value_name = "URL")]
    only: Option<String>,
    /// What the source gets, as a file of JSON; its secrets are replaced as well.
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    #[command(flatten)]
    redact: RedactArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// A scenario folder.
    scenario: PathBuf,
    /// The file to write, which must not be there yet.
    #[arg(long, value_name = "FILE.har")]
    out: PathBuf,
}

pub(super) fn import(args: &ImportArgs) -> Result<Status, Refusal> {
    refuse_existing(&args.out)?;
    let redaction = args.redact.redaction()?;
    let text = read(&args.file)?;
    let config = match &args.config {
        None => None,
        Some(file) => Some(serde_json::from_str(&read(file)?).map_err(|error| {
            Refusal::new(format!("{} is no JSON: {error}", file.display()), "write there what the source gets")
        })?),
    };
    let imported = import_har(&text, &args.out, args.only.as_deref(), config, &redaction).map_err(|error| {
        let HarError { message, hint } = error;
        let message = message.strip_prefix("it ").map_or(format!(": {message}"), |rest| format!(" {rest}"));
        Refusal::new(format!("{}{message}", args.file.display()), hint)
    })?;
    imported.write()?;
    let scenario = &imported.scenario;
    let count = scenario.traffic.interactions().count();
    say(&format!("{}: {count} interactions imported into {}", scenario.name, args.out.display()));
    for note in &imported.notes {
        say(&format!("  note: {note}"));
    }
    say(&format!("  then: host-test replay {} --update", args.out.display()));
    Ok(Status::AsExpected)
}

pub(super) fn export(args: &ExportArgs) -> Result<Status, Refusal> {
    refuse_existing(&args.out)?;
    let scenario = Scenario::load(&args.scenario)?;
    let text = export_har(&scenario);
    let write = || {
        let mut file = std::fs::File::create_new(&args.out)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| CreateError::Io { file: args.out.clone(), error })?;
    let count = scenario.traffic.interactions().count();
    say(&format!("{}: {count} interactions exported to {}", scenario.name, args.out.display()));
    Ok(Status::AsExpected)
}

fn read(file: &Path) -> Result<String, Refusal> {
    std::fs::read_to_string(file).map_err(|error| {
        Refusal::new(format!("{} cannot be read: {error}", file.display()), "name a file of UTF-8 text")
    })
}
