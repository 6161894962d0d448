//! `source-host plan`.

use std::path::Path;

use serde_json::{Value, json};
use source_host::{AccessPlan, Level, Refused, SecretPlace, Source};

use super::config::{Config, SourceTable};
use super::open::{Components, grants};
use super::print;
use super::report::Report;
use super::secrets::config_without_secrets;

/// Prints one JSON object a source. Needs no secret and no network.
pub(crate) async fn plan(path: &Path) -> Result<(), Report> {
    let config = Config::load(path)?;
    let mut components = Components::new(config.host.cache.clone())?;
    let mut problems = Vec::new();
    for table in &config.sources {
        let of = |report: Report| report.of(&table.name);
        let planned = async {
            let component = components.load(table.component.as_deref())?;
            let json = config_without_secrets(table);
            let planned = Source::plan(&component, &json, &config.host.limits).await?;
            planned.map_err(|diagnostics| Report::from(source_host::OpenError::Config(diagnostics)))
        };
        let plan = match planned.await {
            Ok(plan) => plan,
            Err(report) => {
                problems.push(of(report));
                continue;
            }
        };
        let refused = grants(table).review(&plan).err();
        print(&format!("{:#}", document(table, &plan, refused.as_ref())))?;
        if let Some(refused) = refused {
            problems.push(of(source_host::OpenError::Refused(refused).into()));
        }
    }
    Report::all(problems)
}

fn document(table: &SourceTable, plan: &AccessPlan, refused: Option<&Refused>) -> Value {
    let origins: Vec<Value> = plan
        .origins
        .iter()
        .map(|planned| {
            let origin = source_host::Origin::new(&planned.scheme, &planned.host, Some(planned.port));
            let text = origin.map_or_else(
                |_| format!("{}://{}:{}", planned.scheme, planned.host, planned.port),
                |origin| origin.to_string(),
            );
            let is_refused = refused.is_some_and(|refused| refused.origins.iter().any(|(origin, _)| *origin == text));
            json!({ "origin": text, "purpose": planned.purpose, "granted": !is_refused })
        })
        .collect();
    let secrets: Vec<Value> = plan
        .secrets
        .iter()
        .map(|secret| match &secret.place {
            SecretPlace::FormField(name) => {
                json!({ "pointer": secret.pointer, "sent_to": secret.origin, "form_field": name })
            }
            SecretPlace::Bearer => {
                json!({ "pointer": secret.pointer, "sent_to": secret.origin, "header": "Authorization: Bearer" })
            }
        })
        .collect();
    let notes: Vec<Value> = plan
        .notes
        .iter()
        .map(|note| {
            let level = match note.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "note",
            };
            json!({ "level": level, "code": note.code, "pointer": note.pointer, "message": note.message, "hint": note.hint })
        })
        .collect();
    json!({
        "source": table.name,
        "identity": plan.identity,
        "accepts": plan.accepts,
        "origins": origins,
        "secrets": secrets,
        "effective_config": parsed(&plan.effective_config),
        "notes": notes,
    })
}

/// JSON as JSON, and what is none as the text that it is.
pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
