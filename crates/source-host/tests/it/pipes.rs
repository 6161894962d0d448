//! Outputs whose reader goes away: which of them end the host, and which are waited for.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use crate::process::{terminate, wait_for};
use crate::server::Server;
use crate::setup::{Ended, Setup, items};

/// Two sources: `counter` writes to a named pipe, `other` to a file.
fn setup(server: &Server) -> Setup {
    let setup = Setup::new(server, "");
    let made = Command::new("mkfifo").arg(setup.path("pipe")).status().unwrap();
    assert!(made.success());
    let other = setup.source("other", &server.origin(), "").replace("allow", "sinks = [\"file\"]\nallow");
    let counter = setup.source("counter", &server.origin(), "").replace("allow", "sinks = [\"pipe\"]\nallow");
    setup.write(
        "host.toml",
        &format!(
            "[host]\nmax_events = 2\n[[sink]]\ntype = \"file\"\nname = \"pipe\"\npath = \"pipe\"\n\
             [[sink]]\ntype = \"file\"\npath = \"other.ndjson\"\n{counter}{other}"
        ),
    );
    setup
}

fn start_logged(setup: &Setup) -> Child {
    let log = File::create(setup.path("log")).unwrap();
    setup.command(&["run", "--config", "host.toml"]).stderr(log).spawn().unwrap()
}

#[test]
fn a_pipe_whose_reader_goes_away_waits_for_the_next_one_and_loses_nothing() {
    let server = Server::start();
    let setup = setup(&server);
    // Larger than a pipe, so that the first reader leaves in the middle of it.
    server.grow_to(1);
    server.add_large(300_000);
    server.grow_to(4);
    let mut child = start_logged(&setup);
    let mut first = String::new();
    let mut reader = BufReader::with_capacity(16, File::open(setup.path("pipe")).unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    assert_eq!(items(&first), [1]);
    wait_for(|| setup.read("log").contains("nobody reads it; waiting for a reader"));
    // The other source gets on meanwhile, with what comes later too.
    server.grow_to(5);
    wait_for(|| {
        setup.path("state/other.json").exists() && setup.read("state/other.json").contains("\"checkpoint\": \"5\"")
    });
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(setup.checkpoint(), None);
    let mut reader = BufReader::new(File::open(setup.path("pipe")).unwrap());
    let mut came = Vec::new();
    while came.last() != Some(&5) {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        // What the first reader left of its line is none.
        if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) {
            came.push(event["body"]["id"].as_u64().unwrap());
        }
    }
    assert_eq!(came, [1, 2, 3, 4, 5]);
    wait_for(|| setup.checkpoint().as_deref() == Some("5"));
    assert!(setup.read("log").contains("it is read again"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_host_that_waits_for_a_reader_ends_in_time_and_accounts_for_nothing() {
    let server = Server::start();
    server.grow_to(2);
    let setup = setup(&server);
    let mut child = start_logged(&setup);
    wait_for(|| setup.read("log").contains("nobody reads it"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(setup.checkpoint(), None);
}

#[test]
fn a_gap_that_standard_error_does_not_take_is_a_failure_of_that_source() {
    let server = Server::start();
    server.grow_to(1);
    let setup = Setup::new(&server, "misbehave = \"gap\"");
    let said = setup.once(&["--bare"]).succeeded();
    assert!(said.stderr.contains("\"key\":\"counter:gap\""), "{}", said.stderr);
    std::fs::remove_dir_all(setup.path("state")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["run", "--config", "host.toml", "--once", "--bare"];
    let output = setup.command(&arguments).stderr(writer).output().unwrap();
    // Its end is not known to have been told, so it is none.
    assert_eq!((output.status.code(), setup.checkpoint()), (Some(1), None));
    let in_envelopes = setup.command(&arguments[..4]).stdout(Stdio::piped()).output().unwrap();
    assert!(Ended::from(in_envelopes).succeeded().stdout.contains("\"kind\":\"gap\""));
}

#[test]
fn standard_output_whose_reader_goes_away_ends_the_host_and_what_others_have_is_stored() {
    let server = Server::start();
    server.grow_to(3);
    let setup = setup(&server);
    setup.write(
        "host.toml",
        &setup
            .read("host.toml")
            .replace("type = \"file\"\nname = \"pipe\"\npath = \"pipe\"", "type = \"stdout\"\nname = \"pipe\""),
    );
    let mut child = start_logged(&setup);
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 20];
    output.read_exact(&mut first).unwrap();
    wait_for(|| {
        setup.path("state/other.json").exists() && setup.read("state/other.json").contains("\"checkpoint\": \"3\"")
    });
    drop(output);
    server.grow_to(4);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", setup.read("log"));
}
