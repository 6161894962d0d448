//! The component against a service over TLS, in a host that is killed on the way.
//!
//! `KILLS=100 cargo test --test it kills` takes minutes, over 100,000 detections.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::setup::{Setup, defender};
use crate::tls::{TlsServer, fixture};

const DAY: u64 = 24 * 60 * 60 * 10_000_000;

/// Detections that are spread over the first of March, each with its stamp; a quarter of them shares one with another.
fn detections(number: u64) -> Vec<(String, String)> {
    let row = |index: u64| {
        let ticks = DAY / number * if index % 8 == 7 { index - 1 } else { index };
        let (seconds, fraction) = (ticks / 10_000_000, ticks % 10_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let stamp = format!("2026-03-01T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z");
        let body = format!(
            r#"{{"AlertTime":"{stamp}","AlertId":"da{index}","FullId":"da{index}:one","LastProcessedTimeUtc":"{stamp}","Severity":"Low","Description":"{}"}}"#,
            "x".repeat(200)
        );
        (stamp, body)
    };
    (0..number).map(row).collect()
}

/// What the service answers: a token, and the detections of a range, both ends included.
fn answer(detections: &[(String, String)], uri: &http::Uri) -> String {
    if uri.path() == "/token" {
        return r#"{"token_type":"Bearer","expires_in":"3599","access_token":"a.b.c"}"#.to_owned();
    }
    let bound = |name: &str| {
        let value = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let value = value.replace("%3A", ":");
        let (whole, fraction) =
            value.trim_end_matches('Z').split_once('.').unwrap_or((value.trim_end_matches('Z'), ""));
        Some(format!("{whole}.{fraction:0<7}Z"))
    };
    let (since, until) = bound("sinceTimeUtc").zip(bound("untilTimeUtc")).unwrap();
    let first = detections.partition_point(|(stamp, _)| *stamp < since);
    let last = detections.partition_point(|(stamp, _)| *stamp <= until);
    let rows: Vec<&str> = detections[first..last].iter().map(|(_, body)| body.as_str()).collect();
    format!("[{}]", rows.join(","))
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
    // The service takes its time, so that a run of a second or two is one of several answers.
    let slow = Duration::from_millis(300);
    let server = TlsServer::start_slow(&["h2"], "server.pem", slow, move |request| {
        http::Response::builder()
            .header("content-type", "application/json")
            .body(answer(&rows, request.uri()).into())
            .unwrap()
    })
    .await;

    let setup = Setup::empty();
    setup.write("secret", "canary");
    // Three answers for each kill.
    let slice = 24 * 60 * 60 / (kills * 3);
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
    let mut killed = 0;
    for run in 0.. {
        let mut child = setup.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let output = lines(&mut child);
        let mut got: Vec<String> = output.recv().into_iter().collect();
        // A second is how often a checkpoint is stored; another instant after it each time.
        let end = Instant::now() + Duration::from_millis(1_000 + run * 97 % 700);
        while let Ok(line) = output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            got.push(line);
        }
        let may_end = killed >= kills;
        if may_end {
            got.extend(output.iter());
        } else {
            child.kill().unwrap();
            got.extend(output.iter());
        }
        let status = child.wait().unwrap();
        runs.push(got);
        if status.success() {
            break;
        }
        killed += 1;
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
    eprintln!("{killed} kills, {} detections, {} lines more than once", detections.len(), total - delivered.len());
    assert!(killed > 0);
    assert_eq!(delivered.len(), detections.len());
    for (id, keys) in &delivered {
        assert!(keys.iter().all(|key| key == &keys[0]), "{id}: {keys:?}");
    }
    // What a checkpoint accounts for never comes again: no run begins before the one before it.
    assert!(begins.is_sorted(), "{begins:?}");
}
