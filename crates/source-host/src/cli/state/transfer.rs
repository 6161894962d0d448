//! `source-host state export` and `import`: states as one JSON document.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use source_host::{
    AccessPlan, CheckpointStore as _, FileStore, Instant, Lineage, OpenError, Source, Stored, read_json,
};

use super::{Meant, dated};
use crate::cli::config::SourceTable;
use crate::cli::lineage::{described, read};
use crate::cli::open::Components;
use crate::cli::print;
use crate::cli::report::Report;
use crate::cli::secrets::config_without_secrets;

const FORMAT: &str = "source-host-states/1";

/// Checkpoints are at most some hundred KB each; a larger file is another one.
const LONGEST: u64 = 1 << 30;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    exported: String,
    states: Vec<State>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    source: String,
    /// `running`, or the word of a range or a request.
    lineage: String,
    identity: String,
    config_digest: String,
    checkpoint: Option<String>,
    sinks: BTreeMap<String, String>,
}

impl State {
    fn lineage(&self) -> Option<Lineage> {
        if self.lineage == "running" { Some(Lineage::Running) } else { read(&self.lineage) }
    }
}

/// Writes the states as one document.
pub(super) fn export(meant: &Meant, out: Option<&Path>) -> Result<(), Report> {
    let mut states = Vec::new();
    for table in meant.sources() {
        let source = &table.name;
        for lineage in meant.lineages(source)? {
            let stored = FileStore::peek(&meant.path(source, &lineage));
            let Some(stored) = stored.map_err(|error| Report::from(error).of(source))? else { continue };
            let lineage = match lineage {
                Lineage::Running => "running".to_owned(),
                Lineage::Bounded(word) => word,
            };
            let Stored { identity, config_digest, checkpoint, accounts: sinks } = stored;
            states.push(State { source: source.clone(), lineage, identity, config_digest, checkpoint, sinks });
        }
    }
    if states.is_empty() {
        return Err(Report::failed(format!("nothing is stored in {}", meant.folder.display()))
            .hint("name the folder with --state, or run the source first"));
    }
    let count = states.len();
    let exported = Instant { nanoseconds: 0, ..std::time::SystemTime::now().into() }.to_string();
    let document = Document { format: FORMAT.to_owned(), exported, states };
    let text = serde_json::to_string_pretty(&document).map_err(|error| Report::failed("no document").because(error))?;
    let Some(out) = out else { return print(&text) };
    source_host::replace_file(out, format!("{text}\n").as_bytes()).map_err(|error| {
        Report::failed(format!("cannot write {}", out.display()))
            .because(error)
            .hint("name a file that this user may write, in a folder that is there")
    })?;
    print(&format!("{count} {} in {}", if count == 1 { "state" } else { "states" }, out.display()))
}

/// Takes states over, all of them or none as far as it can be told beforehand.
pub(super) async fn import(meant: &Meant, from: &Path, force: bool) -> Result<(), Report> {
    let document = parse(from, &text(from)?)?;
    let chosen = choose(meant, document.states, from)?;
    let mut components = Components::new(meant.config.host.cache.clone())?;
    let mut held = Vec::new();
    for (table, states) in chosen {
        let source = &table.name;
        let plan = plan(table, meant, &mut components).await.map_err(|report| report.of(source))?;
        for state in states {
            let lineage = state.lineage().ok_or_else(|| {
                Report::wrong(format!("{}: `{}` is no lineage that this host knows", from.display(), state.lineage))
                    .hint("export it again with the version that imports it")
                    .of(source)
            })?;
            refuse_foreign(&state, &plan, from).map_err(|report| report.of(source))?;
            let store = meant.hold(source, &lineage)?;
            if store.path().exists() && !force {
                return Err(Report::failed(format!("there is a state already: {}", store.path().display()))
                    .hint("look at it with `source-host state show`; --force takes its place, and keeps it under a dated name")
                    .of(source));
            }
            held.push((source, lineage, store, state));
        }
    }
    let date = dated();
    for (source, lineage, mut store, state) in held {
        let State { identity, config_digest, checkpoint, sinks: accounts, .. } = state;
        if store.path().exists() {
            let kept = store.keep_copy(&date).map_err(|error| Report::from(error).of(source))?;
            print(&format!("{source}: the state that was there is kept as {}", kept.display()))?;
        }
        let stored = Stored { identity, config_digest, checkpoint, accounts };
        store.store(&stored).await.map_err(|error| Report::from(error).of(source))?;
        print(&format!("{source}: {}: taken over into {}", described(&lineage), store.path().display()))?;
    }
    Ok(())
}

fn text(from: &Path) -> Result<String, Report> {
    let mut text = String::new();
    let read = if from == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(from).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| {
        Report::wrong(format!("cannot read {}", from.display()))
            .because(error)
            .hint("name the document that `source-host state export` made")
    })?;
    Ok(text)
}

fn parse(from: &Path, text: &str) -> Result<Document, Report> {
    let no_document = |reason: String| {
        Report::wrong(format!("{} is no document of states", from.display())).because(reason).hint(
            "make one with `source-host state export`; a file of a state folder is copied into the folder as it is",
        )
    };
    let document: Document = read_json(text.as_bytes()).map_err(no_document)?;
    if document.format != FORMAT {
        return Err(no_document(format!("its format is `{}`, and this host knows `{FORMAT}`", document.format)));
    }
    Ok(document)
}

/// Which states go to which source: those of its name, and for one that is named those of the only one there is.
fn choose<'a>(meant: &'a Meant, states: Vec<State>, from: &Path) -> Result<Vec<(&'a SourceTable, Vec<State>)>, Report> {
    let mut of: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for state in states {
        of.entry(state.source.clone()).or_default().push(state);
    }
    let known: Vec<String> = of.keys().cloned().collect();
    if let Some(name) = &meant.source
        && !of.contains_key(name)
        && let Some(only) = known.first().filter(|_| known.len() == 1)
        && let Some(states) = of.remove(only)
    {
        // The source was given another name.
        of.insert(name.clone(), states);
    }
    let chosen: Vec<_> =
        meant.sources().filter_map(|table| of.remove(&table.name).map(|states| (table, states))).collect();
    let left: Vec<String> = of.into_keys().collect();
    if chosen.is_empty() || (meant.source.is_none() && !left.is_empty()) {
        let whose = if left.is_empty() { known } else { left };
        return Err(Report::wrong(format!(
            "{} holds states of {}, which the configuration has no source for",
            from.display(),
            if whose.is_empty() { "nobody".to_owned() } else { format!("`{}`", whose.join("`, `")) },
        ))
        .hint("take over one source's with --source NAME, or add a [[source]] of that name"));
    }
    Ok(chosen)
}

/// What the configuration reads now; no secret and no network is needed for that.
async fn plan(table: &SourceTable, meant: &Meant, components: &mut Components) -> Result<AccessPlan, Report> {
    let component = components.load(table.component.as_deref())?;
    let json = config_without_secrets(table);
    let planned = Source::plan(&component, &json, &meant.config.host.limits).await?;
    planned.map_err(|diagnostics| Report::from(OpenError::Config(diagnostics)))
}

fn refuse_foreign(state: &State, plan: &AccessPlan, from: &Path) -> Result<(), Report> {
    if state.identity == plan.identity || plan.accepts.contains(&state.identity) {
        return Ok(());
    }
    Err(Report::failed(format!(
        "the state in {} belongs to `{}`, and the configuration reads `{}`",
        from.display(),
        state.identity,
        plan.identity
    ))
    .hint(
        "import it into the source whose tenant and API it was made with; `source-host plan` shows each one's identity",
    ))
}
