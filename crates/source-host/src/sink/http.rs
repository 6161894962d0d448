//! Batches of lines to an HTTP endpoint.

mod answer;
mod reason;

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Url};

use super::dead_letters::{DeadLetters, Refusal, key};
use super::line::Shape;
use super::lines::write_gaps_to_stderr;
use super::rendered::Rendered;
use super::retry::{Tries, Trouble, refused};
use super::{Sink, SinkError};
use crate::bindings::Batch;
use crate::live::{Proxy, Tls, certificate_problem};
use crate::secrets::SecretSource;
use answer::{Verdict, verdict};
use reason::{Secrets, drain, sensitive};

/// The same for the same bytes, so that an endpoint which looks at it takes them once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How several events are put into one body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpForm {
    /// One JSON object a line, `application/x-ndjson`.
    #[default]
    Lines,
    /// One JSON array, `application/json`.
    Array,
}

/// Where and how an [`HttpSink`] delivers.
#[derive(Clone)]
pub struct HttpSettings {
    /// What the sink is called in logs and in the dead-letter file.
    pub name: String,
    /// `https`, or `http` where the way there is trusted. Only its origin is ever shown.
    pub url: Url,
    /// How several events are put into one body.
    pub form: HttpForm,
    /// What stands for an event.
    pub shape: Shape,
    /// Sent with each request. Their values are never shown, those that are marked sensitive not even where an endpoint
    /// repeats them.
    pub headers: HeaderMap,
    /// Headers whose values are kept elsewhere, and read for each request: one that was replaced is used the next time.
    pub secret_headers: Vec<(HeaderName, Arc<dyn SecretSource>)>,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// The longest body, in bytes before compression; one event may be longer.
    pub max_bytes: usize,
    /// The most events in one body.
    pub max_events: usize,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long one body is sent again and again before the source ends; without it, for ever.
    pub patience: Option<Duration>,
    /// Where events go that are refused for good; without it they end the source.
    pub dead_letters: Option<DeadLetters>,
}

impl HttpSettings {
    /// An endpoint and the defaults: lines, up to 1,000 events or 1 MB at a time, half a minute for each, tried for ever.
    #[must_use]
    pub fn new(name: &str, url: Url) -> Self {
        Self {
            name: name.to_owned(),
            url,
            form: HttpForm::Lines,
            shape: Shape::Enveloped,
            headers: HeaderMap::new(),
            secret_headers: Vec::new(),
            gzip: false,
            max_bytes: 1_000_000,
            max_events: 1_000,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            patience: None,
            dead_letters: None,
        }
    }

