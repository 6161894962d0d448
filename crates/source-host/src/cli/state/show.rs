//! `source-host state show`.

use std::fs;
use std::time::SystemTime;

use source_host::{FileStore, Instant, Lineage, Stored};

use super::summary::{ago, checkpoint, size};
use super::{Meant, stems};
use crate::cli::lineage::{described, read};
use crate::cli::print;
use crate::cli::report::Report;

/// Prints where each source stopped.
pub(super) fn show(meant: &Meant) -> Result<(), Report> {
    let mut problems = Vec::new();
    for table in meant.sources() {
        let source = table.name.as_str();
        let lineages = meant.lineages(source)?;
        if lineages.is_empty() {
            print(&format!("{source}: nothing is stored in {}", meant.folder.display()))?;
        }
        for lineage in &lineages {
            let path = meant.path(source, lineage);
            match FileStore::peek(&path) {
                // A range was read to its end just now.
                Ok(None) => {}
                Ok(Some(stored)) => {
                    let file = fs::metadata(&path).ok();
                    let modified = file.as_ref().and_then(|file| file.modified().ok());
                    print(&format!("{source}: {}", described(lineage)))?;
                    print(&format!("  file        {}, {}", path.display(), size(file.map_or(0, |file| file.len()))))?;
                    for line in lines(&stored, modified) {
                        print(&format!("  {line}"))?;
                    }
                }
                Err(error) => problems.push(Report::from(error).of(source)),
            }
        }
    }
    if meant.source.is_none() {
        let others = others(meant)?;
        if !others.is_empty() {
            print(&format!("of no source of this configuration: {}", others.join(", ")))?;
        }
    }
    Report::all(problems)
}

fn lines(stored: &Stored, modified: Option<SystemTime>) -> Vec<String> {
    let now = SystemTime::now();
    let mut lines = Vec::new();
    if let Some(modified) = modified {
        let at = Instant { nanoseconds: 0, ..modified.into() };
        lines.push(format!("stored      {at}, {}", ago(at, now.into())));
    }
    lines.push(format!("belongs to  {}", stored.identity));
    match &stored.checkpoint {
        Some(text) => lines.extend(checkpoint(text, now.into())),
        None => lines.push("checkpoint  none: nothing was read yet".to_owned()),
    }
    for (sink, account) in &stored.accounts {
        lines.push(format!("sink        {sink}: {account}"));
    }
    lines
}

/// States in the folder that no source of the configuration has.
fn others(meant: &Meant) -> Result<Vec<String>, Report> {
    let sources = &meant.config.sources;
    let is_known = |stem: &str| {
        sources.iter().any(|table| {
            stem.strip_prefix(table.name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').and_then(read).is_some())
        })
    };
    let mut others: Vec<String> = stems(&meant.folder)?
        .into_iter()
        .filter(|stem| !is_known(stem))
        .filter(|stem| {
            let path = FileStore::path_in(&meant.folder, stem, &Lineage::Running);
            FileStore::peek(&path).is_ok_and(|stored| stored.is_some())
        })
        .collect();
    others.sort();
    Ok(others)
}
