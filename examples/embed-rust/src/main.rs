//! Prints what a source reads, and begins where it stopped the last time: COMPONENT CONFIG STATE-FOLDER [ORIGIN...]

use std::{env, fs, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use source_host::{
    Budget, Engine, FileStore, Grants, Limits, Lineage, LinesSink, LiveTransport, RunOptions, Runner, Shape, Source,
    SourceParts, SystemClock, Tls, share,
};

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = run().await {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [component, config, state, origins @ ..] = &arguments[..] else {
        bail!("usage: embed-rust COMPONENT CONFIG STATE-FOLDER [ORIGIN...]");
    };
    let engine = Engine::new().map_err(|error| anyhow!("this machine runs no WebAssembly: {error:#}"))?;
    let component = engine.load(Path::new(component))?;
    let config = fs::read_to_string(config).with_context(|| format!("cannot read {config}"))?;

    // The plan says where the component wants to go, which is no permission. It gets to Microsoft's hosts, and to what
    // is named beyond them.
    let grants = Grants::microsoft().and(origins.iter().map(|origin| origin.parse()).collect::<Result<Vec<_>, _>>()?);
    let limits = Limits::default();
    let (plan, policy) = Source::review(&component, &config, &grants, &limits).await?;
    let transport = Arc::new(LiveTransport::new(&policy, &Tls::new(None)?));
    let clock = Arc::new(SystemClock::default());
    let source = Source::new(&component, SourceParts { config, policy, transport, clock, limits });

    let options = RunOptions {
        name: "embedded".to_owned(),
        identity: plan.identity,
        accepts: plan.accepts,
        config_digest: String::new(),
        budget: Budget { max_events: 1_000, max_bytes: 8 << 20, max_requests: 20, max_duration: 60_000_000_000 },
        once: false,
        range: None,
        forget_at_end: false,
    };
    // Yours go here: a `Sink` gets the batches, and a `CheckpointStore` each checkpoint once its batch is flushed.
    let sink = share(LinesSink::stdout(Shape::Enveloped));
    let store = Box::new(FileStore::open(Path::new(state), &options.name, &Lineage::Running)?);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut runner = Runner::new(source, options, store, sink).await?;
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
    });
    if let Err(error) = runner.run(stopping).await {
        let why = error.fault().map_or("", |fault| &fault.message);
        bail!("{error}: {why} {}", error.hint().unwrap_or_default());
    }
    Ok(())
}
