use super::*;
use crate::settings::{Position, Until};

const SETTINGS: &str = r#"{"why": "it shows something", "from": "written by hand", "starts": "2026-03-02T09:00:00Z"}"#;
const CONFIG: &str = r#"{"client_secret": "an-invented-secret"}"#;
const TRAFFIC: &str = r#"{"interactions": []}"#;

fn load(files: &[(&str, &str)]) -> Result<Scenario, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let prefix = format!("{}/", folder.path().display());
    Scenario::load(folder.path()).map_err(|error| error.to_string().replace(&prefix, ""))
}

fn load_settings(settings: &str) -> Result<Settings, String> {
    load(&[(SCENARIO_FILE, settings), (CONFIG_FILE, CONFIG), (TRAFFIC_FILE, TRAFFIC)]).map(|s| s.settings)
}

#[test]
fn a_folder_with_three_files_is_a_scenario() {
    let scenario = load(&[(SCENARIO_FILE, SETTINGS), (CONFIG_FILE, CONFIG), (TRAFFIC_FILE, TRAFFIC)]).unwrap();
    assert_eq!(scenario.config, CONFIG);
    assert_eq!(scenario.settings.until, Until::CaughtUp);
    assert_eq!(scenario.settings.position, Position::Resume(None));
    assert!(scenario.expected_events.is_none() && scenario.expected.is_none());
}

#[test]
fn the_problems_of_all_files_are_told_at_once() {
    let error = load(&[(SCENARIO_FILE, "{}"), (TRAFFIC_FILE, "[]"), (EXPECTED_FILE, "{\n1")]).unwrap_err();
    for sentence in [
        "scenario.json:1: `why` is missing\n  hint: add `why`: a sentence on what the scenario shows",
        "config.json: there is no such file\n  hint: write it: the configuration that the source gets",
        "traffic.json:1: this is a list, and an object is needed",
        "expected.json:2: it is not valid JSON: key must be a string at column 1",
    ] {
        assert!(error.contains(sentence), "{sentence} is not in:\n{error}");
    }
}

#[test]
fn a_folder_that_is_not_there_says_what_a_scenario_is() {
    let error = Scenario::load(Path::new("no/such/folder")).unwrap_err().to_string();
    assert_eq!(
        error,
        "no/such/folder: there is no such folder\n  hint: name a folder that holds scenario.json, config.json and \
         traffic.json"
    );
}

#[test]
fn every_wrong_setting_is_refused_with_a_sentence() {
    let with = |rest: &str| SETTINGS.replace("\"from\"", &format!("{rest}, \"from\""));
    for (rest, message) in [
        (r#""polls": 0"#, "a run of no polls"),
        (r#""polls": 1, "until": "ended""#, "`polls` and `until` exclude each other"),
        (r#""until": "bored""#, "`bored` is no end of a run"),
        (r#""budget": {"max-event": 1}"#, "did you mean `max-events`?"),
        (r#""budget": {"max-events": -1}"#, "a whole number that is not negative is needed"),
        (r#""position": {}"#, "it says nothing"),
        (r#""position": {"range": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}"#, "ends before"),
        (r#""position": {"range": {"since": "yesterday"}}"#, "`yesterday` is no time"),
        (r#""faults": {"clock-jumps": [{"after-poll": 1, "by": "1h"}]}"#, "`1h` is no duration"),
        (r#""faults": {"fresh-instance-after": 1}"#, "a list of polls or \"every-poll\" is needed"),
    ] {
        let error = load_settings(&with(rest)).expect_err(rest);
        assert!(error.starts_with("scenario.json:1: ") && error.contains(message), "{rest}: {error}");
        assert!(error.contains("\n  hint: "), "{error}");
    }
}

#[test]
fn faults_say_what_happens_after_which_poll() {
    let faults =
        r#""faults": {"chunks": 1, "fresh-instance-after": [2], "clock-jumps": [{"after-poll": 1, "by": "-PT1H"}]}"#;
    let settings = load_settings(&SETTINGS.replace("\"from\"", &format!("{faults}, \"from\""))).unwrap();
    assert!(settings.faults.fresh_instance_after(2) && !settings.faults.fresh_instance_after(1));
    assert_eq!(settings.faults.clock_jump_after(1).num_minutes(), -60);
    assert_eq!(settings.faults.clock_jump_after(2).num_minutes(), 0);
}

#[test]
fn a_secret_that_could_be_found_by_chance_is_refused() {
    let error =
        load(&[(SCENARIO_FILE, SETTINGS), (CONFIG_FILE, r#"{"client_secret": "canary"}"#), (TRAFFIC_FILE, TRAFFIC)]);
    let error = error.unwrap_err();
    assert!(error.contains("`client_secret` in config.json has fewer than 8 characters"), "{error}");
    assert!(!error.contains("canary\""), "{error}");
}
