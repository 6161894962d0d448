//! The command line: arguments, output and exit status, and nothing else.

mod component;
mod conform;
mod har;
mod inject;
mod limits;
mod record;
mod replay;
mod serve;
mod terminal;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use scenario::UnusableScenario;

/// Runs any pipeline:source component against recorded traffic, without a network and on a virtual clock.
#[derive(Debug, Parser)]
#[command(name = "host-test", version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay scenario folders and compare what comes out with what they expect.
    #[command(
        after_help = "Events go to stdout as NDJSON, everything else to stderr. With --inject no events are written, and stdout gets\n\
        the verdicts: with each fault everything has to come that comes without it, or a gap that says what does not, and nothing else; the\n\
        source must neither trap nor hang. A poll may fail, if the next one goes on.\n\
        Exit status: 0 as expected (with --inject: nothing lost), 1 not as expected (lost, invented, trapped, endless, or not recorded),\n\
        2 wrong usage, scenario or configuration, or no fault that strikes."
    )]
    Replay(replay::Args),
    /// Run a source against its service and record what they say to each other as a scenario, without its secrets.
    #[command(
        after_help = "Nothing is written before the end, and then without credentials, tokens and cookies. Ctrl-C ends the \
        recording after the poll that is under way.\n\
        Exit status: 0 recorded, 1 recorded but it does not replay, or the component failed; 2 wrong usage or configuration."
    )]
    Record(record::Args),
    /// Check the laws of the contract for any component, by scenarios that were recorded for it.
    #[command(after_help = "What is broken goes to stdout, with where, what was expected and what to do.\n\
        Exit status: 0 all laws are kept, 1 one is broken, 2 wrong usage or scenario.")]
    Conform(conform::Args),
    /// Make a scenario of an HTTP archive (HAR 1.2), without its secrets.
    #[command(after_help = "Exit status: 0 imported, 2 wrong usage or file.")]
    Import(har::ImportArgs),
    /// Make an HTTP archive (HAR 1.2) of a scenario, for any viewer of such files.
    #[command(after_help = "Exit status: 0 exported, 2 wrong usage or scenario.")]
    Export(har::ExportArgs),
    /// Serve a scenario's answers over plain HTTP on 127.0.0.1, for hosts with a clock of their own.
    #[command(after_help = "The base URL goes to stdout; it stands in for every recorded origin.\n\
        Requests that nothing answers get a 404 and are explained on stderr.")]
    Serve(serve::Args),
}

/// How a command ended, in the order of what matters more.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Status {
    AsExpected = 0,
    NotAsExpected = 1,
    /// The arguments, the scenario or the configuration are wrong.
    Unusable = 2,
}

/// Why a command could not even begin.
#[derive(Debug)]
struct Refusal {
    message: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(message: impl ToString, hint: impl ToString) -> Self {
        Self { message: message.to_string(), hint: Some(hint.to_string()) }
    }
}

impl From<UnusableScenario> for Refusal {
    fn from(error: UnusableScenario) -> Self {
        // Each of its sentences has a hint of its own.
        Self { message: error.to_string(), hint: None }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    // Exits with status 2 on wrong usage, and with 0 on --help.
    let args = Args::parse();
    let ended = match args.command {
        Command::Replay(args) => replay::run(&args, &mut Output::default()),
        Command::Record(args) => record::run(args),
        Command::Conform(args) => conform::run(&args, &mut Output::default()),
        Command::Import(args) => har::import(&args),
        Command::Export(args) => har::export(&args),
        Command::Serve(args) => serve::run(&args),
    };
    let status = ended.unwrap_or_else(|refusal| {
        say(&format!("error: {}", refusal.message));
        if let Some(hint) = refusal.hint {
            say(&format!("  hint: {hint}"));
        }
        Status::Unusable
    });
    ExitCode::from(status as u8)
}

/// Indents every line.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Says something on stderr; where nobody listens there is nobody to tell.
fn say(text: &str) {
    terminal::clear();
    let _nobody_listens = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a file whole or not at all, in the place of one that is there, and says so. `what` is what it is to a person. What
/// is a pipe or a device is written to.
fn write_whole(what: &str, file: &Path, text: &str) -> Result<(), Refusal> {
    let replace = || {
        // What a link leads to is replaced, and not the link.
        let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = file.with_file_name(name);
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file)).inspect_err(|_| {
            // What is left of it is of no use; where it cannot be removed either, the error says why.
            let _ = std::fs::remove_file(&new);
        })
    };
    let is_stream = std::fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir());
    let written = if is_stream { std::fs::write(file, text) } else { replace() };
    written.map_err(|error| Refusal {
        message: format!("the {what} {} cannot be written: {error}", file.display()),
        hint: Some("name a file in a folder that is there and may be written to".to_owned()),
    })?;
    say(&format!("{what} written to {}", file.display()));
    Ok(())
}

/// stdout, until its reader goes away.
#[derive(Debug, Default)]
struct Output {
    closed: bool,
}

impl Output {
    /// Writes a text and flushes it. A reader that went away, as `head` does, is no error.
    fn write(&mut self, text: &str) -> Result<(), Refusal> {
        if self.closed {
            return Ok(());
        }
        terminal::clear();
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Refusal {
                message: format!("stdout cannot be written: {error}"),
                hint: Some("check where it goes, and that there is space".to_owned()),
            }),
            Ok(()) => Ok(()),
        }
    }
}
