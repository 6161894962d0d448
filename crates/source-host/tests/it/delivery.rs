//! What is delivered, what is remembered, and in which order.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use source_host::{FileStore, Lineage};

use crate::process::{hang, start, terminate, wait_for};
use crate::server::{Answer, SECRET, Server};
use crate::setup::{Setup, items};

#[test]
fn a_second_run_delivers_what_came_since_the_first() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(3);
    let first = setup.once(&[]).succeeded();
    assert_eq!((first.items(), setup.checkpoint()), (vec![1, 2, 3], Some("3".to_owned())));
    let line: Value = serde_json::from_str(first.stdout.lines().next().unwrap()).unwrap();
    let expected = serde_json::json!({
        "source": "counter", "kind": "item", "key": "counter:1", "subject": "1",
        "occurred": "2010-01-01T00:00:01.0000000Z", "visible": "2010-01-01T00:00:01.1234567Z",
        "body": { "id": 1, "name": "item 1" },
    });
    assert_eq!(line, expected);
    server.grow_to(5);
    assert_eq!(setup.once(&[]).succeeded().items(), [4, 5]);
    assert!(setup.once(&[]).succeeded().items().is_empty());
    assert!(!setup.read("state/counter.json").contains(SECRET));
}

#[test]
fn batches_keep_to_the_budget_and_add_up() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.prepend("[host]\nmax_events = 4");
    server.grow_to(10);
    assert_eq!(setup.once(&[]).succeeded().items(), (1..=10).collect::<Vec<_>>());
    assert_eq!(server.requests(), ["/items?after=0&max=4", "/items?after=4&max=4", "/items?after=8&max=4"]);
}

#[test]
fn a_killed_host_reads_on_and_loses_nothing() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.prepend("[host]\nmax_events = 2");
    server.grow_to(3);
    // Caught up at 3, the source is polled again and again.
    let mut child = start(&setup, &["--out", "out.ndjson"]);
    wait_for(|| setup.checkpoint().as_deref() == Some("3"));
    hang(&server);
    server.grow_to(5);
    child.kill().unwrap();
    child.wait().unwrap();
    setup.once(&["--out", "out.ndjson"]).succeeded();
    assert_eq!(items(&setup.read("out.ndjson")), [1, 2, 3, 4, 5]);
}

#[test]
fn a_signal_ends_it_in_good_order_even_while_the_service_is_silent() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    let mut child = start(&setup, &["--out", "out.ndjson"]);
    wait_for(|| setup.checkpoint().as_deref() == Some("2"));
    hang(&server);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(setup.checkpoint().as_deref(), Some("2"));
    assert_eq!(items(&setup.read("out.ndjson")), [1, 2]);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_what_it_did_not_take_comes_again() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.prepend("[host]\nmax_events = 1");
    // Larger than a pipe, so that the second line cannot have been taken.
    server.grow_to(1);
    server.add_large(300_000);
    server.grow_to(3);
    let mut child = setup.command(&["run", "--config", "host.toml", "--once"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(!said.contains("error"), "{said}");
    assert_eq!(items(&first), [1]);
    let again = setup.once(&[]).succeeded().items();
    assert!(again.ends_with(&[2, 3]), "{again:?}");
}

#[test]
fn a_signal_ends_it_in_time_while_its_reader_is_stuck() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    // Larger than a pipe.
    server.add_large(300_000);
    server.grow_to(3);
    let mut child = start(&setup, &[]);
    wait_for(|| !server.requests().is_empty());
    let told = Instant::now();
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    assert_eq!((setup.checkpoint(), setup.once(&[]).succeeded().items()), (None, vec![1, 2, 3]));
}

#[test]
fn a_trap_costs_an_instance_and_no_event() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    server.next_traps();
    let ended = setup.once(&[]).succeeded();
    assert_eq!(ended.items(), [1, 2]);
    assert!(ended.stderr.contains("the component trapped in `poll`"), "{}", ended.stderr);
}

#[test]
fn sources_run_side_by_side_and_one_that_fails_holds_up_nobody() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    let both = setup.source("one", &server.origin(), "") + &setup.source("two", &server.origin(), "");
    let refused = setup.source("three", &server.origin(), "").replace("\"secret\"", "\"wrong\"");
    setup.write("host.toml", &(both + &refused));
    setup.write("wrong", "wrong");
    let ended = setup.once(&[]).failed(3, &["error: source `three`: the service refused the credentials"]);
    for source in ["one", "two"] {
        let lines = ended.stdout.lines().filter(|line| line.contains(&format!("\"source\":\"{source}\""))).count();
        assert_eq!(lines, 2, "{}", ended.stdout);
        assert!(setup.path(&format!("state/{source}.json")).is_file());
    }
}

/// Two sources and two items.
fn two_sources(server: &Server) -> Setup {
    let setup = Setup::new(server, "");
    server.grow_to(2);
    setup.write("host.toml", &(setup.source("one", &server.origin(), "") + &setup.source("two", &server.origin(), "")));
    setup
}

