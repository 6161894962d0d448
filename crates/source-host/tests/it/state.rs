//! `source-host state`.

use std::fs;

use serde_json::Value;
use source_host::{FileStore, Lineage};

use crate::process::{hang, start, terminate, wait_for};
use crate::server::{Answer, SECRET, Server};
use crate::setup::{Ended, Setup};

fn state(setup: &Setup, command: &str, more: &[&str]) -> Ended {
    setup.run(&[&["state", command, "--config", "host.toml"], more].concat())
}

/// A source that stopped at item 3.
fn stopped_at_3() -> (Server, Setup) {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(3);
    setup.once(&[]).succeeded();
    (server, setup)
}

fn names(setup: &Setup) -> Vec<String> {
    let entries = fs::read_dir(setup.path("state")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("lock"))
        .collect();
    names.sort();
    names
}

#[test]
fn show_says_where_a_source_stopped_without_secret_or_component_while_a_host_runs() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let none = state(&setup, "show", &[]).succeeded();
    assert_eq!(none.stdout, "counter: nothing is stored in ./state\n");
    assert!(!setup.path("state").exists());
    server.grow_to(3);
    let mut running = start(&setup, &["--out", "out.ndjson"]);
    wait_for(|| setup.checkpoint().as_deref() == Some("3"));
    hang(&server);
    fs::remove_file(setup.path("secret")).unwrap();
    let shown = state(&setup, "show", &[]).succeeded().stdout;
    terminate(&running);
    running.wait().unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines[0], lines[4]), ("counter: running", "  checkpoint  3"), "{shown}");
    assert!(lines[1].starts_with("  file        ./state/counter.json, ") && lines[2].ends_with(" ago"), "{shown}");
    assert_eq!(lines[3], format!("  belongs to  counter {}", server.origin()));
    assert!(lines[5].starts_with("  sink        --out: "), "{shown}");
}

#[test]
fn show_tells_ranges_from_sources_of_a_like_name_and_names_what_belongs_to_nobody() {
    let (server, setup) = stopped_at_3();
    setup.write("host.toml", &(setup.read("host.toml") + &setup.source("counter.range-1-9", &server.origin(), "")));
    for (copy, from) in [("counter.range-1-9", "counter"), ("counter.range-3-6", "counter"), ("old", "counter")] {
        fs::copy(setup.path(&format!("state/{from}.json")), setup.path(&format!("state/{copy}.json"))).unwrap();
    }
    setup.write("state/note.json", "{}");
    let shown = state(&setup, "show", &[]).succeeded().stdout;
    let heads: Vec<&str> = shown.lines().filter(|line| !line.starts_with(' ')).collect();
    let expected = [
        "counter: running",
        "counter: range 1970-01-01T00:00:03Z to 1970-01-01T00:00:06Z",
        "counter.range-1-9: running",
        "of no source of this configuration: old",
    ];
    assert_eq!(heads, expected);
    let one = state(&setup, "show", &["--source", "counter.range-1-9"]).succeeded().stdout;
    assert!(one.starts_with("counter.range-1-9: running\n"), "{one}");
    state(&setup, "show", &["--source", "contoso"])
        .failed(2, &["there is no source `contoso` in host.toml", "hint: known are counter, counter.range-1-9"]);
}

#[test]
fn a_state_that_cannot_be_read_is_told_and_the_others_are_shown() {
    let (server, setup) = stopped_at_3();
    setup.write("host.toml", &(setup.source("first", &server.origin(), "") + &setup.read("host.toml")));
    setup.write("state/first.json", "{\"version\":");
    let shown = state(&setup, "show", &[]).failed(1, &["error: source `first`: the state ./state/first.json cannot"]);
    assert!(shown.stdout.starts_with("counter: running\n"), "{}", shown.stdout);
}

#[test]
fn an_exported_state_goes_on_in_another_folder_and_under_another_name() {
    let (server, setup) = stopped_at_3();
    let document = state(&setup, "export", &[]).succeeded().stdout;
    let parsed: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&parsed["format"], &parsed["states"][0]["checkpoint"]), (&"source-host-states/1".into(), &"3".into()));
    assert!(!document.contains(SECRET));
    let to_file = state(&setup, "export", &["--out", "states.json"]).succeeded();
    assert_eq!(to_file.stdout, "1 state in states.json\n");
    setup.write("host.toml", &setup.source("renamed", &server.origin(), ""));
    state(&setup, "import", &["states.json"])
        .failed(2, &["states.json holds states of `counter`", "hint: take over one source's with --source NAME"]);
    state(&setup, "import", &["states.json", "--source", "renamed", "--state", "elsewhere"]).succeeded();
    server.grow_to(5);
    assert_eq!(setup.once(&["--state", "elsewhere"]).succeeded().items(), [4, 5]);
}

