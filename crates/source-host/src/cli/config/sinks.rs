//! `[[sink]]` tables: from what is written to what is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use source_host::{Rotation, Shape};
use toml::Spanned;

use super::check::Problems;
use super::explain::unknown;
use super::fluent::{FluentTable, fluent};
use super::http::{HttpTable, RawHeader, http};
use super::{RawSecret, SourceTable};

/// A `[[sink]]` table.
#[derive(Debug)]
pub(crate) struct SinkTable {
    pub(crate) name: String,
    pub(crate) to: To,
}

/// Where a sink leads.
#[derive(Debug)]
pub(crate) enum To {
    Stdout(Shape),
    File(FileTable),
    Http(Box<HttpTable>),
    Fluent(FluentTable),
}

/// A sink of type `file`.
#[derive(Clone, Debug)]
pub(crate) struct FileTable {
    /// With `{source}` in it where several sources use it.
    path: PathBuf,
    pub(crate) shape: Shape,
    pub(crate) rotation: Rotation,
    at: Range<usize>,
}

/// What stands for the name of the source in a path.
const SOURCE: &str = "{source}";

impl FileTable {
    /// A file without rotation, for `--out`.
    pub(crate) fn plain(path: &Path, shape: Shape) -> Self {
        Self { path: path.to_owned(), shape, rotation: Rotation::default(), at: 0..0 }
    }

    /// The file of one source.
    pub(crate) fn path(&self, source: &str) -> PathBuf {
        PathBuf::from(self.path.to_string_lossy().replace(SOURCE, source))
    }

