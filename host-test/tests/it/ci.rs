//! The workflow of `examples/ci`: what its steps run does what it says.

use std::path::Path;
use std::process::Command;

const WORKFLOW: &str = include_str!("../../../examples/ci/connector.yml");

/// The values of `NAME: VALUE` lines under `env:`.
fn environment() -> Vec<(String, String)> {
    let lines = WORKFLOW.lines().skip_while(|line| line.trim() != "env:").skip(1);
    let pairs = lines.take_while(|line| line.starts_with("      ")).filter_map(|line| line.trim().split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The commands, as a runner hands them to a shell.
fn commands() -> Vec<&'static str> {
    WORKFLOW.lines().filter_map(|line| line.trim().strip_prefix("run: ")).collect()
}

#[test]
fn the_commands_of_the_workflow_replay_inject_conform_and_write_junit_xml() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let host_test = Path::new(env!("CARGO_BIN_EXE_host-test"));
    let run = |command: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", command]).current_dir(root);
        shell.envs(environment()).env("RUNNER_TEMP", temporary.path()).output().unwrap()
    };
    let [build, replay, inject, conform] = commands()[..] else { panic!("{:?}", commands()) };
    // The build has happened, or there would be no test; its targets are there.
    let dry = run(&format!("{build} -n"));
    assert!(build.starts_with("make ") && dry.status.success(), "{}", String::from_utf8_lossy(&dry.stderr));
    for command in [replay, inject, conform] {
        assert!(command.starts_with("target/debug/host-test "), "{command}");
        let ended = run(&command.replace("target/debug/host-test", host_test.to_str().unwrap()));
        let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{command}\n{stdout}{stderr}");
    }
    let written = |name: &str| std::fs::read_to_string(temporary.path().join(name)).unwrap();
    assert!(written("replay.html").contains("first-pull"));
    assert!(written("events.ndjson").starts_with("{\"source\":\"first-pull\""));
    let junit = written("conform.xml");
    assert_eq!(junit.matches("<testsuite ").count(), 3, "{junit}");
    assert!(junit.contains("failures=\"0\"") && junit.contains("name=\"resume\"/>"), "{junit}");
    // What is published is what was written.
    assert!(WORKFLOW.contains("report_paths: ${{ runner.temp }}/conform.xml"));
}
