//! `source-host check`.

use std::path::Path;

use source_host::{Clock as _, Failure, Level, RunError, SystemClock};
use tracing::Instrument as _;

use super::claims::{self, Told, Wanted};
use super::config::{Config, EntryFrom, SourceTable};
use super::open::{Components, Opened, network, open};
use super::print;
use super::report::{Report, sentence};
use super::secrets::pointer;

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
                for Told { sentence, warnings } in told(table, &opened).await {
                    print(&format!("{name}: ok: {sentence}"))?;
                    for warning in warnings {
                        print(&format!("{name}: warning: {warning}"))?;
                    }
                }
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
                let is_refusal = matches!(failure, Failure::Unauthenticated(_) | Failure::Forbidden(_));
                let mut report = Report::from(missing.map_or_else(|| RunError::from(failure), RunError::Secret));
                for denial in opened.source.denials() {
                    report = report.because(denial);
                }
                if is_refusal {
                    for Told { sentence, warnings } in told(table, &opened).await {
                        report = warnings.into_iter().fold(report.because(sentence), Report::because);
                    }
                }
                problems.push(report.of(name));
            }
            Err(error) => problems.push(Report::from(error).of(name)),
        }
    }
    Report::all(problems)
}

/// What the tokens say of which only the host sees anything. One that is not there was told before.
async fn told(table: &SourceTable, opened: &Opened) -> Vec<Told> {
    let mut all = Vec::new();
    let effective = serde_json::from_str(&opened.plan.effective_config).unwrap_or_default();
    for (at, bearer) in &opened.bearers {
        let from = table.secrets.iter().find(|(member, _)| pointer(member) == *at).map(|(_, entry)| &entry.from);
        let is_of_identity = matches!(from, Some(EntryFrom::ManagedIdentity { .. }));
        if let Ok(token) = bearer.value(&http::Uri::default()).await {
            let now = SystemClock::default().wall();
            all.extend(claims::told(token.expose(), is_of_identity, Wanted::of(&effective), now));
        }
    }
    all
}
