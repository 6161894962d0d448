//! A minimal source: `GET {origin}/items?after=N` answers a JSON array of `{"id": N, "name": TEXT}`, at most three of them.

#![allow(unsafe_code, reason = "what is exported goes through generated code")]

use serde_json::Value;

mod bindings {
    #![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({ world: "source-plugin", path: "../../../../wit" });
}

use bindings::exports::pipeline::source::source::*;

struct Honest;

impl Guest for Honest {
    fn describe() -> Description {
        Description {
            name: "honest".to_owned(),
            version: "1.0.0".to_owned(),
            config_schema: include_str!("../config.schema.json").to_owned(),
            documentation: "https://example.com/honest".to_owned(),
            max_checkpoint_bytes: 32,
            max_event_bytes: 1_000,
        }
    }

    fn plan(config: String) -> Result<AccessPlan, Vec<Diagnostic>> {
        let (origin, _) = read(&config)?;
        let host = origin.trim_start_matches("https://").to_owned();
        let origins = vec![Origin { scheme: "https".to_owned(), host, port: 443, purpose: "api".to_owned() }];
        let (identity, effective_config) =
            (format!("items {origin}"), serde_json::json!({"origin": origin}).to_string());
        Ok(AccessPlan { origins, secrets: vec![], identity, accepts: vec![], effective_config, notes: vec![] })
    }

    fn probe(config: String) -> Result<Vec<Diagnostic>, Failure> {
        get(&config, 0).map(|_| vec![])
    }

    fn poll(config: String, at: Position, budget: Budget) -> Result<Batch, Failure> {
        let after = match at {
            Position::Resume(Some(checkpoint)) => checkpoint.strip_prefix("after ").and_then(|n| n.parse().ok()),
            Position::Resume(None) => Some(0),
            Position::Range(_) => None,
        };
        let after = after.ok_or_else(|| Failure::UnusableCheckpoint(fault("checkpoint", "it is none of mine")))?;
        let items = get(&config, after)?;
        let (mut last, mut bytes, mut events) = (after, 0, Vec::new());
        for item in &items {
            let (Some(id), body) = (item["id"].as_u64(), item.to_string()) else { continue };
            bytes += body.len() as u64;
            if bytes > budget.max_bytes && events.is_empty() {
                return Err(Failure::BudgetTooSmall(Budget { max_bytes: bytes, ..budget }));
            } else if bytes > budget.max_bytes || events.len() == budget.max_events as usize {
                break;
            }
            last = id;
            events.push(Event {
                key: format!("item:{id}"),
                subject: id.to_string(),
                kind: "item".to_owned(),
                occurred: None,
                visible: None,
                content_type: "application/json".to_owned(),
                body: Payload::Text(body),
                attributes: vec![],
            });
        }
        let is_more = events.len() < items.len() || items.len() == 3;
        let (checkpoint, gaps, notices, counters) = (format!("after {last}"), vec![], vec![], vec![]);
        let next = if is_more { NextPoll::Now } else { NextPoll::After(60_000_000_000) };
        Ok(Batch { events, gaps, checkpoint, next, watermark: None, notices, counters })
    }
}

/// The origin and the secret, or everything that is wrong.
fn read(config: &str) -> Result<(String, String), Vec<Diagnostic>> {
    let wrong = |pointer: Option<String>, message: &str| {
        let (code, message, hint) = ("config".to_owned(), message.to_owned(), Some("see the schema".to_owned()));
        Diagnostic { level: Level::Error, code, pointer, message, hint }
    };
    let Ok(Value::Object(config)) = serde_json::from_str(config) else {
        return Err(vec![wrong(None, "no JSON object")]);
    };
    let text = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
    let unknown = config.keys().filter(|name| !["origin", "secret"].contains(&name.as_str()));
    let mut problems: Vec<_> = unknown.map(|name| wrong(Some(format!("/{name}")), "an unknown member")).collect();
    let missing = ["origin", "secret"].into_iter().filter(|name| text(name).is_none());
    problems.extend(missing.map(|name| wrong(Some(format!("/{name}")), "a text is needed")));
    if problems.is_empty() {
        Ok((text("origin").unwrap_or_default(), text("secret").unwrap_or_default()))
    } else {
        Err(problems)
    }
}

fn get(config: &str, after: u64) -> Result<Vec<Value>, Failure> {
    let (origin, secret) = read(config).map_err(Failure::InvalidConfig)?;
    let unavailable =
        |_| Failure::Unavailable(Delay { after: None, fault: fault("http", "no answer that can be read") });
    let request = waki::Client::new().get(&format!("{origin}/items?after={after}")).headers([("x-api-key", secret)]);
    let body = request.send().map_err(unavailable)?.body().map_err(unavailable)?;
    serde_json::from_slice(&body).map_err(|_| Failure::Rejected(fault("http.body", "the answer is no list of items")))
}

fn fault(code: &str, message: &str) -> Fault {
    let (code, message) = (code.to_owned(), message.to_owned());
    Fault { code, message, hint: None, status: None, request_id: None, checkpoint: None }
}

bindings::export!(Honest with_types_in bindings);
