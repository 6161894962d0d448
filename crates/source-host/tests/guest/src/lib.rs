//! A small source that the host is tested against: it reads numbered items from one origin,
//! `GET {origin}/items?after=N&max=M`, one JSON object a line, and its checkpoint is the last number.
//!
//! With `token` in its configuration it exchanges its secret for a token there, and sends that. With `misbehave` in its configuration it does one of the things that a host has to survive.

#![allow(unsafe_code, reason = "what is exported goes through generated code")]

mod misbehaviour;
mod token;

use serde::Deserialize;

mod bindings {
    #![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({ world: "source-plugin", path: "../../../../wit" });
}

use bindings::exports::pipeline::source::source as contract;
use contract::{
    AccessPlan, Batch, Budget, Delay, Description, Diagnostic, Event, Failure, Fault, Instant, Level, NextPoll, Origin,
    Payload, Position, SecretPlace, SecretUse,
};
use misbehaviour::Misbehaviour;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the items are, such as `http://127.0.0.1:8080`.
    origin: String,
    /// Sent as a bearer token, or exchanged for one.
    secret: String,
    /// Where the secret is exchanged for a token, such as `http://127.0.0.1:8081/token`.
    token: Option<String>,
    /// One row of text in place of the JSON object.
    #[serde(default)]
    csv: bool,
    /// The object over several lines.
    #[serde(default)]
    pretty: bool,
    /// Everything in one batch, then the end.
    #[serde(default)]
    request: bool,
    misbehave: Option<Misbehaviour>,
}

#[derive(Deserialize)]
struct Item {
    id: u64,
    time: i64,
    name: String,
    #[serde(default)]
    trap: bool,
}

struct Counter;

impl contract::Guest for Counter {
    fn describe() -> Description {
        Description {
            name: "counter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: r#"{"type":"object","required":["origin","secret"]}"#.to_owned(),
            documentation: "https://example.com/counter".to_owned(),
            max_checkpoint_bytes: 100,
            max_event_bytes: 1 << 20,
        }
    }

