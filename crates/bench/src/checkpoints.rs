//! What checkpoints cost while the ring is full.
//!
//! One hour of detections is read in slices of five minutes, with an overlap longer than that hour: once some 24,000 keys
//! fill the ring, every batch has a new checkpoint of nearly 256 KiB. Only what follows is measured.

use std::time::{Duration, Instant};

use defender_core::tick::Tick;
use source_host::{
    Budget, CheckpointStore as _, FileStore, Lineage, LinesSink, NextPoll, Position, Shape, Sink as _, Stored,
};

use crate::component::{NAME, TimedStore, open, runtime};
use crate::config::{self, LARGE};
use crate::sample::{Stopwatch, tell};
use crate::{Batches, Contestant};

/// From how many bytes on a checkpoint counts as one of a full ring.
const FULL: usize = 250_000;

/// How often `source-host run` stores a checkpoint while there is more to read.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// Reads all, and tells what the part with a full ring cost.
pub(crate) fn run(batches: &Batches) -> anyhow::Result<()> {
    let Contestant { component, port, since, .. } = &batches.contestant;
    let members = format!(r#","start":"{}","slice":"PT5M","overlap":"PT3H""#, Tick(*since));
    let budget = Budget { max_events: batches.max_events, ..LARGE };
    let folder = tempfile::tempdir()?;
    let mut store = TimedStore::new(FileStore::open(folder.path(), NAME, &Lineage::Running)?);
    runtime()?.block_on(async {
        let (mut source, _) = open(component, &config::source(*port, &members)).await?;
        tokio::spawn(async move {
            let mut sink = LinesSink::stdout(Shape::Enveloped);
            let mut position = Position::Resume(None);
            let mut watch = None;
            let (mut events, mut polls, mut stored_at) = (0, 0, Instant::now());
            loop {
                let polled = source.poll(&position, &budget).await?;
                let batch = polled.map_err(|failure| anyhow::anyhow!("a poll failed: {failure:?}"))?;
                sink.deliver(NAME, &batch).await?;
                let is_over = batch.next != NextPoll::Now;
                if is_over || stored_at.elapsed() >= STORE_EVERY {
                    sink.flush().await?;
                    store.store(&Stored { checkpoint: Some(batch.checkpoint.clone()), ..Stored::default() }).await?;
                    stored_at = Instant::now();
                }
                if watch.is_some() {
                    events += batch.events.len() as u64;
                    polls += 1;
                } else if batch.checkpoint.len() >= FULL {
                    watch = Some(Stopwatch::start()?);
                    (store.seconds, store.stores) = (0.0, 0);
                }
                position = Position::Resume(Some(batch.checkpoint));
                if is_over {
                    break;
                }
            }
            let Some(watch) = watch else { anyhow::bail!("the ring never was full") };
            let mut sample = watch.stop()?;
            (sample.events, sample.polls) = (events, polls);
            (sample.storing, sample.stores) = (store.seconds, store.stores);
            tell(&sample)
        })
        .await?
    })
}
