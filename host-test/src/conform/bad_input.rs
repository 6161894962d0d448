//! Configurations that are wrong, and a checkpoint that nobody made.

use scenario::Scenario;
use serde_json::{Map, Value, json};
use source_host::{AccessPlan, CallError, Diagnostic, Failure, Position};

use super::law::Law;
use super::secrets::Watch;
use super::{Bench, convert, pure, schema};

/// A member that no source has.
const UNKNOWN: &str = "no_source_has_this_member";

/// A checkpoint that no source makes.
const FOREIGN: &str = "\u{1}no source makes this checkpoint";

/// A configuration that is wrong.
struct Wrong {
    what: String,
    text: String,
    /// Where, as a JSON Pointer.
    pointer: Option<String>,
}

pub(super) async fn check(bench: &mut Bench<'_>, watch: &Watch) {
    for wrong in wrongs(bench.scenario, &bench.description.config_schema) {
        let planned = plan(bench, &wrong.text).await;
        let place = format!("the configuration with {}", wrong.what);
        match planned {
            Err(error) => lost(bench, &place, &error),
            Ok(Ok(_)) => {
                let found = "expected diagnostics; it was taken";
                let hint = "refuse what is unknown or of another kind, or say in `config-schema` that it is allowed";
                bench.findings.add(Law::BadConfig, place, found, hint);
            }
            Ok(Err(problems)) => {
                watch.problems(&place, &problems, &mut bench.findings);
                pointed(bench, &place, &wrong, &problems);
            }
        }
    }
    poll_with_bad_config(bench).await;
    foreign_checkpoint(bench).await;
}

async fn plan(bench: &Bench<'_>, config: &str) -> Result<Result<AccessPlan, Vec<Diagnostic>>, CallError> {
    pure::instance(bench.component, bench.limits, bench.scenario.settings.starts).await?.plan(config).await
}

fn lost(bench: &mut Bench<'_>, place: &str, error: &CallError) {
    let hint = "answer diagnostics: an operator's mistake is never a trap";
    bench.findings.add(Law::BadConfig, place, format!("expected diagnostics; {error}"), hint);
}

fn pointed(bench: &mut Bench<'_>, place: &str, wrong: &Wrong, problems: &[Diagnostic]) {
    let at = |problem: &Diagnostic, pointer: &str| {
        let told = problem.pointer.as_deref().unwrap_or_default();
        told == pointer || told.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'))
    };
    let found = match &wrong.pointer {
        _ if problems.is_empty() => "expected diagnostics; there are none".to_owned(),
        Some(pointer) if !problems.iter().any(|problem| at(problem, pointer)) => {
            let told: Vec<&str> = problems.iter().filter_map(|problem| problem.pointer.as_deref()).collect();
            format!("expected a diagnostic with the pointer {pointer}, found {told:?}")
        }
        _ => return,
    };
    let hint = "give the JSON Pointer of the member that is to blame, so that a host can show the line";
    bench.findings.add(Law::BadConfig, place, found, hint);
}

async fn poll_with_bad_config(bench: &mut Bench<'_>) {
    let place = "poll with a configuration that is no JSON";
    match poll(bench, "{", &Position::Resume(None)).await {
        Err(error) => lost(bench, place, &error),
        Ok(Err(Failure::InvalidConfig(_))) => {}
        Ok(_) => {
            let hint = "`poll` reads its configuration as `plan` does";
            bench.findings.add(Law::BadConfig, place, "expected `invalid-config`, found something else", hint);
        }
    }
}

async fn foreign_checkpoint(bench: &mut Bench<'_>) {
    let config = bench.scenario.config.clone();
    let hint =
        "check that a checkpoint is one's own, and answer `unusable-checkpoint`: to begin anew is up to a person";
    let found = match poll(bench, &config, &Position::Resume(Some(FOREIGN.to_owned()))).await {
        Err(error) => error.to_string(),
        Ok(Err(Failure::UnusableCheckpoint(_))) => return,
        Ok(Err(failure)) => {
            let kind = convert::failure(&failure).failure.map_or("a failure", |told| told.kind);
            format!("it answered `{kind}`")
        }
        Ok(Ok(_)) => "it went on as if nothing were the matter".to_owned(),
    };
    let place = "poll at a checkpoint that no source makes";
    bench.findings.add(Law::BadCheckpoint, place, format!("expected `unusable-checkpoint`; {found}"), hint);
}

async fn poll(
    bench: &Bench<'_>,
    config: &str,
    at: &Position,
) -> Result<Result<source_host::Batch, Failure>, CallError> {
    let budget = convert::budget(&bench.scenario.settings.budget);
    let mut instance = pure::instance(bench.component, bench.limits, bench.scenario.settings.starts).await?;
    instance.poll(config, at, &budget).await
}

/// Every wrong configuration that is tried.
fn wrongs(scenario: &Scenario, schema: &str) -> Vec<Wrong> {
    let of = |what: &str, text: &str| Wrong { what: what.to_owned(), text: text.to_owned(), pointer: None };
    let cut: String = scenario.config.trim_end().chars().rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect();
    let mut wrongs = vec![
        of("nothing in it", ""),
        of("its last bracket missing", &cut),
        of("`null` in its place", "null"),
        of("a list in its place", "[]"),
        of("a text in its place", "\"text\""),
    ];
    let Ok(Value::Object(config)) = serde_json::from_str(&scenario.config) else { return wrongs };
    let schema = schema::read(schema).unwrap_or_default();
    for (name, right) in &config {
        let told = schema::member(&schema, name);
        for value in [json!(7.5), json!(true), json!("\u{1}"), json!([{}]), json!({UNKNOWN: [1]})] {
            let allowed = told.is_some_and(|told| schema::allows(&schema, told, &value));
            if kind(&value) != kind(right) && !allowed {
                wrongs.push(with(&config, name, &value));
            }
        }
    }
    wrongs.push(with(&config, UNKNOWN, &json!(1)));
    wrongs
}

fn with(config: &Map<String, Value>, name: &str, value: &Value) -> Wrong {
    let mut config = config.clone();
    config.insert(name.to_owned(), value.clone());
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let what =
        if name == UNKNOWN { format!("the unknown member `{name}`") } else { format!("{} as `{name}`", kind(value)) };
    Wrong { what, text: Value::Object(config).to_string(), pointer: Some(pointer) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
