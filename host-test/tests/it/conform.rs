//! The laws of the contract: kept by the component of the project and by a minimal source, broken one by one on purpose.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host_test::{Break, Law, State, Verdict, conform};
use scenario::Scenario;
use source_host::{Component, Engine, Limits};
use tempfile::TempDir;

use crate::folder::{component, host_test, scenarios};

/// Scenarios of the project that say nothing about reading on, with why.
const UNSUITABLE: [(&str, &str); 3] = [
    ("instance-lost", "what was asked by an instance that was lost is asked again by the next one"),
    ("alerts-one-tick", PAGES),
    ("xdr-one-tick", PAGES),
];

/// Why a scenario does not suit in which `$skip` goes on until a page is empty.
const PAGES: &str =
    "how many requests a tick in pages takes is known when its last page came: the budget is too small twice";

pub(crate) fn built(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(name);
    assert!(file.exists(), "{} is not there: run `make guests`", file.display());
    file
}

pub(crate) fn items() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/items")
}

/// The law breaker; a test may have another generation of it.
fn breaker(generation: u8) -> Component {
    let mut bytes = std::fs::read(built("breaker_source.wasm")).unwrap();
    replace(&mut bytes, b"generation 1", format!("generation {generation}").as_bytes());
    Engine::new().unwrap().load_bytes("breaker", &bytes).unwrap()
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let found: Vec<usize> = bytes.windows(from.len()).enumerate().filter(|(_, b)| *b == from).map(|(i, _)| i).collect();
    assert!(!found.is_empty() && from.len() == to.len(), "{from:?} is not there");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// The items, with a configuration that names what to break.
pub(crate) fn breaking(what: &str) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("items");
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(items()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let config =
        serde_json::json!({"origin": "https://items.example", "secret": "canary-of-the-items-7Q", "break": what});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    (root, folder)
}

fn verdict(component: &Component, previous: Option<&Component>, what: &str) -> Verdict {
    let (_root, folder) = breaking(what);
    // Only what never ends has to be waited for.
    let cpu = if what == "spin" { Duration::from_secs(1) } else { Limits::default().cpu };
    let limits = Limits { cpu, ..Limits::default() };
    conform(&Scenario::load(&folder).unwrap(), component, previous, &limits).unwrap()
}

fn broken(verdict: &Verdict) -> Vec<&'static str> {
    verdict.broken().map(|(law, _)| law.id()).collect()
}

