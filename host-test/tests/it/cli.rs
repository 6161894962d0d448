//! The command line: exit statuses, and the exact words.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::folder::{Copy, component, host_test, scenarios};

#[test]
fn a_scenario_that_is_as_expected_prints_its_events_and_a_summary() {
    let ended = Copy::of("first-pull").replay(&[]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let keys: Vec<String> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 5);
    assert!(keys[0].starts_with("da639080281314053821_-1187302844:"), "{}", keys[0]);
    assert_eq!(
        ended.stderr,
        "first-pull: as expected\n  1 poll, 2 requests, 5 events, 0 gaps in 0.3 s of virtual time\n"
    );
}

#[test]
fn a_folder_that_is_missing_is_wrong_usage() {
    let ended = host_test(&["replay", "no/such/scenario"]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            2,
            "error: no/such/scenario: there is no such folder\n  hint: name a folder that holds scenario.json, \
             config.json and traffic.json\n"
        )
    );
}

#[test]
fn a_file_that_is_missing_is_a_wrong_scenario() {
    let copy = Copy::of("first-pull");
    copy.remove("traffic.json");
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            2,
            "error: first-pull/traffic.json: there is no such file\n  hint: write it: the interactions, \
             {\"interactions\": []} for none\n"
        )
    );
}

#[test]
fn malformed_json_is_told_with_line_and_column() {
    let copy = Copy::of("first-pull");
    copy.write("config.json", "{\n  \"api\": \"siem\"\n  \"region\": \"eu\"\n}\n");
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            2,
            "error: first-pull/config.json:3: it is not valid JSON: expected `,` or `}` at column 3\n  hint: look at \
             that line and the one before it: a comma, a quote or a bracket is missing or too many\n"
        )
    );
}

#[test]
fn an_unknown_member_is_told_with_the_one_that_was_meant() {
    let copy = Copy::of("first-pull");
    copy.replace("scenario.json", "\"starts\"", "\"start\"");
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            2,
            "error: first-pull/scenario.json:4: /start: `start` is not known here\n  hint: did you mean `starts`? \
             Known here are `why`, `from`, `starts`, `position`, `budget`, `polls`, `until`, `faults`\n"
        )
    );
}

#[test]
fn an_interaction_that_was_removed_leaves_a_request_unanswered() {
    let copy = Copy::of("first-pull");
    copy.keep_interactions(&[1]);
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            1,
            "first-pull: not as expected\n  1 poll, 1 request, 0 events, 0 gaps in 0 s of virtual time\n  no \
             interaction answers request 1:\n    POST https://login.microsoftonline.com/\
             0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43/oauth2/token\n  the nearest is interaction 1 (traffic.json:1: One \
             request covers the hour up to a minute ago, a tick wider on both sides.), which differs here:\n    \
             method: expected `GET`, got `POST`\n    origin: expected `https://wdatp-alertexporter-eu.windows.com`, \
             got `https://login.microsoftonline.com`\n    path: expected `/api/alerts`, got \
             `/0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43/oauth2/token`\n    hint: add the interaction that is missing, or \
             find out why the source asks for this\n"
        )
    );
}

#[test]
fn an_interaction_that_was_added_is_told_as_unused() {
    let copy = Copy::of("first-pull");
    copy.keep_interactions(&[0, 1, 1]);
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.as_str()),
        (
            1,
            "first-pull: not as expected\n  1 poll, 2 requests, 5 events, 0 gaps in 0.3 s of virtual time\n  \
             interaction 3 (traffic.json:1: One request covers the hour up to a minute ago, a tick wider on both \
             sides.) was not used, and should have been once more\n    GET \
             https://wdatp-alertexporter-eu.windows.com/api/alerts\n    hint: remove it, or find out why the source \
             does not ask for it\n"
        )
    );
}

#[test]
fn a_changed_body_is_shown_as_a_difference_with_the_command_that_accepts_it() {
    let copy = Copy::of("single-object");
    copy.replace("traffic.json", "\"Severity\":\"Medium\"", "\"Severity\":\"High\"");
    let ended = copy.replay(&[]);
    assert_eq!(
        (ended.status, ended.stderr.replace(component().to_str().unwrap(), "FILE").as_str()),
        (
            1,
            "single-object: not as expected\n  1 poll, 2 requests, 1 event, 0 gaps in 0.3 s of virtual time\n  \
             expected.ndjson says something else (- expected, + now):\n  @@ -7,7 +7,7 @@\n       \"FullId\": \
             \"da639080001_1001:AQABAAEAAQABAAEAAQABAAEAAQABAAEAAQABAAEAAQA=\",\n       \"LastProcessedTimeUtc\": \
             \"2026-03-02T08:10:00Z\",\n       \"MachineName\": \"host-1\",\n  -    \"Severity\": \"Medium\"\n  +    \
             \"Severity\": \"High\"\n     },\n     \"key\": \
             \"da639080001_1001:AQABAAEAAQABAAEAAQABAAEAAQABAAEAAQABAAEAAQA=\",\n     \"kind\": \"detection\",\n  to \
             accept this: host-test replay single-object --update --component FILE\n"
        )
    );
}

