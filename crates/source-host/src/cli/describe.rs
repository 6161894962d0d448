//! `source-host describe`.

use std::path::PathBuf;

use serde_json::json;
use source_host::{Limits, Source};

use super::open::{Components, default_cache};
use super::plan::parsed;
use super::print;
use super::report::Report;

/// Prints what a component says of itself, as one JSON object.
pub(crate) async fn describe(component: Option<PathBuf>) -> Result<(), Report> {
    let component = Components::new(default_cache())?.load(component.as_deref())?;
    let described = Source::describe(&component, &Limits::default()).await?;
    let document = json!({
        "name": described.name,
        "version": described.version,
        "documentation": described.documentation,
        "component": component.name(),
        "imports": component.imports(),
        "max_checkpoint_bytes": described.max_checkpoint_bytes,
        "max_event_bytes": described.max_event_bytes,
        "config_schema": parsed(&described.config_schema),
    });
    print(&format!("{document:#}"))
}
