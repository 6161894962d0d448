//! Replays of scenarios, beyond those of each folder in `tests/scenarios.rs`.

use std::time::{Duration, Instant};

use scenario::Scenario;
use source_host::Engine;

use crate::folder::{Copy, component, scenarios};

#[test]
fn a_replay_gives_the_same_bytes_every_time() {
    let component = Engine::new().unwrap().load(&component()).unwrap();
    for name in ["first-pull", "fresh-instance", "throttled-date"] {
        let scenario = Scenario::load(&scenarios().join(name)).unwrap();
        let first = host_test::replay(&scenario, &component).unwrap();
        let second = host_test::replay(&scenario, &component).unwrap();
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn thirty_days_of_polling_replay_in_seconds() {
    const POLLS: usize = 30 * 24 * 12 + 1;
    let copy = Copy::of("first-pull");
    let traffic = serde_json::json!({ "interactions": [{ "any-order": [
        {
            "why": "a token, each time that one ran out", "times": "any",
            "request": {
                "method": "POST", "headers": { "content-type": "application/x-www-form-urlencoded" },
                "url": "https://login.microsoftonline.com/0f6f1a8e-3c1d-4d0b-9a5e-5f0c7b1d2e43/oauth2/token",
                "form": {
                    "resource": { "pattern": "*" }, "client_id": { "pattern": "*" },
                    "client_secret": { "pattern": "*" }, "grant_type": "client_credentials",
                },
            },
            "response": {
                "status": 200, "latency": "PT0.1S",
                "json": { "token_type": "Bearer", "expires_in": "3599", "access_token": "an-invented-token-of-an-hour" },
            },
        },
        {
            "why": "nothing new, at every poll", "times": "any",
            "request": {
                "method": "GET", "url": "https://wdatp-alertexporter-eu.windows.com/api/alerts",
                "query": { "sinceTimeUtc": { "pattern": "2026-*Z" }, "untilTimeUtc": { "pattern": "2026-*Z" } },
            },
            "response": { "status": 200, "json": [], "latency": "PT0.2S" },
        },
    ]}]});
    copy.write("traffic.json", &traffic.to_string());
    copy.replace("scenario.json", "\"starts\"", &format!("\"polls\": {POLLS}, \"starts\""));
    let component = Engine::new().unwrap().load(&component()).unwrap();
    let scenario = Scenario::load(&copy.path()).unwrap();
    let began = Instant::now();
    let report = host_test::replay(&scenario, &component).unwrap();
    let took = began.elapsed();
    assert_eq!(report.outcome.polls.len(), POLLS, "{:?}", report.outcome.polls.last());
    assert!(report.outcome.polls.iter().all(|poll| poll.failure.is_none()));
    assert!(report.virtual_time >= Duration::from_secs(30 * 86_400), "{:?}", report.virtual_time);
    assert!(report.outcome.polls.last().unwrap().at.starts_with("2026-04-01T"), "{:?}", report.outcome.polls.last());
    assert!(took < Duration::from_secs(60), "it took {took:?}");
    println!("{report}, in {took:?}");
}
