//! The component in the host library, as `source-host run --since --until` has it: plan, policy, the network, NDJSON to
//! stdout, and a state file.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use async_trait::async_trait;
use defender_core::tick::Tick;
use source_host::{
    AccessPlan, CheckpointStore, Engine, FileStore, Grants, Limits, Lineage, LinesSink, LiveTransport, Outcome, Proxy,
    RunOptions, Runner, Shape, Source, SourceParts, StateError, Stored, SystemClock, Tls, share,
};
use tokio::sync::watch;

use crate::Contestant;
use crate::config::{self, BUDGET};
use crate::sample::{Stopwatch, tell};

/// What the source is called in the output.
pub(crate) const NAME: &str = "bench";

/// Reads one range and tells what that cost.
pub(crate) fn run(contestant: &Contestant) -> anyhow::Result<()> {
    let Contestant { component, port, since, span } = contestant;
    let range = (config::instant(Tick(*since)), config::instant(Tick(since + span)));
    let folder = tempfile::tempdir()?;
    let store = FileStore::open(folder.path(), NAME, &Lineage::Running)?;
    runtime()?.block_on(async {
        let (source, plan) = open(component, &config::source(*port, "")).await?;
        let options = RunOptions { budget: BUDGET, once: true, range: Some(range), ..RunOptions::of(NAME, &plan) };
        let sink = share(LinesSink::stdout(Shape::Enveloped));
        let mut runner = Runner::new(source, options, Box::new(store), sink).await?;
        let (_stop, stopping) = watch::channel(false);
        let watch = Stopwatch::start()?;
        let (runner, outcome) = tokio::spawn(async move {
            let outcome = runner.run(stopping).await;
            (runner, outcome)
        })
        .await?;
        let mut sample = watch.stop()?;
        anyhow::ensure!(outcome? == Outcome::Ended, "the range was not read to its end");
        sample.events = runner.tally().events;
        tell(&sample)
    })
}

/// wasmtime's error as this program's own, with its causes.
pub(crate) fn wasm(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("wasmtime: {error:#}")
}

/// The runtime of `source-host run`.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// A source on the network, allowed to reach what it plans on the bench's server.
pub(crate) async fn open(component: &crate::Component, config: &str) -> anyhow::Result<(Source, AccessPlan)> {
    let engine = Engine::new().map_err(wasm)?;
    let component = match &component.cache {
        Some(cache) => engine.load_cached(&component.component, cache)?,
        None => engine.load(&component.component)?,
    };
    let limits = Limits::default();
    let plan = Source::plan(&component, config, &limits)
        .await?
        .map_err(|problems| anyhow::anyhow!("the configuration is not valid: {problems:?}"))?;
    let origins = plan.origins.iter().map(|origin| {
        source_host::Origin::new(&origin.scheme, &origin.host, Some(origin.port)).context("the plan names no origin")
    });
    let policy = Grants::none().and(origins.collect::<anyhow::Result<Vec<_>>>()?).review(&plan)?;
    let transport = Arc::new(LiveTransport::new(&Tls::new(None)?, &Proxy::none()));
    let clock = Arc::new(SystemClock::default());
    let parts = SourceParts { config: config.to_owned(), policy, transport, clock, limits };
    Ok((Source::new(&component, parts), plan))
}

/// A state file that counts what storing in it takes.
pub(crate) struct TimedStore {
    inner: FileStore,
    pub(crate) seconds: f64,
    pub(crate) stores: u64,
}

impl TimedStore {
    pub(crate) fn new(inner: FileStore) -> Self {
        Self { inner, seconds: 0.0, stores: 0 }
    }
}

#[async_trait]
impl CheckpointStore for TimedStore {
    async fn load(&mut self) -> Result<Option<Stored>, StateError> {
        self.inner.load().await
    }

    async fn store(&mut self, stored: &Stored) -> Result<(), StateError> {
        let since = Instant::now();
        let result = self.inner.store(stored).await;
        self.seconds += since.elapsed().as_secs_f64();
        self.stores += 1;
        result
    }

    async fn clear(&mut self) -> Result<(), StateError> {
        self.inner.clear().await
    }
}
