//! What `--out` names.

use std::path::Path;

use source_host::{ArraySink, CsvSink, LinesSink, Shape, SharedSink, share};

use super::report::Report;

/// What `--out` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Stdout,
    Lines,
    Array,
    Csv,
}

impl Kind {
    pub(crate) fn of(out: &str) -> Self {
        let extension = Path::new(out).extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
            _ if out == "stdout" || out == "-" => Self::Stdout,
            Some("json") => Self::Array,
            Some("csv") => Self::Csv,
            _ => Self::Lines,
        }
    }
}

pub(crate) fn open(out: &str, bare: bool) -> Result<SharedSink, Report> {
    let shape = if bare { Shape::Bare } else { Shape::Enveloped };
    let path = Path::new(out);
    if Kind::of(out) == Kind::Array && path.exists() {
        return Err(Report::wrong(format!("{out} is there already, and a JSON array cannot be added to"))
            .hint("name a file that is not there, or remove it first"));
    }
    Ok(match Kind::of(out) {
        Kind::Stdout => share(LinesSink::stdout(shape)),
        Kind::Lines => share(LinesSink::file(path, shape)?),
        Kind::Array => share(ArraySink::file(path, shape)?),
        Kind::Csv => share(CsvSink::file(path)?),
    })
}