    /// A pipe or a device: several sources can write to it, and it is never cut.
    pub(crate) fn is_pipe(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file() && !found.is_dir())
    }

    /// Why sources cannot share it.
    pub(crate) fn refuse_sharing(&self, sources: usize) -> Option<String> {
        if sources < 2 || self.path.to_string_lossy().contains(SOURCE) || self.is_pipe() {
            return None;
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.path.extension().map_or_else(String::new, |it| format!(".{}", it.to_string_lossy()));
        Some(format!(
            "{sources} sources would write to {}, and a restart could not tell whose lines to cut off: write {SOURCE} into its \
             name, such as {stem}-{SOURCE}{extension}, and each has a file of its own",
            self.path.display()
        ))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSink {
    name: Option<Spanned<String>>,
    r#type: Spanned<String>,
    bare: Option<Spanned<bool>>,
    path: Option<Spanned<PathBuf>>,
    rotate_bytes: Option<Spanned<u64>>,
    rotate_every: Option<Spanned<String>>,
    keep: Option<Spanned<u64>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
    pub(super) headers: Option<Spanned<BTreeMap<String, Spanned<RawHeader>>>>,
    pub(super) gzip: Option<Spanned<bool>>,
    pub(super) timeout: Option<Spanned<String>>,
    pub(super) max_batch_bytes: Option<Spanned<usize>>,
    pub(super) max_batch_events: Option<Spanned<usize>>,
    pub(super) on_refusal: Option<Spanned<String>>,
    pub(super) dead_letter: Option<Spanned<PathBuf>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) tag: Option<Spanned<String>>,
    pub(super) shared_key: Option<Spanned<RawSecret>>,
    pub(super) tls: Option<Spanned<bool>>,
}

/// The types, and the members that each has besides `name` and `type`.
const TYPES: [(&str, &[&str]); 4] = [
    ("fluent", &["address", "bare", "tag", "shared_key", "tls", "timeout", "max_batch_bytes", "max_batch_events"]),
    ("stdout", &["bare"]),
    ("file", &["path", "bare", "rotate_bytes", "rotate_every", "keep"]),
    (
        "http",
        &[
            "url",
            "bare",
            "format",
            "headers",
            "gzip",
            "timeout",
            "max_batch_bytes",
            "max_batch_events",
            "on_refusal",
            "dead_letter",
        ],
    ),
];

impl RawSink {
    pub(super) fn name(&self) -> String {
        self.name.as_ref().unwrap_or(&self.r#type).get_ref().clone()
    }

    pub(super) fn kind_at(&self) -> Range<usize> {
        self.r#type.span()
    }

    /// The members that are there, with their places.
    fn given(&self) -> Vec<(&'static str, Range<usize>)> {
        fn at<T>(name: &'static str, member: &Option<Spanned<T>>) -> Option<(&'static str, Range<usize>)> {
            member.as_ref().map(|member| (name, member.span()))
        }
        let all = [
            at("bare", &self.bare),
            at("path", &self.path),
            at("rotate_bytes", &self.rotate_bytes),
            at("rotate_every", &self.rotate_every),
            at("keep", &self.keep),
            at("url", &self.url),
            at("format", &self.format),
            at("headers", &self.headers),
            at("gzip", &self.gzip),
            at("timeout", &self.timeout),
            at("max_batch_bytes", &self.max_batch_bytes),
            at("max_batch_events", &self.max_batch_events),
            at("on_refusal", &self.on_refusal),
            at("dead_letter", &self.dead_letter),
            at("address", &self.address),
            at("tag", &self.tag),
            at("shared_key", &self.shared_key),
            at("tls", &self.tls),
        ];
        all.into_iter().flatten().collect()
    }
}

pub(super) fn sinks(raw: Vec<RawSink>, folder: &Path, problems: &mut Problems) -> Vec<SinkTable> {
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for raw in raw {
        let (name, at) = (raw.name(), raw.name.as_ref().unwrap_or(&raw.r#type).span());
        if let Some(problem) = super::check::wrong_name(&name, "sink") {
            problems.add(at.clone(), problem);
        }
        if !names.insert(name.to_ascii_lowercase()) {
            problems.add(at, format!("there are two sinks of the name `{name}`; give each a `name` of its own"));
        }
        if let Some(to) = to(raw, folder, problems) {
            sinks.push(SinkTable { name, to });
        }
    }
    sinks
}

fn to(raw: RawSink, folder: &Path, problems: &mut Problems) -> Option<To> {
    let kind = raw.r#type.get_ref().as_str();
    let Some((kind, members)) = TYPES.into_iter().find(|(name, _)| *name == kind) else {
        let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        problems.add(raw.r#type.span(), unknown(&format!("no sink of type `{kind}`"), kind, &names));
        return None;
    };
    for (member, at) in raw.given() {
        if !members.contains(&member) {
            let has = members.join(", ");
            problems.add(at, format!("a sink of type `{kind}` has no `{member}`; it has {has}"));
        }
    }
    let shape = if raw.bare.as_ref().is_some_and(|bare| *bare.get_ref()) { Shape::Bare } else { Shape::Enveloped };
    match kind {
        "stdout" => Some(To::Stdout(shape)),
        "http" => http(raw, shape, folder, problems).map(|table| To::Http(Box::new(table))),
        "fluent" => fluent(raw, shape, folder, problems).map(To::Fluent),
        _ => file(raw, shape, folder, problems).map(To::File),
    }
}

fn file(raw: RawSink, shape: Shape, folder: &Path, problems: &mut Problems) -> Option<FileTable> {
    let kind = raw.r#type.span();
    let every = raw.rotate_every.map(|every| problems.duration(Some(every), Duration::ZERO));
    let rotation = Rotation {
        max_bytes: raw.rotate_bytes.map(|bytes| problems.at_least(Some(bytes), 1 << 10, 0)),
        every: every.filter(|every| !every.is_zero()),
        keep: raw.keep.as_ref().map(|keep| *keep.get_ref()),
    };
    if let Some(keep) = raw.keep.filter(|_| rotation.max_bytes.is_none() && every.is_none()) {
        problems.add(
            keep.span(),
            "`keep` says how many old files are kept, and there are none without `rotate_bytes` or `rotate_every`"
                .to_owned(),
        );
    }
    let Some(path) = raw.path else {
        problems
            .add(kind, "a sink of type `file` needs a `path`, such as path = \"events-{source}.ndjson\"".to_owned());
        return None;
    };
    let at = path.span();
    let path = path.into_inner();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    if let Some(extension @ ("csv" | "json")) = extension.as_deref() {
        problems.add(
            at.clone(),
            format!(
                "a sink of type `file` writes one JSON object a line, which is no .{extension}: name it .ndjson, or use --out for \
                 a .{extension} file"
            ),
        );
    }
    Some(FileTable { path: folder.join(path), shape, rotation, at })
}

/// What is wrong with which source uses which sink.
pub(super) fn check_use(sinks: &[SinkTable], sources: &[SourceTable], problems: &mut Problems) {
    let mut paths = BTreeMap::new();
    let mut dead_letters = BTreeSet::new();
    for sink in sinks {
        if let To::Http(table) = &sink.to
            && let Some((path, at)) = &table.dead_letter
            && !dead_letters.insert(path)
        {
            let message = format!("{} holds the dead letters of another sink as well", path.display());
            problems.add(at.clone(), message);
        }
        let To::File(file) = &sink.to else { continue };
        let users = sources.iter().filter(|source| source.uses(&sink.name)).count();
        if let Some(problem) = file.refuse_sharing(users) {
            problems.add(file.at.clone(), problem);
        }
        if let Some(other) = paths.insert(&file.path, &sink.name).filter(|_| !file.is_pipe()) {
            let path = file.path.display();
            problems.add(file.at.clone(), format!("{path} is the file of the sink `{other}` as well"));
        }
    }
}

/// The sinks that a source names.
pub(super) fn named(
    raw: Option<Vec<Spanned<String>>>,
    sinks: &[String],
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let raw = raw?;
    let known: Vec<&str> = sinks.iter().map(String::as_str).collect();
    for name in &raw {
        if !known.contains(&name.get_ref().as_str()) {
            let text = unknown(&format!("no sink `{}`", name.get_ref()), name.get_ref(), &known);
            problems.add(name.span(), text);
        }
    }
    Some(raw.into_iter().map(Spanned::into_inner).collect())
}
