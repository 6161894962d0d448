//! Events over HTTP, to an endpoint with good and bad days.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::endpoint::{Endpoint, Posted, Reply};
use crate::process::{start, terminate, wait_for};
use crate::server::Server;
use crate::setup::{Setup, items};

fn setup(server: &Server, endpoint: &Endpoint, members: &str) -> Setup {
    let setup = Setup::new(server, "");
    setup.prepend(&endpoint.table(members));
    setup
}

fn takes_all(_: &Posted, _: usize) -> Reply {
    Reply::Status(204)
}

#[test]
fn batches_arrive_as_they_are_wanted() {
    for (members, kind, sizes) in [
        ("", "application/x-ndjson", vec![5]),
        ("format = \"json\"\nmax_batch_events = 2", "application/json", vec![2, 2, 1]),
        ("gzip = true\nmax_batch_bytes = 300", "application/x-ndjson", vec![1; 5]),
    ] {
        let server = Server::start();
        server.grow_to(5);
        let endpoint = Endpoint::start(takes_all);
        let headers = "headers = { authorization = { file = \"token\" }, x-from = \"here\" }\n";
        let setup = setup(&server, &endpoint, &format!("{headers}{members}"));
        setup.write("token", "Bearer canary-token\n");
        setup.once(&[]).succeeded();
        let taken = endpoint.taken();
        assert_eq!(taken.iter().map(|posted| posted.events().len()).collect::<Vec<_>>(), sizes, "{members}");
        assert_eq!((endpoint.items(), setup.checkpoint()), (vec![1, 2, 3, 4, 5], Some("5".to_owned())));
        let keys: BTreeSet<&String> = taken.iter().map(|posted| &posted.headers["idempotency-key"]).collect();
        assert_eq!(keys.len(), taken.len());
        for Posted { headers, .. } in &taken {
            assert_eq!(headers["content-type"], kind);
            assert_eq!(
                (headers["authorization"].as_str(), headers["x-from"].as_str()),
                ("Bearer canary-token", "here")
            );
        }
    }
}

