//! Replays of scenarios, beyond those of each folder in `tests/scenarios.rs`.

use scenario::Scenario;
use source_host::Engine;

use crate::folder::{component, scenarios};

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
