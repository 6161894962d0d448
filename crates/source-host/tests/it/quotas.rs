//! Requests that sources have together, in a host on a paused clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use source_host::{
    Batch, HttpError, Limits, MemoryStore, Observer, Origin, Outcome, Policy, Quota, RunError, RunOptions, Runner,
    Sink, SinkError, Source, SourceParts, Step, SystemClock, Timeouts, Transport, Turns, Wait, WasiBody, share,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::setup::component;

const ORIGIN: &str = "http://127.0.0.1:1";

/// Answers each request after a while: the first ones so, and all others with nothing new.
struct Busy {
    takes: Duration,
    first: Mutex<VecDeque<(u16, &'static str)>>,
    asked: Mutex<Vec<Instant>>,
}

impl Busy {
    fn answering(takes: u64, first: impl IntoIterator<Item = (u16, &'static str)>) -> Arc<Self> {
        let first = Mutex::new(first.into_iter().collect());
        Arc::new(Self { takes: Duration::from_secs(takes), first, asked: Mutex::default() })
    }

    /// When it was asked, in seconds after the first time.
    fn asked(&self) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|at| at.duration_since(asked[0]).as_secs()).collect()
    }
}

#[async_trait]
impl Transport for Busy {
    async fn send(&self, _: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        self.asked.lock().unwrap().push(Instant::now());
        let (status, retry_after) = self.first.lock().unwrap().pop_front().unwrap_or((200, "0"));
        sleep(self.takes).await;
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
        Ok(http::Response::builder().status(status).header("retry-after", retry_after).body(body).unwrap())
    }
}

struct Nowhere;

