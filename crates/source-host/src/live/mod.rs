//! The network: pooled connections, verified TLS, no redirects, and no address that a name may not lead to.

mod certificate;
mod failure;
mod proxy;
mod resolver;
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http_body::Body as _;
use http_body_util::{BodyDataStream, BodyExt as _, Limited};
use reqwest::{Client, Url};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::transport::{Timeouts, Transport};
use failure::explain;
use resolver::PolicedResolver;

pub(crate) use certificate::certificate_problem;
pub use proxy::{Proxy, ProxyError};
pub use tls::{Tls, TlsError};

/// Request bodies up to this size are sent from memory, with their length and a second try on a connection that the
/// server had just closed.
const BUFFERED_REQUEST: u64 = 64 << 10;

/// Connections of HTTP/1.1 to one server that wait for the next request.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// What one answer over HTTP/2 may send ahead of its reader.
const STREAM_WINDOW: u32 = 1 << 20;
/// As large as it gets: all answers of a connection share this one, and a source that stops reading in the middle of its
/// answer would hold up the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// A connection of HTTP/2 that was lost on the way is noticed by its silence.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The network, for any number of sources: they share connections to the same server.
///
/// Sharing is safe since nothing of a source belongs to a connection: credentials are in the requests, no cookie is kept,
/// the origins that a source may reach are checked before a request comes here, and which addresses a name may lead to is
/// the same for all. Compressed answers (gzip, deflate, Brotli) arrive decoded, without the headers that spoke of the
/// coding.
pub struct LiveTransport {
    tls: Tls,
    /// Shared with the bodies of answers, which tell of it where they break off.
    proxy: Arc<Proxy>,
    /// By connect timeout in milliseconds, which is a property of a client; sources use one or two.
    clients: Mutex<BTreeMap<u128, Client>>,
}

impl LiveTransport {
    /// The network, directly or through a proxy. A proxy looks names up by itself, so the rule on inner addresses ends
    /// there.
    #[must_use]
    pub fn new(tls: &Tls, proxy: &Proxy) -> Self {
        Self { tls: tls.clone(), proxy: Arc::new(proxy.clone()), clients: Mutex::default() }
    }

    fn client(&self, connect: Duration) -> Result<Client, Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect.as_millis()) {
            return Ok(client.clone());
        }
        let client = self.build(connect).map_err(|error| {
            tracing::error!("the HTTP client cannot be made: {error}");
            Error::ConfigurationError
        })?;
        clients.insert(connect.as_millis(), client.clone());
        Ok(client)
    }

    fn build(&self, connect: Duration) -> reqwest::Result<Client> {
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.client_config())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("source-host/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PolicedResolver::new(self.proxy.name())))
            .connect_timeout(connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_FOR)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT);
        self.proxy.lead(client)?.build()
    }
}

impl std::fmt::Debug for LiveTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveTransport").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for LiveTransport {
    async fn send(
        &self,
        request: http::Request<WasiBody>,
        timeouts: Timeouts,
    ) -> Result<http::Response<WasiBody>, Error> {
        let (mut head, body) = request.into_parts();
        let url = same_url(&head.uri)?;
        let uri = head.uri;
        let host = uri.host().unwrap_or_default();
        if self.proxy.name().is_some_and(|proxy| proxy.eq_ignore_ascii_case(host)) {
            tracing::warn!(host, "request refused: no source speaks with the host's own proxy");
            return Err(Error::DestinationIpProhibited);
        }
        // The client writes it, or its counterpart in HTTP/2, from the URL.
        head.headers.remove(http::header::HOST);
        let mut outgoing = reqwest::Request::new(head.method, url);
        *outgoing.headers_mut() = head.headers;
        *outgoing.body_mut() = request_body(body, outgoing.headers()).await?;
        let client = self.client(timeouts.connect)?;
        let response = client.execute(outgoing).await.map_err(|error| explain(&error, &uri, &self.proxy))?;
        let response = http::Response::<reqwest::Body>::from(response);
        let proxy = Arc::clone(&self.proxy);
        Ok(response.map(|body| body.map_err(move |error| explain(&error, &uri, &proxy)).boxed_unsync()))
    }
}

/// The URL that was checked, as the client's own type. Two parsers may disagree on where a host ends; then it is not
/// sent.
fn same_url(uri: &http::Uri) -> Result<Url, Error> {
    let url = Url::parse(&uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let same = url.host_str().zip(uri.host()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        && url.scheme() == uri.scheme_str().unwrap_or_default()
        && url.username().is_empty()
        && url.password().is_none()
        && uri.port_u16().is_none_or(|port| url.port_or_known_default() == Some(port));
    if same { Ok(url) } else { Err(Error::HttpRequestUriInvalid) }
}

async fn request_body(body: WasiBody, headers: &http::HeaderMap) -> Result<Option<reqwest::Body>, Error> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length <= BUFFERED_REQUEST) {
        let limit = usize::try_from(BUFFERED_REQUEST).unwrap_or(usize::MAX);
        let whole = Limited::new(body, limit).collect().await.map_err(|_| Error::HttpRequestBodySize(None))?;
        return Ok(Some(whole.to_bytes().into()));
    }
    Ok(Some(reqwest::Body::wrap_stream(BodyDataStream::new(body))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_two_parsers_read_differently_is_not_sent() {
        for good in ["https://api.example.com/a%20b?c=d%2Be", "http://127.0.0.1:8080/", "https://[::1]:8443/x"] {
            assert!(same_url(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for odd in ["http://0x7f.1/", "http://127.1/", "https://user@api.example.com/"] {
            assert!(same_url(&odd.parse().unwrap()).is_err(), "{odd}");
        }
    }
}
