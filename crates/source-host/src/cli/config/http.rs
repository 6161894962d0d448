//! `[[sink]]` tables of type `http`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use source_host::{HttpForm, Shape};
use toml::Spanned;

use super::check::{Problems, secret};
use super::explain::unknown;
use super::sinks::RawSink;
use super::{RawSecret, SecretFrom};

/// A sink of type `http`.
pub(crate) struct HttpTable {
    pub(crate) url: Url,
    pub(crate) form: HttpForm,
    pub(crate) shape: Shape,
    pub(crate) headers: Vec<(HeaderName, HeaderFrom)>,
    pub(crate) gzip: bool,
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) max_events: usize,
    /// With its place in the configuration.
    pub(crate) dead_letter: Option<(PathBuf, Range<usize>)>,
}

impl std::fmt::Debug for HttpTable {
    // A URL may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTable").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// Where the value of a header comes from.
#[derive(Debug)]
pub(crate) enum HeaderFrom {
    Text(HeaderValue),
    Secret(SecretFrom),
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a header is a text in quotes, or a table that says where it comes from: { env = \"NAME\" } or { file = \"PATH\" }"
)]
pub(super) enum RawHeader {
    Text(String),
    Secret(Box<RawSecret>),
}

/// Headers that the client writes by itself.
const RESERVED: [HeaderName; 5] = [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING];

const FORMATS: [(&str, HttpForm); 2] = [("ndjson", HttpForm::Lines), ("json", HttpForm::Array)];

pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const MAX_BYTES: usize = 1_000_000;
pub(super) const MAX_EVENTS: usize = 1_000;

pub(super) fn http(raw: RawSink, shape: Shape, folder: &Path, problems: &mut Problems) -> Option<HttpTable> {
    let kind = raw.kind_at();
    let dead_letter = dead_letter(&raw, folder, problems);
    let RawSink { url, format, headers, gzip, timeout, max_batch_bytes, max_batch_events, .. } = raw;
    let form = format.map_or(HttpForm::Lines, |format| one_of(&format, "format", &FORMATS, problems));
    let headers = headers.map_or_else(Vec::new, |headers| self::headers(headers.into_inner(), folder, problems));
    let timeout = problems.duration(timeout, TIMEOUT);
    let max_bytes = problems.at_least(max_batch_bytes, 1, MAX_BYTES);
    let max_events = problems.at_least(max_batch_events, 1, MAX_EVENTS);
    let gzip = gzip.is_some_and(Spanned::into_inner);
    let Some(url) = url else {
        problems.add(
            kind,
            "a sink of type `http` needs a `url`, such as url = \"https://collector.example/events\"".to_owned(),
        );
        return None;
    };
    let url = match parse(url.get_ref()) {
        Ok(url) => url,
        Err(message) => {
            problems.add(url.span(), message.to_owned());
            return None;
        }
    };
    Some(HttpTable { url, form, shape, headers, gzip, timeout, max_bytes, max_events, dead_letter })
}

/// What stands there is not repeated: it may hold a secret.
fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is no URL: write it as https://HOST/PATH")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user name and password do not belong into a URL: write an `authorization` into `headers`");
    }
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err("this is no URL of HTTP: write it as https://HOST/PATH"),
    }
}

impl HttpTable {
    /// Whether others could read along.
    pub(crate) fn is_open(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.url.scheme() == "http" && host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
    }
}

/// One of several words.
fn one_of<T: Copy>(raw: &Spanned<String>, member: &str, words: &[(&str, T)], problems: &mut Problems) -> T {
    let found = words.iter().find(|(word, _)| word == raw.get_ref());
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        problems.add(raw.span(), unknown(&format!("no {member} `{}`", raw.get_ref()), raw.get_ref(), &known));
    }
    found.unwrap_or(&words[0]).1
}

fn headers(
    raw: BTreeMap<String, Spanned<RawHeader>>,
    folder: &Path,
    problems: &mut Problems,
) -> Vec<(HeaderName, HeaderFrom)> {
    let mut headers = Vec::new();
    for (name, value) in raw {
        let at = value.span();
        let Ok(header) = HeaderName::try_from(&name) else {
            problems.add(at, format!("`{name}` is no name of a header"));
            continue;
        };
        if RESERVED.contains(&header) {
            problems.add(at, format!("the header `{name}` is written by the host itself; leave it out"));
            continue;
        }
        let from = match value.into_inner() {
            RawHeader::Text(text) => HeaderValue::from_str(&text).ok().map(HeaderFrom::Text),
            RawHeader::Secret(raw) if raw.expose.is_some() => None,
            RawHeader::Secret(raw) => secret(&raw, folder).map(HeaderFrom::Secret),
        };
        match from {
            Some(from) => headers.push((header, from)),
            None => problems.add(
                at,
                format!(
                    "the header `{name}` is a text without line breaks, or says where it comes from: {{ env = \"NAME\" }} or \
                     {{ file = \"PATH\" }}"
                ),
            ),
        }
    }
    headers
}

/// Where refused events go, if they do not end the source.
fn dead_letter(raw: &RawSink, folder: &Path, problems: &mut Problems) -> Option<(PathBuf, Range<usize>)> {
    let choice = raw.on_refusal.as_ref();
    let word =
        choice.map(|raw| one_of(raw, "on_refusal", &[("stop", "stop"), ("dead_letter", "dead_letter")], problems));
    match (word, &raw.dead_letter) {
        (Some("stop"), Some(path)) => {
            problems.add(path.span(), "on_refusal = \"stop\" leaves no dead letters; remove one of the two".to_owned());
            None
        }
        (Some("dead_letter"), None) => {
            let at = choice.map_or_else(|| raw.kind_at(), Spanned::span);
            problems.add(at, "say where they go: dead_letter = \"PATH\"".to_owned());
            None
        }
        (_, path) => path.as_ref().map(|path| (folder.join(path.get_ref()), path.span())),
    }
}
