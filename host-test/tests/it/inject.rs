//! Faults that are put into a scenario: what each comes to, and that a source which does not bear them is found.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use host_test::{Injected, Injector, every_fault};
use scenario::Scenario;
use source_host::{Engine, Limits};

use crate::conform::{breaking, built, items};
use crate::folder::{Copy, Ended, component, host_test, scenarios};

/// The page with the table of all faults.
fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/test-host.md")
}

const BEGIN: &str = "<!-- the table of faults begins -->\n";
const END: &str = "<!-- the table of faults ends -->\n";

/// What several runs came to, without what is the same.
fn cell(runs: &[Injected]) -> String {
    let mut words: Vec<String> = Vec::new();
    for run in runs {
        let told = run.in_words();
        if !words.contains(&told) {
            words.push(told);
        }
    }
    let number = if runs.len() > 1 { format!("{} runs: ", runs.len()) } else { String::new() };
    number + &words.join("; or ")
}

#[test]
fn each_fault_in_the_first_pull_comes_to_what_the_table_in_the_documentation_says() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    let scenario = Scenario::load(&scenarios().join("first-pull")).unwrap();
    let limits = Limits::default();
    let injector = Injector::new(&scenario, &component, &limits).unwrap();
    let mut table =
        "| fault | in the request for a token, `@1` | in the request for detections, `@2` |\n|---|---|---|\n"
            .to_owned();
    for fault in every_fault() {
        let cells = [1, 2].map(|place| {
            let runs = injector.inject(&fault.clone().at(place)).unwrap();
            for run in &runs {
                assert!(run.is_well(), "{}: {:?}", run.injection, run.findings);
            }
            cell(&runs)
        });
        let _ = writeln!(table, "| `{fault}` | {} | {} |", cells[0], cells[1]);
    }
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (there, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        std::fs::write(page(), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(
        there == table,
        "docs/test-host.md says something else:\n{}\nto accept this: UPDATE_FAULTS=1 cargo test --test it each_fault",
        table.lines().filter(|line| !there.contains(line)).collect::<Vec<_>>().join("\n")
    );
}

/// Puts a fault into the items, read by a source that breaks there as `what` says.
fn broken(what: &str, fault: &str) -> Ended {
    let (_root, folder) = breaking(what);
    let file = built("breaker_source.wasm");
    let args = ["replay", folder.to_str().unwrap(), "--component", file.to_str().unwrap(), "--inject", fault];
    host_test(&args)
}

#[test]
fn a_source_that_does_not_bear_a_fault_is_found() {
    for (what, fault, told) in [
        (
            "fault-lose",
            "refused@1",
            "items with refused@1: lost\n  lost, and no gap says so:\n    item item:1\n    the last poll says that nothing more is ready\n",
        ),
        ("fault-lose", "cut@2", "items with cut@2: lost\n  lost, and no gap says so:\n    item item:3\n"),
        ("loses", "kill@1", "items with kill@1: lost\n  lost, and no gap says so:\n    item item:3\n"),
        (
            "fault-invent",
            "status=503@1",
            "items with status=503@1: invented\n  invented: item item:1 never comes without the fault in this form (- without it, + with it):\n",
        ),
        ("fault-trap", "protocol@1", "items with protocol@1: broken\n  poll 1: the component trapped in `poll`: "),
        (
            "fault-wait",
            "protocol@1",
            "items with protocol@1: broken\n  poll 1: the component did not return from `poll` within 300s\n",
        ),
        (
            "fault-elsewhere",
            "gzip@1",
            "items with gzip@1: asks for what was not recorded\n  no interaction answers request 2:\n    GET https://items.example/archive\n",
        ),
    ] {
        let ended = broken(what, fault);
        assert_eq!((ended.status, ended.stderr.as_str()), (1, ""), "{what}: {}", ended.stdout);
        assert!(ended.stdout.starts_with(told), "{what}: {}", ended.stdout);
        assert!(ended.stdout.contains("\n  again: host-test replay "), "{what}: {}", ended.stdout);
    }
    for fault in ["refused@1", "cut@2", "kill@1", "status=503@1", "gzip@1"] {
        let ended = broken("none", fault);
        assert_eq!(ended.status, 0, "{}", ended.stdout);
    }
}

#[test]
fn a_minimal_source_bears_every_fault_in_every_request() {
    let component = Engine::new().unwrap().load(&built("honest_source.wasm")).unwrap();
    let scenario = Scenario::load(&items()).unwrap();
    let limits = Limits::default();
    let injector = Injector::new(&scenario, &component, &limits).unwrap();
    for place in 1..=4 {
        for fault in every_fault() {
            for run in injector.inject(&fault.clone().at(place)).unwrap() {
                assert!(run.is_well(), "{}: {:?}", run.injection, run.findings);
            }
        }
    }
}

#[test]
fn the_verdict_is_told_in_sentences_and_no_event_is_printed() {
    let first_pull = Copy::of("first-pull");
    let ended = first_pull.replay(&["--inject", "refused", "--inject", "retry-after=45@1,trap@3", "--inject", "kill"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    assert_eq!(
        ended.stdout,
        "first-pull with refused@2: nothing lost\n  poll 1 failed: unavailable transport.connect; polled again after PT30S\n  \
         2 polls, 3 requests, 5 events, 0 gaps in 30.3 s of virtual time\n\
         first-pull with retry-after=45@1,trap@3: nothing lost\n  poll 1 failed: throttled token.status-429; polled again after PT45S\n  \
         poll 2 lost its instance; polled again on a fresh one\n  3 polls, 5 requests, 5 events, 0 gaps in 75.42 s of virtual time\n\
         first-pull with kill@1: nothing lost\n  the instance was thrown away after poll 1; went on on a fresh one\n  \
         2 polls, 4 requests, 5 events, 0 gaps in 300.6 s of virtual time\n\
         first-pull: 3 of 3 faults with nothing lost\n"
    );
}

#[test]
fn a_body_that_is_cut_at_every_byte_is_one_verdict() {
    let ended = Copy::of("single-object").replay(&["--inject", "cut=each@1"]);
    assert_eq!(ended.status, 0, "{}", ended.stdout);
    let runs = "single-object with cut=each@1: nothing lost in ";
    assert!(ended.stdout.starts_with(runs), "{}", ended.stdout);
    let ended = broken("fault-lose", "cut=each@1");
    assert_eq!(ended.status, 1);
    assert_eq!(ended.stdout.matches(": lost\n").count(), 3, "{}", ended.stdout);
    assert!(ended.stdout.ends_with("items with cut=each@1: 88 of 88 runs are not well\n"), "{}", ended.stdout);
}

#[test]
fn a_fault_that_is_none_or_does_not_strike_is_wrong_usage() {
    let first_pull = Copy::of("first-pull");
    for (fault, told) in [
        ("refusd", "`refusd` is no fault\n  hint: did you mean `refused`?"),
        (
            "cut=20000@2",
            "error: cut=20000@2 does not strike in first-pull: cut=20000@2 does not suit request 2: its body is shorter\n  hint: name another place with @N",
        ),
        ("trap@500", "error: trap@500 does not strike in first-pull: trap@500 was not reached in 22 polls and "),
        ("cut=each@9", "error: cut=each@9 does not strike in first-pull: no answer with a body comes there"),
    ] {
        let ended = first_pull.replay(&["--inject", fault]);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{fault}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{fault}: {}", ended.stderr);
    }
    let lost = Copy::of("instance-lost").replay(&["--inject", "reset"]);
    assert_eq!(lost.status, 2);
    assert!(
        lost.stdout.starts_with("instance-lost has `traps` of its own in scenario.json, and is left out\n"),
        "{lost:?}"
    );
    let refused = Copy::of("invalid-config").replay(&["--inject", "reset"]);
    assert_eq!((refused.status, refused.stderr.lines().next()), (2, Some("error: no fault struck")));
    assert_eq!(host_test(&["replay", "--inject", "reset"]).status, 2);
    let update = first_pull.replay(&["--inject", "reset", "--update"]);
    assert_eq!(update.status, 2, "{}", update.stderr);
}

#[test]
fn a_fault_without_a_place_is_left_out_where_it_finds_none() {
    let ended = Copy::of("connection-refused").replay(&[
        "--inject",
        "kill",
        "--inject",
        "trap@1",
        "--inject",
        "content-length",
    ]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let told = "connection-refused: 3 of 3 faults with nothing lost\n";
    assert!(ended.stdout.ends_with(told), "{}", ended.stdout);
    let ended = Copy::of("empty-answer").replay(&["--inject", "cut=100000", "--inject", "reset"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("cut=100000@1 does not strike in empty-answer: "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with(": 1 of 1 faults with nothing lost, 1 do not strike here\n"), "{}", ended.stdout);
}

#[test]
fn all_forms_are_listed_without_a_scenario() {
    let ended = host_test(&["replay", "--inject", "list"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.contains("\n  cut                  the connection breaks in the middle of the body;"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_scenario_that_is_not_as_expected_without_a_fault_says_nothing_about_one() {
    let copy = Copy::of("single-object");
    copy.replace("traffic.json", "\"Severity\":\"Medium\"", "\"Severity\":\"High\"");
    let ended = copy.replay(&["--inject", "reset"]);
    assert_eq!(ended.status, 1);
    assert!(
        ended
            .stdout
            .starts_with("single-object: not as expected without a fault\n  expected.ndjson says something else"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_report_shows_each_run() {
    let copy = Copy::of("first-pull");
    let file = copy.path().join("report.html");
    let ended = copy.replay(&["--inject", "reset", "--inject", "stall=100", "--report", file.to_str().unwrap()]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("first-pull with reset@2") && page.contains("the connection fails: reset"), "{page}");
    assert!(page.contains("first-pull with stall=100@2") && page.contains("nothing more comes after 100 of"), "{page}");
}