    fn place(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// An HTTP endpoint that acknowledges with a status of 2xx.
///
/// What may pass (no connection, 408, 429, 5xx) is tried again, with growing waits or as `Retry-After` says, and the
/// source waits meanwhile. What is refused for good is halved until the event is found. Redirects are not followed.
#[derive(Clone)]
pub struct HttpSink {
    settings: Arc<HttpSettings>,
    /// The URL, for those who keep secrets.
    uri: http::Uri,
    client: Client,
    has_dead_letters: bool,
}

impl fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSink").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl HttpSink {
    /// Nothing is sent yet. A clone shares the connections.
    ///
    /// # Errors
    ///
    /// The client cannot be made.
    pub fn new(settings: HttpSettings, tls: &Tls, proxy: &Proxy) -> Result<Self, SinkError> {
        let client = || {
            let client = Client::builder()
                .tls_backend_preconfigured(tls.client_config())
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .user_agent(concat!("source-host/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(settings.connect_timeout)
                .timeout(settings.timeout);
            proxy.lead(client)?.build()
        };
        let client = client().map_err(|error| SinkError::Failed {
            message: format!("the HTTP client cannot be made: {error}"),
            hint: "see `proxy` under [host], and the proxies that the environment names".to_owned(),
        })?;
        let uri = settings.url.as_str().parse().map_err(|_| SinkError::Failed {
            message: format!("the URL of the sink `{}` is none of HTTP", settings.name),
            hint: "correct `url`".to_owned(),
        })?;
        Ok(Self { settings: Arc::new(settings), uri, client, has_dead_letters: false })
    }

    /// Sends some lines until they are taken or refused.
    async fn send(&self, rendered: &Rendered, lines: &Range<usize>) -> Result<Sent, SinkError> {
        let HttpSettings { name, patience, .. } = &*self.settings;
        let (body, key) = self.body(rendered, lines)?;
        let mut tries = Tries::new(name, self.settings.place(), *patience);
        loop {
            match self.post(&body, &key).await? {
                Posted::Sent(sent) => return Ok(sent),
                Posted::NotNow(trouble) => tries.wait(trouble).await?,
            }
        }
    }

    /// One try.
    async fn post(&self, body: &Bytes, key: &HeaderValue) -> Result<Posted, SinkError> {
        let headers = match self.headers(key).await {
            Ok(headers) => headers,
            Err(trouble) => return Ok(Posted::NotNow(trouble)),
        };
        let request = self.client.post(self.settings.url.clone()).headers(headers.clone()).body(body.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Posted::NotNow(trouble(error))),
        };
        let status = response.status();
        let verdict = verdict(status, response.headers(), SystemTime::now());
        let reason = match verdict {
            Verdict::Taken => drain(response).await,
            _ => Secrets::of(&headers, &self.settings.url).reason(response).await,
        };
        Ok(match verdict {
            Verdict::Taken => Posted::Sent(Sent::Taken),
            Verdict::TooLarge | Verdict::Refused => {
                Posted::Sent(Sent::Refused(Refusal { status: status.as_u16(), reason }))
            }
            Verdict::Later(wait) => Posted::NotNow(Trouble { wait, ..Trouble::passing(told(status, &reason)) }),
            Verdict::Never(hint) => {
                // Whoever replaces a secret may have been half-way.
                if self.headers(key).await.is_ok_and(|now| now != headers) {
                    return Ok(Posted::NotNow(Trouble::passing(told(status, &reason))));
                }
                return Err(self.failed(&told(status, &reason), hint));
            }
        })
    }

    async fn headers(&self, key: &HeaderValue) -> Result<HeaderMap, Trouble> {
        let HttpSettings { form, headers, secret_headers, gzip, .. } = &*self.settings;
        let kind = match form {
            HttpForm::Lines => "application/x-ndjson",
            HttpForm::Array => "application/json",
        };
        let key = key.clone();
        let mut all = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind)), (IDEMPOTENCY_KEY, key)]);
        if *gzip {
            all.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        all.extend(headers.clone());
        for (header, source) in secret_headers {
            let secret = source.value(&self.uri).await?;
            let value = sensitive(secret.expose()).ok_or_else(|| {
                Trouble::lasting(
                    format!("the secret `{header}` holds what no header may"),
                    "a header is one line of text",
                )
            })?;
            all.insert(header, value);
        }
        Ok(all)
    }

    fn body(&self, rendered: &Rendered, lines: &Range<usize>) -> Result<(Bytes, HeaderValue), SinkError> {
        let plain = match self.settings.form {
            HttpForm::Lines => rendered.slice(lines).to_vec(),
            HttpForm::Array => array(rendered, lines),
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, &plain);
        let key: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let key = HeaderValue::from_str(&key).map_err(|error| self.failed(&error.to_string(), "report it"))?;
        if !self.settings.gzip {
            return Ok((plain.into(), key));
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        let packed = encoder.write_all(&plain).and_then(|()| encoder.finish());
        packed.map(|packed| (packed.into(), key)).map_err(|error| self.failed(&error.to_string(), "report it"))
    }

    async fn refuse(&mut self, source: &str, batch: &Batch, index: usize, refusal: &Refusal) -> Result<(), SinkError> {
        let HttpSettings { name, dead_letters, .. } = &*self.settings;
        let (status, reason, key) = (refusal.status, &refusal.reason, key(batch, index));
        let Some(dead_letters) = dead_letters else {
            let hint = "see why it is refused; with `dead_letter` in the [[sink]] such events go to a file, and the rest goes on";
            return Err(self.failed(&format!("the event {key} is refused: HTTP {status}: {reason}"), hint));
        };
        tracing::warn!(sink = name, source, key, status, "refused, and put into the dead-letter file: {reason}");
        dead_letters.add(name, source, batch, index, refusal).await?;
        self.has_dead_letters = true;
        Ok(())
    }

    fn failed(&self, why: &str, hint: &str) -> SinkError {
        refused(&self.settings.name, &self.settings.place(), why, hint)
    }
}

enum Sent {
    Taken,
    Refused(Refusal),
}

enum Posted {
    Sent(Sent),
    NotNow(Trouble),
}

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(&mut self, source: &str, batch: &Batch) -> Result<(), SinkError> {
        let mut rendered = Rendered::of(source, batch, self.settings.shape);
        write_gaps_to_stderr(std::mem::take(&mut rendered.apart)).await?;
        let mut parts = VecDeque::from(rendered.parts(self.settings.max_bytes, self.settings.max_events));
        while let Some(part) = parts.pop_front() {
            let Sent::Refused(refusal) = self.send(&rendered, &part).await? else { continue };
            if part.len() == 1 {
                self.refuse(source, batch, part.start, &refusal).await?;
                continue;
            }
            let middle = part.start + part.len() / 2;
            parts.push_front(middle..part.end);
            parts.push_front(part.start..middle);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        if self.has_dead_letters
            && let Some(dead_letters) = &self.settings.dead_letters
        {
            dead_letters.flush().await?;
            self.has_dead_letters = false;
        }
        Ok(())
    }
}

fn array(rendered: &Rendered, lines: &Range<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(rendered.slice(lines).len() + 2);
    out.push(b'[');
    for line in lines.clone() {
        if line > lines.start {
            out.push(b',');
        }
        out.extend_from_slice(rendered.slice(&(line..line + 1)).trim_ascii_end());
    }
    out.push(b']');
    out
}

fn told(status: StatusCode, reason: &str) -> String {
    if reason.is_empty() { format!("HTTP {}", status.as_u16()) } else { format!("HTTP {}: {reason}", status.as_u16()) }
}

fn trouble(error: reqwest::Error) -> Trouble {
    match certificate_problem(&error) {
        Some((problem, hint)) => Trouble::lasting(problem, hint),
        None => Trouble::passing(causes(error)),
    }
}

/// An error with its causes, and without the URL, which may hold a secret.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
