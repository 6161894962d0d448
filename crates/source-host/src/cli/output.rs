//! Where events go: what `--out` names, or the `[[sink]]` tables.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use source_host::{
    ArraySink, CsvSink, DeadLetters, FileSink, FluentSettings, FluentSink, HttpSettings, HttpSink, LinesSink, Shape,
    SharedSink, Sink, SinkError, Sinks, Tls, share,
};

use super::RunArguments;
use super::config::{Config, FileTable, FluentTable, HeaderFrom, HttpTable, SinkTable, SourceTable, To};
use super::open::Network;
use super::report::Report;
use super::secrets;

/// What `--out` names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Stdout,
    Lines,
    Array,
    Csv,
}

impl Kind {
    pub(crate) fn of(arguments: &RunArguments) -> Self {
        let out = arguments.out.as_deref().unwrap_or("stdout");
        let extension = Path::new(out).extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
            _ if out == "stdout" || out == "-" => Self::Stdout,
            Some("json") => Self::Array,
            Some("csv") => Self::Csv,
            _ => Self::Lines,
        }
    }
}

/// What the sink of `--out` is called in the state. No `[[sink]]` can have this name.
const OUT: &str = "--out";

/// How long a run with an end sends one batch again and again.
const PATIENCE_ONCE: Duration = Duration::from_secs(300);

/// The outputs of a run.
pub(crate) struct Outputs<'a> {
    outputs: Vec<Output<'a>>,
    /// All that were handed out.
    opened: Vec<SharedSink>,
}

struct Output<'a> {
    name: &'a str,
    to: Target<'a>,
}

enum Target<'a> {
    /// One for all sources.
    Shared(SharedSink),
    /// One for each source.
    File(Cow<'a, FileTable>),
    /// One for each source, on connections that all share.
    Http(HttpSink),
}

impl<'a> Outputs<'a> {
    /// Opens what all sources share, and checks the rest.
    pub(crate) fn open(arguments: &RunArguments, config: &'a Config, network: &Network) -> Result<Self, Report> {
        let mut outputs = Vec::new();
        if arguments.out.is_none() && !config.sinks.is_empty() {
            if arguments.bare {
                return Err(Report::wrong("--bare goes with --out, and the configuration has [[sink]] tables")
                    .hint("write bare = true into the [[sink]]"));
            }
            for SinkTable { name, to } in &config.sinks {
                let to = match to {
                    To::Stdout(shape) => Target::Shared(share(LinesSink::stdout(*shape))),
                    To::File(table) => Target::of(table, arguments.once)?.unwrap_or(Target::File(Cow::Borrowed(table))),
                    To::Http(table) => Target::Http(http(name, table, arguments.once, network)?),
                    To::Fluent(table) => Target::Shared(share(fluent(name, table, arguments.once, &network.tls)?)),
                };
                outputs.push(Output { name, to });
            }
        } else {
            outputs.push(Output { name: OUT, to: Target::of_out(arguments, config.sources.len())? });
        }
        Ok(Self { outputs, opened: Vec::new() })
    }

    /// Whether events go to standard output.
    pub(crate) fn use_stdout(arguments: &RunArguments, config: &Config) -> bool {
        if arguments.out.is_none() && !config.sinks.is_empty() {
            return config.sinks.iter().any(|sink| matches!(sink.to, To::Stdout(_)));
        }
        Kind::of(arguments) == Kind::Stdout
    }

    /// Where one source delivers to.
    pub(crate) fn of(&mut self, source: &SourceTable) -> Sinks {
        let mut sinks = Vec::new();
        for Output { name, to } in &self.outputs {
            if *name != OUT && !source.uses(name) {
                continue;
            }
            let sink = match to {
                Target::Shared(sink) => sink.clone(),
                Target::File(table) => file(table, &source.name),
                Target::Http(sink) => share(sink.clone()),
            };
            sinks.push(((*name).to_owned(), sink));
        }
        self.opened.extend(sinks.iter().map(|(_, sink)| sink.clone()));
        sinks.into_iter().collect()
    }

    /// Completes all of them.
    pub(crate) async fn finish(self) -> Result<(), SinkError> {
        for sink in self.opened {
            sink.lock().await.finish().await?;
        }
        Ok(())
    }
}

