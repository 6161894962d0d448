//! What an operator sees of a host that runs: metrics, health, logs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use source_host::{FileStore, Lineage};

use crate::process::{start, terminate, wait_for};
use crate::server::{Answer, SECRET, Server};
use crate::setup::Setup;

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The status and the body of an answer, or nothing where nobody answers.
fn ask(address: &str, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains(SECRET), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

/// The value of one line of the metrics.
fn metric(address: &str, line: &str) -> Option<f64> {
    let (_, body) = ask(address, "GET /metrics")?;
    body.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn metrics_and_health_say_what_the_sources_do() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let address = free_address();
    setup.prepend(&format!("[host]\nlisten = \"{address}\""));
    server.grow_to(3);
    server.next_answer(Answer::status(429, "retry-after: 0\r\n"));
    let mut child = start(&setup, &["--out", "out.ndjson"]);
    wait_for(|| metric(&address, "source_host_checkpoint_stores_total{source=\"counter\"}") >= Some(1.0));
    for (line, least) in [
        ("source_host_up{source=\"counter\"}", 1.0),
        ("source_host_events_total{source=\"counter\"}", 3.0),
        ("source_host_requests_total{source=\"counter\",code=\"200\"}", 1.0),
        ("source_host_requests_total{source=\"counter\",code=\"429\"}", 1.0),
        ("source_host_received_bytes_total{source=\"counter\"}", 90.0),
        ("source_host_errors_total{source=\"counter\",kind=\"throttled\",code=\"http.status-429\"}", 1.0),
        ("source_host_sink_deliveries_total{source=\"counter\",sink=\"--out\"}", 1.0),
        ("source_host_lag_seconds{source=\"counter\"}", 1e8),
    ] {
        let value = metric(&address, line);
        assert!(value >= Some(least), "{line}: {value:?}");
    }
    let (status, health) = ask(&address, "GET /health").unwrap();
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["status"], &health["sources"]["total"]), (200, &"ok".into(), &1.into()));
    assert_eq!(ask(&address, "GET /").unwrap().0, 404);
    assert_eq!(ask(&address, "POST /metrics").unwrap().0, 405);
    // A run from cron beside it does not want the address.
    setup.once(&["--state", "other"]).succeeded();
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn health_names_the_source_that_failed_while_others_go_on() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let address = free_address();
    let refused = setup.source("refused", &server.origin(), "").replace("\"secret\"", "\"wrong\"");
    setup.write("host.toml", &format!("[host]\nlisten = \"{address}\"\n{}{refused}", setup.read("host.toml")));
    setup.write("wrong", "wrong");
    let mut child = start(&setup, &["--out", "/dev/null"]);
    wait_for(|| ask(&address, "GET /health").is_some_and(|(status, _)| status == 503));
    let (_, health) = ask(&address, "GET /health").unwrap();
    let health: Value = serde_json::from_str(&health).unwrap();
    let failing = &health["failing"][0];
    assert_eq!((&health["sources"]["failing"], &failing["source"]), (&1.into(), &"refused".into()), "{health}");
    assert_eq!((&failing["state"], &failing["code"]), (&"failed".into(), &"http.status-401".into()));
    assert_eq!(failing["error"], "the service refused the credentials: the secret is wrong");
    assert_eq!(metric(&address, "source_host_up{source=\"refused\"}"), Some(0.0));
    assert_eq!(metric(&address, "source_host_up{source=\"counter\"}"), Some(1.0));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn health_names_a_source_whose_state_could_not_be_opened_at_the_start() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(1);
    let address = free_address();
    let others = setup.source("cut", &server.origin(), "") + &setup.source("held", &server.origin(), "");
    setup.write("host.toml", &format!("[host]\nlisten = \"{address}\"\n{}{others}", setup.read("host.toml")));
    let _held = FileStore::open(&setup.path("state"), "held", &Lineage::Running).unwrap();
    setup.write("state/cut.json", "{");
    let mut child = start(&setup, &["--out", "/dev/null"]);
    wait_for(|| metric(&address, "source_host_events_total{source=\"counter\"}") == Some(1.0));
    let (_, health) = ask(&address, "GET /health").unwrap();
    let health: Value = serde_json::from_str(&health).unwrap();
    let failing: Vec<_> = health["failing"].as_array().unwrap().iter().map(|failing| &failing["source"]).collect();
    assert_eq!(failing, ["cut", "held"], "{health}");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn an_address_that_is_none_or_is_taken_is_told_before_anything_is_read() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let good = setup.read("host.toml");
    setup.prepend("[host]\nlisten = \"localhost\"");
    setup.once(&[]).failed(2, &["host.toml:2: `localhost` is no address: write it as 127.0.0.1:9600"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    setup.write("host.toml", &format!("[host]\nlisten = \"{address}\"\n{good}"));
    setup
        .run(&["run", "--config", "host.toml"])
        .failed(1, &[&format!("cannot listen on {address} for metrics"), "hint: write a free address"]);
    assert!(server.requests().is_empty());
}

#[test]
fn json_logs_are_one_object_a_line_errors_included() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.next_answer(Answer::status(500, ""));
    server.next_traps();
    server.next_answer(Answer::status(403, ""));
    let ended = setup.once(&["--log", "json"]).failed(1, &[]);
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        assert!(line["fields"]["message"].is_string(), "{line}");
    }
    let said = |level: &str, field: &str, value: &str| {
        lines.iter().any(|line| line["level"] == level && line["fields"][field] == value)
    };
    assert!(said("WARN", "code", "http.status-500") && said("INFO", "source", "counter"), "{}", ended.stderr);
    let message = "source `counter`: the credentials lack a permission";
    assert!(said("ERROR", "message", message), "{}", ended.stderr);
    let wrong = setup.run(&["--log", "json", "run", "--config", "none.toml"]).failed(2, &[]);
    assert!(wrong.stderr.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", wrong.stderr);
}

#[test]
fn a_quiet_source_says_nothing_at_each_poll() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let log = std::fs::File::create(setup.path("log")).unwrap();
    let mut child =
        setup.command(&["run", "--config", "host.toml", "--out", "out.ndjson"]).stderr(log).spawn().unwrap();
    wait_for(|| server.requests().len() > 10);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = setup.read("log");
    assert!(log.lines().count() <= 4, "{log}");
}

#[test]
fn a_run_that_begins_while_the_last_one_is_at_work_leaves_it_alone() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(2);
    let hanging = server.next_answer(Answer::Silence);
    let mut child = start(&setup, &["--once", "--out", "out.ndjson"]);
    wait_for(|| server.answers_given() > hanging);
    setup.once(&["--out", "out.ndjson"]).failed(1, &["another host uses this state", "counter.lock is locked"]);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(setup.once(&["--out", "out.ndjson"]).succeeded().status, 0);
    assert_eq!(crate::setup::items(&setup.read("out.ndjson")), [1, 2]);
}
