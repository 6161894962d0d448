//! A native program of the same core: its machine, driven over reqwest, with the host's own NDJSON writer and state file.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use defender_core::contract as core;
use defender_core::http::{Method, Request, ResponseHead};
use defender_core::tick::{Now, Tick};
use defender_core::{Input, Machine, Output, Session};
use source_host::{
    Batch, CheckpointStore as _, Event, FileStore, Gap, GapCause, Lineage, LinesSink, NextPoll, Payload, Shape,
    Sink as _, Stored,
};

use crate::Contestant;
use crate::component::{NAME, runtime};
use crate::config::{self, BUDGET, instant};
use crate::sample::{Stopwatch, tell};

/// How often `source-host run` stores a checkpoint while there is more to read.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// Reads one range and tells what that cost.
pub(crate) fn run(contestant: &Contestant) -> anyhow::Result<()> {
    let Contestant { port, since, span, .. } = contestant;
    let config = config::source(*port, "");
    let range = (Tick(*since), Tick(since + span));
    let folder = tempfile::tempdir()?;
    let store = FileStore::open(folder.path(), NAME, &Lineage::Running)?;
    // The process has one provider of cryptography, and nothing is encrypted here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build()?;
    let sink = LinesSink::stdout(Shape::Enveloped);
    runtime()?.block_on(async {
        let watch = Stopwatch::start()?;
        let events = tokio::spawn(async move { read(&client, &config, range, sink, store).await }).await??;
        let mut sample = watch.stop()?;
        sample.events = events;
        tell(&sample)
    })
}

async fn read(
    client: &reqwest::Client,
    config: &str,
    (since, until): (Tick, Tick),
    mut sink: LinesSink,
    mut store: FileStore,
) -> anyhow::Result<u64> {
    let mut driver = Driver { client, origin: Instant::now(), answer: None };
    let mut session = Session::default();
    let mut position = core::Position::Range(since, until);
    let mut events = 0;
    let mut stored_at = Instant::now();
    loop {
        let begun = session.begin(config, &position, budget(), driver.now());
        let polled = match begun {
            Ok(machine) => driver.drive(machine).await?,
            Err(failure) => Err(failure),
        };
        if !session.wants_body() {
            driver.answer = None;
        }
        let batch = batch(polled.map_err(|failure| anyhow::anyhow!("a poll failed: {failure:?}"))?);
        sink.deliver(NAME, &batch).await?;
        events += batch.events.len() as u64;
        let is_over = batch.next != NextPoll::Now;
        position = core::Position::Resume(Some(batch.checkpoint.clone()));
        if is_over || stored_at.elapsed() >= STORE_EVERY {
            sink.flush().await?;
            store.store(&Stored { checkpoint: Some(batch.checkpoint), ..Stored::default() }).await?;
            stored_at = Instant::now();
        }
        if is_over {
            anyhow::ensure!(batch.next == NextPoll::Ended, "the range was not read to its end");
            return Ok(events);
        }
    }
}

/// Does what a machine says.
struct Driver<'a> {
    client: &'a reqwest::Client,
    origin: Instant,
    /// The answer that is being read.
    answer: Option<reqwest::Response>,
}

impl Driver<'_> {
    fn now(&self) -> Now {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX);
        let monotonic = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { wall: Tick::from_unix(seconds, wall.subsec_nanos()), monotonic }
    }

    async fn drive(&mut self, machine: &mut Machine) -> anyhow::Result<Result<core::Batch, core::Failure>> {
        loop {
            match machine.step(self.now()) {
                Output::Done(done) => return Ok(done),
                Output::Send(request) => {
                    let (head, answer) = self.send(request).await?;
                    self.answer = Some(answer);
                    machine.handle(Input::ResponseHead(head), self.now());
                }
                Output::ReadBody => {
                    let answer = self.answer.as_mut().context("there is no answer to read")?;
                    match answer.chunk().await? {
                        Some(chunk) => machine.handle(Input::BodyChunk(&chunk), self.now()),
                        None => machine.handle(Input::BodyEnd, self.now()),
                    }
                }
            }
        }
    }

    async fn send(&self, request: Request) -> anyhow::Result<(ResponseHead, reqwest::Response)> {
        let mut sending = match request.method {
            Method::Get => self.client.get(&request.url),
            Method::Post => self.client.post(&request.url).body(request.body),
        };
        for (name, value) in &request.headers {
            sending = sending.header(*name, value);
        }
        let answer = sending.send().await?;
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok((ResponseHead { status: answer.status().as_u16(), headers }, answer))
    }
}

fn budget() -> core::Budget {
    let source_host::Budget { max_events, max_bytes, max_requests, max_duration } = BUDGET;
    core::Budget { max_events, max_bytes, max_requests, max_duration }
}

/// The batch as the host's writer takes it.
fn batch(batch: core::Batch) -> Batch {
    Batch {
        events: batch.events.into_iter().map(event).collect(),
        gaps: batch.gaps.into_iter().map(gap).collect(),
        checkpoint: batch.checkpoint,
        next: match batch.next {
            core::NextPoll::Now => NextPoll::Now,
            core::NextPoll::After(nanoseconds) => NextPoll::After(nanoseconds),
            core::NextPoll::Ended => NextPoll::Ended,
        },
        watermark: batch.watermark.map(instant),
        notices: Vec::new(),
        counters: Vec::new(),
    }
}

fn event(event: core::Event) -> Event {
    Event {
        key: event.key,
        subject: event.subject,
        kind: event.kind.to_owned(),
        occurred: event.occurred.map(instant),
        visible: event.visible.map(instant),
        content_type: event.content_type.to_owned(),
        body: match event.body {
            core::Payload::Text(text) => Payload::Text(text),
            core::Payload::Binary(bytes) => Payload::Binary(bytes),
        },
        attributes: event.attributes,
    }
}

fn gap(gap: core::Gap) -> Gap {
    Gap {
        key: gap.key,
        kind: gap.kind.to_owned(),
        since: instant(gap.since),
        until: instant(gap.until),
        cause: match gap.cause {
            core::GapCause::Truncated => GapCause::Truncated,
            core::GapCause::Expired => GapCause::Expired,
            core::GapCause::Unreadable => GapCause::Unreadable,
            core::GapCause::Partial => GapCause::Partial,
            core::GapCause::Other(word) => GapCause::Other(word.to_owned()),
        },
        subject: gap.subject,
        detail: gap.detail,
    }
}
