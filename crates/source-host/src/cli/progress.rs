//! How far sources are that have much to read, in the last line of a terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Moment, SystemTime};

use source_host::{Batch, Instant, NextPoll, Observer, Step};

use super::terminal::draw;

/// What is read in less than this needs no progress.
const SOON: Duration = Duration::from_secs(1);
/// How often the line is redrawn at the most.
const EVERY: Duration = Duration::from_millis(200);

/// Draws the progress of whichever source is furthest behind.
#[derive(Debug)]
pub(crate) struct Progress {
    range: Option<(Instant, Instant)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    behind: BTreeMap<String, Behind>,
    drawn: Option<Moment>,
}

/// A source that has more to read.
#[derive(Debug)]
struct Behind {
    from: Instant,
    until: Instant,
    at: Instant,
    events: u64,
    begun: Moment,
}

impl Progress {
    /// The range is what all sources read, where it is one.
    pub(crate) fn new(range: Option<(Instant, Instant)>) -> Self {
        Self { range, state: Mutex::default() }
    }
}

impl Observer for Progress {
    fn observe(&self, source: &str, step: &Step<'_>) {
        // A thread that panicked here left a line that is a little wrong.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Batch(batch) if batch.next == NextPoll::Now => {
                let Some(at) = position(batch) else { return };
                if !state.behind.contains_key(source) {
                    let (from, until) = self.range.unwrap_or((at, SystemTime::now().into()));
                    let behind = Behind { from, until, at: from, events: 0, begun: Moment::now() };
                    state.behind.insert(source.to_owned(), behind);
                }
            }
            Step::Delivered(batch) => {
                let Some(behind) = state.behind.get_mut(source) else { return };
                behind.events += batch.events.len() as u64;
                behind.at = position(batch).unwrap_or(behind.at);
                let is_long = behind.begun.elapsed() >= SOON;
                if is_long && state.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY) {
                    state.drawn = Some(Moment::now());
                    draw(&line(&state.behind));
                }
            }
            Step::Waiting(source_host::Wait::Schedule, _) | Step::Ended(_) | Step::GaveUp(_) => {
                let was_behind = state.behind.remove(source).is_some();
                if was_behind {
                    draw(&line(&state.behind));
                }
            }
            _ => {}
        }
    }
}

/// How far a batch has come.
fn position(batch: &Batch) -> Option<Instant> {
    batch.watermark.or_else(|| {
        batch.events.iter().filter_map(|event| event.visible).max_by(|a, b| seconds(*a).total_cmp(&seconds(*b)))
    })
}

fn line(behind: &BTreeMap<String, Behind>) -> String {
    let furthest = behind.iter().min_by(|(_, a), (_, b)| a.share().total_cmp(&b.share()));
    let Some((source, furthest)) = furthest else { return String::new() };
    let elapsed = furthest.begun.elapsed().as_secs_f64();
    let more = if behind.len() > 1 { format!(" (and {} more)", behind.len() - 1) } else { String::new() };
    format!("{source}{more} {}", furthest.told(elapsed))
}

impl Behind {
    /// How much of its range was read, from 0 to 1.
    fn share(&self) -> f64 {
        let whole = seconds(self.until) - seconds(self.from);
        if whole > 0.0 { ((seconds(self.at) - seconds(self.from)) / whole).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn told(&self, elapsed: f64) -> String {
        let share = self.share();
        let rate = self.events as f64 / elapsed.max(0.001);
        let left = if share > 0.0 { left(elapsed * (1.0 - share) / share) } else { "?".to_owned() };
        format!(
            "{}..{} {:3.0}% {rate:.0} events/s {left} left",
            minute(self.from),
            minute(self.until),
            (share * 100.0).floor()
        )
    }
}

fn seconds(instant: Instant) -> f64 {
    instant.seconds as f64 + f64::from(instant.nanoseconds) / 1e9
}

/// To the minute: `2026-11-27T05:54Z`.
fn minute(instant: Instant) -> String {
    let text = instant.to_string();
    text.get(..16).map_or_else(|| text.clone(), |minute| format!("{minute}Z"))
}

fn left(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_range_share_rate_and_what_is_left() {
        let at = |text| Instant::parse(text).unwrap();
        let (from, until) = (at("2026-11-20T08:00"), at("2026-11-24T08:00"));
        let behind = Behind { from, until, at: from, events: 0, begun: Moment::now() };
        assert_eq!(behind.told(0.0), "2026-11-20T08:00Z..2026-11-24T08:00Z   0% 0 events/s ? left");
        let behind = Behind { at: at("2026-11-21T08:00"), events: 5_000, ..behind };
        assert_eq!(behind.told(50.0), "2026-11-20T08:00Z..2026-11-24T08:00Z  25% 100 events/s 2 min 30 s left");
        let behind = Behind { at: at("2026-11-25T08:00"), ..behind };
        assert_eq!(behind.told(50.0), "2026-11-20T08:00Z..2026-11-24T08:00Z 100% 100 events/s 0 s left");
    }
}
