//! `[[sink]]` tables of type `fluent`.

use std::path::Path;
use std::time::Duration;

use source_host::Shape;
use toml::Spanned;

use super::SecretFrom;
use super::check::{Problems, secret};
use super::http::{MAX_BYTES, MAX_EVENTS, TIMEOUT};
use super::sinks::RawSink;

/// A sink of type `fluent`.
#[derive(Debug)]
pub(crate) struct FluentTable {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tag: Option<String>,
    pub(crate) shape: Shape,
    pub(crate) shared_key: Option<SecretFrom>,
    pub(crate) tls: bool,
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) max_events: usize,
}

/// The port of the forward protocol.
const PORT: u16 = 24_224;

pub(super) fn fluent(raw: RawSink, shape: Shape, folder: &Path, problems: &mut Problems) -> Option<FluentTable> {
    let kind = raw.kind_at();
    let RawSink { address, tag, shared_key, tls, timeout, max_batch_bytes, max_batch_events, .. } = raw;
    let key_at = shared_key.as_ref().map(Spanned::span);
    let shared_key = shared_key.and_then(|raw| secret(&raw.into_inner(), folder));
    if let Some(at) = key_at.filter(|_| shared_key.is_none()) {
        let message = "say where `shared_key` comes from: { env = \"NAME\" } or { file = \"PATH\" }";
        problems.add(at, message.to_owned());
    }
    if let Some(tag) = tag.as_ref().filter(|tag| tag.get_ref().is_empty()) {
        problems.add(tag.span(), "an empty tag matches nothing; leave it out for the name of the source".to_owned());
    }
    let timeout = problems.duration(timeout, TIMEOUT);
    let max_bytes = problems.at_least(max_batch_bytes, 1, MAX_BYTES);
    let max_events = problems.at_least(max_batch_events, 1, MAX_EVENTS);
    let Some(address) = address else {
        problems
            .add(kind, format!("a sink of type `fluent` needs an `address`, such as address = \"127.0.0.1:{PORT}\""));
        return None;
    };
    let Some((host, port)) = split(address.get_ref()) else {
        let message = format!("`{}` is no address: write HOST or HOST:PORT, IPv6 in brackets", address.get_ref());
        problems.add(address.span(), message);
        return None;
    };
    Some(FluentTable {
        host,
        port,
        tag: tag.map(Spanned::into_inner),
        shape,
        shared_key,
        tls: tls.is_some_and(Spanned::into_inner),
        timeout,
        max_bytes,
        max_events,
    })
}

fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (address, PORT),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok().map(|_| (inner.to_owned(), port)),
        None => is_host.then(|| (host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        for (text, expected) in [
            ("logs.example", Some(("logs.example", PORT))),
            ("127.0.0.1:5", Some(("127.0.0.1", 5))),
            ("[::1]:5", Some(("::1", 5))),
            ("[::1]", Some(("::1", PORT))),
            ("::1", None),
            ("a:b", None),
            ("tcp://a:5", None),
            (":5", None),
            ("", None),
        ] {
            assert_eq!(split(text), expected.map(|(host, port)| (host.to_owned(), port)), "{text}");
        }
    }
}