#[test]
fn import_refuses_what_is_foreign_there_already_or_in_use_and_changes_nothing() {
    let (server, setup) = stopped_at_3();
    state(&setup, "export", &["--out", "states.json"]).succeeded();
    let other = setup.read("states.json").replace(&server.origin(), "http://127.0.0.1:9");
    setup.write("foreign.json", &other);
    state(&setup, "import", &["foreign.json", "--force"]).failed(
        1,
        &["the state in foreign.json belongs to `counter http://127.0.0.1:9`", "hint: import it into the source"],
    );
    server.grow_to(5);
    setup.once(&[]).succeeded();
    state(&setup, "import", &["states.json"]).failed(1, &["there is a state already", "counter.json", "--force"]);
    let held = FileStore::open(&setup.path("state"), "counter", &Lineage::Running).unwrap();
    state(&setup, "import", &["states.json", "--force"])
        .failed(1, &["another host uses this state", "hint: stop the host that runs"]);
    drop(held);
    assert_eq!((setup.checkpoint().as_deref(), names(&setup).len()), (Some("5"), 1));
    let forced = state(&setup, "import", &["states.json", "--force"]).succeeded().stdout;
    assert!(forced.contains("the state that was there is kept as ./state/counter.json.20"), "{forced}");
    assert_eq!((setup.checkpoint().as_deref(), names(&setup).len()), (Some("3"), 2));
    assert_eq!(setup.once(&[]).succeeded().items(), [4, 5]);
}

#[test]
fn import_takes_no_other_file() {
    let (_server, setup) = stopped_at_3();
    state(&setup, "import", &["none.json"]).failed(2, &["cannot read none.json", "source-host state export"]);
    state(&setup, "import", &["state/counter.json"]).failed(2, &["is no document of states", "cause: "]);
    setup.write("later.json", "{\"format\":\"source-host-states/9\",\"exported\":\"\",\"states\":[]}");
    state(&setup, "import", &["later.json"]).failed(2, &["source-host-states/9"]);
    setup.write("empty.json", "{\"format\":\"source-host-states/1\",\"exported\":\"\",\"states\":[]}");
    state(&setup, "import", &["empty.json"]).failed(2, &["holds states of nobody"]);
}

#[test]
fn reset_puts_aside_all_of_one_source_and_says_how_to_undo_it() {
    let (server, setup) = stopped_at_3();
    setup.prepend("[host]\nmax_events = 1");
    server.next_answer(Answer::Raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"id\":1,\"time\":1,\"name\":\"\"}".to_vec(),
    ));
    server.next_answer(Answer::status(403, ""));
    setup.once(&["--since", "2010-01-01", "--until", "2010-01-02"]).failed(1, &[]);
    assert_eq!(names(&setup), ["counter.json", "counter.range-1262304000-1262390400.json"]);
    let held = FileStore::open(&setup.path("state"), "counter", &Lineage::Running).unwrap();
    state(&setup, "reset", &[]).failed(1, &["another host uses this state", "hint: stop the host"]);
    drop(held);
    let said = state(&setup, "reset", &[]).succeeded().stdout;
    assert!(!setup.path("state/counter.json").exists() && names(&setup).len() == 2, "{said}");
    assert_eq!(setup.once(&[]).succeeded().items(), [1, 2, 3]);
    fs::remove_file(setup.path("state/counter.json")).unwrap();
    let undo = said.lines().find_map(|line| line.strip_prefix("  to undo this: ")).unwrap();
    let shell = std::process::Command::new("sh").args(["-c", undo]).current_dir(setup.path(".")).status().unwrap();
    assert!(shell.success());
    assert_eq!(setup.checkpoint().as_deref(), Some("3"));
    fs::remove_file(setup.path("state/counter.json")).unwrap();
    assert!(state(&setup, "reset", &[]).succeeded().stdout.contains("there is nothing to do"));
    setup.write("host.toml", &(setup.read("host.toml") + &setup.source("other", &server.origin(), "")));
    state(&setup, "reset", &[]).failed(2, &["there are 2 sources, and none is named", "--source counter"]);
}
