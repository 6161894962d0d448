//! Batches to Fluentd, Fluent Bit and whatever else speaks their forward protocol.

mod connection;
mod item;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde::Serialize as _;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use super::line::{Shape, push_event_of_text};
use super::lines::write_gaps_to_stderr;
use super::rendered::Rendered;
use super::retry::{Tries, refused};
use super::{Sink, SinkError};
use crate::bindings::{self, Batch};
use crate::live::Tls;
use crate::secrets::{SecretSource, SecretValue};
use connection::{Connection, Problem};

/// What stands for the name of the source in a tag.
const SOURCE: &str = "{source}";

/// Where and how a [`FluentSink`] delivers.
#[derive(Clone)]
pub struct FluentSettings {
    /// What the sink is called in logs.
    pub name: String,
    /// A host name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The tag of all events; `{source}` in it stands for the source.
    pub tag: String,
    /// What stands for an event.
    pub shape: Shape,
    /// The key that both ends know. It is read for each connection, so that one that was replaced is used the next time.
    pub shared_key: Option<Arc<dyn SecretSource>>,
    /// How long connecting may take, and an acknowledgement.
    pub timeout: Duration,
    /// The longest message, in bytes; one event may be longer.
    pub max_bytes: usize,
    /// The most events in one message.
    pub max_events: usize,
    /// How long one message is sent again and again before the source ends; without it, for ever.
    pub patience: Option<Duration>,
}

impl FluentSettings {
    /// A server and the defaults: the tag is the source's name, up to 1,000 events or 1 MB at a time, half a minute for
    /// each, tried for ever, without a key.
    #[must_use]
    pub fn new(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            tag: SOURCE.to_owned(),
            shape: Shape::Enveloped,
            shared_key: None,
            timeout: Duration::from_secs(30),
            max_bytes: 1_000_000,
            max_events: 1_000,
            patience: None,
        }
    }

    /// Host and port, as a URL has them.
    fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A server of the Fluent forward protocol v1, which acknowledges each chunk.
///
/// A connection that fails, closes or does not acknowledge in time is made anew, with growing waits, and the same is sent
/// again. The protocol has no way to refuse an event.
pub struct FluentSink {
    settings: FluentSettings,
    tls: Option<TlsConnector>,
    connection: Option<Connection>,
}

impl fmt::Debug for FluentSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FluentSink").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl FluentSink {
    /// Nothing is connected yet. With `tls`, everything is encrypted and the server's certificate checked.
    #[must_use]
    pub fn new(settings: FluentSettings, tls: Option<&Tls>) -> Self {
        let tls = tls.map(|tls| {
            let mut config = tls.client_config();
            config.alpn_protocols.clear();
            TlsConnector::from(Arc::new(config))
        });
        Self { settings, tls, connection: None }
    }

    /// Sends a message until it is acknowledged.
    async fn send(&mut self, message: &[u8], chunk: &str) -> Result<(), SinkError> {
        let FluentSettings { name, patience, .. } = &self.settings;
        let name = name.clone();
        let mut tries = Tries::new(&name, self.settings.place(), *patience);
        loop {
            match self.try_to_send(message, chunk).await {
                Ok(()) => return Ok(()),
                Err(Problem::Lasting(why, hint)) => return Err(self.failed(&why, hint)),
                Err(Problem::Passing(trouble)) => tries.wait(trouble).await?,
            }
        }
    }

    async fn try_to_send(&mut self, message: &[u8], chunk: &str) -> Result<(), Problem> {
        // What is cut short leaves no connection behind on which an old acknowledgement could arrive.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.send(message, chunk, self.settings.timeout).await?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, Problem> {
        let key = self.key().await?;
        match Connection::open(&self.settings, self.tls.as_ref(), key.as_ref()).await {
            // Whoever replaces the key may have been half-way.
            Err(Problem::Lasting(why, _)) if self.key().await.is_ok_and(|now| now != key) => Err(Problem::passing(why)),
            opened => opened,
        }
    }

    async fn key(&self) -> Result<Option<SecretValue>, Problem> {
        let Some(source) = &self.settings.shared_key else { return Ok(None) };
        let url = format!("tcp://{}/", self.settings.place()).parse().unwrap_or_default();
        Ok(Some(source.value(&url).await.map_err(|denial| Problem::Passing(denial.into()))?))
    }

    /// `[tag, entries, { size, chunk }]`, and the chunk's name, which is the same for the same bytes.
    fn message(&self, source: &str, entries: &Rendered, part: &Range<usize>) -> Result<(Vec<u8>, String), SinkError> {
        let bytes = entries.slice(part);
        let tag = self.settings.tag.replace(SOURCE, source);
        let chunk = BASE64_STANDARD.encode(&digest(&SHA256, bytes).as_ref()[..16]);
        let mut out = Vec::with_capacity(bytes.len() + tag.len() + 100);
        let written = (|| {
            use rmp::encode::{write_array_len, write_bin, write_map_len, write_str, write_uint};
            write_array_len(&mut out, 3)?;
            write_str(&mut out, &tag)?;
            write_bin(&mut out, bytes)?;
            write_map_len(&mut out, 2)?;
            write_str(&mut out, "size")?;
            write_uint(&mut out, part.len() as u64)?;
            write_str(&mut out, "chunk")?;
            write_str(&mut out, &chunk)
        })();
        written.map(|()| (out, chunk)).map_err(|error| self.failed(&error.to_string(), "report it"))
    }

    fn failed(&self, why: &str, hint: &str) -> SinkError {
        refused(&self.settings.name, &self.settings.place(), why, hint)
    }
}