#[test]
fn a_source_whose_state_cannot_be_opened_is_told_and_the_others_run() {
    let server = Server::start();
    let setup = two_sources(&server);
    std::fs::create_dir_all(setup.path("state/one.json")).unwrap();
    let ended = setup.once(&[]).failed(1, &["error: source `one`: cannot read the state ./state/one.json"]);
    assert_eq!(ended.items(), [1, 2]);
    std::fs::remove_dir(setup.path("state/one.json")).unwrap();
    server.grow_to(3);
    let held = FileStore::open(&setup.path("state"), "one", &Lineage::Running).unwrap();
    let ended = setup.once(&[]).failed(1, &["error: source `one`: another host uses this state"]);
    assert_eq!(ended.items(), [3]);
    drop(held);
    assert_eq!(setup.once(&[]).succeeded().items(), [1, 2, 3]);
}

#[test]
fn where_no_state_can_be_opened_all_are_told_and_nothing_runs() {
    let server = Server::start();
    let setup = two_sources(&server);
    let folder = setup.path("state");
    let held = ["one", "two"].map(|name| FileStore::open(&folder, name, &Lineage::Running).unwrap());
    let ended = setup.run(&["run", "--config", "host.toml"]);
    let ended = ended.failed(1, &["source `one`: another host uses", "source `two`: another host uses"]);
    assert_eq!((ended.stdout.as_str(), server.requests()), ("", Vec::new()));
    drop(held);
}

#[test]
fn a_source_without_an_end_whose_state_another_host_uses_runs_once_that_lets_go_of_it() {
    let server = Server::start();
    let setup = two_sources(&server);
    let folder = setup.path("state");
    let has_caught_up = |source: &str| {
        let state = std::fs::read_to_string(folder.join(format!("{source}.json")));
        state.is_ok_and(|state| state.contains("\"checkpoint\": \"2\""))
    };
    for lets_go in [false, true] {
        let held = FileStore::open(&folder, "one", &Lineage::Running).unwrap();
        let mut child = start(&setup, &["--out", "{source}.ndjson"]);
        wait_for(|| has_caught_up("two"));
        assert!(!setup.path("one.ndjson").exists());
        if lets_go {
            drop(held);
            wait_for(|| has_caught_up("one"));
        }
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(i32::from(!lets_go)));
        std::fs::remove_file(setup.path("state/two.json")).unwrap();
    }
    assert_eq!(items(&setup.read("one.ndjson")), [1, 2]);
}

#[test]
fn a_range_has_a_state_of_its_own_and_can_be_read_again() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.prepend("[host]\nmax_events = 2");
    server.grow_to(9);
    let range = ["--since", "2010-01-01T00:00:03Z", "--until", "2010-01-01T00:00:06Z"];
    for _ in 0..2 {
        assert_eq!(setup.once(&range).succeeded().items(), [3, 4, 5]);
    }
    assert_eq!(setup.checkpoint(), None);
    setup.once(&["--since", range[3], "--until", range[1]]).failed(2, &["--since is not before --until"]);
}

#[test]
fn a_range_of_other_times_is_refused_before_anything_is_asked_for() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    for (since, until, told) in [
        ("0001-01-01", "2026-01-01", "--since is 0001-01-01T00:00:00Z, and must lie in the years 2010 to 2099"),
        ("2009-12-31T23:59:59Z", "2026-01-01", "--since is 2009-12-31T23:59:59Z"),
        ("2026-01-01", "2100-01-01", "--until is 2100-01-01T00:00:00Z, and must lie in the years 2010 to 2099"),
    ] {
        setup.once(&["--since", since, "--until", until]).failed(2, &[told, "hint: correct its year"]);
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    setup.once(&["--since", "2010-01-01", "--until", "2099-12-31T23:59:59Z"]).succeeded();
}

#[test]
fn a_range_that_was_cut_off_is_read_on() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.prepend("[host]\nmax_events = 2");
    server.grow_to(9);
    let range = ["--since", "2010-01-01T00:00:03Z", "--until", "2010-01-01T00:00:06Z"];
    server.next_answer(Answer::Raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 57\r\n\r\n{\"id\":3,\"time\":3,\"name\":\"\"}\n{\"id\":4,\"time\":4,\"name\":\"\"}\n\n".to_vec(),
    ));
    server.next_answer(Answer::status(403, ""));
    assert_eq!(setup.once(&range).failed(1, &["lack a permission"]).items(), [3, 4]);
    assert_eq!(setup.once(&range).succeeded().items(), [5]);
}

#[test]
fn a_run_with_an_end_that_was_stopped_before_it_is_not_done() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    let hanging = server.next_answer(Answer::Silence);
    let child = start(&setup, &["--once", "--out", "out.ndjson"]);
    wait_for(|| server.answers_given() > hanging);
    terminate(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
}

#[test]
fn nobody_has_to_read_what_it_says_on_standard_error() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    for (arguments, status) in
        [(["run", "--config", "host.toml", "--once"], 0), (["run", "--config", "none", "--once"], 2)]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(setup.command(&arguments).stderr(writer).output().unwrap().status.code(), Some(status));
    }
}
