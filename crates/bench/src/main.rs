//! Measures the component in its host against a native program of the same core, and against `curl | jq`.
//!
//! `bench` alone runs everything and prints a table, `bench --only SUITE` a part of it. Each contestant is a process of its own, so that its CPU time and
//! its memory are its alone; so is the server. `docs/benchmarks.md` explains the method.

mod checkpoints;
mod component;
mod config;
mod contest;
mod detections;
mod native;
mod process;
mod quiet;
mod sample;
mod server;
mod start;
mod suite;
mod table;
mod tenants;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Measures the component against a native program of the same core, and against curl and jq")]
struct Arguments {
    #[command(flatten)]
    suite: Suite,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a run of everything measures.
#[derive(Args)]
pub(crate) struct Suite {
    /// The component
    #[arg(long, default_value = "target/defender_source.wasm")]
    component: PathBuf,
    /// How many detections the large answer holds
    #[arg(long, default_value_t = 100_000)]
    detections: u32,
    /// How often each contestant runs, in turn
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// One suite alone; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Chosen>,
}

/// A suite, and the tables that it makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Chosen {
    /// Speed and peak of memory, beside a native program and curl with jq
    Speed,
    /// Size and start
    Start,
    /// A poll that finds nothing
    Quiet,
    /// Checkpoints at a full ring
    Checkpoints,
    /// 1, 100 and 5,000 sources in one process
    Tenants,
}

#[derive(Subcommand)]
enum Part {
    /// Serves detections on a port of its own, which it prints
    Serve(Served),
    /// Reads them through the component, to NDJSON on stdout
    Component(Contestant),
    /// Reads them natively, to NDJSON on stdout
    Native(Contestant),
    /// Reads them in short slices with a full ring, to NDJSON on stdout
    Checkpoints(Batches),
    /// Times what making a component ready takes
    Start(Component),
    /// Times polls that find nothing
    Quiet(Component),
}

/// What a server has.
#[derive(Args)]
pub(crate) struct Served {
    /// How many detections
    #[arg(long)]
    detections: u32,
    /// From when on, in ticks of 100 ns since 1970
    #[arg(long)]
    since: i64,
    /// For how long, in ticks of 100 ns
    #[arg(long)]
    span: i64,
}

/// Where a contestant reads, and what.
#[derive(Args)]
pub(crate) struct Contestant {
    #[command(flatten)]
    component: Component,
    /// The port of the server
    #[arg(long)]
    port: u16,
    /// From when on, in ticks of 100 ns since 1970
    #[arg(long)]
    since: i64,
    /// For how long, in ticks of 100 ns
    #[arg(long)]
    span: i64,
}

/// How much a poll brings.
#[derive(Args)]
pub(crate) struct Batches {
    #[command(flatten)]
    contestant: Contestant,
    /// Events of one poll
    #[arg(long)]
    max_events: u32,
}

/// Which component.
#[derive(Args)]
pub(crate) struct Component {
    /// The component
    #[arg(long, default_value = "target/defender_source.wasm")]
    component: PathBuf,
    /// The folder of compiled code; without it the component is compiled
    #[arg(long)]
    cache: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { suite, part } = Arguments::parse();
    let ran = match part {
        None => suite::run(&suite),
        Some(Part::Serve(served)) => server::serve(&served),
        Some(Part::Component(contestant)) => component::run(&contestant),
        Some(Part::Native(contestant)) => native::run(&contestant),
        Some(Part::Checkpoints(batches)) => checkpoints::run(&batches),
        Some(Part::Start(Component { component, .. })) => start::run(&component),
        Some(Part::Quiet(Component { component, .. })) => quiet::run(&component),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
