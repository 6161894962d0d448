//! The configuration file.

mod check;
mod explain;
mod fluent;
mod http;
mod proxy;
mod quotas;
mod read;
mod sinks;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use source_host::{Budget, Limits, Origin, Quota};
use toml::Spanned;

use super::report::Report;
pub(super) use check::is_guid;
pub(crate) use fluent::FluentTable;
pub(crate) use http::{HeaderFrom, HttpTable};
pub(crate) use proxy::ProxyFrom;
pub(crate) use sinks::{FileTable, SinkTable, To};

/// A configuration that was checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The folder that relative paths in it start from.
    pub(crate) folder: PathBuf,
    pub(crate) host: Host,
    pub(crate) sources: Vec<SourceTable>,
    pub(crate) sinks: Vec<SinkTable>,
}

/// The `[host]` table.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) state: Option<PathBuf>,
    /// Where compiled code is kept.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: ProxyFrom,
    pub(crate) limits: Limits,
    pub(crate) budget: Budget,
    pub(crate) in_flight: usize,
    /// Where metrics are served.
    pub(crate) listen: Option<SocketAddr>,
    /// How many polls run at once.
    pub(crate) concurrency: usize,
}

/// A `[[source]]` table.
#[derive(Debug)]
pub(crate) struct SourceTable {
    pub(crate) name: String,
    pub(crate) component: Option<PathBuf>,
    pub(crate) config: toml::Table,
    pub(crate) secrets: BTreeMap<String, SecretEntry>,
    pub(crate) allow: Vec<Origin>,
    /// The names of its sinks; all of them where it names none.
    pub(crate) sinks: Option<Vec<String>>,
    pub(crate) quota: Option<Arc<Quota>>,
}

impl SourceTable {
    pub(crate) fn uses(&self, sink: &str) -> bool {
        self.sinks.as_ref().is_none_or(|sinks| sinks.iter().any(|name| name == sink))
    }
}

/// A line under `secrets`.
#[derive(Debug)]
pub(crate) struct SecretEntry {
    pub(crate) from: EntryFrom,
    /// Whether the component gets the value itself.
    pub(crate) exposed: bool,
}

/// What stands behind a member of a configuration.
#[derive(Debug)]
pub(crate) enum EntryFrom {
    Kept(SecretFrom),
    /// The second one is sent where the service refuses the first.
    Spared(SecretFrom, SecretFrom),
    /// The service replaces it with each use, and this file holds the newest.
    Rotating(PathBuf),
    /// The platform hands out its tokens, for the resource or for what the plan says.
    ManagedIdentity {
        client_id: Option<String>,
        resource: Option<String>,
    },
    /// Assertions are signed with the key of a certificate.
    Certificate(CertificateFrom),
}

/// Where a certificate and its key are kept.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFrom {
    pub(crate) files: CertificateFiles,
    /// What opens the PKCS#12 file or the key.
    pub(crate) password: Option<SecretFrom>,
}

#[derive(Clone, Debug)]
pub(crate) enum CertificateFiles {
    /// The key stands in a file of its own or beside the certificate.
    Pem {
        pem: PathBuf,
        key: Option<PathBuf>,
    },
    Pkcs12(PathBuf),
}

impl CertificateFiles {
    /// The file that holds the certificate.
    pub(crate) fn certificate(&self) -> &Path {
        let (Self::Pem { pem: path, .. } | Self::Pkcs12(path)) = self;
        path
    }

    /// The file that holds the key.
    pub(crate) fn key(&self) -> &Path {
        match self {
            Self::Pem { key: Some(key), .. } => key,
            _ => self.certificate(),
        }
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub(crate) enum SecretFrom {
    Env(String),
    File(PathBuf),
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    host: RawHost,
    #[serde(default)]
    source: Vec<RawSource>,
    #[serde(default)]
    sink: Vec<sinks::RawSink>,
    #[serde(default)]
    quota: Vec<quotas::RawQuota>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    state: Option<PathBuf>,
    cache: Option<Spanned<toml::Value>>,
    ca_file: Option<PathBuf>,
    proxy: Option<Spanned<String>>,
    #[serde(default)]
    no_proxy: Vec<String>,
    proxy_credentials: Option<Spanned<RawSecret>>,
    memory_bytes: Option<Spanned<usize>>,
    call_timeout: Option<Spanned<String>>,
    cpu_time: Option<Spanned<String>>,
    connect_timeout: Option<Spanned<String>>,
    first_byte_timeout: Option<Spanned<String>>,
    between_bytes_timeout: Option<Spanned<String>>,
    max_answer_bytes: Option<Spanned<u64>>,
    max_events: Option<Spanned<u32>>,
    max_bytes: Option<Spanned<u64>>,
    max_requests: Option<Spanned<u32>>,
    max_duration: Option<Spanned<String>>,
    in_flight: Option<Spanned<usize>>,
    listen: Option<Spanned<String>>,
    concurrency: Option<Spanned<usize>>,
    idle_memory_bytes: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    name: Spanned<String>,
    component: Option<PathBuf>,
    #[serde(default)]
    config: toml::Table,
    #[serde(default)]
    secrets: BTreeMap<String, Spanned<RawSecret>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    sinks: Option<Spanned<Vec<Spanned<String>>>>,
    quota: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    env: Option<String>,
    file: Option<PathBuf>,
    /// These are for members of a configuration only.
    spare: Option<Box<RawSecret>>,
    keep: Option<PathBuf>,
    pem: Option<PathBuf>,
    key: Option<PathBuf>,
    pkcs12: Option<PathBuf>,
    password: Option<Box<RawSecret>>,
    managed_identity: Option<RawIdentity>,
    expose: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    client_id: Option<Spanned<String>>,
    resource: Option<String>,
}

impl Config {
    /// Reads and checks a file, and says everything that does not fit it, or everything that is wrong with what it says.
    pub(crate) fn load(path: &Path) -> Result<Self, Report> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::InvalidData => "save it as UTF-8",
                io::ErrorKind::PermissionDenied => "let this user read it",
                _ => "name the file with --config",
            };
            Report::wrong(format!("cannot read the configuration {}", path.display())).because(error).hint(hint)
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|problems| explain::problems(path, &text, problems))
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, Vec<check::Problem>> {
        check::check(read::read(text)?, folder)
    }

    /// Where checkpoints are kept: what the command line says, the configuration, or `state` beside it.
    pub(crate) fn state_folder(&self, named: Option<&Path>) -> PathBuf {
        named.or(self.host.state.as_deref()).map_or_else(|| self.folder.join("state"), Path::to_owned)
    }
}
