//! What the operator configured.

use defender_core::config::Config;
use defender_core::contract::Position;
use defender_core::tick::{TICKS_PER_SECOND, Tick};
use defender_core::{Limits, Machine};
use twox_hash::XxHash64;

use super::api::{APIS, Api};
use crate::bytes::Bytes;
use crate::canary;

/// What an instance is made of, and when the run begins.
pub(super) struct Setup {
    pub(super) api: &'static Api,
    /// Whether the first version of a thing is its only event.
    pub(super) is_first_seen: bool,
    /// How many rows a service that is well has on one tick.
    pub(super) crowd: usize,
    pub(super) config: Config,
    pub(super) limits: Limits,
    pub(super) position: Position,
    pub(super) wall: Tick,
    pub(super) is_probe: bool,
    /// Whether the clock is so far off that reading to the end would take for ever.
    pub(super) is_far_off: bool,
}

/// In the running source: the range of one request, the overlap and what is left for the next poll.
const LENGTHS: [&str; 4] = [
    r#""slice":"PT1H""#,
    r#""slice":"PT10M","overlap":"PT10M","settle":"PT0S""#,
    r#""slice":"P1D","overlap":"PT0S","start":"P2D""#,
    r#""slice":"PT15M","overlap":"PT3H","start":"PT5H","limit":4"#,
];

const REQUESTS: [&str; 4] = [
    r#""request":{"ago":"PT1H"}"#,
    r#""request":{"sinceTimeUtc":"2026-01-01T10:00:00Z","untilTimeUtc":"2026-01-01T11:00:00Z"}"#,
    r#""request":{"sinceTimeUtc":"2026-01-01T10:00:00Z","limit":2}"#,
    r#""request":{"machinegroups":["a"]}"#,
];

impl Setup {
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Self {
        let normal = Tick::parse("2026-01-01T12:00:00Z").unwrap_or_default();
        let first = usize::from(bytes.byte());
        let (mode, (api, is_first_seen)) = (first % 8, APIS[first / 8 % APIS.len()]);
        let is_single = mode > 5 && !api.updates();
        let mut members = if is_single { bytes.pick(&REQUESTS) } else { bytes.pick(&LENGTHS) }.to_owned();
        match bytes.below(8) {
            limit @ 1..=3 if !is_single && !members.contains("limit") => {
                members.push_str(&format!(",\"limit\":{limit}"))
            }
            4 => members.push_str(&format!(",{}", api.filter)),
            5 if !is_single && !members.contains("start") => members.push_str(",\"start\":\"now\""),
            _ => {}
        }
        if is_first_seen {
            members.push_str(",\"emit\":\"first-seen\"");
        }
        let limits = match bytes.below(4) {
            0 => Limits::default(),
            1 => Limits { checkpoint_bytes: 2048 + 200, event_bytes: 400, suspicious_rows: 9 },
            2 => Limits { checkpoint_bytes: 2048 + 120, event_bytes: 100, suspicious_rows: 4 },
            _ => Limits { suspicious_rows: 5, ..Limits::default() },
        };
        let last = bytes.byte();
        let wall = match last {
            253 => Tick::MIN,
            254 => Tick::MAX,
            255 => Tick::default(),
            _ => normal,
        };
        let range = Position::Range(normal.minus(7200 * TICKS_PER_SECOND), normal.plus(1));
        let secret = serde_json::Value::from(canary::SECRET);
        let text = format!(
            r#"{{"tenant_id":"contoso.example","client_id":"11111111-2222-4333-8444-555555555555","client_secret":{secret},
            {},{members}}}"#,
            api.members
        );
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let taken_over = (last == 252).then(|| siem_at(normal, &config.accepts())).flatten();
        Self {
            api,
            is_first_seen,
            crowd: usize::from(last % 16),
            config,
            limits,
            position: if mode == 4 { range } else { Position::Resume(taken_over) },
            wall,
            is_probe: mode == 5,
            is_far_off: wall != normal,
        }
    }

    /// A fresh instance at a position.
    pub(super) fn machine(&self, position: &Position) -> Machine {
        if self.is_probe {
            return Machine::probe(self.config.clone());
        }
        match Machine::with_limits(self.config.clone(), position, self.limits) {
            Ok(machine) => machine,
            Err(failure) => panic!("a fresh instance cannot read on from {position:?}: {failure:?}"),
        }
    }
}

/// The checkpoint of a source of the SIEM API that has read up to an hour before `now`; none where it is not taken over.
fn siem_at(now: Tick, accepts: &[String]) -> Option<String> {
    let (hour, identity) = (3600 * TICKS_PER_SECOND, accepts.first()?);
    let (start, cursor) = (now.minus(3 * hour), now.minus(hour));
    let text = format!(
        r#"{{"format":"defender-source/1","identity":"{identity}","start":"{start}","cursor":"{cursor}","reread":"{cursor}","length":{hour},"keys":{{}}"#
    );
    let sum = XxHash64::oneshot(0, text.as_bytes());
    Some(format!(r#"{text},"sum":"{sum:016x}"}}"#))
}
