//! Events over the Fluent forward protocol.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::forward::{Ack, Chunk, Forward};
use crate::process::{start, wait_for};
use crate::server::Server;
use crate::setup::Setup;

fn setup(server: &Server, forward: &Forward, members: &str) -> Setup {
    let setup = Setup::new(server, "");
    setup.prepend(&forward.table(members));
    setup
}

fn records(chunks: &[Chunk]) -> Vec<&Value> {
    chunks.iter().flat_map(|chunk| &chunk.entries).map(|(_, _, record)| record).collect()
}

fn items(chunks: &[Chunk]) -> Vec<u64> {
    records(chunks).iter().map(|record| record["body"]["id"].as_u64().unwrap()).collect()
}

#[test]
fn events_arrive_as_records_with_their_time_in_chunks_that_are_acknowledged() {
    let server = Server::start();
    server.grow_to(5);
    let forward = Forward::start(None, |_| Ack::Right);
    let setup = setup(&server, &forward, "max_batch_events = 2");
    setup.once(&[]).succeeded();
    let taken = forward.taken();
    assert_eq!(taken.iter().map(|chunk| chunk.entries.len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((items(&taken), setup.checkpoint()), (vec![1, 2, 3, 4, 5], Some("5".to_owned())));
    let (seconds, nanoseconds, record) = &taken[0].entries[1];
    assert_eq!((taken[0].tag.as_str(), *seconds, *nanoseconds), ("counter", 1_262_304_002, 0));
    let expected = json!({
        "source": "counter", "kind": "item", "key": "counter:2", "subject": "2",
        "occurred": "2010-01-01T00:00:02.0000000Z", "visible": "2010-01-01T00:00:02.1234567Z",
        "body": { "id": 2, "name": "item 2" },
    });
    assert_eq!(*record, expected);
}

#[test]
fn bare_records_have_a_tag_of_their_own() {
    let server = Server::start();
    server.grow_to(1);
    let forward = Forward::start(None, |_| Ack::Right);
    setup(&server, &forward, "bare = true\ntag = \"siem.{source}\"").once(&[]).succeeded();
    let taken = forward.taken();
    assert_eq!(taken[0].tag, "siem.counter");
    assert_eq!(records(&taken), [&json!({ "id": 1, "name": "item 1" })]);
}

#[test]
fn both_ends_prove_that_they_know_the_key() {
    let server = Server::start();
    server.grow_to(1);
    let forward = Forward::start(Some("canary-key"), |_| Ack::Right);
    let with_key = setup(&server, &forward, "shared_key = { file = \"key\" }");
    with_key.write("key", "canary-key\n");
    with_key.once(&[]).succeeded();
    assert_eq!(items(&forward.taken()), [1]);
    with_key.write("key", "another");
    std::fs::remove_dir_all(with_key.path("state")).unwrap();
    with_key.once(&[]).failed(1, &["it refuses us: shared_key mismatch", "hint: compare `shared_key`"]);
    setup(&server, &forward, "").once(&[]).failed(1, &["it asks for a shared key", "hint: name the key"]);
    let open = Forward::start(None, |_| Ack::Right);
    let members = "shared_key = { file = \"key\" }\ntimeout = \"PT0.2S\"";
    let setup = setup(&server, &open, members);
    setup.write("key", "canary-key");
    let mut child = setup.command(&["run", "--config", "host.toml"]);
    let log = std::fs::File::create(setup.path("log")).unwrap();
    let mut child = child.stderr(log).spawn().unwrap();
    wait_for(|| setup.read("log").contains("asking for the shared key took longer than 200ms"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!setup.read("log").contains("canary") && open.taken().is_empty());
}

#[test]
fn a_chunk_that_is_not_acknowledged_is_sent_again_under_its_name() {
    let server = Server::start();
    server.grow_to(2);
    let bad = [Ack::Closed, Ack::Wrong, Ack::Silence];
    let forward = Forward::start(None, move |before| bad.get(before).copied().unwrap_or(Ack::Right));
    let setup = setup(&server, &forward, "timeout = \"PT0.3S\"");
    let ended = setup.once(&[]).succeeded();
    let names: BTreeSet<String> = forward.names().into_iter().collect();
    assert_eq!((forward.names().len(), names.len(), items(&forward.taken())), (4, 1, vec![1, 2]));
    for said in ["it closed the connection", "it acknowledges something else", "its acknowledgement took longer"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}

#[test]
fn a_host_that_is_killed_before_the_acknowledgement_sends_it_again() {
    let server = Server::start();
    server.grow_to(3);
    let forward = Forward::start(None, |before| if before == 0 { Ack::Silence } else { Ack::Right });
    let setup = setup(&server, &forward, "");
    let mut child = start(&setup, &[]);
    wait_for(|| forward.names().len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(setup.checkpoint(), None);
    setup.once(&[]).succeeded();
    assert_eq!(items(&forward.taken()), [1, 2, 3]);
}

#[test]
fn a_key_that_was_replaced_is_used_for_the_next_connection() {
    let server = Server::start();
    server.grow_to(1);
    // Each connection takes one message and closes at the next.
    let forward = Forward::start(Some("first-canary"), |before| if before == 1 { Ack::Closed } else { Ack::Right });
    let setup = setup(&server, &forward, "shared_key = { file = \"key\" }");
    setup.write("key", "first-canary");
    let mut child = start(&setup, &[]);
    wait_for(|| items(&forward.taken()) == [1]);
    setup.write("key", "second-canary");
    forward.rotate("second-canary");
    server.grow_to(2);
    wait_for(|| items(&forward.taken()) == [1, 2]);
    child.kill().unwrap();
    child.wait().unwrap();
}
