//! A clock that jumps while the host runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use source_host::{
    Batch, CheckpointStore, Clock, Engine, MemoryStore, Metrics, Observer, RunOptions, Runner, Secrets, Sink,
    SinkError, StateError, Step, Stored, TokioClock, Wait, share,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::{Detection, Service, client_secret, source};
use crate::setup::defender;

const HOUR: u64 = 3_600;
/// 2026-03-01T00:00:00Z
const START: Duration = Duration::from_secs(1_772_323_200);

/// A clock that is ahead of the right one.
struct Wrong {
    right: TokioClock,
    seconds_ahead: AtomicI64,
}

impl Clock for Wrong {
    fn wall(&self) -> Duration {
        let ahead = self.seconds_ahead.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { self.right.wall().saturating_sub(by) } else { self.right.wall() + by }
    }

    fn monotonic(&self) -> Duration {
        self.right.monotonic()
    }
}

/// Counts how often each event came.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<BTreeMap<String, u32>>>);

#[async_trait]
impl Sink for Keys {
    async fn deliver(&mut self, _: &str, batch: &Batch) -> Result<(), SinkError> {
        assert!(batch.gaps.is_empty(), "{:?}", batch.gaps);
        for event in &batch.events {
            *self.0.lock().unwrap().entry(event.subject.clone()).or_default() += 1;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A state that outlives the host.
#[derive(Clone, Default)]
struct Kept(Arc<tokio::sync::Mutex<MemoryStore>>);

#[async_trait]
impl CheckpointStore for Kept {
    async fn load(&mut self) -> Result<Option<Stored>, StateError> {
        self.0.lock().await.load().await
    }

    async fn store(&mut self, stored: &Stored) -> Result<(), StateError> {
        self.0.lock().await.store(stored).await
    }

    async fn clear(&mut self) -> Result<(), StateError> {
        self.0.lock().await.clear().await
    }
}

/// The waits that were told, besides what the metrics make of it.
#[derive(Debug)]
struct Waits {
    metrics: Metrics,
    waits: Mutex<Vec<Duration>>,
}

impl Observer for Waits {
    fn observe(&self, source: &str, step: &Step<'_>) {
        self.metrics.observe(source, step);
        if let Step::Waiting(Wait::Schedule, wait) = step {
            self.waits.lock().unwrap().push(*wait);
        }
    }
}

impl Waits {
    fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics.exposition();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{source=\"siem\"}} ")));
        line.map(|value| value.parse().unwrap())
    }
}

/// Runs for thirty hours with these jumps, at these hours, to so many seconds ahead; each in a host that is started then
/// or in one that goes on. Returns how often each detection came.
async fn run(jumps: &[(u64, i64)], restarted: bool) -> (Vec<Detection>, BTreeMap<String, u32>) {
    let right = TokioClock::starting_at(START);
    let clock = Arc::new(Wrong { right, seconds_ahead: AtomicI64::new(0) });
    // One a minute, which is there up to two minutes later.
    let detections: Vec<Detection> = (0..28 * 60)
        .map(|minute| {
            let at = START + Duration::from_secs(60 * minute + 7);
            let mut detection = Detection::processed(at, minute);
            detection.visible += Duration::from_secs(30 * (minute % 5));
            detection
        })
        .collect();
    let service = Service::new(Arc::new(right), "a.b.c", detections.clone());
    let component = Engine::new().unwrap().load(&defender()).unwrap();
    let observer = Arc::new(Waits {
        metrics: Metrics::new(Arc::<Wrong>::clone(&clock), Duration::from_secs(360)),
        waits: Mutex::default(),
    });
    let (keys, state) = (Keys::default(), Kept::default());
    let start = async || {
        let secrets = Secrets::new().unwrap();
        let since = r#","start":"2026-03-01T00:00:00Z""#;
        let (source, plan) =
            source(&component, &service, Arc::<Wrong>::clone(&clock), secrets, &client_secret("secret"), since).await;
        let observer = Arc::<Waits>::clone(&observer);
        let options = RunOptions { observer: Some(observer), ..RunOptions::of("siem", &plan) };
        let mut runner = Runner::new(source, options, Box::new(state.clone()), share(keys.clone())).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        (tokio::spawn(async move { runner.run(stopping).await }), stop)
    };
    let (mut running, mut stop) = start().await;
    let mut hour = 0;
    for &(at, seconds_ahead) in jumps.iter().chain(&[(30, 0)]) {
        for _ in hour..at {
            sleep(Duration::from_secs(HOUR)).await;
            for (metric, most) in [("source_host_lag_seconds", 13.0), ("source_host_watermark_age_seconds", 14.0)] {
                // There is no watermark before the overlap is over for the first time.
                let hours = observer.metric(metric).map(|seconds| seconds / HOUR as f64);
                assert!(hours.is_none_or(|hours| (0.0..=most).contains(&hours)), "{metric}: {hours:?}, {jumps:?}");
            }
            assert!(observer.metrics.health().is_ok(), "{}", observer.metrics.health().to_json());
        }
        hour = at;
        clock.seconds_ahead.store(seconds_ahead, Ordering::Relaxed);
        if restarted {
            stop.send_replace(true);
            running.await.unwrap().unwrap();
            (running, stop) = start().await;
        }
    }
    assert!(observer.metric("source_host_watermark_age_seconds").is_some());
    stop.send_replace(true);
    running.await.unwrap().unwrap();
    let waits = observer.waits.lock().unwrap();
    // Five minutes, and the jitter that may be added: neither a clock that is ahead nor one that is behind makes it wait
    // for hours, or ask again and again.
    assert!(waits.iter().all(|wait| (Duration::from_secs(1)..=Duration::from_secs(360)).contains(wait)), "{waits:?}");
    assert!(service.requests().len() < 30 * 60, "{} requests", service.requests().len());
    let came = keys.0.lock().unwrap().clone();
    (detections, came)
}

const JUMPS: [&[(u64, i64)]; 4] = [
    // Forward by hours, and right again.
    &[(3, 6 * 3_600), (9, 0)],
    // Back by hours, and right again.
    &[(5, -7_200), (8, 0)],
    // Both, and a machine that begins in 1970.
    &[(2, 12 * 3_600), (7, -3 * 3_600), (11, 0)],
    &[(4, -56 * 365 * 86_400), (6, 0)],
];

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_loses_no_event_and_repeats_none() {
    for jumps in JUMPS {
        let (detections, came) = run(jumps, false).await;
        for detection in detections {
            assert_eq!(came.get(&detection.id), Some(&1), "{} with {jumps:?}", detection.id);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_starts_with_a_wrong_clock_loses_no_event() {
    for jumps in JUMPS {
        let (detections, came) = run(jumps, true).await;
        for detection in detections {
            assert_eq!(came.get(&detection.id), Some(&1), "{} with {jumps:?}", detection.id);
        }
    }
}