impl Target<'_> {
    fn of_out(arguments: &RunArguments, sources: usize) -> Result<Self, Report> {
        let shape = if arguments.bare { Shape::Bare } else { Shape::Enveloped };
        let out = arguments.out.as_deref().unwrap_or("stdout");
        if out.is_empty() {
            return Err(Report::wrong("--out names nothing")
                .hint("name a file, or `stdout`; is a variable empty that should hold its name?"));
        }
        let path = Path::new(out);
        if Kind::of(arguments) == Kind::Array && path.exists() {
            return Err(Report::wrong(format!("{out} is there already, and a JSON array cannot be added to"))
                .hint("name a file that is not there, or remove it first"));
        }
        let shared = |sink: Box<dyn Sink>| Self::Shared(std::sync::Arc::new(tokio::sync::Mutex::new(sink)));
        Ok(match Kind::of(arguments) {
            Kind::Stdout => shared(Box::new(LinesSink::stdout(shape))),
            Kind::Array => shared(Box::new(ArraySink::file(path, shape)?)),
            Kind::Csv => shared(Box::new(CsvSink::file(path)?)),
            Kind::Lines => {
                let table = FileTable::plain(path, shape);
                if let Some(problem) = table.refuse_sharing(sources) {
                    return Err(Report::wrong(problem));
                }
                Target::of(&table, arguments.once)?.unwrap_or(Self::File(Cow::Owned(table)))
            }
        })
    }

    /// A pipe or a device, which all sources share.
    fn of<'b>(table: &FileTable, once: bool) -> Result<Option<Target<'b>>, SinkError> {
        if !table.is_pipe() {
            return Ok(None);
        }
        let sink = LinesSink::pipe(&table.path(""), table.shape)?;
        Ok(Some(Target::Shared(share(sink.with_patience(once.then_some(PATIENCE_ONCE))))))
    }
}

fn file(table: &FileTable, source: &str) -> SharedSink {
    share(FileSink::new(&table.path(source), table.shape, table.rotation))
}

fn http(name: &str, table: &HttpTable, once: bool, network: &Network) -> Result<HttpSink, Report> {
    let of = |report: Report| report.of_sink(name);
    if table.is_open() {
        tracing::warn!(sink = name, "events and headers go there unencrypted: the URL begins with http://");
    }
    let (mut headers, mut secret_headers) = (HeaderMap::new(), Vec::new());
    for (header, from) in &table.headers {
        match from {
            HeaderFrom::Text(value) => {
                let mut value = value.clone();
                value.set_sensitive(*header == http::header::AUTHORIZATION);
                headers.insert(header.clone(), value);
            }
            HeaderFrom::Secret(from) => {
                let (kept, value) = secrets::kept(header.as_str(), from).map_err(|denial| of(denial.into()))?;
                HeaderValue::from_str(&value).map_err(|_| {
                    of(Report::wrong(format!("the secret `{header}` holds what no header may"))
                        .hint("a header is one line of text"))
                })?;
                secret_headers.push((header.clone(), kept));
            }
        }
    }
    let dead_letters = table.dead_letter.as_ref().map(|(path, _)| DeadLetters::open(path)).transpose()?;
    let HttpTable { url, form, shape, gzip, timeout, max_bytes, max_events, .. } = table;
    let settings = HttpSettings {
        form: *form,
        shape: *shape,
        headers,
        secret_headers,
        gzip: *gzip,
        timeout: *timeout,
        max_bytes: *max_bytes,
        max_events: *max_events,
        patience: once.then_some(PATIENCE_ONCE),
        dead_letters,
        ..HttpSettings::new(name, url.clone())
    };
    Ok(HttpSink::new(settings, &network.tls, &network.proxy)?)
}

fn fluent(name: &str, table: &FluentTable, once: bool, tls: &Tls) -> Result<FluentSink, Report> {
    let key = table.shared_key.as_ref().map(|from| secrets::kept("shared_key", from));
    let key = key.transpose().map_err(|missing| Report::from(missing).of_sink(name))?;
    let FluentTable { host, port, tag, shape, timeout, max_bytes, max_events, .. } = table;
    let defaults = FluentSettings::new(name, host, *port);
    let settings = FluentSettings {
        tag: tag.clone().unwrap_or_else(|| defaults.tag.clone()),
        shape: *shape,
        shared_key: key.map(|(kept, _)| kept),
        timeout: *timeout,
        max_bytes: *max_bytes,
        max_events: *max_events,
        patience: once.then_some(PATIENCE_ONCE),
        ..defaults
    };
    Ok(FluentSink::new(settings, table.tls.then_some(tls)))
}