    fn plan(config: String) -> Result<AccessPlan, Vec<Diagnostic>> {
        let config = parse(&config)?;
        let mut origins = vec![planned(&config.origin, "api")];
        let mut secrets = Vec::new();
        if let Some(token) = &config.token {
            origins.push(planned(token, "token"));
            secrets.push(SecretUse {
                pointer: "/secret".to_owned(),
                origin: if config.misbehave == Some(Misbehaviour::PlanNowhere) { 9 } else { 1 },
                place: SecretPlace::FormField("client_secret".to_owned()),
                captures: vec!["access_token".to_owned()],
                bearer_at: vec![0],
            });
        } else if config.misbehave != Some(Misbehaviour::PlanNoSecret) {
            secrets.push(SecretUse {
                pointer: "/secret".to_owned(),
                origin: 0,
                place: SecretPlace::Bearer,
                captures: Vec::new(),
                bearer_at: Vec::new(),
            });
        }
        if config.misbehave == Some(Misbehaviour::PlanForeign) {
            origins.push(Origin {
                host: "evil.example".to_owned(),
                scheme: "https".to_owned(),
                port: 443,
                ..origins[0].clone()
            });
        }
        Ok(AccessPlan {
            origins,
            secrets,
            identity: format!("counter {}", config.origin),
            accepts: Vec::new(),
            effective_config: format!(r#"{{"origin":"{}","request":{}}}"#, config.origin, config.request),
            notes: Vec::new(),
        })
    }

    fn probe(config: String) -> Result<Vec<Diagnostic>, Failure> {
        let config = parse(&config).map_err(Failure::InvalidConfig)?;
        get(&config, 0, 1, "")?;
        let message = "the items can be read".to_owned();
        Ok(vec![Diagnostic { level: Level::Note, code: "probe.ok".to_owned(), pointer: None, message, hint: None }])
    }

    fn poll(config: String, at: Position, budget: Budget) -> Result<Batch, Failure> {
        let config = parse(&config).map_err(Failure::InvalidConfig)?;
        // A checkpoint is the last number, and in a range also what the range is.
        let (after, range) = match at {
            Position::Resume(None) => (0, String::new()),
            Position::Resume(Some(checkpoint)) => {
                let (number, range) = checkpoint.split_once(' ').unwrap_or((&checkpoint, ""));
                let number = number.parse().map_err(|_| {
                    Failure::UnusableCheckpoint(fault("checkpoint.corrupt", format!("`{number}` is no number"), None))
                })?;
                (number, range.to_owned())
            }
            Position::Range((since, until)) => (0, format!("&since={}&until={}", since.seconds, until.seconds)),
        };
        if let Some(misbehaviour) = config.misbehave {
            misbehaviour.act(&config, budget)?;
        }
        let max = if config.request { 1_000 } else { budget.max_events };
        let items = get(&config, after, max, &range)?;
        if items.iter().any(|item| item.trap) {
            std::process::abort();
        }
        let caught_up = items.len() < max as usize;
        let last = items.last().map_or(after, |item| item.id);
        let stuck = config.misbehave == Some(Misbehaviour::Stuck);
        let mut batch = Batch {
            events: items.into_iter().map(|item| config.event(item)).collect(),
            gaps: Vec::new(),
            checkpoint: format!("{last} {range}").trim_end().to_owned(),
            next: match (stuck, caught_up, config.request || !range.is_empty()) {
                (false, true, true) => NextPoll::Ended,
                (false, true, false) => NextPoll::After(50_000_000),
                _ => NextPoll::Now,
            },
            watermark: None,
            notices: Vec::new(),
            counters: Vec::new(),
        };
        if let Some(misbehaviour) = config.misbehave {
            misbehaviour.forge(&config, &mut batch);
        }
        Ok(batch)
    }
}

impl Config {
    fn event(&self, item: Item) -> Event {
        let Item { id, time, name, .. } = item;
        let body = match (self.csv, self.pretty) {
            (true, _) => format!("{id},{name}"),
            (_, true) => format!("{{\r\n  \"id\": {id},\n  \"name\": \"{name}\"\n}}"),
            _ => format!(r#"{{"id":{id},"name":"{name}"}}"#),
        };
        let attributes = if self.csv { vec![("csv-header".to_owned(), "id,name".to_owned())] } else { Vec::new() };
        Event {
            key: format!("counter:{id}"),
            subject: id.to_string(),
            kind: "item".to_owned(),
            occurred: Some(Instant { seconds: time, nanoseconds: 0 }),
            visible: Some(Instant { seconds: time, nanoseconds: 123_456_700 }),
            content_type: if self.csv { "text/csv" } else { "application/json" }.to_owned(),
            body: Payload::Text(body),
            attributes,
        }
    }
}

fn planned(url: &str, purpose: &str) -> Origin {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let port = port.parse().unwrap_or_default();
    Origin { scheme: scheme.to_owned(), host: host.to_owned(), port, purpose: purpose.to_owned() }
}

fn parse(config: &str) -> Result<Config, Vec<Diagnostic>> {
    serde_json::from_str(config).map_err(|error| {
        let hint = Some("write origin and secret".to_owned());
        vec![Diagnostic {
            level: Level::Error,
            code: "config".to_owned(),
            pointer: None,
            message: error.to_string(),
            hint,
        }]
    })
}

fn get(config: &Config, after: u64, max: u32, range: &str) -> Result<Vec<Item>, Failure> {
    let url = format!("{}/items?after={after}&max={max}{range}", config.origin);
    let bearer = format!("Bearer {}", token::bearer(config)?);
    let unavailable =
        |code: &str, message: String| Failure::Unavailable(Delay { after: None, fault: fault(code, message, None) });
    let response = waki::Client::new()
        .get(&url)
        .headers([("authorization", bearer.as_str())])
        .send()
        .map_err(|error| unavailable("http.transport", error.to_string()))?;
    let status = response.status_code();
    let retry_after = response.header("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match status {
        200 => {}
        401 if config.token.is_some() => {
            token::forget();
            return Err(unavailable("token.expired", "the token is not good any more".to_owned()));
        }
        401 => {
            return Err(Failure::Unauthenticated(fault(
                "http.status-401",
                "the secret is wrong".to_owned(),
                Some(401),
            )));
        }
        403 => return Err(Failure::Forbidden(fault("http.status-403", "not permitted".to_owned(), Some(403)))),
        429 => {
            let after = retry_after.map(|seconds| seconds * 1_000_000_000);
            return Err(Failure::Throttled(Delay {
                after,
                fault: fault("http.status-429", "too often".to_owned(), Some(429)),
            }));
        }
        _ => return Err(unavailable(&format!("http.status-{status}"), format!("the answer was {status}"))),
    }
    let body = response.body().map_err(|error| unavailable("http.body", error.to_string()))?;
    serde_json::Deserializer::from_slice(&body).into_iter().collect::<Result<_, _>>().map_err(|error| {
        Failure::Rejected(fault("http.body", format!("the answer holds what is no item: {error}"), Some(status)))
    })
}

fn fault(code: &str, message: String, status: Option<u16>) -> Fault {
    Fault { code: code.to_owned(), message, hint: None, status, request_id: None, checkpoint: None }
}

bindings::export!(Counter with_types_in bindings);
