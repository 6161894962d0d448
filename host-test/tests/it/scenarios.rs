//! Every scenario through the built component.

use scenario::Scenario;
use source_host::Engine;

use crate::folder::{component, scenarios};

#[test]
fn every_scenario_comes_out_of_the_component_as_expected() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    let mut folders: Vec<_> = std::fs::read_dir(scenarios())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() > 40, "only {} scenarios are there", folders.len());
    let mut failed = Vec::new();
    for folder in folders {
        let scenario = Scenario::load(&folder).unwrap_or_else(|error| panic!("{error}"));
        let report = host_test::replay(&scenario, &component).unwrap();
        for finding in report.findings(&scenario) {
            failed.push(format!("{}: {finding}", scenario.name));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_replay_gives_the_same_bytes_every_time() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    for name in ["first-pull", "fresh-instance", "throttled-date"] {
        let scenario = Scenario::load(&scenarios().join(name)).unwrap();
        let first = host_test::replay(&scenario, &component).unwrap();
        let second = host_test::replay(&scenario, &component).unwrap();
        assert_eq!(first, second, "{name}");
    }
}
