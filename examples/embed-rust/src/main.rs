//! Prints what a source reads, and begins where it stopped the last time: COMPONENT CONFIG STATE-FOLDER [ORIGIN...]

use std::{env, fs, path::Path, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use source_host::{
    Engine, FileStore, Grants, Limits, Lineage, LinesSink, LiveTransport, Proxy, RunOptions, Runner, Shape, Source,
    SourceParts, SystemClock, Tls, share,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [component, config, state, origins @ ..] = &arguments[..] else {
        bail!("usage: embed-rust COMPONENT CONFIG STATE-FOLDER [ORIGIN...]");
    };
    let component = Engine::new().map_err(|error| anyhow!("{error:#}"))?.load(Path::new(component))?;
    let config = fs::read_to_string(config).with_context(|| format!("cannot read {config}"))?;

    // The plan says where the component wants to go, which is no permission: granted are Microsoft's hosts, and what is
    // named beyond them.
    let grants = Grants::microsoft().and(origins.iter().map(|origin| origin.parse()).collect::<Result<Vec<_>, _>>()?);
    let limits = Limits::default();
    let (plan, policy) = Source::review(&component, &config, &grants, &limits).await?;
    let transport = Arc::new(LiveTransport::new(&Tls::new(None)?, &Proxy::from_env()?));
    let clock = Arc::new(SystemClock::default());
    let source = Source::new(&component, SourceParts { config, policy, transport, clock, limits });

    // Yours go here: a `Sink` gets the batches, and a `CheckpointStore` each checkpoint once its batch is flushed.
    let sink = share(LinesSink::stdout(Shape::Enveloped));
    let store = Box::new(FileStore::open(Path::new(state), "embedded", &Lineage::Running)?);
    let mut runner = Runner::new(source, RunOptions::of("embedded", &plan), store, sink).await?;
    // It may be killed at any time, and goes on at the stored checkpoint.
    runner.run_to_end().await.map_err(|error| anyhow!(error.explained()))?;
    Ok(())
}
