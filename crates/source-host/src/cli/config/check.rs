//! From what is written to what is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use source_host::{Budget, Limits, Origin, RunOptions, Timeouts};
use toml::Spanned;

use super::quotas::Quotas;
use super::{
    CertificateFiles, CertificateFrom, Config, EntryFrom, Host, RawFile, RawHost, RawIdentity, RawSecret, RawSource,
    SecretEntry, SecretFrom, SourceTable,
};
use super::{proxy, quotas, sinks};
use crate::cli::duration;
use crate::cli::open::default_cache;

/// What is wrong, and where in the text.
pub(super) struct Problem {
    pub(super) at: Option<Range<usize>>,
    pub(super) message: String,
}

/// What one poll may bring, where nothing is said.
const BUDGET: Budget = RunOptions::BUDGET;

/// The smallest limit of an answer, in bytes: tokens and errors have to fit.
const LEAST_ANSWER: u64 = 64 << 10;

/// The largest batch of bodies: it is copied out of the component at once.
const MOST_BYTES: u64 = 256 << 20;

const LONGEST_NAME: usize = 64;

/// Polls at once, where nothing is said. Most of a poll is waiting for the service, and a silent one holds its turn until
/// its timeouts.
const CONCURRENCY: usize = 128;

/// Batches under way are held in memory.
const MOST_IN_FLIGHT: usize = 64;

#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: Range<usize>, message: String) {
        self.0.push(Problem { at: Some(at), message });
    }

    pub(super) fn duration(&mut self, raw: Option<Spanned<String>>, default: Duration) -> Duration {
        let Some(raw) = raw else { return default };
        match duration::parse(raw.get_ref()) {
            Ok(duration) if duration.is_zero() => {
                self.add(raw.span(), "a duration of nothing leaves no time".to_owned())
            }
            Ok(duration) => return duration,
            Err(message) => self.add(raw.span(), message),
        }
        default
    }

    pub(super) fn at_least<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        raw: Option<Spanned<T>>,
        least: T,
        default: T,
    ) -> T {
        let Some(raw) = raw else { return default };
        if *raw.get_ref() < least {
            self.add(raw.span(), format!("{} is too little: at least {least} is needed", raw.get_ref()));
        }
        *raw.get_ref()
    }
}

pub(super) fn check(raw: RawFile, folder: &Path) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let host = host(raw.host, folder, &mut problems);
    if raw.source.is_empty() {
        let message = "there is no source in it: add a [[source]] table with `name` and `config`".to_owned();
        problems.0.push(Problem { at: None, message });
    }
    let sink_names: Vec<String> = raw.sink.iter().map(sinks::RawSink::name).collect();
    let sinks = sinks::sinks(raw.sink, folder, &mut problems);
    let quotas = quotas::quotas(raw.quota, &mut problems);
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    let mut kept: BTreeMap<PathBuf, String> = BTreeMap::new();
    for raw in raw.source {
        for (at, path) in raw.secrets.values().filter_map(|raw| Some((raw.span(), raw.get_ref().keep.as_ref()?))) {
            let (path, name) = (folder.join(path), raw.name.get_ref().clone());
            if let Some(other) = kept.insert(path.clone(), name) {
                let what = "is where the secret of source";
                let why = "each replaces it with every use; give each a file of its own, and log in for each";
                problems.add(at, format!("{} {what} `{other}` is kept: {why}", path.display()));
            }
        }
        let (at, name) = (raw.name.span(), raw.name.get_ref().clone());
        // State files of names that differ in case alone are one file on some disks.
        if !names.insert(name.to_ascii_lowercase()) {
            let what = "there are two sources of the name";
            problems.add(at, format!("{what} `{name}`, in whatever case; each needs one of its own"));
        }
        sources.push(source(raw, folder, &sink_names, &quotas, &mut problems));
    }
    sinks::check_use(&sinks, &sources, &mut problems);
    if problems.0.is_empty() { Ok(Config { folder: folder.to_owned(), host, sources, sinks }) } else { Err(problems.0) }
}

