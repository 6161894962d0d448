//! What a contestant tells of its run: one line of JSON on stderr, since stdout carries the events.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::usage;

/// One run, from the first request to the last line.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// How many events were delivered.
    pub(crate) events: u64,
    /// How many polls that took.
    pub(crate) polls: u64,
    /// CPU time in seconds.
    pub(crate) cpu: f64,
    /// Time on the wall in seconds.
    pub(crate) wall: f64,
    /// Peak of resident memory before it, in bytes.
    pub(crate) peak_before: u64,
    /// Peak of resident memory during it, in bytes.
    pub(crate) peak: u64,
    /// Time on the wall that storing checkpoints took, in seconds.
    pub(crate) storing: f64,
    /// How often one was stored.
    pub(crate) stores: u64,
}

/// Measures one run.
pub(crate) struct Stopwatch {
    cpu: Duration,
    since: Instant,
    peak_before: u64,
}

impl Stopwatch {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let peak_before = usage::own_peak()?;
        usage::reset_own_peak()?;
        Ok(Self { cpu: usage::own_cpu()?, since: Instant::now(), peak_before })
    }

    /// What it cost up to now; the caller adds what was done.
    pub(crate) fn stop(&self) -> anyhow::Result<Sample> {
        Ok(Sample {
            wall: self.since.elapsed().as_secs_f64(),
            cpu: usage::own_cpu()?.saturating_sub(self.cpu).as_secs_f64(),
            peak_before: self.peak_before,
            peak: usage::own_peak()?,
            ..Sample::default()
        })
    }
}

/// Hands a finding to the process that started this one.
pub(crate) fn tell(finding: &impl Serialize) -> anyhow::Result<()> {
    eprintln!("{}", serde_json::to_string(finding)?);
    Ok(())
}

/// The middle of some figures; of an even number of them, the mean of the two in the middle.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match (figures.len() % 2, figures.get(middle)) {
        (_, None) => f64::NAN,
        (1, Some(figure)) => *figure,
        (_, Some(upper)) => f64::midpoint(figures[middle - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