#[test]
fn what_may_pass_is_tried_again_with_the_same_key() {
    let server = Server::start();
    server.grow_to(3);
    let bad: [u16; 3] = [500, 429, 408];
    let keys = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let seen = std::sync::Arc::clone(&keys);
    let endpoint = Endpoint::start(move |posted, before| {
        seen.lock().unwrap().insert(posted.headers["idempotency-key"].clone());
        Reply::With(*bad.get(before).unwrap_or(&200), "retry-after: 1\r\n", "busy")
    });
    let ended = setup(&server, &endpoint, "").once(&[]).succeeded();
    assert_eq!((endpoint.items(), keys.lock().unwrap().len()), (vec![1, 2, 3], 1));
    let said = &ended.stderr;
    assert!(said.contains("does not take the batch now: HTTP 500: busy") && said.contains("wait=1s"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn an_endpoint_that_is_not_there_yet_is_waited_for() {
    let server = Server::start();
    server.grow_to(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let setup = Setup::new(&server, "");
    setup.prepend(&format!("[[sink]]\ntype = \"http\"\nurl = \"http://{address}/\"\n"));
    let child = start(&setup, &["--once"]);
    // It was polled, so what follows is a try to deliver.
    wait_for(|| !server.requests().is_empty());
    let endpoint = Endpoint::on(TcpListener::bind(address).unwrap(), takes_all);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(endpoint.items(), [1, 2]);
}

/// Refuses whatever holds the third item.
fn refuses_3(posted: &Posted, _: usize) -> Reply {
    if posted.items().contains(&3) {
        Reply::With(400, "", "item 3\nis no good: Bearer canary-token")
    } else {
        Reply::Status(200)
    }
}

#[test]
fn an_event_that_is_refused_goes_to_the_dead_letters_and_the_rest_goes_on() {
    let server = Server::start();
    server.grow_to(7);
    let endpoint = Endpoint::start(refuses_3);
    let members = "dead_letter = \"dead.ndjson\"\nheaders = { authorization = { file = \"token\" } }";
    let setup = setup(&server, &endpoint, members);
    setup.write("token", "Bearer canary-token");
    let ended = setup.once(&[]).succeeded();
    assert_eq!((endpoint.items(), setup.checkpoint()), (vec![1, 2, 4, 5, 6, 7], Some("7".to_owned())));
    let dead = setup.read("dead.ndjson");
    let letter: Value = serde_json::from_str(&dead).unwrap();
    assert_eq!((&letter["sink"], &letter["status"]), (&"http".into(), &400.into()));
    assert_eq!(letter["reason"], "item 3 is no good: ***");
    assert_eq!((&letter["event"]["key"], &letter["event"]["source"]), (&"counter:3".into(), &"counter".into()));
    assert!(!ended.stderr.contains("canary-token"), "{}", ended.stderr);
}

#[test]
fn an_event_that_is_refused_ends_the_source_where_nothing_else_is_said() {
    let server = Server::start();
    server.grow_to(7);
    let endpoint = Endpoint::start(refuses_3);
    let setup = setup(&server, &endpoint, "");
    setup.once(&[]).failed(
        1,
        &[
            "source `counter`: the sink `http` at http://127.0.0.1:",
            "the event counter:3 is refused: HTTP 400",
            "hint: see why",
        ],
    );
    assert_eq!(setup.checkpoint(), None);
}

#[test]
fn a_body_that_is_too_large_is_halved() {
    let server = Server::start();
    server.grow_to(9);
    let endpoint = Endpoint::start(|posted, _| Reply::Status(if posted.body.len() > 700 { 413 } else { 200 }));
    setup(&server, &endpoint, "").once(&[]).succeeded();
    assert_eq!(endpoint.items(), (1..=9).collect::<Vec<_>>());
}

#[test]
fn an_endpoint_that_takes_nothing_from_us_is_no_reason_for_dead_letters() {
    let server = Server::start();
    server.grow_to(3);
    for (status, said) in [(401, "who is sending"), (404, "check `url`"), (302, "redirects are not followed")] {
        let endpoint = Endpoint::start(move |_, _| Reply::With(status, "location: http://127.0.0.1:1/\r\n", ""));
        let setup = setup(&server, &endpoint, "dead_letter = \"dead\"");
        setup.once(&[]).failed(1, &[&format!("HTTP {status}"), said]);
        assert_eq!((setup.read("dead"), setup.checkpoint(), endpoint.asked()), (String::new(), None, 1));
    }
}

#[test]
fn a_slow_sink_holds_back_its_own_sources_only_and_a_signal_ends_it_in_time() {
    let server = Server::start();
    server.grow_to(10);
    let endpoint = Endpoint::start(|_, _| Reply::Silence);
    let setup = Setup::new(&server, "");
    let file = "[host]\nmax_events = 1\n[[sink]]\ntype = \"file\"\npath = \"{source}.ndjson\"\n";
    let both = setup.source("counter", &server.origin(), "");
    let other = Server::start();
    other.grow_to(10);
    let fast = setup.source("fast", &other.origin(), "").replace("allow", "sinks = [\"file\"]\nallow");
    setup.write("host.toml", &(file.to_owned() + &endpoint.table("") + &both + &fast));
    let mut child = start(&setup, &[]);
    wait_for(|| {
        setup.path("state/fast.json").exists() && setup.read("state/fast.json").contains("\"checkpoint\": \"10\"")
    });
    wait_for(|| endpoint.asked() == 1 && server.requests().len() == 2);
    let told = Instant::now();
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    // The poll waited: one batch under way, and one behind it.
    assert_eq!((server.requests().len(), setup.checkpoint()), (2, None));
    // Both have to have it.
    let open = Endpoint::start(takes_all);
    setup.write("host.toml", &(file.to_owned() + &open.table("") + &both + &fast));
    setup.once(&[]).succeeded();
    assert_eq!((open.items(), items(&setup.read("counter.ndjson"))), ((1..=10).collect(), (1..=10).collect()));
    assert_eq!(items(&setup.read("fast.ndjson")), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_host_that_is_killed_again_and_again_leaves_nothing_out() {
    let server = Server::start();
    let endpoint = Endpoint::start(|_, before| Reply::Status(if before % 5 == 3 { 503 } else { 200 }));
    let setup = setup(&server, &endpoint, "max_batch_events = 2");
    setup.prepend("[host]\nmax_events = 3");
    let mut last = 0;
    for kill in 1..=10 {
        last += 5;
        server.grow_to(last);
        let before = endpoint.asked();
        let mut child = start(&setup, &[]);
        wait_for(|| endpoint.asked() > before + kill % 3);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    setup.once(&[]).succeeded();
    let events: Vec<Value> = endpoint.taken().iter().flat_map(Posted::events).collect();
    for event in &events {
        assert_eq!(event["key"], format!("counter:{}", event["body"]["id"]));
    }
    let distinct: BTreeSet<u64> = endpoint.items().into_iter().collect();
    assert_eq!(distinct, (1..=last as u64).collect());
}

#[test]
fn a_token_that_was_replaced_is_used_without_a_restart() {
    let server = Server::start();
    server.grow_to(1);
    let right = std::sync::Arc::new(std::sync::Mutex::new("Bearer first-canary"));
    let accepted = std::sync::Arc::clone(&right);
    let endpoint = Endpoint::start(move |posted, _| {
        Reply::Status(if posted.headers["authorization"] == *accepted.lock().unwrap() { 204 } else { 401 })
    });
    let setup = setup(&server, &endpoint, "headers = { authorization = { file = \"token\" } }");
    setup.write("token", "Bearer first-canary\n");
    let log = std::fs::File::create(setup.path("log")).unwrap();
    let mut child = setup.command(&["run", "--config", "host.toml"]).stderr(log).spawn().unwrap();
    wait_for(|| endpoint.items() == [1]);
    // It is gone for a moment, as it is while whoever replaces it is half-way: nothing is sent, and it is looked for again.
    std::fs::remove_file(setup.path("token")).unwrap();
    let before = endpoint.asked();
    server.grow_to(2);
    wait_for(|| setup.read("log").contains("the secret `authorization` cannot be read from ./token"));
    assert_eq!(endpoint.asked(), before);
    *right.lock().unwrap() = "Bearer second-canary";
    setup.write("token", "Bearer second-canary\n");
    wait_for(|| endpoint.items() == [1, 2]);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!setup.read("log").contains("canary"), "{}", setup.read("log"));
    // One that is wrong and stays so ends the source, and one that is missing is told at the start.
    setup.write("token", "Bearer third-canary");
    server.grow_to(3);
    setup.once(&[]).failed(1, &["HTTP 401", "who is sending"]);
    std::fs::remove_file(setup.path("token")).unwrap();
    setup.once(&[]).failed(2, &["sink `http`: the secret `authorization` cannot be read from ./token"]);
}
