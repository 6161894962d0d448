//! What a poll costs that finds nothing.
//!
//! The transport answers from memory, so what is measured is the guest, the host around it, and no network.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use defender_core::tick::{TICKS_PER_SECOND, Tick};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};
use source_host::{
    Engine, HttpError, Limits, NextPoll, Policy, Position, Source, SourceParts, SystemClock, Timeouts, Transport,
    WasiBody,
};

use crate::component::{runtime, wasm};
use crate::config::{self, BUDGET};
use crate::detections::Detections;
use crate::sample::{median, tell};
use crate::usage;

const POLLS: usize = 2_000;

/// Keys that fill the ring nearly.
const FULL_RING: u32 = 23_000;

/// One kind of quiet poll; times in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Quiet {
    /// Of all polls, the median on the wall.
    pub(crate) wall: f64,
    /// CPU time of all polls, by their number.
    pub(crate) cpu: f64,
    /// Requests of one poll, the same for all.
    pub(crate) requests: u32,
    /// The checkpoint that each hands over, in bytes.
    pub(crate) checkpoint: usize,
}

/// With an empty ring, and with a full one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Both {
    pub(crate) empty: Quiet,
    pub(crate) full: Quiet,
}

/// Times both kinds.
pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let engine = Engine::new().map_err(wasm)?;
    let component = engine.load(path)?;
    let runtime = runtime()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = Tick::from_unix(i64::try_from(now.as_secs())?, 0);
    let minutes = |minutes: i64| minutes * 60 * TICKS_PER_SECOND;
    let many = Detections::generate(FULL_RING, now.minus(minutes(40)), minutes(30));
    tell(&Both {
        empty: runtime.block_on(polls(&component, Bytes::from_static(b"[]")))?,
        full: runtime.block_on(polls(&component, Bytes::copy_from_slice(many.body())))?,
    })
}

/// Reads what there is, and then polls on.
async fn polls(component: &source_host::Component, first: Bytes) -> anyhow::Result<Quiet> {
    let config = config::source(1, r#","start":"PT1H","overlap":"PT1H""#);
    let limits = Limits::default();
    let plan = Source::plan(component, &config, &limits)
        .await?
        .map_err(|problems| anyhow::anyhow!("the configuration is not valid: {problems:?}"))?;
    let transport = Arc::new(Memory { first: Mutex::new(Some(first)) });
    let (policy, clock) = (Policy::planned(&plan)?, Arc::new(SystemClock::default()));
    let mut source = Source::new(component, SourceParts { config, policy, transport, clock, limits });
    let mut position = Position::Resume(None);
    let mut poll = async || {
        let since = Instant::now();
        let polled = source.poll(&position, &BUDGET).await?;
        let took = since.elapsed().as_secs_f64();
        let batch = polled.map_err(|failure| anyhow::anyhow!("a poll failed: {failure:?}"))?;
        position = Position::Resume(Some(batch.checkpoint.clone()));
        anyhow::Ok((took, batch, source.requests()))
    };
    while poll().await?.1.next == NextPoll::Now {}
    let (mut wall, mut quiet) = (Vec::with_capacity(POLLS), Quiet::default());
    let cpu = usage::own_cpu()?;
    for _ in 0..POLLS {
        let (took, batch, requests) = poll().await?;
        anyhow::ensure!(batch.events.is_empty(), "a poll that should be quiet brought events");
        anyhow::ensure!(wall.is_empty() || requests == quiet.requests, "quiet polls differ in their requests");
        wall.push(took);
        (quiet.requests, quiet.checkpoint) = (requests, batch.checkpoint.len());
    }
    quiet.cpu = (usage::own_cpu()? - cpu).as_secs_f64() / POLLS as f64;
    quiet.wall = median(wall);
    Ok(quiet)
}

/// Answers the first request for detections with what it has, and later ones with none.
struct Memory {
    first: Mutex<Option<Bytes>>,
}

#[async_trait]
impl Transport for Memory {
    async fn send(&self, request: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        let body = if request.uri().path() == "/token" {
            Bytes::from_static(br#"{"token_type":"Bearer","expires_in":"3599","access_token":"bench"}"#)
        } else {
            let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.unwrap_or(Bytes::from_static(b"[]"))
        };
        Ok(http::Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync()))
    }
}