fn host(raw: RawHost, folder: &Path, problems: &mut Problems) -> Host {
    let limits = Limits::default();
    let timeouts = Timeouts {
        connect: problems.duration(raw.connect_timeout, limits.timeouts.connect),
        first_byte: problems.duration(raw.first_byte_timeout, limits.timeouts.first_byte),
        between_bytes: problems.duration(raw.between_bytes_timeout, limits.timeouts.between_bytes),
    };
    let budget = Budget {
        max_events: problems.at_least(raw.max_events, 1, BUDGET.max_events),
        max_bytes: max_bytes(raw.max_bytes, problems),
        max_requests: problems.at_least(raw.max_requests, 2, BUDGET.max_requests),
        max_duration: nanoseconds(problems.duration(raw.max_duration, Duration::from_nanos(BUDGET.max_duration))),
    };
    if let Some(raw) = raw.in_flight.as_ref().filter(|raw| *raw.get_ref() > MOST_IN_FLIGHT) {
        let message = format!("{} is too much: at most {MOST_IN_FLIGHT} batches may be under way", raw.get_ref());
        problems.add(raw.span(), message);
    }
    Host {
        proxy: proxy::proxy(raw.proxy, &raw.no_proxy, raw.proxy_credentials, folder, problems),
        state: raw.state.map(|path| folder.join(path)),
        cache: cache(raw.cache, folder, problems),
        ca_file: raw.ca_file.map(|path| folder.join(path)),
        limits: Limits {
            memory_bytes: problems.at_least(raw.memory_bytes, 4 << 20, limits.memory_bytes),
            idle_memory_bytes: raw.idle_memory_bytes.unwrap_or(limits.idle_memory_bytes),
            call: problems.duration(raw.call_timeout, limits.call),
            cpu: problems.duration(raw.cpu_time, limits.cpu),
            body_bytes: problems.at_least(raw.max_answer_bytes, LEAST_ANSWER, limits.body_bytes),
            timeouts,
            ..limits
        },
        budget,
        in_flight: problems.at_least(raw.in_flight, 1, RunOptions::IN_FLIGHT),
        listen: raw.listen.and_then(|raw| listen(&raw, problems)),
        concurrency: problems.at_least(raw.concurrency, 1, CONCURRENCY),
    }
}

fn listen(raw: &Spanned<String>, problems: &mut Problems) -> Option<SocketAddr> {
    let address = raw.get_ref().parse().ok();
    if address.is_none() {
        let message = format!("`{}` is no address: write it as 127.0.0.1:9600 or [::1]:9600", raw.get_ref());
        problems.add(raw.span(), message);
    }
    address
}

fn cache(raw: Option<Spanned<toml::Value>>, folder: &Path, problems: &mut Problems) -> Option<PathBuf> {
    let Some(raw) = raw else { return default_cache() };
    match raw.get_ref() {
        toml::Value::String(path) => Some(folder.join(path)),
        toml::Value::Boolean(false) => None,
        _ => {
            problems.add(raw.span(), "`cache` is a folder, or false where compiled code is not to be kept".to_owned());
            None
        }
    }
}

