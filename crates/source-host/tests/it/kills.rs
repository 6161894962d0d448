//! The component against a service over TLS, in a host that is killed on the way.
//!
//! `KILLS=100 cargo test --test it kills` takes minutes, over 100,000 detections.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::{Detection, answer, token};
use crate::setup::{Setup, defender};
use crate::tls::{TlsServer, fixture};

const DAY: u64 = 24 * 60 * 60;

/// How many answers there are to read for each kill. A run of a second or two reads about five.
const ANSWERS_EACH: u64 = 8;

/// Detections that are spread over the first of March, each with its stamp; a quarter of them shares one with another.
fn detections(number: u64) -> Vec<Detection> {
    let begin = Duration::from_secs(1_772_323_200);
    let at = |index: u64| {
        let index = if index % 8 == 7 { index - 1 } else { index };
        begin + Duration::from_nanos(DAY * 10_000_000 / number * index * 100)
    };
    (0..number).map(|index| Detection::processed(at(index), index)).collect()
}

/// The whole lines on its standard output, as they come; a torn one counts for nothing.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|read| read > 0) {
            if !line.ends_with('\n') || sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_again_and_again_delivers_every_detection() {
    let kills: u64 = std::env::var("KILLS").map_or(4, |kills| kills.parse().unwrap());
    let detections = Arc::new(detections(kills * 1_000));
    let rows = Arc::clone(&detections);
    // The service takes its time, so that a run of a second or two is one of several answers, and none comes to the end.
    let is_over = Arc::new(AtomicBool::new(false));
    let hurried = Arc::clone(&is_over);
    let takes = move || Duration::from_millis(if hurried.load(Ordering::Relaxed) { 0 } else { 300 });
    let server = TlsServer::start_slow(&["h2"], "server.pem", takes, move |request| {
        let body = match request.uri().path() {
            "/token" => token("a.b.c"),
            _ => answer(&rows, request.uri(), Duration::MAX),
        };
        http::Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
    })
    .await;

    let setup = Setup::empty();
    setup.write("secret", "canary");
    let slice = DAY / (kills * ANSWERS_EACH);
    setup.write(
        "host.toml",
        &format!(
            "[host]\nca_file = '{}'\nmax_events = 100\n[[source]]\nname = \"siem\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n\
             secrets = {{ client_secret = {{ file = \"secret\" }} }}\n[source.config]\n\
             tenant_id = \"11111111-1111-4111-8111-111111111111\"\nclient_id = \"22222222-2222-4222-8222-222222222222\"\n\
             api = \"siem\"\nregion = \"eu\"\nslice = \"PT{slice}S\"\n\
             endpoints = {{ token = \"{origin}/token\", api = \"{origin}\" }}\n",
            fixture("ca.pem").display(),
            defender().display(),
            origin = server.url(""),
        ),
    );
    let arguments = [
        "run",
        "--config",
        "host.toml",
        "--once",
        "--since",
        "2026-03-01T00:00:00Z",
        "--until",
        "2026-03-02T00:00:00Z",
    ];

    let mut runs: Vec<Vec<String>> = Vec::new();
    for run in 0..=kills {
        let mut child = setup.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let output = lines(&mut child);
        let mut got: Vec<String> = output.recv().into_iter().collect();
        // A second is how often a checkpoint is stored; another instant after it each time.
        let end = Instant::now() + Duration::from_millis(1_000 + run * 97 % 700);
        while let Ok(line) = output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            got.push(line);
        }
        if run == kills {
            is_over.store(true, Ordering::Relaxed);
        } else {
            child.kill().unwrap();
        }
        got.extend(output.iter());
        runs.push(got);
        assert_eq!(child.wait().unwrap().success(), run == kills, "in run {run}");
    }

    let mut delivered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut begins = Vec::new();
    for lines in &runs {
        for (number, line) in lines.iter().enumerate() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["kind"], "detection", "{line}");
            let id = event["body"]["FullId"].as_str().unwrap().to_owned();
            if number == 0 {
                begins.push(event["visible"].as_str().unwrap().to_owned());
            }
            delivered.entry(id).or_default().push(event["key"].as_str().unwrap().to_owned());
        }
    }
    let total: usize = delivered.values().map(Vec::len).sum();
    eprintln!("{kills} kills, {} detections, {} lines more than once", detections.len(), total - delivered.len());
    assert_eq!(delivered.len(), detections.len());
    for (id, keys) in &delivered {
        assert!(keys.iter().all(|key| key == &keys[0]), "{id}: {keys:?}");
    }
    // What a checkpoint accounts for never comes again: no run begins before the one before it.
    assert!(begins.is_sorted(), "{begins:?}");
}
