//! Every input of the corpus, on any toolchain: each holds, and together they reach what they are there for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use fuzzing::{TARGETS, Target};

/// What the core calls the APIs.
const PROTOCOLS: [&str; 5] = [
    "the SIEM API",
    "the Alerts API of Defender for Endpoint",
    "the alerts API of Microsoft Graph",
    "the incidents API of Microsoft Graph",
    "the incidents API of Defender XDR",
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

fn inputs(name: &str) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let paths = fs::read_dir(folder().join(name))?.map(|entry| entry.map(|entry| entry.path()));
    paths.map(|path| path.and_then(|path| fs::read(&path).map(|data| (path, data)))).collect()
}

/// Replays the corpus of a target, which must reach all of these.
fn replay(target: Target, inputs: io::Result<BTreeMap<PathBuf, Vec<u8>>>, expected: &[&str]) {
    let mut reached = BTreeSet::new();
    for (path, data) in inputs.expect("the corpus is there") {
        // Shown where it fails.
        println!("{}", path.display());
        reached.extend(target(&data));
    }
    let missed: Vec<_> = expected.iter().filter(|word| !reached.contains(**word)).collect();
    assert!(missed.is_empty(), "no input reaches {missed:?}");
}

#[test]
fn answers_are_read_alike_however_they_are_cut() {
    replay(
        fuzzing::answer,
        inputs("answer"),
        &[
            "array",
            "beyond-a-value",
            "complete",
            "cut-off",
            "lenient",
            "malformed",
            "no-stamp",
            "not-an-object",
            "number",
            "odd",
            "oversize",
            "single",
            "stamp",
        ],
    );
}

#[test]
fn errors_of_the_service_are_fit_to_be_shown() {
    replay(
        fuzzing::api_failure,
        inputs("api_failure"),
        &[&["forbidden", "rejected", "throttled", "unauthenticated", "unavailable"], &PROTOCOLS[..]].concat(),
    );
}

#[test]
fn checkpoints_are_read_back_or_refused() {
    replay(
        fuzzing::checkpoint,
        inputs("checkpoint"),
        &["accepted", "frozen", "partial", "plain", "read-on", "read-on-request", "refused", "taken-over"],
    );
}

#[test]
fn configurations_mean_what_their_plan_says() {
    let credentials = ["access_token", "certificate", "client_assertion", "client_secret", "federated_token"];
    let words = ["first-seen", "refused", "request", "running", "selection", "valid"];
    let reached = [&words[..], &credentials, &PROTOCOLS].concat();
    replay(fuzzing::configuration, inputs("configuration"), &reached);
}

#[test]
fn the_machine_obeys_its_laws() {
    replay(
        fuzzing::machine,
        inputs("machine"),
        &[
            "after",
            "budget-too-small",
            "came-without",
            "cap",
            "ended",
            "events-alone",
            "forbidden",
            "frozen",
            "gap-missing-part",
            "gap-other",
            "gap-oversize",
            "gap-partial",
            "gap-truncated",
            "jump",
            "killed-in-a-poll",
            "learned-from-failure",
            "notice",
            "overlap-shortened",
            "page-by-link",
            "page-by-skip",
            "page-of-a-least-range-by-link",
            "quota-used-up",
            "rejected",
            "restart",
            "skew",
            "split",
            "taken-over",
            "throttled",
            "least-range-again",
            "unauthenticated",
            "unavailable",
            "without-expand",
        ],
    );
}

#[test]
fn the_ring_is_a_map_from_key_to_minute() {
    replay(fuzzing::ring, inputs("ring"), &["forget-before", "forget-from", "insert", "move-up"]);
}

#[test]
fn stamps_and_durations_are_printed_as_they_are_read() {
    replay(fuzzing::tick, inputs("tick"), &["duration", "http-date", "stamp", "suggested-duration"]);
}

#[test]
fn answers_of_the_token_endpoint_are_tokens_or_fit_to_be_shown() {
    let failures = ["invalid-config", "rejected", "throttled", "unauthenticated", "unavailable"];
    replay(fuzzing::token_answer, inputs("token_answer"), &failures);
    replay(fuzzing::token_answer, inputs("token_answer"), &["token"]);
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let found: BTreeSet<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
}
