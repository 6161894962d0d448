//! The same detections, read three ways in turn.

use crate::Suite;
use crate::process::{Server, is_installed};
use crate::sample::{Sample, median};

/// What each contestant took, round by round.
pub(crate) struct Contest {
    /// With code that an earlier start compiled.
    pub(crate) component: Vec<Sample>,
    /// At the first start, which compiles.
    pub(crate) first: Sample,
    pub(crate) native: Vec<Sample>,
    /// None where curl or jq is not installed.
    pub(crate) jq: Option<Vec<Sample>>,
}

/// What is missing to compare with `curl | jq`.
pub(crate) fn missing() -> Vec<&'static str> {
    ["curl", "jq"].into_iter().filter(|program| !is_installed(program)).collect()
}

/// Runs the rounds. One before them, which is not counted, lets the server and the caches warm up.
pub(crate) fn run(server: &Server, suite: &Suite, cache: &str) -> anyhow::Result<Contest> {
    let with_jq = missing().is_empty();
    let component = || complete(server.run("component", &suite.component, &["--cache", cache])?, suite.detections);
    let native = || complete(server.run("native", &suite.component, &[])?, suite.detections);
    let (first, _) = (component()?, native()?);
    let mut contest = Contest { component: Vec::new(), first, native: Vec::new(), jq: with_jq.then(Vec::new) };
    for round in 1..=suite.rounds {
        let (component, native) = (component()?, native()?);
        contest.component.push(component);
        contest.native.push(native);
        if let Some(samples) = &mut contest.jq {
            samples.push(server.curl_and_jq()?);
        }
        eprintln!("round {round} of {} is run", suite.rounds);
    }
    Ok(contest)
}

/// Speed counts only where everything came.
pub(crate) fn complete(sample: Sample, detections: u32) -> anyhow::Result<Sample> {
    anyhow::ensure!(sample.events == u64::from(detections), "{} of {detections} came", sample.events);
    Ok(sample)
}

/// The median over the rounds of how many times as much the first one took as the second one did in the same round.
pub(crate) fn ratio(first: &[Sample], second: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    median(first.iter().zip(second).map(|(first, second)| of(first) / of(second)))
}