#[async_trait]
impl Sink for Nowhere {
    async fn deliver(&mut self, _: &str, _: &Batch) -> Result<(), SinkError> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// What a source waited for, and how long.
#[derive(Debug, Default)]
struct Waited(Mutex<Vec<(String, Wait, Duration)>>);

impl Observer for Waited {
    fn observe(&self, source: &str, step: &Step<'_>) {
        if let Step::Waiting(wait, length) = step {
            self.0.lock().unwrap().push((source.to_owned(), *wait, *length));
        }
    }
}

async fn runner(
    service: &Arc<Busy>,
    misbehave: &str,
    name: &str,
    more: impl FnOnce(RunOptions) -> RunOptions,
) -> Runner {
    let config = format!(r#"{{"origin":"{ORIGIN}","secret":"s","misbehave":{misbehave}}}"#);
    let limits = Limits::default();
    let plan = Source::plan(component(), &config, &limits).await.unwrap().unwrap();
    let policy = Policy::of(vec![ORIGIN.parse::<Origin>().unwrap()]);
    let transport = Arc::<Busy>::clone(service);
    let parts = SourceParts { config, policy, transport, clock: Arc::new(SystemClock::default()), limits };
    let options = more(RunOptions::of(name, &plan));
    Runner::new(Source::new(component(), parts), options, Box::new(MemoryStore::default()), share(Nowhere))
        .await
        .unwrap()
}

fn quota(per_minute: u32) -> Option<Arc<Quota>> {
    Some(Arc::new(Quota::new(per_minute, 100)))
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_for_its_turn_keeps_to_a_pause_that_came_meanwhile() {
    let service = Busy::answering(10, Some((429, "300")));
    let (quota, turns, waited) = (quota(50), Turns::of(1), Arc::new(Waited::default()));
    let (stop, stopping) = watch::channel(false);
    let mut running = Vec::new();
    for name in ["one", "two"] {
        let mut runner = runner(&service, "null", name, |options| RunOptions {
            quota: quota.clone(),
            turns: turns.clone(),
            observer: Some(Arc::<Waited>::clone(&waited)),
            ..options
        })
        .await;
        let stopping = stopping.clone();
        running.push(tokio::spawn(async move { runner.run(stopping).await }));
    }
    // The first one polls for ten seconds and is told to come back in five minutes; the second one has its requests
    // reserved by then, and waits for the turn.
    sleep(Duration::from_secs(200)).await;
    assert_eq!(service.asked(), [0]);
    let told = waited.0.lock().unwrap().clone();
    assert!(told.iter().any(|(name, wait, _)| name == "two" && *wait == Wait::Quota), "{told:?}");
    sleep(Duration::from_secs(200)).await;
    assert!(service.asked()[1..].iter().all(|at| *at >= 310) && service.asked().len() > 2, "{:?}", service.asked());
    stop.send_replace(true);
    for runner in running {
        assert_eq!(runner.await.unwrap().unwrap(), Outcome::Stopped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_with_an_end_waits_a_minute_for_its_quota_and_no_longer() {
    let service = Busy::answering(0, Some((429, "59")));
    let (_stop, stopping) = watch::channel(false);
    let quota = quota(50);
    let once = |options: RunOptions| RunOptions { once: true, quota: quota.clone(), ..options };
    let mut first = runner(&service, "null", "one", once).await;
    assert_eq!(first.run(stopping.clone()).await.unwrap(), Outcome::CaughtUp);
    assert!((59..70).contains(&service.asked()[1]), "{:?}", service.asked());

    let service = Busy::answering(0, Some((429, "600")));
    let mut first = runner(&service, "null", "one", once).await;
    let mut second = runner(&service, "null", "two", once).await;
    assert!(matches!(first.run(stopping.clone()).await, Err(RunError::Waiting { .. })));
    let begun = Instant::now();
    let refused = second.run(stopping).await.unwrap_err();
    assert!(matches!(refused, RunError::Quota { wait } if wait == Duration::from_secs(600)), "{refused}");
    assert!(refused.hint().unwrap().contains("without --once"));
    assert_eq!((begun.elapsed(), service.asked().len()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_with_an_end_waits_out_ten_failures_in_a_row_and_says_so() {
    let (_stop, stopping) = watch::channel(false);
    let once = |options: RunOptions| RunOptions { once: true, ..options };
    let service = Busy::answering(0, [(429, "5"); 10]);
    let mut patient = runner(&service, "null", "one", once).await;
    assert_eq!(patient.run(stopping.clone()).await.unwrap(), Outcome::CaughtUp);

    let service = Busy::answering(0, [(429, "5"); 11]);
    let mut given_up = runner(&service, "null", "one", once).await;
    let why = given_up.run(stopping).await.unwrap_err();
    assert_eq!(
        why.to_string(),
        "the service cannot be read now: 11 polls in a row failed; the next try would be in 5s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_before_a_request_that_was_put_off_is_not_the_last_one_of_a_run_with_an_end() {
    let (_stop, stopping) = watch::channel(false);
    for (status, polls) in [(429, 3), (503, 3), (404, 1)] {
        // Each poll asks for the items, and for more.
        let service = Busy::answering(0, [(200, "0"), (status, "0"), (200, "0"), (status, "0")]);
        let once = |options: RunOptions| RunOptions { once: true, ..options };
        let mut run = runner(&service, r#""put-off""#, "one", once).await;
        assert_eq!(run.run(stopping.clone()).await.unwrap(), Outcome::CaughtUp);
        assert_eq!((run.tally().gaps, service.asked().len()), (polls, 2 * polls as usize), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_holds_itself_back_is_waited_for_and_not_for_ever() {
    let service = Busy::answering(0, None);
    let waited = Arc::new(Waited::default());
    let (_stop, stopping) = watch::channel(false);
    let once =
        |options: RunOptions| RunOptions { once: true, observer: Some(Arc::<Waited>::clone(&waited)), ..options };
    let mut held_back = runner(&service, r#""hold-back""#, "one", once).await;
    let why = held_back.run(stopping).await.unwrap_err();
    assert!(matches!(why, RunError::Waiting { failures: 11, .. }), "{why}");
    let waits = vec![("one".to_owned(), Wait::Quota, Duration::from_secs(30)); 10];
    assert_eq!(*waited.0.lock().unwrap(), waits);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_needs_more_than_its_quota_ever_has_says_what_to_raise() {
    let service = Busy::answering(0, None);
    let (_stop, stopping) = watch::channel(false);
    let options = |options: RunOptions| RunOptions { quota: quota(3), ..options };
    let mut runner = runner(&service, "\"many-requests\"", "one", options).await;
    let refused = runner.run(stopping).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a poll needs 10 requests, and the quota that the source shares never has more than 3 at a time"
    );
    assert!(refused.hint().unwrap().contains("raise `per_minute` and `per_hour` of the [[quota]]"));
    assert!(service.asked().is_empty());
}