fn max_bytes(raw: Option<Spanned<u64>>, problems: &mut Problems) -> u64 {
    if let Some(raw) = raw.as_ref().filter(|raw| *raw.get_ref() > MOST_BYTES) {
        problems.add(raw.span(), format!("{} is too much: a poll may bring at most {MOST_BYTES} bytes", raw.get_ref()));
    }
    problems.at_least(raw, 1 << 16, BUDGET.max_bytes)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn source(raw: RawSource, folder: &Path, sinks: &[String], quotas: &Quotas, problems: &mut Problems) -> SourceTable {
    let RawSource { name, component, config, secrets, allow, sinks: named, quota } = raw;
    if let Some(message) = wrong_name(name.get_ref(), "source") {
        problems.add(name.span(), message);
    }
    if let Some(none) = named.as_ref().filter(|named| named.get_ref().is_empty()) {
        problems.add(
            none.span(),
            "a source without a sink would read for nobody: leave `sinks` out to use all, or name some".to_owned(),
        );
    }
    for member in config.iter().filter_map(|(member, value)| no_number(member, value)) {
        problems.add(
            name.span(),
            format!("`{member}` in the config of this source is no number: JSON has none that is infinite or nan"),
        );
    }
    let mut read = Vec::new();
    for (member, raw) in secrets {
        if config.contains_key(&member) {
            problems
                .add(raw.span(), format!("`{member}` stands in both `config` and `secrets`; remove it from `config`"));
        }
        let (at, raw) = (raw.span(), raw.into_inner());
        let exposed = raw.expose.unwrap_or_default();
        let odds = at_odds(&member, &raw, folder);
        if !odds.is_empty() {
            odds.into_iter().for_each(|message| problems.add(at.clone(), message));
            continue;
        }
        if exposed && (raw.pem.is_some() || raw.pkcs12.is_some()) {
            problems.add(at, format!("the host signs for `{member}`, and has nothing to expose; remove `expose`"));
            continue;
        }
        if exposed && raw.keep.is_some() {
            let what = "the service replaces it with each use, and the component cannot store it";
            problems.add(at, format!("`{member}` is not to be exposed: {what}; remove `expose`"));
            continue;
        }
        if exposed && raw.spare.is_some() {
            let what = "the host changes over to the spare one, and the component would have one of them";
            problems.add(at, format!("`{member}` is not to be exposed: {what}; remove `expose`"));
            continue;
        }
        if exposed && raw.managed_identity.is_some() {
            let what = "the host renews it, and the component would have the first one for ever";
            problems.add(at, format!("`{member}` is not to be exposed: {what}; remove `expose`"));
            continue;
        }
        let identity = raw.managed_identity.as_ref().and_then(|identity| identity.client_id.as_ref());
        if let Some(client_id) = identity.filter(|client_id| !is_guid(client_id.get_ref())) {
            let what = "is no GUID: it is the client ID of a user-assigned managed identity, which its own page in the Azure portal shows";
            problems.add(client_id.span(), format!("`{}` {what}", client_id.get_ref()));
            continue;
        }
        // The name that OAuth gives it.
        if member == "refresh_token" && (raw.env.is_some() || raw.file.is_some()) {
            let what = "is replaced by the service with each use, so that the host has to write where it is kept";
            problems.add(at, format!("`{member}` {what}: {{ keep = \"PATH\" }}"));
            continue;
        }
        match entry(raw, folder) {
            Some(from) => read.push((member, SecretEntry { from, exposed })),
            None => problems.add(
                at,
                format!(
                    "say where `{member}` comes from: {{ env = \"NAME\" }} or {{ file = \"PATH\" }}; for a certificate \
                     {{ pem = \"PATH\" }}, with key = \"PATH\" where the key has a file of its own, or {{ pkcs12 = \"PATH\" }}, with \
                     password = {{ env = \"NAME\" }} where it has one; for two secrets at once add \
                     spare = {{ ... }} to the first; for a refresh token, which \
                     `source-host login` stores, {{ keep = \"PATH\" }}; for the token of an Azure managed identity \
                     {{ managed_identity = {{}} }}, with client_id = \"GUID\" for a user-assigned one"
                ),
            ),
        }
    }
    let mut granted = Vec::new();
    for text in allow {
        match text.get_ref().parse::<Origin>() {
            Ok(origin) => granted.push(origin),
            Err(error) => problems.add(text.span(), error.to_string()),
        }
    }
    SourceTable {
        name: name.into_inner(),
        component: component.map(|path| folder.join(path)),
        config,
        secrets: read.into_iter().collect(),
        allow: granted,
        quota: quotas::named(quota, quotas, problems),
        sinks: sinks::named(named.map(Spanned::into_inner), sinks, problems),
    }
}

/// The member that holds what TOML takes for a number, and JSON has no place for.
fn no_number(name: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => Some(name.to_owned()),
        toml::Value::Array(items) => items.iter().find_map(|item| no_number(name, item)),
        toml::Value::Table(table) => {
            table.iter().find_map(|(inner, value)| no_number(&format!("{name}.{inner}"), value))
        }
        _ => None,
    }
}

