//! The recorded scenarios, in-process: the same folders that the built component is replayed with. When only that
//! fails, the fault lies in the component's glue.

#![allow(clippy::unwrap_used, reason = "what a test cannot unwrap fails it")]

mod clock;
mod events;
mod outcome;
mod run;

use std::path::{Path, PathBuf};

use scenario::Scenario;

use run::Run;

#[test]
fn every_scenario_comes_out_of_the_core_as_expected() {
    let folders = folders();
    assert!(folders.len() > 40, "the scenarios are not where they were: {} found", folders.len());
    let failed: Vec<String> = folders
        .iter()
        .flat_map(|folder| {
            let scenario = Scenario::load(folder).unwrap_or_else(|error| panic!("{error}"));
            let complaints = Run::new(&scenario).complaints();
            complaints.into_iter().map(move |complaint| format!("{}: {complaint}", scenario.name)).collect::<Vec<_>>()
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host-test/scenarios");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(scenario::SCENARIO_FILE).exists())
        .collect();
    folders.sort();
    folders
}
