//! A minimal source: `GET {origin}/items?after=N` answers a JSON array of `{"id": N, "name": TEXT}`, at most three of them.

#![allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, reason = "what is exported is generated")]

use exports::pipeline::source::source::*;
use serde_json::{Map, Value, json};

wit_bindgen::generate!({ world: "source-plugin", path: "../../../../wit" });

struct Honest;

impl Guest for Honest {
    fn describe() -> Description {
        let [name, version, documentation] = ["honest", "1.0.0", "https://example.com/honest"].map(str::to_owned);
        let config_schema = include_str!("../config.schema.json").to_owned();
        Description { name, version, config_schema, documentation, max_checkpoint_bytes: 32, max_event_bytes: 1_000 }
    }

    fn plan(config: String) -> Result<AccessPlan, Vec<Diagnostic>> {
        let [origin, _] = read(&config)?;
        let [scheme, host, purpose] = ["https", origin.trim_start_matches("https://"), "api"].map(str::to_owned);
        let (identity, effective_config) = (format!("items {origin}"), json!({"origin": origin}).to_string());
        let origins = vec![Origin { scheme, host, port: 443, purpose }];
        Ok(AccessPlan { origins, secrets: vec![], identity, accepts: vec![], effective_config, notes: vec![] })
    }

    fn probe(config: String) -> Result<Vec<Diagnostic>, Failure> {
        get(&config, 0).map(|_| vec![])
    }

    fn poll(config: String, at: Position, budget: Budget) -> Result<Batch, Failure> {
        let Position::Resume(checkpoint) = at else {
            return Err(Failure::Rejected(fault("range", "it reads on only")));
        };
        let unusable = |_| Failure::UnusableCheckpoint(fault("checkpoint", "it is none of mine"));
        let mut last = checkpoint.map_or(Ok(0), |checkpoint| checkpoint.parse().map_err(unusable))?;
        let (items, mut events, mut bytes) = (get(&config, last)?, vec![], 0);
        for item in &items {
            let (id, body) = (item["id"].as_u64().unwrap_or(last), item.to_string());
            bytes += body.len() as u64;
            if bytes > budget.max_bytes && events.is_empty() {
                return Err(Failure::BudgetTooSmall(Budget { max_bytes: bytes, ..budget }));
            } else if bytes > budget.max_bytes || events.len() == budget.max_events as usize {
                break;
            }
            let [kind, content_type] = ["item", "application/json"].map(str::to_owned);
            let (key, subject, body, attributes) = (format!("item:{id}"), id.to_string(), Payload::Text(body), vec![]);
            events.push(Event { key, subject, kind, occurred: None, visible: None, content_type, body, attributes });
            last = id;
        }
        let is_more = events.len() < items.len() || items.len() == 3;
        let next = if is_more { NextPoll::Now } else { NextPoll::After(60_000_000_000) };
        let (checkpoint, gaps, notices, counters) = (last.to_string(), vec![], vec![], vec![]);
        Ok(Batch { events, gaps, checkpoint, next, watermark: None, notices, counters })
    }
}

/// The origin and the secret, or everything that is wrong.
fn read(config: &str) -> Result<[String; 2], Vec<Diagnostic>> {
    let wrong = |pointer: String, message: &str| {
        let (code, message, hint) = ("config".to_owned(), message.to_owned(), Some("see the schema".to_owned()));
        Diagnostic { level: Level::Error, code, pointer: Some(pointer), message, hint }
    };
    let config: Map<String, Value> =
        serde_json::from_str(config).map_err(|_| vec![wrong(String::new(), "no JSON object")])?;
    let (known, is_text) = (["origin", "secret"], |name: &str| config.get(name).is_some_and(Value::is_string));
    let unknown = config.keys().map(String::as_str).filter(|name| !known.contains(name));
    let problems = unknown.chain(known.into_iter().filter(|name| !is_text(name)));
    let problems: Vec<_> = problems.map(|name| wrong(format!("/{name}"), "unknown, or no text")).collect();
    if !problems.is_empty() {
        Err(problems)
    } else {
        Ok(known.map(|name| config[name].as_str().unwrap_or("").to_owned()))
    }
}

fn get(config: &str, after: u64) -> Result<Vec<Value>, Failure> {
    let [origin, secret] = read(config).map_err(Failure::InvalidConfig)?;
    let unavailable = |_| Failure::Unavailable(Delay { after: None, fault: fault("http", "no answer came") });
    let request = waki::Client::new().get(&format!("{origin}/items?after={after}")).headers([("x-api-key", secret)]);
    let body = request.send().map_err(unavailable)?.body().map_err(unavailable)?;
    serde_json::from_slice(&body).map_err(|_| Failure::Rejected(fault("http.body", "the answer is no list of items")))
}

fn fault(code: &str, message: &str) -> Fault {
    let (code, message) = (code.to_owned(), message.to_owned());
    Fault { code, message, hint: None, status: None, request_id: None, checkpoint: None }
}

export!(Honest);
