//! The text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::measured::{Measured, Phase, seconds};
use crate::observer::Wait;

type Sources = BTreeMap<String, Measured>;

/// The causes of the contract, and the one that the component of this project adds, stand at nothing from the beginning, so
/// that the first gap is an increase.
const CAUSES: [&str; 5] = ["truncated", "expired", "unreadable", "partial", "overlap-shortened"];

pub(super) fn exposition(sources: &Sources, wall: Duration) -> String {
    let mut out = Exposition { text: String::new(), sources };
    out.head("source_host_build_info", "gauge", "The version of the host.");
    out.line("source_host_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.one("source_host_up", "gauge", "1 while the source runs or has ended well, 0 once it failed.", |measured| {
        Some(u8::from(!matches!(measured.phase, Phase::Failed(_))))
    });
    out.one("source_host_polls_total", "counter", "Polls, failed ones included.", |measured| Some(measured.polls));
    out.one("source_host_poll_seconds_total", "counter", "Time spent in polls.", |measured| {
        Some(measured.poll_time.as_secs_f64())
    });
    out.each(
        "source_host_requests_total",
        "counter",
        "HTTP requests by the status of the answer; none where none came.",
        |measured, line| {
            for (status, count) in &measured.requests {
                let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                line(&[("code", &code)], *count as f64);
            }
        },
    );
    out.one("source_host_received_bytes_total", "counter", "Bytes of answers' bodies, decoded.", |measured| {
        Some(measured.received)
    });
    out.one("source_host_events_total", "counter", "Events that all sinks took.", |measured| Some(measured.events));
    out.each("source_host_gaps_total", "counter", "Ranges known not to have been read, by cause.", |measured, line| {
        for cause in CAUSES {
            line(&[("cause", cause)], measured.gaps.0.get(cause).copied().unwrap_or_default() as f64);
        }
        for (cause, count) in measured.gaps.0.iter().filter(|(cause, _)| !CAUSES.contains(&cause.as_str())) {
            line(&[("cause", cause)], *count as f64);
        }
    });
    out.each(
        "source_host_errors_total",
        "counter",
        "Failures by kind (who acts) and code (docs/errors.md).",
        |measured, line| {
            for ((kind, code), count) in &measured.errors.0 {
                line(&[("kind", kind), ("code", code)], *count as f64);
            }
        },
    );
    out.each(
        "source_host_wait_seconds_total",
        "counter",
        "Waits that were begun, by what is waited for.",
        |measured, line| {
            for (wait, waited) in Wait::ALL.iter().zip(measured.waits) {
                line(&[("for", wait.word())], waited.as_secs_f64());
            }
        },
    );
    out.each(
        "source_host_component_total",
        "counter",
        "What the component counts by itself, such as token-renewals and duplicates.",
        |measured, line| {
            for (counter, count) in &measured.counters.0 {
                line(&[("counter", counter)], *count as f64);
            }
        },
    );
    out.one("source_host_instance_restarts_total", "counter", "Instances that were lost and replaced.", |measured| {
        Some(measured.restarts)
    });
    out.one("source_host_checkpoint_stores_total", "counter", "Checkpoints stored.", |measured| Some(measured.stores));
    out.each("source_host_sink_deliveries_total", "counter", "Batches that a sink took.", |measured, line| {
        for (sink, count) in &measured.deliveries {
            line(&[("sink", sink)], *count as f64);
        }
    });
    out.one(
        "source_host_watermark_timestamp_seconds",
        "gauge",
        "Everything that was visible before this time, since 1970, was delivered.",
        |measured| measured.watermark.map(seconds),
    );
    out.one("source_host_watermark_age_seconds", "gauge", "How long ago the watermark is.", |measured| {
        measured.watermark.map(|watermark| (wall.as_secs_f64() - seconds(watermark)).max(0.0))
    });
    out.one(
        "source_host_lag_seconds",
        "gauge",
        "How long the newest event of the last batch had been visible when it was delivered.",
        |measured| measured.lag,
    );
    out.text
}

struct Exposition<'a> {
    text: String,
    sources: &'a Sources,
}

impl Exposition<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value a source, where it has one.
    fn one<V: Display>(&mut self, name: &str, kind: &str, help: &str, value: impl Fn(&Measured) -> Option<V>) {
        self.head(name, kind, help);
        for (source, measured) in self.sources {
            if let Some(value) = value(measured) {
                self.line(name, &[("source", source)], value);
            }
        }
    }

    /// Several values a source, which further labels tell apart.
    fn each(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl Fn(&Measured, &mut dyn FnMut(&[(&str, &str)], f64)),
    ) {
        self.head(name, kind, help);
        for (source, measured) in self.sources {
            values(measured, &mut |labels, value| {
                let labels: Vec<_> = [("source", source.as_str())].into_iter().chain(labels.iter().copied()).collect();
                self.line(name, &labels, value);
            });
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.text.push(if number == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}