#[async_trait]
impl Sink for FluentSink {
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let mut lines = Rendered::of(source, batch, self.settings.shape);
        write_gaps_to_stderr(std::mem::take(&mut lines.apart)).await?;
        let entries = entries(source, batch, &lines).map_err(|error| self.failed(&error, "report it"))?;
        for part in entries.parts(self.settings.max_bytes, self.settings.max_events) {
            let (message, chunk) = self.message(source, &entries, &part)?;
            self.send(&message, &chunk).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The lines as entries, `[time, record]`.
fn entries(source: &str, batch: &Batch, lines: &Rendered) -> Result<Rendered, String> {
    let mut entries = Rendered { lines: Vec::new(), ends: Vec::new(), apart: Vec::new() };
    for index in 0..lines.ends.len() {
        let event = batch.events.get(index);
        let time = event.and_then(|event| event.occurred.or(event.visible)).unwrap_or_else(now);
        let line = lines.slice(&(index..index + 1));
        let record = match (serde_json::from_slice(line), event) {
            (Ok(record @ Value::Object(_)), _) => record,
            (Ok(record), _) => json!({ "body": record }),
            // A record that is no JSON, and so is the line around it.
            (Err(_), Some(event)) => {
                let mut line = Vec::new();
                push_event_of_text(&mut line, source, event);
                serde_json::from_slice(&line).map_err(|error| error.to_string())?
            }
            (Err(error), None) => return Err(format!("a gap is no JSON: {error}")),
        };
        push_entry(&mut entries.lines, time, &record).map_err(|error| error.to_string())?;
        entries.ends.push(entries.lines.len());
    }
    Ok(entries)
}

fn push_entry(
    out: &mut Vec<u8>,
    time: bindings::Instant,
    record: &Value,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    rmp::encode::write_array_len(out, 2)?;
    // An `EventTime`: seconds and nanoseconds of 32 bits each, which end in 2106.
    rmp::encode::write_ext_meta(out, 8, 0)?;
    let seconds = u32::try_from(time.seconds.max(0)).unwrap_or(u32::MAX);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&time.nanoseconds.to_be_bytes());
    record.serialize(&mut rmp_serde::Serializer::new(out))?;
    Ok(())
}

fn now() -> bindings::Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    bindings::Instant { seconds: i64::try_from(now.as_secs()).unwrap_or(i64::MAX), nanoseconds: now.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{Event, Instant, Payload};

    #[test]
    fn a_record_that_is_no_json_is_a_text_and_keeps_what_is_told_beside_it() {
        let event = |content_type: &str, body: Payload| Event {
            key: "k".to_owned(),
            subject: "s".to_owned(),
            kind: "detection".to_owned(),
            occurred: Some(Instant { seconds: 1, nanoseconds: 0 }),
            visible: Some(Instant { seconds: 2, nanoseconds: 0 }),
            content_type: content_type.to_owned(),
            body,
            attributes: vec![("without".to_owned(), "evidence".to_owned())],
        };
        let broken = event("application/json", Payload::Text("{\"a\":".to_owned()));
        let binary = event("application/json", Payload::Binary(b"{\xff".to_vec()));
        let row = event("text/csv", Payload::Text("a,b".to_owned()));
        for (event, shape, body) in [
            (&broken, Shape::Enveloped, "{\"a\":"),
            (&broken, Shape::Bare, "{\"a\":"),
            (&binary, Shape::Bare, "{\u{fffd}"),
            (&row, Shape::Bare, "a,b"),
        ] {
            let batch = Batch {
                events: vec![event.clone()],
                gaps: Vec::new(),
                checkpoint: String::new(),
                next: bindings::NextPoll::Now,
                notices: Vec::new(),
                counters: Vec::new(),
                watermark: None,
            };
            let entries = entries("tenant", &batch, &Rendered::of("tenant", &batch, shape)).unwrap();
            let mut expected = Vec::new();
            let record = json!({
                "source": "tenant", "kind": "detection", "key": "k", "subject": "s",
                "occurred": "1970-01-01T00:00:01.0000000Z", "visible": "1970-01-01T00:00:02.0000000Z",
                "attributes": { "without": "evidence" }, "body": body,
            });
            push_entry(&mut expected, Instant { seconds: 1, nanoseconds: 0 }, &record).unwrap();
            assert_eq!(entries.lines, expected, "{event:?} {shape:?}");
        }
    }
}
