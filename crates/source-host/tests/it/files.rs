//! Files of lines: every event once, whatever happens.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{hang, start, terminate, wait_for};
use crate::server::Server;
use crate::setup::{Ended, Setup, items};

/// The configuration of one source with a sink of type `file`.
fn setup(server: &Server, members: &str) -> Setup {
    let setup = Setup::new(server, "");
    setup.prepend(&format!("[[sink]]\ntype = \"file\"\npath = \"out.ndjson\"\n{members}"));
    setup
}

/// The items in the files that were given up and in the last one, in order.
fn all_items(setup: &Setup) -> Vec<u64> {
    let old = (1..).map(|number| format!("out.ndjson.{number}")).take_while(|name| setup.path(name).exists());
    old.chain(["out.ndjson".to_owned()]).flat_map(|name| items(&setup.read(&name))).collect()
}

#[test]
fn a_host_that_is_killed_at_any_instant_leaves_every_event_once_over_all_files() {
    let server = Server::start();
    let setup = setup(&server, "rotate_bytes = 1500");
    setup.prepend("[host]\nmax_events = 3");
    let mut last = 0;
    for kill in 1..=30 {
        let mut child = start(&setup, &[]);
        for _ in 0..3 {
            last += 7;
            server.grow_to(last);
            wait_for(|| setup.checkpoint() == Some(last.to_string()));
        }
        last += 40;
        server.grow_to(last);
        // Somewhere in polling, writing, giving up a file, making durable or storing: another place each time.
        let instant = Instant::now() + Duration::from_micros(kill * 1_700);
        while Instant::now() < instant {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    setup.once(&[]).succeeded();
    assert_eq!(all_items(&setup), (1..=last as u64).collect::<Vec<_>>());
}

#[test]
fn a_signal_while_the_service_is_silent_leaves_a_file_that_is_added_to() {
    let server = Server::start();
    let setup = setup(&server, "");
    server.grow_to(2);
    let mut child = start(&setup, &[]);
    wait_for(|| setup.checkpoint().as_deref() == Some("2"));
    hang(&server);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    server.grow_to(3);
    setup.once(&[]).succeeded();
    assert_eq!(all_items(&setup), [1, 2, 3]);
}

#[test]
fn a_file_that_is_cut_or_moved_by_a_log_rotation_is_gone_on_with() {
    let server = Server::start();
    let setup = setup(&server, "");
    server.grow_to(2);
    let mut child = start(&setup, &[]);
    wait_for(|| setup.checkpoint().as_deref() == Some("2"));
    fs::rename(setup.path("out.ndjson"), setup.path("moved")).unwrap();
    server.grow_to(4);
    wait_for(|| setup.checkpoint().as_deref() == Some("4"));
    assert_eq!((items(&setup.read("moved")), items(&setup.read("out.ndjson"))), (vec![1, 2], vec![3, 4]));
    fs::write(setup.path("out.ndjson"), "").unwrap();
    server.grow_to(5);
    wait_for(|| setup.checkpoint().as_deref() == Some("5"));
    assert_eq!(items(&setup.read("out.ndjson")), [5]);
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(setup.path("out.ndjson"), "").unwrap();
    server.grow_to(6);
    let ended = setup.once(&[]).succeeded();
    assert!(ended.stderr.contains("somebody moved, cut or changed it"), "{}", ended.stderr);
    assert_eq!(items(&setup.read("out.ndjson")), [6]);
}

#[test]
fn a_full_disk_ends_it_and_what_was_written_in_part_is_written_once() {
    let server = Server::start();
    let setup = setup(&server, "");
    setup.prepend("[host]\nmax_events = 5");
    server.grow_to(60);
    // A limit on the size of files stands in for the end of a disk; ignored, its signal becomes an error. It is larger
    // than what is compiled in memory, which is a file as well.
    let limit = 8_192 * 512;
    let stranger = format!("{{\"body\":{{\"id\":0}},\"long\":\"{}\"}}\n", "x".repeat(limit - 4_096));
    setup.write("out.ndjson", &stranger);
    let program = env!("CARGO_BIN_EXE_source-host");
    let script = format!("trap '' XFSZ; ulimit -f 8192; exec '{program}' run --config host.toml --once");
    let output = Command::new("sh").args(["-c", &script]).current_dir(setup.path(".")).output().unwrap();
    Ended::from(output)
        .failed(1, &["error: source `counter`: cannot write to", "out.ndjson: File too large", "hint: "]);
    let before = all_items(&setup);
    assert!(before.len() > 1 && before.len() < 60, "{before:?}");
    setup.once(&[]).succeeded();
    assert_eq!(all_items(&setup), (0..=60).collect::<Vec<_>>());
}

#[test]
fn each_source_has_a_file_of_its_own_and_names_its_sinks() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    let sink = "[[sink]]\ntype = \"file\"\nname = \"files\"\npath = \"{source}.ndjson\"\n[[sink]]\ntype = \"stdout\"\nbare = true\n";
    let one = setup.source("one", &server.origin(), "");
    let two = setup.source("two", &server.origin(), "").replace("allow", "sinks = [\"files\"]\nallow");
    setup.write("host.toml", &(sink.to_owned() + &one + &two));
    let ended = setup.once(&[]).succeeded();
    assert_eq!(ended.stdout, "{\"id\":1,\"name\":\"item 1\"}\n{\"id\":2,\"name\":\"item 2\"}\n");
    for source in ["one", "two"] {
        let lines = setup.read(&format!("{source}.ndjson"));
        assert_eq!(items(&lines), [1, 2]);
        assert!(lines.starts_with(&format!("{{\"source\":\"{source}\"")));
    }
    setup.once(&["--bare"]).failed(2, &["--bare goes with --out", "bare = true"]);
    setup.once(&["--out", "all.ndjson"]).failed(2, &["2 sources would write to all.ndjson", "all-{source}.ndjson"]);
    assert!(!setup.path("all.ndjson").exists());
}

#[test]
fn a_range_into_the_file_of_a_running_source_stays_in_it() {
    let server = Server::start();
    let setup = setup(&server, "");
    server.grow_to(3);
    setup.once(&[]).succeeded();
    let range = ["--since", "2010-01-01T00:00:02Z", "--until", "2010-01-01T00:00:03Z"];
    setup.once(&range).succeeded();
    server.grow_to(4);
    setup.once(&[]).succeeded();
    assert_eq!(all_items(&setup), [1, 2, 3, 2, 4]);
}

#[test]
fn a_state_of_an_earlier_version_goes_on_with_a_file_of_then() {
    let server = Server::start();
    let setup = setup(&server, "");
    server.grow_to(4);
    let line = |id: u64| format!("{{\"source\":\"counter\",\"body\":{{\"id\":{id}}}}}\n");
    setup.write("out.ndjson", &format!("{}{}{}{}", line(1), line(2), line(3), &line(4)[..9]));
    fs::create_dir(setup.path("state")).unwrap();
    let state = include_str!("../states/version-1.json").replace("http://127.0.0.1:8080", &server.origin());
    setup.write("state/counter.json", &state);
    setup.once(&[]).succeeded();
    assert_eq!(all_items(&setup), [1, 2, 3, 4]);
}

#[test]
fn a_state_that_cannot_be_written_leaves_nothing_in_the_file() {
    let server = Server::start();
    let setup = setup(&server, "");
    server.grow_to(1);
    setup.once(&["--state", "/proc/none"]).failed(1, &["cannot make the state folder /proc/none", "hint: "]);
    assert!(!setup.path("out.ndjson").exists());
}
