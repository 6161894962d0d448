//! What sources do, in numbers.

mod exposition;
mod health;
mod measured;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::observer::{Observer, Step};
use measured::Measured;

pub use health::Health;

/// Counts what sources do. It is an [`Observer`]: put it into the options of their runs.
///
/// There is no global state: a program may have several. For each source it holds some kilobytes; what a component or a
/// service names freely, such as codes of errors, is told apart up to 64 names a source.
pub struct Metrics {
    clock: Arc<dyn Clock>,
    patience: Duration,
    sources: Mutex<BTreeMap<String, Measured>>,
}

impl Metrics {
    /// Counts from now on. A source that does nothing for longer than `patience`, and had not said that it would wait, is
    /// taken for stuck; it is to be longer than one call of a component may take.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { clock, patience, sources: Mutex::default() }
    }

    /// All numbers in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn exposition(&self) -> String {
        exposition::exposition(&self.sources(), self.clock.wall())
    }

    /// Whether each source makes progress or waits for something that it knows.
    #[must_use]
    pub fn health(&self) -> Health {
        health::health(&self.sources(), self.clock.monotonic(), self.patience)
    }

    // A thread that panicked while it counted leaves counts that are still some.
    fn sources(&self) -> MutexGuard<'_, BTreeMap<String, Measured>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn observe(&self, source: &str, step: &Step<'_>) {
        let (wall, now) = (self.clock.wall(), self.clock.monotonic());
        let mut sources = self.sources();
        if let Some(measured) = sources.get_mut(source) {
            measured.note(step, wall, now);
        } else {
            let mut measured = Measured::default();
            measured.note(step, wall, now);
            sources.insert(source.to_owned(), measured);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{Batch, Delay, Event, Failure, Fault, Gap, GapCause, Instant, NextPoll, Payload};
    use crate::checkpoint::StateError;
    use crate::clock::TokioClock;
    use crate::observer::Wait;
    use crate::runner::{Outcome, RunError};

    const START: u64 = 1_000_000;
    const PATIENCE: Duration = Duration::from_secs(360);

    fn metrics() -> Metrics {
        Metrics::new(Arc::new(TokioClock::starting_at(Duration::from_secs(START))), PATIENCE)
    }

    fn at(seconds: u64) -> Instant {
        Instant { seconds: i64::try_from(seconds).unwrap(), nanoseconds: 0 }
    }

    fn batch() -> Batch {
        let event = Event {
            key: "1".to_owned(),
            subject: "1".to_owned(),
            kind: "item".to_owned(),
            occurred: None,
            visible: Some(at(START - 30)),
            content_type: "application/json".to_owned(),
            body: Payload::Text("{}".to_owned()),
            attributes: Vec::new(),
        };
        let gap = Gap {
            key: "g".to_owned(),
            kind: "item".to_owned(),
            since: at(1),
            until: at(2),
            cause: GapCause::Other("a \"word\"\n".to_owned()),
            subject: None,
            detail: String::new(),
        };
        Batch {
            events: vec![event],
            gaps: vec![gap],
            checkpoint: "1".to_owned(),
            next: NextPoll::After(0),
            watermark: Some(at(START - 100)),
            notices: Vec::new(),
            counters: vec![("token-renewals".to_owned(), 2)],
        }
    }

    fn fault(code: &str) -> Fault {
        let (code, message) = (code.to_owned(), "too busy".to_owned());
        Fault { code, message, hint: None, status: None, request_id: None, checkpoint: None }
    }

    fn throttled(code: &str) -> Failure {
        Failure::Throttled(Delay { after: None, fault: fault(code) })
    }

    #[track_caller]
    fn has(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.exposition();
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "no `{line}` in\n{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everything_that_happens_is_counted_by_source() {
        let metrics = metrics();
        metrics.observe("b", &Step::Began);
        let batch = batch();
        for step in [
            Step::Began,
            Step::Polling,
            Step::Answered(Some(200)),
            Step::Answered(None),
            Step::Received(70),
            Step::Batch(&batch),
            Step::Taken("file"),
            Step::Delivered(&batch),
            Step::Stored,
            Step::Waiting(Wait::Schedule, Duration::from_millis(1_500)),
            Step::Failed(&throttled("http.status-429")),
            Step::Lost(&crate::CallError::Dead),
        ] {
            metrics.observe("a", &step);
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        has(
            &metrics,
            &[
                "# TYPE source_host_polls_total counter",
                "# TYPE source_host_up gauge",
                "source_host_polls_total{source=\"a\"} 1",
                "source_host_polls_total{source=\"b\"} 0",
                "source_host_requests_total{source=\"a\",code=\"200\"} 1",
                "source_host_requests_total{source=\"a\",code=\"none\"} 1",
                "source_host_received_bytes_total{source=\"a\"} 70",
                "source_host_events_total{source=\"a\"} 1",
                "source_host_gaps_total{source=\"a\",cause=\"truncated\"} 0",
                "source_host_gaps_total{source=\"a\",cause=\"a \\\"word\\\"\\n\"} 1",
                "source_host_errors_total{source=\"a\",kind=\"throttled\",code=\"http.status-429\"} 1",
                "source_host_errors_total{source=\"a\",kind=\"lost\",code=\"dead\"} 1",
                "source_host_wait_seconds_total{source=\"a\",for=\"schedule\"} 1.5",
                "source_host_component_total{source=\"a\",counter=\"token-renewals\"} 2",
                "source_host_instance_restarts_total{source=\"a\"} 1",
                "source_host_checkpoint_stores_total{source=\"a\"} 1",
                "source_host_sink_deliveries_total{source=\"a\",sink=\"file\"} 1",
                "source_host_watermark_timestamp_seconds{source=\"a\"} 999900",
                "source_host_watermark_age_seconds{source=\"a\"} 120",
                "source_host_lag_seconds{source=\"a\"} 30",
            ],
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_holds_itself_back_has_not_failed() {
        let metrics = metrics();
        let held_back = Failure::Throttled(Delay { after: Some(1), fault: fault("quota.used-up") });
        metrics.observe("a", &Step::Failed(&held_back));
        assert!(!metrics.exposition().contains("source_host_errors_total{"));
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_a_component_makes_up_do_not_grow_without_end() {
        let metrics = metrics();
        for number in 0..1_000 {
            metrics.observe("a", &Step::Failed(&throttled(&number.to_string())));
        }
        has(&metrics, &["source_host_errors_total{source=\"a\",kind=\"throttled\",code=\"other\"} 936"]);
        assert_eq!(metrics.exposition().matches("source_host_errors_total{").count(), 65);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_waits_for_the_service_is_healthy_however_long() {
        let metrics = metrics();
        metrics.observe("a", &Step::Failed(&throttled("http.status-429")));
        metrics.observe("a", &Step::Waiting(Wait::Service, Duration::from_secs(86_400)));
        tokio::time::advance(Duration::from_secs(86_400)).await;
        let health = metrics.health();
        assert!(health.is_ok());
        assert_eq!(health.to_json()["waiting_for_service"][0]["code"], "http.status-429");
        // It is due, and does not come.
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        assert!(!metrics.health().is_ok());
        metrics.observe("a", &Step::Polling);
        assert!(metrics.health().is_ok());
        metrics.observe("a", &Step::Batch(&batch()));
        assert_eq!(metrics.health().to_json()["waiting_for_service"], serde_json::json!([]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_failed_or_does_not_move_is_named_with_the_reason() {
        let metrics = metrics();
        metrics.observe("fine", &Step::Ended(Outcome::CaughtUp));
        let error = RunError::Unauthenticated(Fault { hint: Some("replace it".to_owned()), ..fault("AADSTS7000222") });
        metrics.observe("refused", &Step::GaveUp(&error));
        let state = StateError::Io { message: "no room".to_owned(), hint: "make room".to_owned() };
        metrics.observe("full", &Step::GaveUp(&RunError::State(state)));
        metrics.observe("stuck", &Step::Polling);
        metrics.observe("stuck", &Step::Batch(&batch()));
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        let health = metrics.health().to_json();
        assert_eq!(
            health["failing"],
            serde_json::json!([
                {
                    "source": "full", "state": "failed", "for_seconds": 361, "error": "no room", "code": null,
                    "hint": "make room",
                },
                {
                    "source": "refused", "state": "failed", "for_seconds": 361,
                    "error": "the service refused the credentials: too busy", "code": "AADSTS7000222",
                    "hint": "replace it",
                },
                {
                    "source": "stuck", "state": "stalled", "for_seconds": 361,
                    "error": "nothing has moved while it delivers", "code": null,
                    "hint": "see whether its sinks take what they are given",
                },
            ])
        );
        assert_eq!(health["sources"], serde_json::json!({ "total": 4, "failing": 3 }));
        has(&metrics, &["source_host_up{source=\"fine\"} 1", "source_host_up{source=\"refused\"} 0"]);
    }
}
