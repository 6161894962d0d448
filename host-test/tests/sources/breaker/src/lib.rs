//! A source that breaks the law which `break` in its configuration names. It reads the items that the honest one reads.

#![allow(unsafe_code, reason = "what is exported goes through generated code")]

mod config;

use std::sync::atomic::{AtomicU64, Ordering};

use config::Config;
use serde_json::Value;
use waki::bindings::wasi::clocks::monotonic_clock;

mod bindings {
    #![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({ world: "source-plugin", path: "../../../../wit" });
}

use bindings::exports::pipeline::source::source::*;

/// A test changes this digit in the built file, and has another version of the source.
static GENERATION: &[u8] = b"generation 1";

/// What a source may not depend on: how often this instance was called, and how far it read.
static CALLS: AtomicU64 = AtomicU64::new(0);
static READ: AtomicU64 = AtomicU64::new(0);

struct Breaker;

impl Guest for Breaker {
    fn describe() -> Description {
        // It has no configuration that could name a law, so the other generation breaks this one.
        let calls = if generation().ends_with('3') { CALLS.fetch_add(1, Ordering::Relaxed) } else { 0 };
        Description {
            name: "breaker".to_owned(),
            version: format!("1.0.{calls}"),
            config_schema: r#"{"type": "object", "properties": {"secret": {"writeOnly": true}}}"#.to_owned(),
            documentation: "https://example.com/breaker".to_owned(),
            max_checkpoint_bytes: 32,
            max_event_bytes: 1_000,
        }
    }

    fn plan(config: String) -> Result<AccessPlan, Vec<Diagnostic>> {
        let config = Config::read(&config)?;
        let host = config.origin.trim_start_matches("https://").to_owned();
        let origins = vec![Origin { scheme: "https".to_owned(), host, port: 443, purpose: "api".to_owned() }];
        let mut identity = format!("items {}", config.origin);
        match config.broken.as_str() {
            "plan-remembers" => identity += &CALLS.fetch_add(1, Ordering::Relaxed).to_string(),
            "plan-asks" => ask(&config.origin),
            "plan-secret" => identity += &config.secret,
            "new-identity" => identity += &generation(),
            "old-config" if generation().ends_with('2') => return Err(vec![wrong(None, "no longer")]),
            _ => {}
        }
        let effective_config = serde_json::json!({"origin": config.origin}).to_string();
        Ok(AccessPlan { origins, secrets: vec![], identity, accepts: vec![], effective_config, notes: vec![] })
    }

    fn probe(_: String) -> Result<Vec<Diagnostic>, Failure> {
        Ok(vec![])
    }

    fn poll(config: String, at: Position, budget: Budget) -> Result<Batch, Failure> {
        let config = Config::read(&config).map_err(Failure::InvalidConfig)?;
        let broken = config.broken.as_str();
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        let after = after(&config, at)?;
        before(&config, calls, &budget)?;
        let (items, pieces) = match get(&config, after) {
            Ok(got) => got,
            Err(failure) => return failed(&config, after, failure),
        };
        let most_events = if broken == "too-many-events" { usize::MAX } else { budget.max_events as usize };
        let most_bytes = if broken == "too-many-bytes" { u64::MAX } else { budget.max_bytes };
        let (mut last, mut bytes, mut events) = (after, 0, Vec::new());
        for item in &items {
            let mut body = item.to_string();
            let id = item["id"].as_u64().unwrap_or_default();
            match broken {
                "monotonic" => body += &monotonic_clock::now().to_string(),
                "chunks" => body += &pieces.to_string(),
                "remembers" => body += &calls.to_string(),
                "long-event" => body += &" ".repeat(1_000),
                "secret-body" => body += &config.secret,
                _ => {}
            }
            bytes += body.len() as u64;
            if bytes > most_bytes && events.is_empty() {
                return Err(Failure::BudgetTooSmall(Budget { max_bytes: bytes, ..budget }));
            } else if bytes > most_bytes || events.len() >= most_events {
                break;
            }
            last = id;
            events.push(event(&config, id, calls, body));
        }
        let is_more = events.len() < items.len() || items.len() == 3;
        let next = if is_more || broken == "stuck" { NextPoll::Now } else { NextPoll::After(60_000_000_000) };
        READ.store(last, Ordering::Relaxed);
        let checkpoint = checkpoint(&config, last);
        let notices = if broken == "secret-notice" { vec![wrong(None, &config.secret)] } else { vec![] };
        Ok(Batch { events, gaps: vec![], checkpoint, next, watermark: None, notices, counters: vec![] })
    }
}

