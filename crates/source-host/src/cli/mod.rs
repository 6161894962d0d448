//! The command line.

mod certificate;
mod check;
mod claims;
mod config;
mod configured;
mod describe;
mod duration;
mod lineage;
mod listen;
mod login;
mod managed_identity;
mod member;
mod open;
mod output;
mod plan;
mod progress;
mod report;
mod rotating;
mod run;
mod secrets;
mod spared;
mod state;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Parser, Subcommand, ValueEnum};
use source_host::Instant;
use tracing_subscriber::EnvFilter;

pub use configured::{ConfigError, ConfiguredSource, configured};
use report::Report;

/// Runs pipeline:source components: pulls from a service, prints NDJSON, and remembers where it stopped.
#[derive(Debug, Parser)]
#[command(name = "source-host", version, arg_required_else_help = true)]
struct Arguments {
    /// How logs look on standard error. RUST_LOG says which ones.
    #[arg(long, global = true, value_enum, default_value_t)]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pull and print, for ever or until caught up.
    ///
    /// Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 the service refused the credentials.
    Run(RunArguments),
    /// Prove credentials and permission with the smallest real calls.
    Check {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Log a user in, once, and keep the refresh token: authorization code with PKCE, or a device code.
    ///
    /// Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 the login was refused.
    Login(login::LoginArguments),
    /// Show origins, identity and effective configuration, without any network.
    Plan {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Show, copy, restore or put aside where reading stopped.
    ///
    /// Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Show what a component says of itself, its configuration schema, and what it imports.
    Describe {
        /// The component; without it, the one that is built in.
        #[arg(long, value_name = "FILE")]
        component: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration: TOML with [[source]] and [[sink]] tables and a [host] table.
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// End when the sources have caught up.
    #[arg(long)]
    once: bool,
    /// Read one range only: from this time on. Both lie in the years 2010 to 2099.
    #[arg(long, value_name = "TIME", requires = "until", value_parser = Instant::parse)]
    since: Option<Instant>,
    /// Read one range only: before this time.
    #[arg(long, value_name = "TIME", requires = "since", value_parser = Instant::parse)]
    until: Option<Instant>,
    /// Where events go in place of the [[sink]] tables: `stdout`, a file of lines, or a file that ends in .json (one array)
    /// or .csv. `{source}` in a name stands for the source. Without it and without [[sink]] it is stdout.
    #[arg(long, value_name = "stdout|FILE")]
    out: Option<String>,
    /// Print the records alone, without the envelope; in a [[sink]] it is `bare = true`.
    #[arg(long)]
    bare: bool,
    /// Where checkpoints are kept; without it `state` under [host], and else the folder `state` beside the
    /// configuration.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// The program `source-host`, with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logs(arguments.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Report::failed("the program cannot start its threads").because(error).print();
        }
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => run::run(arguments).await,
            Command::Check { config } => check::check(&config.path).await,
            Command::Login(arguments) => login::login(arguments).await,
            Command::Plan { config } => plan::plan(&config.path).await,
            Command::State(command) => state::state(command).await,
            Command::Describe { component } => describe::describe(component).await,
        }
    });
    // A thread may still be stuck in writing to a reader that stopped reading.
    runtime.shutdown_background();
    // Of a source that was given up.
    terminal::draw("");
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => report.print(),
    }
}

/// How logs look, once that is known.
static LOG: OnceLock<LogFormat> = OnceLock::new();

fn log_is_human() -> bool {
    !matches!(LOG.get(), Some(LogFormat::Json))
}

fn start_logs(format: LogFormat) {
    LOG.get_or_init(|| format);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| terminal::Stderr)
        // Where nobody reads the logs there is nobody to tell either.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Human => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}

/// Writes what a command found out; a reader that went away has seen enough.
fn print(text: &str) -> Result<(), Report> {
    use std::io::Write as _;
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Report::failed("cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}
