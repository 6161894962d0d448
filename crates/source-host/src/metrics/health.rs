//! Whether sources get on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::measured::{Ailment, Measured, Phase};

/// Whether sources get on.
#[derive(Clone, Debug)]
pub struct Health {
    total: usize,
    failing: Vec<Value>,
    waiting: Vec<Value>,
}

impl Health {
    /// Each source makes progress, has ended well, or waits for something that it knows. A service that cannot be reached
    /// is such a thing: to start the host again would not help.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failing.is_empty()
    }

    /// Which sources fail and why, and which ones wait for their service.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "status": if self.is_ok() { "ok" } else { "failing" },
            "sources": { "total": self.total, "failing": self.failing.len() },
            "failing": self.failing,
            "waiting_for_service": self.waiting,
        })
    }
}

pub(super) fn health(sources: &BTreeMap<String, Measured>, now: Duration, patience: Duration) -> Health {
    let mut health = Health { total: sources.len(), failing: Vec::new(), waiting: Vec::new() };
    for (source, measured) in sources {
        if let Some(outage) = &measured.outage {
            health.waiting.push(json!({
                "source": source, "for_seconds": now.saturating_sub(outage.since).as_secs(), "failures": outage.failures,
                "code": outage.code, "error": outage.message,
            }));
        }
        let (state, ailment) = match &measured.phase {
            Phase::Failed(ailment) => ("failed", ailment.clone()),
            phase => match stalled(phase, measured.moved, now, patience) {
                Some(ailment) => ("stalled", ailment),
                None => continue,
            },
        };
        let Ailment { error, code, hint } = ailment;
        health.failing.push(json!({
            "source": source, "state": state, "for_seconds": now.saturating_sub(measured.moved).as_secs(),
            "error": error, "code": code, "hint": hint,
        }));
    }
    health
}

/// Why a source should have moved by now.
fn stalled(phase: &Phase, moved: Duration, now: Duration, patience: Duration) -> Option<Ailment> {
    let (due, doing, hint) = match phase {
        Phase::Starting => (moved, "it starts", "look at the log"),
        Phase::Polling => (moved, "it polls", "look at the log; a poll ends after `call_timeout` under [host]"),
        Phase::Delivering => (moved, "it delivers", "see whether its sinks take what they are given"),
        Phase::Waiting(until) => (*until, "it should have polled again", "look at the log, and at the machine's load"),
        Phase::Ended | Phase::Failed(_) => return None,
    };
    (now > due.saturating_add(patience)).then(|| Ailment {
        error: format!("nothing has moved while {doing}"),
        code: None,
        hint: Some(hint.to_owned()),
    })
}