/// What goes wrong before anything is asked.
fn before(config: &Config, calls: u64, budget: &Budget) -> Result<(), Failure> {
    match config.broken.as_str() {
        "trap" if calls == 1 => std::process::abort(),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "grow" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        "wait" => monotonic_clock::subscribe_duration(u64::MAX).block(),
        "sleep" => monotonic_clock::subscribe_duration(1_000_000_000).block(),
        "unplanned" => ask("https://elsewhere.example"),
        "too-many-requests" => (0..budget.max_requests).for_each(|_| ask(&format!("{}/items?after=5", config.origin))),
        "smaller-budget" => return Err(Failure::BudgetTooSmall(*budget)),
        "asks-again" => return Err(Failure::BudgetTooSmall(Budget { max_events: budget.max_events + 1, ..*budget })),
        "secret-failure" => return Err(Failure::Forbidden(fault("http", &config.secret))),
        _ => {}
    }
    Ok(())
}

/// What a source makes of an answer that did not come as it should.
fn failed(config: &Config, after: u64, failure: Failure) -> Result<Batch, Failure> {
    let (events, last) = match config.broken.as_str() {
        "fault-trap" => std::process::abort(),
        "fault-wait" => {
            monotonic_clock::subscribe_duration(u64::MAX).block();
            (vec![], after)
        }
        "fault-lose" => (vec![], after + 1),
        "fault-invent" => (vec![event(config, after + 1, 0, r#"{"id":1}"#.to_owned())], after),
        "fault-elsewhere" => {
            ask(&format!("{}/archive", config.origin));
            return Err(failure);
        }
        _ => return Err(failure),
    };
    let (checkpoint, next) = (checkpoint(config, last), NextPoll::Now);
    Ok(Batch { events, gaps: vec![], checkpoint, next, watermark: None, notices: vec![], counters: vec![] })
}

fn event(config: &Config, id: u64, calls: u64, body: String) -> Event {
    let key = match config.broken.as_str() {
        "keys" => format!("item:{id}:{calls}"),
        "one-key" => "item".to_owned(),
        "no-key" => String::new(),
        "secret-key" => format!("item:{id}:{}", config.secret),
        _ => format!("item:{id}"),
    };
    Event {
        key,
        subject: id.to_string(),
        kind: "item".to_owned(),
        occurred: None,
        visible: None,
        content_type: "application/json".to_owned(),
        body: if config.broken == "secret-body" { Payload::Binary(body.into_bytes()) } else { Payload::Text(body) },
        attributes: vec![],
    }
}

fn checkpoint(config: &Config, last: u64) -> String {
    match config.broken.as_str() {
        // The kept instance knows that it has not delivered the third one.
        "loses" if last == 2 => "after 3".to_owned(),
        "long-checkpoint" => format!("after {last} {}", " ".repeat(100)),
        "secret-checkpoint" => format!("after {last} {}", config.secret),
        "new-checkpoint" => format!("after {last} {}", generation()),
        _ => format!("after {last}"),
    }
}

fn after(config: &Config, at: Position) -> Result<u64, Failure> {
    let Position::Resume(Some(checkpoint)) = at else { return Ok(0) };
    let unusable = || Failure::UnusableCheckpoint(fault("checkpoint", "it is none of mine"));
    if config.broken == "new-checkpoint" && !checkpoint.ends_with(&generation()) {
        return Err(unusable());
    }
    let number = checkpoint.strip_prefix("after ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    match number {
        Some(3) if config.broken == "loses" && READ.load(Ordering::Relaxed) == 2 => Ok(2),
        Some(number) => Ok(number),
        None if config.broken == "begins-anew" => Ok(0),
        None => Err(unusable()),
    }
}

/// The items, and in how many pieces they came.
fn get(config: &Config, after: u64) -> Result<(Vec<Value>, u32), Failure> {
    let unavailable =
        || Failure::Unavailable(Delay { after: None, fault: fault("http", "no answer that can be read") });
    let headers = [("x-api-key", config.secret.as_str())];
    let request = waki::Client::new().get(&format!("{}/items?after={after}", config.origin)).headers(headers);
    let response = request.send().map_err(|_| unavailable())?;
    let (mut body, mut pieces) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk(1 << 16).map_err(|_| unavailable())? {
        body.extend(chunk);
        pieces += 1;
    }
    let items = serde_json::from_slice(&body).map_err(|_| Failure::Rejected(fault("http.body", "no list of items")))?;
    Ok((items, pieces))
}

fn ask(url: &str) {
    // What comes back does not matter.
    let _answer = waki::Client::new().get(url).send();
}

fn generation() -> String {
    String::from_utf8_lossy(std::hint::black_box(GENERATION)).into_owned()
}

fn wrong(pointer: Option<String>, message: &str) -> Diagnostic {
    Diagnostic { level: Level::Error, code: "config".to_owned(), pointer, message: message.to_owned(), hint: None }
}

fn fault(code: &str, message: &str) -> Fault {
    let (code, message) = (code.to_owned(), message.to_owned());
    Fault { code, message, hint: None, status: None, request_id: None, checkpoint: None }
}

bindings::export!(Breaker with_types_in bindings);