/// What is wrong with how the parts of a secret are named.
fn at_odds(member: &str, raw: &RawSecret, folder: &Path) -> Vec<String> {
    let mut odds = Vec::new();
    let named = [("pem", &raw.pem), ("key", &raw.key)].into_iter().filter(|(_, path)| path.is_some());
    let named: Vec<String> = named.map(|(name, _)| format!("`{name}`")).collect();
    if raw.pkcs12.is_some() && !named.is_empty() {
        let named = named.join(" and ");
        odds.push(format!(
            "`{member}` has {named} beside `pkcs12`, whose file holds both parts; remove {named}, or `pkcs12`"
        ));
    }
    let within = [("password", &raw.password), ("spare", &raw.spare)].into_iter();
    for (name, _) in within.filter(|(_, raw)| raw.as_ref().is_some_and(|raw| raw.expose.is_some())) {
        odds.push(format!(
            "the `{name}` of `{member}` has `expose`, and the component gets none; remove `expose` there"
        ));
    }
    let Some(password) = &raw.password else { return odds };
    if raw.pem.is_none() && raw.pkcs12.is_none() {
        odds.push(format!(
            "`{member}` has a `password`, but neither `pkcs12` nor `pem` that it opens; remove `password`"
        ));
    }
    if secret(password, folder).is_none() {
        odds.push(format!(
            "say where the `password` of `{member}` comes from: {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
        ));
    }
    odds
}

fn entry(raw: RawSecret, folder: &Path) -> Option<EntryFrom> {
    let RawSecret { env, file, spare, keep, pem, key, pkcs12, password, managed_identity, expose: _ } = raw;
    let kept = kept(env.as_deref(), file.as_deref(), folder);
    let certificate = match (pem, pkcs12) {
        (Some(pem), None) => {
            Some(CertificateFiles::Pem { pem: folder.join(pem), key: key.map(|key| folder.join(key)) })
        }
        (None, Some(path)) => Some(CertificateFiles::Pkcs12(folder.join(path))),
        (None, None) if key.is_none() => None,
        _ => return None,
    };
    match (keep, certificate, managed_identity) {
        (None, None, None) => match spare {
            Some(spare) => Some(EntryFrom::Spared(kept?, secret(&spare, folder)?)),
            None => kept.map(EntryFrom::Kept),
        },
        _ if env.is_some() || file.is_some() || spare.is_some() => None,
        (None, Some(files), None) => {
            let password = password.and_then(|password| secret(&password, folder));
            Some(EntryFrom::Certificate(CertificateFrom { files, password }))
        }
        (Some(path), None, None) => Some(EntryFrom::Rotating(folder.join(path))),
        (None, None, Some(RawIdentity { client_id, resource })) => {
            Some(EntryFrom::ManagedIdentity { client_id: client_id.map(Spanned::into_inner), resource })
        }
        _ => None,
    }
}

pub(super) fn secret(raw: &RawSecret, folder: &Path) -> Option<SecretFrom> {
    let RawSecret { env, file, spare, keep, pem, key, pkcs12, password, managed_identity, expose: _ } = raw;
    let is_more = [keep, pem, key, pkcs12].into_iter().any(Option::is_some);
    if is_more || spare.is_some() || password.is_some() || managed_identity.is_some() {
        return None;
    }
    kept(env.as_deref(), file.as_deref(), folder)
}

fn kept(env: Option<&str>, file: Option<&Path>, folder: &Path) -> Option<SecretFrom> {
    match (env, file) {
        (Some(name), None) if !name.is_empty() => Some(SecretFrom::Env(name.to_owned())),
        (None, Some(path)) if !path.as_os_str().is_empty() => Some(SecretFrom::File(folder.join(path))),
        _ => None,
    }
}

pub(in crate::cli) fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}

/// Why this is no name for a source or a sink.
pub(super) fn wrong_name(name: &str, of: &str) -> Option<String> {
    (!is_name(name)).then(|| {
        format!(
            "`{name}` is no name for a {of}: use letters, digits, `-`, `_` and `.`, up to {LONGEST_NAME} of them, beginning with \
             a letter or a digit"
        )
    })
}

/// A name becomes part of a file name.
fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