fn said(verdict: &Verdict) -> String {
    verdict.broken().flat_map(|(_, breaks)| breaks).map(Break::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_component_keeps_every_law_in_every_scenario_that_is_suitable() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(scenarios()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let verdict = conform(&Scenario::load(&folder).unwrap(), &component, Some(&component), &Limits::default());
        let verdict = verdict.unwrap();
        let suitable = UNSUITABLE.iter().all(|(other, _)| *other != name);
        assert_eq!(verdict.broken().next().is_none(), suitable, "{name}: {}", said(&verdict));
        checked += usize::from(verdict.kept() == verdict.laws.len());
    }
    assert!(checked > 30, "only {checked} scenarios check every law");
}

#[test]
fn a_minimal_source_keeps_every_law() {
    let component = Engine::new().unwrap().load(&built("honest_source.wasm")).unwrap();
    let scenario = Scenario::load(&items()).unwrap();
    let verdict = conform(&scenario, &component, Some(&component), &Limits::default()).unwrap();
    assert_eq!((said(&verdict).as_str(), verdict.kept()), ("", verdict.laws.len()));
}

#[test]
fn a_law_breaker_that_breaks_nothing_keeps_every_law() {
    let (old, new) = (breaker(1), breaker(2));
    let verdict = verdict(&new, Some(&old), "none");
    assert_eq!((said(&verdict).as_str(), verdict.kept()), ("", verdict.laws.len()));
}

#[test]
fn each_broken_law_is_found_and_no_other() {
    let component = breaker(1);
    for (what, laws, said_of_it) in [
        ("plan-remembers", &["plan-pure"][..], "asked again: expected the same plan as before, found another"),
        ("plan-asks", &["plan-pure"], "while it planned: expected no request, found 3"),
        ("unplanned", &["plan-origins", "budget"], "https://elsewhere.example is not among the origins"),
        ("trap", &["returns"], "expected a batch or a failure; the component trapped in `poll`"),
        ("spin", &["returns"], "the component computed for more than 1s in `poll`"),
        ("grow", &["returns"], "the component wanted more than its 64 MiB of memory in `poll`"),
        ("wait", &["returns"], "the component did not return from `poll` within 300s"),
        ("too-many-events", &["recorded", "budget"], "expected at most 2 events, found 3"),
        ("too-many-bytes", &["budget"], "expected at most 24 bytes of bodies, found 48"),
        ("too-many-requests", &["recorded", "budget"], "expected at most 100 requests, found 101"),
        ("smaller-budget", &["recorded", "budget"], "expected `budget-too-small` to ask for more than it was given"),
        ("asks-again", &["recorded", "budget"], "expected it to get on with what it had asked for"),
        ("stuck", &["progress"], "expected another checkpoint with `now`"),
        ("long-checkpoint", &["promises"], "expected a checkpoint of at most 32 bytes, found 108"),
        ("long-event", &["promises"], "expected events of at most 1000 bytes, found one of 1024: item:1"),
        ("loses", &["resume", "memory"], "poll 1: expected the event item:3, which poll 2 of the first run delivered"),
        ("remembers", &["resume", "memory", "keys"], "for every poll: expected the event item:3"),
        ("keys", &["resume", "memory", "keys"], "expected the key of the first run for the same thing, found item:3:0"),
        ("one-key", &["keys"], "expected one version under the key item, found two"),
        ("no-key", &["keys"], "expected a key; it is empty"),
        ("chunks", &["keys", "same-bytes"], "expected the event item:1 as in the first run, found another"),
        ("monotonic", &["resume", "memory", "keys", "same-bytes"], "found another"),
        ("sleep", &["no-sleep"], "it waited for 1s"),
        ("begins-anew", &["bad-checkpoint"], "it answered `unavailable`"),
        (
            "config-trap",
            &["bad-config"],
            "its last bracket missing: expected diagnostics; the component trapped in `plan`",
        ),
        (
            "config-kinds",
            &["bad-config"],
            "the configuration with a number as `origin` (and in 3 more places): expected diagnostics; it was taken",
        ),
        ("config-unknown", &["bad-config"], "the unknown member `no_source_has_this_member`: expected diagnostics"),
        ("config-no-pointer", &["bad-config"], "expected a diagnostic with the pointer /origin, found []"),
        ("plan-secret", &["secrets"], "the plan: expected no secret; it shows `/secret` of config.json"),
        ("secret-key", &["secrets"], "poll 1 of the first run (and in"),
        ("secret-body", &["secrets"], "an event of poll 1 of the first run (and in"),
        ("secret-checkpoint", &["secrets"], "poll 1 of the first run (and in"),
        ("secret-notice", &["secrets"], "expected no secret"),
        ("secret-failure", &["recorded", "secrets"], "expected no secret"),
        ("secret-problem", &["secrets"], "its last bracket missing: expected no secret"),
    ] {
        let verdict = verdict(&component, None, what);
        assert!(!said(&verdict).contains("canary-of-the-items"), "{what}");
        assert_eq!(broken(&verdict), laws, "{what}: {}", said(&verdict));
        assert!(said(&verdict).contains(said_of_it), "{what}: {}", said(&verdict));
    }
}

#[test]
fn a_description_that_changes_is_found() {
    let verdict = verdict(&breaker(3), None, "none");
    assert_eq!(broken(&verdict), ["describe"], "{}", said(&verdict));
}

#[test]
fn a_request_that_was_not_recorded_is_found_and_so_is_one_that_is_left() {
    let component = Engine::new().unwrap().load(&built("honest_source.wasm")).unwrap();
    for (from, to, told) in [
        (r#""after": "4""#, r#""after": "9""#, "no interaction answers request 3"),
        (r#""polls": 4"#, r#""polls": 3"#, "interaction 4 (traffic.json:18: What comes after it.) was not used"),
    ] {
        let (_root, folder) = breaking("none");
        std::fs::copy(items().join("config.json"), folder.join("config.json")).unwrap();
        for name in ["traffic.json", "scenario.json"] {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            std::fs::write(folder.join(name), text.replacen(from, to, 1)).unwrap();
        }
        let verdict = conform(&Scenario::load(&folder).unwrap(), &component, None, &Limits::default()).unwrap();
        assert_eq!(broken(&verdict), ["recorded"], "{}", said(&verdict));
        assert!(said(&verdict).contains(told), "{}", said(&verdict));
    }
}

#[test]
fn what_an_older_version_left_behind_has_to_go_on_working() {
    let (old, new) = (breaker(1), breaker(2));
    for (what, told) in [
        (
            "new-identity",
            "the plan: expected the identity `items https://items.examplegeneration 1` or one that `accepts` it",
        ),
        ("new-checkpoint", "the checkpoint of poll 1 of the older one"),
        ("old-config", "config.json: expected it to be taken, as the older component takes it; it is refused"),
    ] {
        let upgraded = verdict(&new, Some(&old), what);
        assert!(broken(&upgraded).contains(&"upgrade"), "{what}: {upgraded:?}");
        assert!(said(&upgraded).contains(told), "{what}: {}", said(&upgraded));
        let same = verdict(&old, Some(&old), what);
        assert_eq!(broken(&same), Vec::<&str>::new(), "{what}: {}", said(&same));
    }
}

#[test]
fn an_import_outside_the_manifest_is_a_broken_law() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(built("honest_source.wasm")).unwrap();
    replace(&mut bytes, b"wasi:http/outgoing-handler@", b"wasi:evil/outgoing-handler@");
    let file = folder.path().join("foreign.wasm");
    std::fs::write(&file, bytes).unwrap();
    let ended = host_test(&["conform", "--component", file.to_str().unwrap(), items().to_str().unwrap()]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(
        ended.stdout.starts_with("the component: does not conform\n  0 kept, 1 broken, 17 not checked"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("imports what no source is given: wasi:evil/outgoing-handler@0.2.2"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_command_says_what_is_broken_and_writes_junit_xml() {
    let (root, folder) = breaking("stuck");
    let (file, xml) = (built("breaker_source.wasm"), root.path().join("conform.xml"));
    let ended = host_test(&[
        "conform",
        "--component",
        file.to_str().unwrap(),
        "--junit",
        xml.to_str().unwrap(),
        folder.to_str().unwrap(),
        items().to_str().unwrap(),
    ]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let told = "items: does not conform\n  16 kept, 1 broken, 1 not checked, in 35 polls\n  broken  progress: A poll that \
                answers `now` has moved the checkpoint.\n    poll 4 of the first run (and in 8 more places): expected another checkpoint with \
                `now`; it is the one that was given, and nothing new came with it\n      hint: move the checkpoint, or";
    assert!(ended.stdout.starts_with(told), "{}", ended.stdout);
    let shown = include_str!("../../../docs/conformance.md");
    assert!(shown.contains(ended.stdout.split("  not checked  ").next().unwrap()), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "a pipe gets no colour: {}", ended.stdout);
    let xml = std::fs::read_to_string(xml).unwrap();
    assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
    assert!(
        xml.contains("<testcase classname=\"items\" name=\"progress\">\n      <failure message=\"A poll that"),
        "{xml}"
    );
    assert!(xml.contains("<testcase classname=\"items\" name=\"budget\"/>"), "{xml}");
}

#[test]
fn a_component_or_a_scenario_that_cannot_be_read_is_wrong_usage() {
    let (honest, items) = (built("honest_source.wasm"), items());
    let (honest, items) = (honest.to_str().unwrap(), items.to_str().unwrap());
    for args in [
        &["conform", items][..],
        &["conform", "--component", "no-such.wasm", items],
        &["conform", "--component", honest],
        &["conform", "--component", honest, "no/such"],
        &["conform", "--component", honest, "--previous", "no-such.wasm", items],
        &["conform", "--component", honest, "--cpu-time", "soon", items],
    ] {
        let ended = host_test(args);
        assert_eq!(ended.status, 2, "{args:?}: {}", ended.stderr);
        assert!(ended.stdout.is_empty() && ended.stderr.starts_with("error: "), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_law_that_is_not_checked_says_why() {
    let verdict = verdict(&breaker(1), None, "none");
    let unchecked: Vec<_> = verdict.laws.iter().filter(|(_, state)| matches!(state, State::NotChecked(_))).collect();
    let [(law, State::NotChecked(reason))] = unchecked[..] else { panic!("{unchecked:?}") };
    assert_eq!((law.id(), reason.as_str()), ("upgrade", "no older component was named with --previous"));
}

#[test]
fn the_page_on_conformance_has_a_row_for_each_law_and_shows_what_is_said() {
    let page = include_str!("../../../docs/conformance.md");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, Law::ALL.map(Law::id));
    let (honest, items) = (built("honest_source.wasm"), items());
    let ended = host_test(&["conform", "--component", honest.to_str().unwrap(), items.to_str().unwrap()]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    assert!(page.contains(&ended.stdout), "{}", ended.stdout);
}

#[test]
fn a_replay_of_what_never_ends_ends_with_a_sentence() {
    let file = built("breaker_source.wasm");
    for (what, told) in [
        ("spin", "the component computed for more than 1s in `poll`\n    hint: find out what it computes"),
        ("grow", "the component wanted more than its 8 MiB of memory in `poll`\n    hint: let it hold less"),
        ("wait", "the component did not return from `poll` within 7s\n    hint: let it give up sooner"),
        ("trap", "the component trapped in `poll`: "),
    ] {
        let (_root, folder) = breaking(what);
        let cpu_time = if what == "spin" { "PT1S" } else { "PT60S" };
        let limits = ["--cpu-time", cpu_time, "--memory-bytes", "8388608", "--call-timeout", "PT7S"];
        let mut args = vec!["replay", folder.to_str().unwrap(), "--component", file.to_str().unwrap()];
        args.extend(limits);
        let ended = host_test(&args);
        assert_eq!(ended.status, 1, "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{what}: {}", ended.stderr);
    }
}
