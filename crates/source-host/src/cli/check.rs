//! `source-host check`.

use std::path::Path;

use source_host::{Level, RunError};
use tracing::Instrument as _;

use super::config::Config;
use super::open::{Components, network, open};
use super::print;
use super::report::{Report, sentence};

/// Probes every source and prints what each has to say.
pub(crate) async fn check(path: &Path) -> Result<(), Report> {
    let config = Config::load(path)?;
    let network = network(&config)?;
    let mut components = Components::new(config.host.cache.clone())?;
    let mut problems = Vec::new();
    for table in &config.sources {
        let name = &table.name;
        let mut opened = match open(table, &config, &mut components, &network).await {
            Ok(opened) => opened,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match opened.source.probe().instrument(tracing::info_span!("probe", source = name)).await {
            Ok(Ok(findings)) => {
                for finding in &findings {
                    let level = match finding.level {
                        Level::Error => "error",
                        Level::Warning => "warning",
                        Level::Note => "ok",
                    };
                    print(&format!("{name}: {level}: {}", sentence(finding)))?;
                }
                if findings.iter().any(|finding| finding.level == Level::Error) {
                    problems.push(Report::failed("the check found what does not work").of(name));
                } else if findings.is_empty() {
                    print(&format!("{name}: ok"))?;
                }
            }
            Ok(Err(failure)) => {
                // What a component makes of a secret that is not there leads nowhere.
                let missing = opened.source.missing_secret();
                let mut report = Report::from(missing.map_or_else(|| RunError::from(failure), RunError::Secret));
                for denial in opened.source.denials() {
                    report = report.because(denial);
                }
                problems.push(report.of(name));
            }
            Err(error) => problems.push(Report::from(error).of(name)),
        }
    }
    Report::all(problems)
}