#[test]
fn a_configuration_that_the_source_refuses_is_told_problem_by_problem() {
    let copy = Copy::of("first-pull");
    copy.replace("config.json", "\"eu\"", "\"mars\"");
    let ended = copy.replay(&[]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("the source refuses config.json:\n    /region: `region` is"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\n      hint: "), "{}", ended.stderr);
}

#[test]
fn a_component_that_is_none_is_wrong_usage() {
    let copy = Copy::of("first-pull");
    let path = copy.path();
    let (path, config) = (path.to_str().unwrap().to_owned(), path.join("config.json"));
    for (file, message) in [
        ("no-such.wasm", "cannot read the component no-such.wasm"),
        (config.to_str().unwrap(), "is no WebAssembly component"),
    ] {
        let ended = host_test(&["replay", &path, "--component", file]);
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(message), "{}", ended.stderr);
        assert!(ended.stderr.contains("\n  hint: "), "{}", ended.stderr);
    }
}

#[test]
fn arguments_that_are_none_are_wrong_usage() {
    for args in [&["replay"][..], &["replay", ".", "--updat"], &["rewind"], &[], &["serve"]] {
        assert_eq!(host_test(args).status, 2, "{args:?}");
    }
}

#[test]
fn a_secret_in_an_event_is_found_and_not_shown() {
    let copy = Copy::of("single-object");
    copy.replace("traffic.json", "\"Severity\":\"Medium\"", "\"Severity\":\"canary-secret-Q7hkP2xV9mL\"");
    for arguments in [&[][..], &["--update"]] {
        let ended = copy.replay(arguments);
        assert_eq!(ended.status, 1);
        assert!(ended.stderr.contains("an event shows a secret: `client_secret` in config.json"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("Q7hkP2xV9mL") && ended.stdout.is_empty(), "{ended:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_host-test"))
        .arg("replay")
        .args([scenarios().join("first-pull"), scenarios().join("small-budget"), scenarios().join("first-pull")])
        .arg("--component")
        .arg(component())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(first.starts_with("{\"source\":\"first-pull\""), "{first}");
    assert_eq!(ended.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("pipe"));
}

/// What a terminal gets to see; `script` is one.
fn on_a_terminal(variable: &str, copy: &Copy, more: &str) -> String {
    let (program, path, component) = (env!("CARGO_BIN_EXE_host-test"), copy.path(), component());
    let command = format!("'{program}' replay '{}' --component '{}' {more}", path.display(), component.display());
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).env(variable, "1").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_gets_colour_and_progress_and_a_pipe_gets_neither() {
    let copy = Copy::of("single-object");
    copy.replace("traffic.json", "\"Severity\":\"Medium\"", "\"Severity\":\"High\"");
    let shown = on_a_terminal("ANY", &copy, "");
    assert!(shown.contains("single-object, 1 of 1") && shown.contains("\r\u{1b}[2K"), "{shown:?}");
    assert!(shown.contains("single-object: \u{1b}[31mnot as expected\u{1b}[0m"), "{shown:?}");
    assert!(shown.contains("\u{1b}[31m-    \"Severity\": \"Medium\"\u{1b}[0m"), "{shown:?}");
    assert!(shown.contains("\u{1b}[32m+    \"Severity\": \"High\"\u{1b}[0m"), "{shown:?}");
    let plain = on_a_terminal("NO_COLOR", &copy, "");
    assert!(plain.contains("single-object: not as expected") && !plain.contains("\u{1b}[3"), "{plain:?}");
    let injected = on_a_terminal("ANY", &Copy::of("first-pull"), "--inject reset --inject kill");
    assert!(injected.contains("first-pull: kill, 2 of 2"), "{injected:?}");
    assert!(injected.contains("first-pull with reset@2: \u{1b}[32mnothing lost\u{1b}[0m"), "{injected:?}");
    let piped = copy.replay(&[]);
    assert!(!piped.stderr.contains(['\u{1b}', '\r']) && !piped.stdout.contains(['\u{1b}', '\r']), "{piped:?}");
}
